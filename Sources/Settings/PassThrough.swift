// librdkafka's own properties go through untouched, except those that would break a promise of ours, and secrets.

import Yams

enum PassThrough {
    static let entriesMax = 256
    static let valueBytesMax = 16 << 10

    /// Properties that have a key of ours, or that exactly-once rests on, with what to do instead.
    static let reserved: [String: String] = [
        "bootstrap.servers": "set kafka.brokers",
        "metadata.broker.list": "set kafka.brokers",
        "group.id": "set kafka.group",
        "group.instance.id": "set kafka.instance-id",
        "enable.auto.commit": "offsets are stored with the state they produced",
        "enable.auto.offset.store": "offsets are stored with the state they produced",
        "auto.commit.enable": "offsets are stored with the state they produced",
        "auto.offset.reset": "set kafka.offset-gap",
        "partitioner": "set kafka.partitioner",
        "enable.partition.eof": "not used",
        "enable.idempotence": "always on: what we produce must not double",
    ]

    /// Properties whose value is a secret: given as `{file: ...}` or `{credential: ...}`.
    static let secrets: Set<String> = [
        "sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem",
        "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config",
    ]

    static let allowed =
        "librdkafka property: value; secrets as {file: /absolute/path} or {credential: name}"

    static let codec = Codec<[String: PassThroughValue]>(
        type: "map", allowed: allowed,
        parse: { node, key, findings in
            if node.isNull { return [:] }
            guard let mapping = node.mapping, mapping.count <= entriesMax else {
                findings.add(
                    node.mark, key, "is not a map of at most \(entriesMax) properties",
                    allowed: allowed)
                return nil
            }
            var values: [String: PassThroughValue] = [:]
            for (name, value) in mapping {
                let property = name.scalar?.string ?? ""
                let path = "\(key).\(property)"
                guard isProperty(property) else {
                    findings.add(name.mark, key, "\(quoted(property)) is not a property name")
                    continue
                }
                values[property] = parse(value, of: property, path, &findings)
            }
            return values.count == mapping.count ? values : nil
        },
        render: { values in
            let entries = values.sorted { $0.key < $1.key }.map { name, value in
                switch value {
                case .text(let text): "\(yamlText(name)): \(yamlText(text))"
                case .secret(let source): "\(yamlText(name)): \(source)"
                }
            }
            return "{" + entries.joined(separator: ", ") + "}"
        })

    private static func parse(
        _ node: Node, of property: String, _ key: String, _ findings: inout Findings
    ) -> PassThroughValue? {
        if let way = reserved[property] {
            findings.add(node.mark, key, "cannot be passed through: \(way)")
            return nil
        }
        if secrets.contains(property) || node.mapping != nil {
            return Codec<SecretSource>.secret.parse(node, key, &findings).map { .secret($0) }
        }
        guard let text = node.scalarText(key, allowed, &findings) else { return nil }
        guard text.utf8.count <= valueBytesMax, !text.utf8.contains(0) else {
            findings.add(node.mark, key, "is longer than \(valueBytesMax) bytes or holds a NUL")
            return nil
        }
        return .text(text)
    }

    private static func isProperty(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || "._-".utf8.contains(byte)
            }
    }
}
