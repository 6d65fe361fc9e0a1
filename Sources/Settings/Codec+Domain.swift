// Values with a shape of their own: addresses, event types, access lists.

import Glibc
import Yams

extension HostPort: CustomStringConvertible {
    /// `host:port` or `[v6]:port`.
    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." })
            else { return nil }
        } else {
            let permitted = host.utf8.allSatisfy { byte in
                byte < 128
                    && (Character(UnicodeScalar(byte)).isLetter
                        || Character(UnicodeScalar(byte)).isNumber || ".-_".utf8.contains(byte))
            }
            guard permitted, (1...253).contains(host.utf8.count) else { return nil }
        }
        self.init(host: String(host), port: port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether nobody outside this machine can reach it.
    var isLoopback: Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

extension Codec where Value == HostPort {
    static let hostPort = Codec.scalar("address", "host:port") {
        HostPort($0)
    } render: {
        "\($0)"
    }

    static let loopback = Codec.scalar("address", "127.0.0.1:port, [::1]:port or localhost:port") {
        HostPort($0).flatMap { $0.isLoopback ? $0 : nil }
    } render: {
        yamlAddress($0)
    }
}

extension Codec where Value == String {
    /// A Kafka bootstrap address.
    static let broker = Codec.text("host:port") { HostPort($0) != nil }

    /// A Kafka topic name.
    static let topic = Codec.text("1 to 249 of letters, digits, . _ -") { text in
        (1...249).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { byte in
                isASCIIWord(byte) || ".-".utf8.contains(byte)
            }
    }

    /// A key of a JSON object.
    static let field = Codec.name(bytesMax: 64)

    /// An absolute path that fits a Unix socket address.
    static let socketPath = Codec.text("an absolute path of at most 107 bytes") { isSocketPath($0) }

    /// A prefix of Redis keys: braces would change the hash slot.
    static let keyPrefix = Codec.text("1 to 64 of letters, digits, . _ - :") { text in
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { isASCIIWord($0) || ".-:".utf8.contains($0) }
    }
}

extension Codec where Value == RedisSettings.Address {
    static let redisAddress = Codec.scalar("address", "host:port or unix:/path") { text in
        guard text.hasPrefix("unix:") else { return HostPort(text).map { .tcp($0) } }
        let path = String(text.dropFirst(5))
        return isSocketPath(path) ? .unix(path: path) : nil
    } render: { address in
        switch address {
        case .unix(let path): yamlText("unix:" + path)
        case .tcp(let address): yamlAddress(address)
        }
    }
}

extension Codec where Value == EventSettings.Seen {
    static let seen = Codec.scalar(
        "one of", "always, never, or a duration from 1s to 3650d", choices: ["always", "never"]
    ) { text in
        switch text {
        case "always": return .always
        case "never": return .never
        default:
            guard let duration = Units.duration(text),
                (Duration.seconds(1)...Duration.seconds(3_650 * 86_400)).contains(duration)
            else { return nil }
            return .cooldown(duration)
        }
    } render: { seen in
        switch seen {
        case .always: "always"
        case .never: "never"
        case .cooldown(let duration): Units.text(duration)
        }
    }
}

extension Codec where Value == [EventSettings.Kind] {
    static let kinds: Codec = {
        let all = Codec.list(of: .kind, 1...64, block: true)
        return Codec(
            type: all.type, allowed: all.allowed,
            parse: { node, key, findings in
                guard let kinds = all.parse(node, key, &findings) else { return nil }
                var indexByName: [String: Int] = [:]
                for (index, kind) in kinds.enumerated() {
                    if let first = indexByName.updateValue(index, forKey: kind.name) {
                        findings.add(
                            node.sequence?[index].mark, "\(key)[\(index)]",
                            "\(quoted(kind.name)) is already [\(first)]: names must differ")
                    }
                }
                return indexByName.count == kinds.count ? kinds : nil
            }, render: all.render)
    }()
}

extension Codec where Value == EventSettings.Kind {
    fileprivate static let keys = ["name", "weight", "seen"]

    static let kind = Codec(
        type: "event type",
        allowed: "{name: text, weight: -64 to 64, seen: always, never, or a duration}",
        parse: { node, key, findings in
            guard let fields = node.namedFields(key, keys, required: ["name"], &findings) else {
                return nil
            }
            let name = fields["name"].flatMap {
                Codec<String>.name(bytesMax: 64).parse($0, key + ".name", &findings)
            }
            let weight = fields["weight"].map {
                Codec<Int>.integer(-64...64).parse($0, key + ".weight", &findings)
            }
            let seen = fields["seen"].map {
                Codec<EventSettings.Seen>.seen.parse($0, key + ".seen", &findings)
            }
            guard let name, let weight = weight ?? 1, let seen = seen ?? .always else { return nil }
            return EventSettings.Kind(name: name, weight: weight, seen: seen)
        },
        render: { kind in
            let seen = Codec<EventSettings.Seen>.seen.render(kind.seen)
            return "{name: \(yamlText(kind.name)), weight: \(kind.weight), seen: \(seen)}"
        })
}

extension Codec where Value == SocketSettings.Access {
    static let access = Codec(
        type: "access", allowed: "any, or a list of user:NAME, user:ID, group:NAME, group:ID",
        parse: { node, key, findings in
            if node.scalar?.string == "any" { return .anyone }
            guard let entries = node.sequence, entries.count <= accessEntriesMax else {
                findings.add(
                    node.mark, key, "is not an access list",
                    allowed: "any, or a list of at most \(accessEntriesMax) user:... and group:...")
                return nil
            }
            var access = SocketSettings.Access.nobody
            for (index, entry) in entries.enumerated() {
                let text = entry.scalar?.string ?? ""
                let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
                switch (parts.first, parts.count == 2 ? parts[1] : nil) {
                case ("user", let name?): Accounts.uid(name).map { _ = access.uids.insert($0) }
                case ("group", let name?): Accounts.gid(name).map { _ = access.gids.insert($0) }
                default: break
                }
                if access.uids.count + access.gids.count <= index {
                    findings.add(
                        entry.mark, "\(key)[\(index)]",
                        "\(quoted(text)) names no user or group, or one already named",
                        allowed: "user:NAME, user:ID, group:NAME, group:ID")
                    return nil
                }
            }
            return access
        },
        render: { access in
            if access.anyone { return "any" }
            let entries =
                access.uids.sorted().map { "user:\($0)" }
                + access.gids.sorted().map { "group:\($0)" }
            return "[" + entries.joined(separator: ", ") + "]"
        })
}

extension Codec where Value == UInt32 {
    static let group = Codec.scalar("group", "a name or number") {
        Accounts.gid($0)
    } render: {
        "\($0)"
    }
}

private let accessEntriesMax = 256

/// Users and groups by name or number.
private enum Accounts {
    static func uid(_ text: String) -> UInt32? {
        if let number = UInt32(text) { return number }
        var entry = unsafe passwd()
        var found: UnsafeMutablePointer<passwd>?
        return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { buffer in
            guard let base = buffer.baseAddress else { return nil }
            let code = unsafe getpwnam_r(text, &entry, base, buffer.count, &found)
            return unsafe code == 0 && found != nil ? entry.pw_uid : nil
        }
    }

    static func gid(_ text: String) -> UInt32? {
        if let number = UInt32(text) { return number }
        var entry = unsafe Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { buffer in
            guard let base = buffer.baseAddress else { return nil }
            let code = unsafe getgrnam_r(text, &entry, base, buffer.count, &found)
            return unsafe code == 0 && found != nil ? entry.gr_gid : nil
        }
    }
}

func isASCIIWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
    default: false
    }
}

