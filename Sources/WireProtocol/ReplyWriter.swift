// Replies as bytes, in the two versions of the protocol: RESP3 has maps, doubles, pushes, nulls of one kind; RESP2
// says the same with flat arrays, strings and two kinds of null, exactly as Redis falls back.

/// Which RESP a connection speaks: 2 until it says `HELLO 3`.
public enum ProtocolVersion: Int, Sendable {
    case resp2 = 2
    case resp3 = 3
}

/// Appends replies to a buffer that is reused.
public struct ReplyWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    public var version: ProtocolVersion

    public init(version: ProtocolVersion = .resp2) { self.version = version }

    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// `+OK`. `text` is ours, without line breaks.
    public mutating func simple(_ text: String) { line("+", text) }

    /// `-ERR ...`: prefix included in `text`. Line breaks become spaces, as they would end the reply.
    public mutating func error(_ text: String) {
        bytes.append(UInt8(ascii: "-"))
        for byte in text.utf8 {
            bytes.append(byte == Byte.carriageReturn || byte == Byte.newline ? 0x20 : byte)
        }
        endLine()
    }

    public mutating func integer(_ value: Int64) { header(":", value) }
    public mutating func integer(_ value: Int) { header(":", Int64(value)) }

    public mutating func bulk(_ text: String) {
        header("$", Int64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
        endLine()
    }

    public mutating func bulk(_ content: [UInt8]) {
        header("$", Int64(content.count))
        bytes.append(contentsOf: content)
        endLine()
    }

    /// Text for people: RESP3 marks it as such (`=15\r\ntxt:...`), RESP2 sends a bulk string.
    public mutating func verbatim(_ text: String) {
        guard version == .resp3 else { return bulk(text) }
        header("=", Int64(text.utf8.count + 4))
        bytes.append(contentsOf: "txt:".utf8)
        bytes.append(contentsOf: text.utf8)
        endLine()
    }

    /// No value: `_` in RESP3, the null bulk string in RESP2.
    public mutating func null() { line(version == .resp3 ? "_" : "$-1", "") }

    /// No values: `_` in RESP3, the null array in RESP2.
    public mutating func nullArray() { line(version == .resp3 ? "_" : "*-1", "") }

    public mutating func array(_ count: Int) { header("*", Int64(count)) }

    /// `count` pairs follow: a flat array of twice as many in RESP2.
    public mutating func map(_ count: Int) {
        if version == .resp3 { header("%", Int64(count)) } else { array(count * 2) }
    }

    public mutating func set(_ count: Int) { header(version == .resp3 ? "~" : "*", Int64(count)) }

    /// A message nobody asked for just now: told apart from replies in RESP3, an array in RESP2.
    public mutating func push(_ count: Int) { header(version == .resp3 ? ">" : "*", Int64(count)) }

    public mutating func boolean(_ value: Bool) {
        if version == .resp3 { line("#", value ? "t" : "f") } else { integer(value ? 1 : 0) }
    }

    /// The shortest decimal that reads back as the same number; a bulk string in RESP2.
    public mutating func double(_ value: Double) {
        let text = Self.text(value)
        if version == .resp3 { line(",", text) } else { bulk(text) }
    }

    /// How a double is written: no `.0` behind whole numbers, `inf`, `-inf` and `nan` as Redis has them.
    public static func text(_ value: Double) -> String {
        guard let whole = Int64(exactly: value), whole.magnitude < 1 << 53 else {
            return value.description
        }
        return whole == 0 && value.sign == .minus ? "-0" : String(whole)
    }

    /// Replies made earlier for the same protocol version.
    public mutating func append(encoded: [UInt8]) { bytes.append(contentsOf: encoded) }

    private mutating func line(_ mark: StaticString, _ text: String) {
        put(mark)
        bytes.append(contentsOf: text.utf8)
        endLine()
    }

    private mutating func header(_ mark: StaticString, _ number: Int64) {
        put(mark)
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var count = 0
        var magnitude = number.magnitude
        repeat {
            let (quotient, digit) = magnitude.quotientAndRemainder(dividingBy: 10)
            digits[count] = UInt8(ascii: "0") + UInt8(digit)
            count += 1
            magnitude = quotient
        } while magnitude > 0
        if number < 0 { bytes.append(Byte.minus) }
        while count > 0 {
            count -= 1
            bytes.append(digits[count])
        }
        endLine()
    }

    private mutating func put(_ mark: StaticString) {
        mark.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func endLine() {
        bytes.append(Byte.carriageReturn)
        bytes.append(Byte.newline)
    }
}
