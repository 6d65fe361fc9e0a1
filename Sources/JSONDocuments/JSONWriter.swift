// A JSONValue to bytes, as people and Hugging Face's loaders like to read it.

extension JSONValue {
    /// How a document is laid out.
    public enum Layout: Sendable {
        /// No white space at all.
        case compact
        /// A member or element a line, two spaces a level.
        case indented
    }

    /// The document as UTF-8. Numbers read back as the same value. Reals are finite: JSON has no others.
    public func serialised(_ layout: Layout = .compact) -> [UInt8] {
        var writer = JSONWriter(isIndented: layout == .indented)
        writer.write(self, level: 0)
        if layout == .indented { writer.bytes.append(UInt8(ascii: "\n")) }
        return writer.bytes
    }
}

private struct JSONWriter {
    let isIndented: Bool
    var bytes: [UInt8] = []

    init(isIndented: Bool) { self.isIndented = isIndented }

    mutating func write(_ value: JSONValue, level: Int) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .integer(let number): bytes.append(contentsOf: String(number).utf8)
        case .real(let number):
            precondition(number.isFinite, "JSON has no word for \(number)")
            bytes.append(contentsOf: String(number).utf8)
        case .string(let text): write(text)
        case .array(let elements):
            list("[", "]", count: elements.count, level: level) { writer, index in
                writer.write(elements[index], level: level + 1)
            }
        case .object(let members):
            list("{", "}", count: members.count, level: level) { writer, index in
                writer.write(members[index].name)
                writer.bytes.append(contentsOf: (writer.isIndented ? ": " : ":").utf8)
                writer.write(members[index].value, level: level + 1)
            }
        }
    }

    private mutating func list(
        _ open: Unicode.Scalar, _ close: Unicode.Scalar, count: Int, level: Int,
        _ element: (inout JSONWriter, Int) -> Void
    ) {
        bytes.append(UInt8(ascii: open))
        for index in 0..<count {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            breakLine(level + 1)
            element(&self, index)
        }
        if count > 0 { breakLine(level) }
        bytes.append(UInt8(ascii: close))
    }

    private mutating func breakLine(_ level: Int) {
        guard isIndented else { return }
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
    }

    private mutating func write(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
