// Bytes to a JSONValue (RFC 8259). simdjson, which decodes the records, is not used here: it refuses integers beyond
// 64 bits, and `tokenizer_config.json` as transformers writes it holds 10^30; it also keeps no duplicate names apart,
// which a safetensors header must not have.

/// What a document may cost.
public struct JSONLimits: Sendable {
    /// The largest tokenizers in use are some 30 MB.
    public static let bytesMax = 64 << 20
    public static let depthMax = 64

    public var bytesMax: Int
    public var depthMax: Int

    public init(bytesMax: Int = JSONLimits.bytesMax, depthMax: Int = JSONLimits.depthMax) {
        self.bytesMax = bytesMax
        self.depthMax = depthMax
    }
}

extension JSONValue {
    /// Parses a whole document; `name` is what errors call it. Refused are: what RFC 8259 does not allow, text that is
    /// not UTF-8, a name that occurs twice in one object, and more than `limits`.
    public init(
        parsing bytes: [UInt8], named name: String, limits: JSONLimits = JSONLimits()
    ) throws(DocumentError) {
        guard bytes.count <= limits.bytesMax else {
            throw DocumentError(
                name, "\(bytes.count) bytes of JSON; at most \(limits.bytesMax) are read")
        }
        var parser = JSONParser(bytes: bytes, name: name, depthLeft: limits.depthMax)
        self = try parser.document()
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    let name: String
    var depthLeft: Int
    var at = 0

    init(bytes: [UInt8], name: String, depthLeft: Int) {
        self.bytes = bytes
        self.name = name
        self.depthLeft = depthLeft
    }

    mutating func document() throws(DocumentError) -> JSONValue {
        let value = try value()
        skipSpace()
        guard at == bytes.count else { throw wrong("the document has ended here") }
        return value
    }

    func wrong(_ reason: String) -> DocumentError {
        let place = at < bytes.count ? "byte \(at)" : "its end"
        return DocumentError(name, at: place, "not JSON: \(reason)")
    }

    var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return
            }
        }
    }

    mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: byte) else { return false }
        at += 1
        return true
    }

    mutating func value() throws(DocumentError) -> JSONValue {
        skipSpace()
        // Zero begins nothing.
        switch next ?? 0 {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw wrong("a value is expected")
        }
    }

    mutating func word(_ word: String, _ value: JSONValue) throws(DocumentError) -> JSONValue {
        guard bytes[at...].starts(with: word.utf8) else { throw wrong("a value is expected") }
        at += word.utf8.count
        return value
    }

    mutating func descend() throws(DocumentError) {
        guard depthLeft > 0 else { throw wrong("nested too deeply") }
        depthLeft -= 1
        at += 1
        skipSpace()
    }

    mutating func array() throws(DocumentError) -> JSONValue {
        try descend()
        defer { depthLeft += 1 }
        var elements: [JSONValue] = []
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value())
            skipSpace()
            if take("]") { return .array(elements) }
            guard take(",") else { throw wrong("a comma or ] is expected") }
        }
    }

    mutating func object() throws(DocumentError) -> JSONValue {
        try descend()
        defer { depthLeft += 1 }
        var members: [JSONMember] = []
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw wrong("a name is expected") }
            let name = try string()
            skipSpace()
            guard take(":") else { throw wrong("a colon is expected") }
            members.append(JSONMember(name, try value()))
            skipSpace()
            if take("}") { break }
            guard take(",") else { throw wrong("a comma or } is expected") }
        }
        if let twice = Self.duplicate(members) {
            throw wrong("the object that ends here has \"\(twice)\" twice")
        }
        return .object(members)
    }

    /// Few names are compared with each other, many are hashed.
    static func duplicate(_ members: [JSONMember]) -> String? {
        if members.count <= 16 {
            for (index, member) in members.enumerated()
            where members[..<index].contains(where: { isSameText($0.name, member.name) }) {
                return member.name
            }
            return nil
        }
        var seen = Set<ExactText>(minimumCapacity: members.count)
        return members.first { !seen.insert(ExactText($0.name)).inserted }?.name
    }

    mutating func number() throws(DocumentError) -> JSONValue {
        let start = at
        _ = take("-")
        let digits = at
        try skipDigits()
        guard bytes[digits] != UInt8(ascii: "0") || at == digits + 1 else {
            throw wrong("a number does not begin with 0")
        }
        var isWhole = true
        if take(".") {
            isWhole = false
            try skipDigits()
        }
        if take("e") || take("E") {
            isWhole = false
            if !take("+") { _ = take("-") }
            try skipDigits()
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isWhole, let integer = Int64(text) { return .integer(integer) }
        guard let real = Double(text), real.isFinite else {
            throw wrong("the number before is beyond every double")
        }
        return .real(real)
    }

    /// One digit or more.
    mutating func skipDigits() throws(DocumentError) {
        let start = at
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
        guard at > start else { throw wrong("a digit is expected") }
    }

    /// A string, from its opening quote on.
    mutating func string() throws(DocumentError) -> String {
        at += 1
        let start = at
        while let byte = next {
            if byte == UInt8(ascii: "\"") {
                guard let text = String(validating: bytes[start..<at], as: UTF8.self) else {
                    throw wrong("the string that ends here is not UTF-8")
                }
                at += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            guard byte >= 0x20 else { throw wrong("a control character in a string") }
            at += 1
        }
        throw wrong("a string does not end")
    }

    /// The same for one with escapes; `at` is at the first of them.
    mutating func escapedString(from start: Int) throws(DocumentError) -> String {
        var text = Array(bytes[start..<at])
        while let byte = next {
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: text, as: UTF8.self) else {
                    throw wrong("the string that ends here is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw wrong("a control character in a string")
            default: text.append(byte)
            }
        }
        throw wrong("a string does not end")
    }

    mutating func escape(into text: inout [UInt8]) throws(DocumentError) {
        guard let letter = next else { throw wrong("a string does not end") }
        at += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(try escapedScalar()).utf8)
        default: throw wrong("no such escape")
        }
    }

    /// The scalar after `\u`, of two escapes when it is beyond the basic plane.
    mutating func escapedScalar() throws(DocumentError) -> Character {
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return Character(scalar) }
        if first < 0xDC00, take("\\"), take("u") {
            let second = try hexadecimal()
            if (0xDC00...0xDFFF).contains(second),
                let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            {
                return Character(scalar)
            }
        }
        throw wrong("half a surrogate pair")
    }

    mutating func hexadecimal() throws(DocumentError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue,
                byte < 0x80
            else { throw wrong("four hexadecimal digits are expected") }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }
}
