// JSON written by us: small objects with known fields, byte by byte.

/// Builds one JSON object.
public struct JSONObjectWriter {
    public private(set) var bytes: [UInt8] = [UInt8(ascii: "{")]

    public init() {}

    public mutating func add(_ name: String, _ value: String) {
        begin(name)
        appendString(value)
    }

    public mutating func add(_ name: String, _ value: Int64) {
        begin(name)
        bytes.append(contentsOf: String(value).utf8)
    }

    /// `value` is finite: JSON has no other numbers.
    public mutating func add(_ name: String, _ value: Double) {
        precondition(value.isFinite, "JSON has no word for \(value)")
        begin(name)
        bytes.append(contentsOf: String(value).utf8)
    }

    public mutating func add(_ name: String, _ texts: [String]) {
        begin(name)
        bytes.append(UInt8(ascii: "["))
        for (place, text) in texts.enumerated() {
            if place > 0 { bytes.append(UInt8(ascii: ",")) }
            appendString(text)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    public consuming func finished() -> [UInt8] {
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    private mutating func begin(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        appendString(name)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func appendString(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
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

/// The JSON object in `payload` with one more field, or nil when it does not end in a brace. Readers take the last of
/// duplicate fields, so the addition holds.
public func appending(_ name: String, _ value: String, toObject payload: [UInt8]) -> [UInt8]? {
    guard let brace = payload.lastIndex(of: UInt8(ascii: "}")) else { return nil }
    var addition = JSONObjectWriter()
    addition.add(name, value)
    let field = addition.finished().dropFirst()
    let before = payload[..<brace].last { !" \t\r\n".utf8.contains($0) }
    let separator: [UInt8] = before == UInt8(ascii: "{") ? [] : [UInt8(ascii: ",")]
    return Array(payload[..<brace]) + separator + field
}
