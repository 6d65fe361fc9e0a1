// How a kind of value is written in the file: its name, its bounds, its reading and its rendering, in one place.

import Yams

/// Turns a YAML node into a `Value`, telling every fault, and back into text that reads as the same value.
struct Codec<Value: Sendable & Equatable>: Sendable {
    /// `integer`, `duration`, ...: the first word of the key's annotation.
    var type: String
    /// The bounds or choices, in words.
    var allowed: String
    var parse: @Sendable (_ node: Node, _ key: String, _ findings: inout Findings) -> Value?
    /// YAML of the value: one line, or several lines that each start an entry of a block list.
    var render: @Sendable (Value) -> String

    /// A codec of scalars. `read` returns nil for text that is not of this type.
    static func scalar(
        _ type: String, _ allowed: String, choices: [String] = [],
        read: @escaping @Sendable (String) -> Value?, render: @escaping @Sendable (Value) -> String
    ) -> Codec {
        Codec(
            type: type, allowed: allowed,
            parse: { node, key, findings in
                guard let text = node.scalarText(key, "\(type), \(allowed)", &findings) else {
                    return nil
                }
                if let value = read(text) { return value }
                findings.add(
                    node.mark, key, "\(quoted(text)) will not do", allowed: "\(type), \(allowed)",
                    suggestion: Suggestion.nearest(to: text, among: choices))
                return nil
            }, render: render)
    }
}

extension Codec where Value == Int {
    static func integer(_ bounds: ClosedRange<Int>) -> Codec {
        .scalar("integer", "\(bounds.lowerBound) to \(bounds.upperBound)") { text in
            Int(text).flatMap { bounds.contains($0) ? $0 : nil }
        } render: {
            String($0)
        }
    }

    /// A number of bytes, written `64KiB`.
    static func size(_ bounds: ClosedRange<Int>) -> Codec {
        let range =
            "\(Units.text(bytes: bounds.lowerBound)) to \(Units.text(bytes: bounds.upperBound))"
        return .scalar("size", range) { text in
            Units.bytes(text).flatMap { bounds.contains($0) ? $0 : nil }
        } render: {
            Units.text(bytes: $0)
        }
    }

    /// Permission bits, written in octal.
    static let mode = Codec.scalar("octal mode", "0600 to 0777, as for chmod") { text in
        guard text.utf8.count == 4, text.hasPrefix("0"), let mode = Int(text, radix: 8),
            mode & 0o600 == 0o600
        else { return nil }
        return mode
    } render: {
        "0" + String($0, radix: 8)
    }
}

extension Codec where Value == Bool {
    static let boolean = Codec.scalar("boolean", "true or false", choices: ["true", "false"]) {
        Bool($0)
    } render: {
        "\($0)"
    }
}

extension Codec where Value == Double {
    static func number(_ bounds: ClosedRange<Double>) -> Codec {
        .scalar("number", "\(bounds.lowerBound) to \(bounds.upperBound)") { text in
            Double(text).flatMap { bounds.contains($0) ? $0 : nil }
        } render: {
            "\($0)"
        }
    }
}

extension Codec where Value == Duration {
    static func duration(_ bounds: ClosedRange<Duration>) -> Codec {
        let range = "\(Units.text(bounds.lowerBound)) to \(Units.text(bounds.upperBound))"
        return .scalar("duration", range) { text in
            Units.duration(text).flatMap { bounds.contains($0) ? $0 : nil }
        } render: {
            Units.text($0)
        }
    }
}

extension Codec where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    static var choice: Codec {
        let choices = Value.allCases.map(\.rawValue)
        return .scalar("one of", choices.joined(separator: ", "), choices: choices) {
            Value(rawValue: $0)
        } render: {
            $0.rawValue
        }
    }
}

extension Codec where Value == String {
    static func text(
        _ allowed: String, check: @escaping @Sendable (String) -> Bool = { _ in true }
    ) -> Codec {
        .scalar("text", allowed) { text in
            check(text) ? text : nil
        } render: {
            yamlText($0)
        }
    }

