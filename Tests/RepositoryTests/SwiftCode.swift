// Swift text without its comments and strings, so that words are looked for in code only, and braces can be counted.

/// A function's place and length.
struct FunctionExtent: Hashable {
    var name: String
    var firstLine: Int
    var lineCount: Int
}

/// A source text with every comment and the inside of every string literal blanked, line by line as long as before.
struct SwiftCode {
    /// Bytes, because offsets into them cost nothing.
    let bytes: [UInt8]

    init(_ text: String) {
        var blanking = Blanking(Array(text.utf8))
        blanking.code(untilParenthesis: false)
        bytes = blanking.bytes
    }

    var lines: [String] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// Identifiers and keywords with their offsets.
    var words: [(text: String, start: Int)] {
        var found: [(String, Int)] = []
        var start: Int?
        for (at, byte) in bytes.enumerated() {
            if Self.isWord(byte) {
                start = start ?? at
            } else if let from = start {
                found.append((String(decoding: bytes[from..<at], as: UTF8.self), from))
                start = nil
            }
        }
        if let from = start {
            found.append((String(decoding: bytes[from...], as: UTF8.self), from))
        }
        return found
    }

    static func isWord(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte >= 0x80
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Every function, initialiser and deinitialiser with a body, those inside others included.
    var functions: [FunctionExtent] {
        var extents: [FunctionExtent] = []
        for (word, start) in words where ["func", "init", "deinit"].contains(word) {
            // `self.init(...)` and `Type.init` call; they do not declare.
            if start > 0, bytes[start - 1] == UInt8(ascii: ".") { continue }
            guard let open = bodyStart(after: start + word.utf8.count) else { continue }
            let close = matchingBrace(open)
            let first = lineNumber(start)
            extents.append(
                FunctionExtent(
                    name: "\(word) \(name(after: start + word.utf8.count))", firstLine: first,
                    lineCount: lineNumber(close) - first + 1))
        }
        return extents
    }

    private func name(after start: Int) -> String {
        let rest = bytes[start...].drop { $0 == UInt8(ascii: " ") }
        return String(decoding: rest.prefix { Self.isWord($0) }, as: UTF8.self)
    }

    /// The brace that opens the body, or nil for a requirement of a protocol, which has none.
    private func bodyStart(after start: Int) -> Int? {
        var depth = 0
        var sawParameters = false
        for at in start..<bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "("), UInt8(ascii: "["):
                depth += 1
                sawParameters = true
            case UInt8(ascii: ")"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "{") where depth == 0: return at
            case UInt8(ascii: "}") where depth == 0: return nil
            case UInt8(ascii: "\n") where depth == 0 && sawParameters:
                if !continues(after: at) { return nil }
            default: break
            }
            if depth < 0 { return nil }
        }
        return nil
    }

    /// Whether the line after this line break still belongs to the declaration: a result, a constraint, the brace.
    private func continues(after lineBreak: Int) -> Bool {
        let rest = bytes[(lineBreak + 1)...].drop { $0 == UInt8(ascii: " ") }
        let next = String(decoding: rest.prefix(8), as: UTF8.self)
        return ["->", "where ", "{", "throws", "async", "\n"].contains { next.hasPrefix($0) }
    }

    private func matchingBrace(_ open: Int) -> Int {
        var depth = 0
        for at in open..<bytes.count {
            if bytes[at] == UInt8(ascii: "{") { depth += 1 }
            if bytes[at] == UInt8(ascii: "}") {
                depth -= 1
                if depth == 0 { return at }
            }
        }
        return bytes.count - 1
    }

    private func lineNumber(_ offset: Int) -> Int {
        bytes[..<offset].count { $0 == UInt8(ascii: "\n") } + 1
    }
}

/// Walks over a text once and overwrites what is not code.
private struct Blanking {
    var bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private func starts(with text: StaticString) -> Bool {
        text.withUTF8Buffer { unsafe bytes[at...].starts(with: $0) }
    }

    private mutating func blank() {
        if at < bytes.count {
            if bytes[at] != UInt8(ascii: "\n") { bytes[at] = UInt8(ascii: " ") }
            at += 1
        }
    }

    /// Code, up to the parenthesis that closes an interpolation or up to the end.
    mutating func code(untilParenthesis: Bool) {
        var depth = 1
        while at < bytes.count {
            if starts(with: "//") {
                while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { blank() }
            } else if starts(with: "/*") {
                comment()
            } else if let hashes = stringStart() {
                string(hashes: hashes)
            } else {
                if bytes[at] == UInt8(ascii: "(") { depth += 1 }
                if bytes[at] == UInt8(ascii: ")") { depth -= 1 }
                if untilParenthesis, depth == 0 { return blank() }
                at += 1
            }
        }
    }

    private mutating func comment() {
        var depth = 0
        repeat {
            if starts(with: "/*") {
                depth += 1
                blank()
            } else if starts(with: "*/") {
                depth -= 1
                blank()
            }
            blank()
        } while depth > 0 && at < bytes.count
    }

    /// How many `#` precede the quote, when a string begins here.
    private func stringStart() -> Int? {
        let hashes = bytes[at...].prefix { $0 == UInt8(ascii: "#") }.count
        let quote = at + hashes
        return quote < bytes.count && bytes[quote] == UInt8(ascii: "\"") ? hashes : nil
    }

    private func hashes(_ count: Int, follow position: Int) -> Bool {
        position + count <= bytes.count
            && bytes[position..<position + count].allSatisfy { $0 == UInt8(ascii: "#") }
    }

    private mutating func string(hashes: Int) {
        for _ in 0..<hashes { blank() }
        let quoteCount = starts(with: "\"\"\"") ? 3 : 1
        for _ in 0..<quoteCount { blank() }
        let quotes = [UInt8](repeating: UInt8(ascii: "\""), count: quoteCount)
        while at < bytes.count {
            if bytes[at...].starts(with: quotes), self.hashes(hashes, follow: at + quoteCount) {
                for _ in 0..<quoteCount + hashes { blank() }
                return
            }
            guard bytes[at] == UInt8(ascii: "\\"), self.hashes(hashes, follow: at + 1) else {
                blank()
                continue
            }
            for _ in 0...hashes { blank() }
            if at < bytes.count, bytes[at] == UInt8(ascii: "(") {
                blank()
                code(untilParenthesis: true)
            } else {
                blank()
            }
        }
    }
}