private func isSocketPath(_ text: String) -> Bool {
    text.hasPrefix("/") && text.utf8.count <= 107 && text.utf8.allSatisfy { $0 >= 32 && $0 != 127 }
}

/// A bracketed IPv6 address would read as a list.
private func yamlAddress(_ address: HostPort) -> String {
    address.host.contains(":") ? "\"\(address)\"" : "\(address)"
}

extension Node {
    /// The values of a small mapping by key, when it has no other keys than `keys` and all `required` ones.
    func namedFields(
        _ key: String, _ keys: [String], required: [String], _ findings: inout Findings
    ) -> [String: Node]? {
        guard let mapping else {
            findings.add(
                mark, key, "is not a group of keys", allowed: keys.joined(separator: ", "))
            return nil
        }
        var fields: [String: Node] = [:]
        var isSound = true
        for (name, value) in mapping {
            let text = name.scalar?.string ?? ""
            if keys.contains(text) {
                fields[text] = value
            } else {
                isSound = false
                findings.add(
                    name.mark, "\(key).\(text)", "no such key",
                    allowed: keys.joined(separator: ", "),
                    suggestion: Suggestion.nearest(to: text, among: keys))
            }
        }
        for name in required where fields[name] == nil {
            isSound = false
            findings.add(mark, key, "lacks \(name)", allowed: keys.joined(separator: ", "))
        }
        return isSound ? fields : nil
    }
}
