// The bytes RESP is made of, and the two small grammars inside it: a decimal line, and words with quotes.

enum Byte {
    static let star = UInt8(ascii: "*")
    static let dollar = UInt8(ascii: "$")
    static let carriageReturn = UInt8(ascii: "\r")
    static let newline = UInt8(ascii: "\n")
    static let minus = UInt8(ascii: "-")
    static let quote = UInt8(ascii: "\"")
    static let apostrophe = UInt8(ascii: "'")
    static let backslash = UInt8(ascii: "\\")

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    /// The character itself, or a dot for what would garble a terminal or a reply line.
    static func printable(_ byte: UInt8) -> Character {
        (0x20..<0x7F).contains(byte) ? Character(UnicodeScalar(byte)) : "."
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// A decimal number up to CR LF, as in `*3` and `$12`.
struct DecimalLine {
    enum End {
        /// Where the next line begins.
        case found(next: Int)
        case missing
    }

    /// Sign, 19 digits and CR: a header line longer than this is none.
    static let bytesMax = 21

    /// Nil when the line is not a number of 64 bits written without leading zeros or plus sign.
    let value: Int?
    let end: End

    init(_ bytes: Span<UInt8>, from start: Int) {
        var at = start
        let negative = at < bytes.count && bytes[at] == Byte.minus
        if negative { at += 1 }
        let first = at
        var magnitude = 0
        var valid = true
        let limit = min(bytes.count, start + Self.bytesMax)
        while at < limit, bytes[at] != Byte.carriageReturn {
            let digit = Int(bytes[at]) - Int(UInt8(ascii: "0"))
            let scaled = magnitude.multipliedReportingOverflow(by: 10)
            let summed = scaled.partialValue.addingReportingOverflow(digit)
            if !(0...9).contains(digit) || scaled.overflow || summed.overflow { valid = false }
            magnitude = summed.partialValue
            at += 1
        }
        guard at < limit, at + 1 < bytes.count, bytes[at] == Byte.carriageReturn else {
            value = nil
            end = .missing
            return
        }
        let digits = at - first
        if digits == 0 || bytes[at + 1] != Byte.newline { valid = false }
        if digits > 1, bytes[first] == UInt8(ascii: "0") { valid = false }
        value = valid ? (negative ? -magnitude : magnitude) : nil
        end = .found(next: at + 2)
    }
}

/// Words of an inline request, with the quoting rules of redis-cli: "..." with backslash escapes, '...' with only \'.
struct InlineWords {
    private(set) var ranges: [Range<Int>] = []
    private(set) var bytes: [UInt8] = []

    /// Nil when a quote is not closed, or is closed in the middle of a word.
    init?(_ line: Span<UInt8>) {
        var at = 0
        while true {
            while at < line.count, Byte.isSpace(line[at]) || line[at] == 0 { at += 1 }
            guard at < line.count else { return }
            let start = bytes.count
            guard let next = word(line, from: at) else { return nil }
            at = next
            ranges.append(start..<bytes.count)
        }
    }

    /// Appends one word; returns where it ended.
    private mutating func word(_ line: Span<UInt8>, from start: Int) -> Int? {
        var at = start
        while at < line.count, !Byte.isSpace(line[at]), line[at] != 0 {
            switch line[at] {
            case Byte.quote, Byte.apostrophe:
                guard let next = quoted(line, from: at + 1, by: line[at]) else { return nil }
                guard next == line.count || Byte.isSpace(line[next]) else { return nil }
                return next
            default:
                bytes.append(line[at])
                at += 1
            }
        }
        return at
    }

    private mutating func quoted(_ line: Span<UInt8>, from start: Int, by mark: UInt8) -> Int? {
        var at = start
        while at < line.count {
            let byte = line[at]
            if byte == mark { return at + 1 }
            guard byte == Byte.backslash, at + 1 < line.count else {
                bytes.append(byte)
                at += 1
                continue
            }
            if mark == Byte.quote {
                at = escape(line, at)
            } else if line[at + 1] == Byte.apostrophe {
                bytes.append(Byte.apostrophe)
                at += 2
            } else {
                bytes.append(byte)
                at += 1
            }
        }
        return nil
    }

    /// Appends what the escape at `at` stands for; returns where it ended.
    private mutating func escape(_ line: Span<UInt8>, _ at: Int) -> Int {
        let letter = line[at + 1]
        if letter == UInt8(ascii: "x"), at + 3 < line.count, let high = Byte.hexDigit(line[at + 2]),
            let low = Byte.hexDigit(line[at + 3])
        {
            bytes.append(high << 4 | low)
            return at + 4
        }
        switch letter {
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "a"): bytes.append(0x07)
        default: bytes.append(letter)
        }
        return at + 2
    }
}
