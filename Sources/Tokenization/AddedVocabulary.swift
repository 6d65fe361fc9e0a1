// Tokens that stand outside BPE: special ones such as `<|endoftext|>`, and words a user of the model added. They are
// looked for in the text before it is split, the longest first.

/// The added tokens of a tokenizer, by when they are looked for.
struct AddedVocabulary: Sendable {
    /// Looked for in the text as it comes.
    var raw = TokenFinder()
    /// Looked for after normalisation.
    var normalised = TokenFinder()
    var specials: Set<Int32> = []
}

/// Finds given texts in a text: leftmost first, and of those the longest.
struct TokenFinder: Sendable {
    enum Part: Equatable {
        case text(String)
        case token(Int32)
    }

    private var byFirstByte: [UInt8: [(bytes: [UInt8], token: Int32)]] = [:]

    mutating func add(_ text: String, _ token: Int32) {
        let bytes = Array(text.utf8)
        guard let first = bytes.first else { return }
        byFirstByte[first, default: []].append((bytes, token))
        byFirstByte[first]?.sort { $0.bytes.count > $1.bytes.count }
    }

    func split(_ text: String) -> [Part] {
        guard !byFirstByte.isEmpty else { return text.isEmpty ? [] : [.text(text)] }
        let bytes = Array(text.utf8)
        var parts: [Part] = []
        var start = 0
        var at = 0
        func flush() {
            guard start < at else { return }
            parts.append(.text(String(decoding: bytes[start..<at], as: UTF8.self)))
        }
        while at < bytes.count {
            let found = byFirstByte[bytes[at]]?.first { bytes[at...].starts(with: $0.bytes) }
            if let found {
                flush()
                parts.append(.token(found.token))
                at += found.bytes.count
                start = at
            } else {
                at += 1
            }
        }
        flush()
        return parts
    }
}