    /// 1 to `bytesMax` bytes without control characters.
    static func name(bytesMax: Int) -> Codec {
        .text("1 to \(bytesMax) bytes, no control characters") { text in
            (1...bytesMax).contains(text.utf8.count)
                && text.utf8.allSatisfy { $0 >= 32 && $0 != 127 }
        }
    }
}

extension Codec {
    /// `null` stands for none.
    static func orNull<Wrapped>(_ codec: Codec<Wrapped>) -> Codec where Value == Wrapped? {
        Codec(
            type: codec.type, allowed: "\(codec.allowed), or null",
            parse: { node, key, findings in
                if node.isNull { return .some(nil) }
                return codec.parse(node, key, &findings).map { .some($0) }
            },
            render: { $0.map(codec.render) ?? "null" })
    }

    /// A list of such values; in block style each has its own line.
    static func list<Entry>(
        of codec: Codec<Entry>, _ counts: ClosedRange<Int>, block: Bool = false
    ) -> Codec where Value == [Entry] {
        let range =
            "\(counts.lowerBound) to \(counts.upperBound) of: \(codec.type), \(codec.allowed)"
        return Codec(
            type: "list", allowed: range,
            parse: { node, key, findings in
                guard let entries = node.sequence else {
                    findings.add(node.mark, key, "is not a list", allowed: "[a, b, ...], \(range)")
                    return nil
                }
                guard counts.contains(entries.count) else {
                    findings.add(node.mark, key, "has \(entries.count) entries", allowed: range)
                    return nil
                }
                var values: [Entry] = []
                for (index, entry) in entries.enumerated() {
                    if let value = codec.parse(entry, "\(key)[\(index)]", &findings) {
                        values.append(value)
                    }
                }
                return values.count == entries.count ? values : nil
            },
            render: { values in
                block && !values.isEmpty
                    ? values.map { "- " + codec.render($0) }.joined(separator: "\n")
                    : "[" + values.map(codec.render).joined(separator: ", ") + "]"
            })
    }
}

extension Node {
    /// An empty or explicit null: no value.
    var isNull: Bool {
        guard let scalar, scalar.style == .plain else { return false }
        return ["", "~", "null"].contains(scalar.string)
    }

    /// The text of a scalar that has a value; anything else is told.
    func scalarText(_ key: String, _ allowed: String, _ findings: inout Findings) -> String? {
        guard let scalar else {
            let kind = mapping == nil ? "a list" : "a group of keys"
            findings.add(mark, key, "is \(kind), not a single value", allowed: allowed)
            return nil
        }
        guard !isNull else {
            findings.add(
                mark, key, "has no value: leave the key out for its default", allowed: allowed)
            return nil
        }
        return scalar.string
    }
}

/// A value as it is shown in messages: short, in quotes, on one line.
func quoted(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(60).map { scalar in
        scalar.value < 32 || scalar.value == 127 ? "?" : String(scalar)
    }
    return "\"" + shown.joined() + (text.unicodeScalars.count > 60 ? "..." : "") + "\""
}

/// Text as a YAML scalar: plain where that reads back as text, else in double quotes.
func yamlText(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "_"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"): true
        case UInt8(ascii: ":"): true
        default: false
        }
    }
    let edges = [text.utf8.first, text.utf8.last].compactMap { $0 }
    let safe = !edges.contains(UInt8(ascii: ":")) && edges.first != UInt8(ascii: "-")
    if plain, safe, !text.isEmpty, text != "null", text != "~" { return text }
    var escaped = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": escaped += "\\\(scalar)"
        case _ where scalar.value < 32 || scalar.value == 127:
            let digits = String(scalar.value, radix: 16)
            escaped += "\\x" + (digits.utf8.count < 2 ? "0" : "") + digits
        default: escaped.unicodeScalars.append(scalar)
        }
    }
    return "\"\(escaped)\""
}
