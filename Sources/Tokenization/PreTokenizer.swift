// Splits a text into the words that BPE works on. Tokenizers state these splits as regular expressions; there are few
// of them in use, so each known one is a scanner written by hand and any other is refused by name.

/// How a tokenizer splits texts.
struct PreTokenizer: Sendable, Equatable {
    enum Pattern: Sendable, Equatable {
        /// GPT-2: contractions in lower case, letters, numbers and signs each with one space before.
        case gpt2
        /// Llama 3 and Qwen: contractions in any case, letters with any one sign before, numbers in groups of at most
        /// `digitsMax`, line breaks apart.
        case grouped(digitsMax: Int)
    }

    var pattern: Pattern
    /// A space is put before a text that does not begin with one.
    var addsPrefixSpace = false
    /// Every numeral stands alone, before `pattern` splits the rest.
    var isolatesDigits = false

    static let gpt2Expression =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    private static func groupedExpression(_ digits: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// The expressions there is a scanner for.
    static let known: [(expression: String, pattern: Pattern)] = [
        (gpt2Expression, .gpt2),
        (groupedExpression(#"\p{N}{1,3}"#), .grouped(digitsMax: 3)),
        (groupedExpression(#"\p{N}"#), .grouped(digitsMax: 1)),
    ]

    /// Calls `word` with the bytes of each word of `text`, in order, until it returns false.
    func split(_ text: String, _ word: (ArraySlice<UInt8>) -> Bool) {
        guard !text.isEmpty else { return }
        // A prefix space goes before every part that isolated digits leave, as ByteLevel does it.
        let hasPrefix = addsPrefixSpace && !isolatesDigits && text.utf8.first != 0x20
        var scanner = WordScanner(hasPrefix ? " " + text : text)
        let bytes = Array((hasPrefix ? " " + text : text).utf8)
        while let range = scanner.next(self) {
            guard word(bytes[range]) else { return }
        }
    }
}

/// What the expressions ask of a scalar.
enum ScalarKind: UInt8 {
    case letter  // \p{L}
    case number  // \p{N}
    case lineBreak  // \r or \n
    case space  // any other \s
    case other

    init(_ scalar: Unicode.Scalar) {
        if scalar.isASCII {
            switch UInt8(scalar.value) {
            case 0x41...0x5A, 0x61...0x7A: self = .letter
            case 0x30...0x39: self = .number
            case 0x0A, 0x0D: self = .lineBreak
            case 0x20, 0x09, 0x0B, 0x0C: self = .space
            default: self = .other
            }
            return
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            self = .letter
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        default: self = scalar.properties.isWhitespace ? .space : .other
        }
    }

    var isWhite: Bool { self == .space || self == .lineBreak }
}

/// Walks over the scalars of one text, a word at a time.
private struct WordScanner {
    private var scalars: [Unicode.Scalar] = []
    private var kinds: [ScalarKind] = []
    private var at = 0
    /// Where in the text's bytes `at` is.
    private var byte = 0
    /// Where the part ends that the pattern sees; beyond it, isolated digits.
    private var end = 0

    init(_ text: String) {
        scalars.reserveCapacity(text.utf8.count)
        kinds.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            scalars.append(scalar)
            kinds.append(ScalarKind(scalar))
        }
    }

    /// The bytes of the next word.
    mutating func next(_ rules: PreTokenizer) -> Range<Int>? {
        guard at < scalars.count else { return nil }
        let count: Int
        if !rules.isolatesDigits {
            end = scalars.count
            count = length(rules.pattern)
        } else if kinds[at] == .number {
            count = 1
        } else {
            if at >= end { end = run(at, end: scalars.count) { $0 != .number } }
            count = length(rules.pattern)
        }
        let start = byte
        for scalar in scalars[at..<at + count] { byte += UTF8.width(scalar) }
        at += count
        return start..<byte
    }

    /// The end of the longest run from `start` on of scalars whose kind passes.
    private func run(_ start: Int, end: Int, _ passes: (ScalarKind) -> Bool) -> Int {
        var index = start
        while index < end, passes(kinds[index]) { index += 1 }
        return index
    }

    /// Scalars in the word at `at`: at least one, for each alternative's complement is in another.
    private func length(_ pattern: PreTokenizer.Pattern) -> Int {
        switch pattern {
        case .gpt2: gpt2() - at
        case .grouped(let digitsMax): grouped(digitsMax: digitsMax) - at
        }
    }

    private func gpt2() -> Int {
        if let contraction = contraction(ignoringCase: false) { return contraction }
        // ` ?\p{L}+`, ` ?\p{N}+`, ` ?[^\s\p{L}\p{N}]+`
        let first = scalars[at] == " " && at + 1 < end ? at + 1 : at
        let kind = kinds[first]
        if !kind.isWhite { return run(first, end: end) { $0 == kind } }
        return whiteSpace()
    }

    private func grouped(digitsMax: Int) -> Int {
        if let contraction = contraction(ignoringCase: true) { return contraction }
        // `[^\r\n\p{L}\p{N}]?\p{L}+`
        let kind = kinds[at]
        if kind == .letter { return run(at, end: end) { $0 == .letter } }
        if kind == .space || kind == .other, at + 1 < end, kinds[at + 1] == .letter {
            return run(at + 1, end: end) { $0 == .letter }
        }
        if kind == .number { return run(at, end: min(end, at + digitsMax)) { $0 == .number } }
        // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
        let first = scalars[at] == " " && at + 1 < end ? at + 1 : at
        if kinds[first] == .other {
            let signs = run(first, end: end) { $0 == .other }
            return run(signs, end: end) { $0 == .lineBreak }
        }
        // `\s*[\r\n]+`: up to the last line break of the white space
        let white = run(at, end: end) { $0.isWhite }
        if let lineBreak = kinds[at..<white].lastIndex(of: .lineBreak) { return lineBreak + 1 }
        return whiteSpace()
    }

    /// `\s+(?!\S)|\s+`: the last white space before a word is left to that word, unless it is the only one.
    private func whiteSpace() -> Int {
        let white = run(at, end: end) { $0.isWhite }
        return white == end || white == at + 1 ? white : white - 1
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`
    private func contraction(ignoringCase: Bool) -> Int? {
        guard scalars[at] == "'", at + 1 < end else { return nil }
        func letter(_ index: Int) -> Unicode.Scalar {
            guard index < end else { return " " }
            let scalar = scalars[index]
            guard ignoringCase else { return scalar }
            if scalar == "\u{17F}" { return "s" }  // the long s folds to s
            let isUpper = (0x41...0x5A).contains(scalar.value)
            return isUpper ? Unicode.Scalar(UInt8(scalar.value | 0x20)) : scalar
        }
        switch letter(at + 1) {
        case "s", "t", "m", "d": return at + 2
        case "r", "v": return letter(at + 2) == "e" ? at + 3 : nil
        case "l": return letter(at + 2) == "l" ? at + 3 : nil
        default: return nil
        }
    }
}
