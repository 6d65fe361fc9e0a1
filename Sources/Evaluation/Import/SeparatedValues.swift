// Comma-separated files as people really write them (RFC 4180): quotes, doubled quotes, separators and line ends
// inside quotes.

/// Cuts a stream of bytes into records of fields.
public struct SeparatedValues: Sendable {
    /// A record longer than this is given up, so that one stray quote cannot swallow a file unnoticed.
    public static let recordBytesMax = 1 << 20

    public enum Failure: Error, Sendable, Hashable {
        case recordTooLong
        case unclosedQuote
    }

    private let separator: UInt8
    private var field: [UInt8] = []
    private var fields: [[UInt8]] = []
    private var byteCount = 0
    private var isQuoted = false
    private var sawQuote = false

    public init(separator: UInt8 = UInt8(ascii: ",")) { self.separator = separator }

    /// Takes a line without its line feed. Returns the record it completes; nil when a quoted field goes on in the
    /// next line.
    public mutating func take(line: [UInt8]) throws(Failure) -> [[UInt8]]? {
        byteCount += line.count + 1
        guard byteCount <= Self.recordBytesMax else {
            reset()
            throw .recordTooLong
        }
        let hasReturn = line.last == 0x0D
        for byte in hasReturn ? line.dropLast() : line[...] { take(byte) }
        if isQuoted, !sawQuote {
            // The line end is part of the field.
            if hasReturn { field.append(0x0D) }
            field.append(0x0A)
            return nil
        }
        endField()
        defer { reset() }
        return fields
    }

    /// Throws when the input ended inside quotes.
    public func finish() throws(Failure) {
        if isQuoted, !sawQuote { throw .unclosedQuote }
    }

    private mutating func take(_ byte: UInt8) {
        if isQuoted {
            if byte == UInt8(ascii: "\"") {
                if sawQuote { field.append(byte) }
                sawQuote.toggle()
                return
            }
            if !sawQuote {
                field.append(byte)
                return
            }
            // The quote before this byte closed the field.
            isQuoted = false
            sawQuote = false
        }
        if byte == separator {
            endField()
        } else if byte == UInt8(ascii: "\""), field.isEmpty {
            isQuoted = true
        } else {
            field.append(byte)
        }
    }

    private mutating func endField() {
        fields.append(field)
        field = []
        isQuoted = false
        sawQuote = false
    }

    private mutating func reset() {
        field = []
        fields = []
        byteCount = 0
        isQuoted = false
        sawQuote = false
    }
}

extension [UInt8] {
    /// The bytes as UTF-8, or, when they are not, as Latin-1, which every byte is: MovieLens still ships such titles.
    public var importedText: String {
        if let text = String(validating: self, as: UTF8.self) { return text }
        var text = ""
        for byte in self { text.unicodeScalars.append(Unicode.Scalar(byte)) }
        return text
    }
}
