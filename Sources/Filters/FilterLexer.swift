// An expression's text as words, literals and signs, each with the place it starts at.

struct FilterToken {
    enum Kind: Equatable {
        case word(String)
        case text(String)
        case number(Double)
        case comparison(FilterComparison)
        case open, close, comma, end
    }

    var kind: Kind
    /// Byte of the text.
    var start: Int

    /// As it is shown in a complaint.
    var shown: String {
        switch kind {
        case .word(let word): word
        case .text: "a string"
        case .number: "a number"
        case .comparison(let sign): sign.rawValue
        case .open: "("
        case .close: ")"
        case .comma: ","
        case .end: "the end"
        }
    }
}

/// Takes tokens off a text, one after the other.
struct FilterLexer {
    private let bytes: [UInt8]
    private var at = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func next() throws(FilterError) -> FilterToken {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
        let start = at
        guard at < bytes.count else { return FilterToken(kind: .end, start: start) }
        let kind: FilterToken.Kind
        switch bytes[at] {
        case UInt8(ascii: "("): kind = take(.open)
        case UInt8(ascii: ")"): kind = take(.close)
        case UInt8(ascii: ","): kind = take(.comma)
        case UInt8(ascii: "="): kind = take(.comparison(.equal))
        case UInt8(ascii: "<"):
            at += 1
            kind = take("=") ? .comparison(.lessOrEqual) : .comparison(.less)
        case UInt8(ascii: ">"):
            at += 1
            kind = take("=") ? .comparison(.greaterOrEqual) : .comparison(.greater)
        case UInt8(ascii: "!"):
            at += 1
            guard take("=") else { throw fault("expected != (or the word NOT)", at: start) }
            kind = .comparison(.unequal)
        case UInt8(ascii: "'"), UInt8(ascii: "\""): kind = .text(try string())
        case let byte where Self.isLetter(byte): kind = .word(word())
        case let byte where Self.isDigit(byte) || ".+-".utf8.contains(byte):
            kind = .number(try number())
        default: throw fault("expected a word, a value or a sign", at: start)
        }
        return FilterToken(kind: kind, start: start)
    }

    /// A complaint about the byte at `start`.
    func fault(_ reason: String, at start: Int) -> FilterError {
        let before = String(decoding: bytes[..<min(start, bytes.count)], as: UTF8.self)
        let scalars = before.unicodeScalars
        let shown = scalars.suffix(Self.shownMax).map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F ? "?" : String(scalar)
        }
        return FilterError(
            position: scalars.count + 1, reason: reason,
            before: (scalars.count > Self.shownMax ? "..." : "") + shown.joined())
    }

    /// Characters that a complaint shows.
    private static let shownMax = 40

    private mutating func take(_ kind: FilterToken.Kind) -> FilterToken.Kind {
        at += 1
        return kind
    }

    private mutating func take(_ sign: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: sign) else { return false }
        at += 1
        return true
    }

    private mutating func word() -> String {
        let start = at
        while at < bytes.count, Self.isLetter(bytes[at]) || Self.isDigit(bytes[at]) { at += 1 }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    /// In quotes of either kind; a backslash takes the next character as it is.
    private mutating func string() throws(FilterError) -> String {
        let start = at
        let quote = bytes[at]
        var content: [UInt8] = []
        at += 1
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == quote { return String(decoding: content, as: UTF8.self) }
            if byte == UInt8(ascii: "\\") {
                guard at < bytes.count else { break }
                content.append(bytes[at])
                at += 1
            } else {
                content.append(byte)
            }
        }
        throw fault("expected the closing quote of a string that starts", at: start)
    }

    /// `12`, `-0.5`, `90m`: with a unit it is seconds.
    private mutating func number() throws(FilterError) -> Double {
        let start = at
        if "+-".utf8.contains(bytes[at]) { at += 1 }
        while at < bytes.count, Self.isDigit(bytes[at]) || bytes[at] == UInt8(ascii: ".") {
            at += 1
        }
        let digits = String(decoding: bytes[start..<at], as: UTF8.self)
        guard at - start <= Self.digitsMax, let value = Double(digits) else {
            throw fault("expected a number such as 12 or 0.5", at: start)
        }
        guard at < bytes.count, Self.isLetter(bytes[at]) else { return value }
        let unitStart = at
        guard let seconds = Self.units[word()] else {
            throw fault("expected a unit of time (s, m, h, d, w) or a space", at: unitStart)
        }
        return value * seconds
    }

    private static let digitsMax = 32
    private static let units: [String: Double] = [
        "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800,
    ]

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || byte == UInt8(ascii: "_")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
