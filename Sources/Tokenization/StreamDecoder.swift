// Text from tokens as they come. A token may end inside a character; its bytes are held back until the rest is there,
// so that what was given out once never changes.

/// Decodes a stream of tokens. All it gives out, joined, is what `Tokenizer.decode` makes of all its tokens.
public struct StreamDecoder {
    private let tokenizer: Tokenizer
    private let skippingSpecials: Bool
    private var pending: [UInt8] = []

    public init(_ tokenizer: Tokenizer, skippingSpecials: Bool = true) {
        self.tokenizer = tokenizer
        self.skippingSpecials = skippingSpecials
    }

    /// The text that `token` completes; often a word, sometimes nothing yet.
    public mutating func append(_ token: Int32) -> String {
        if skippingSpecials && tokenizer.isSpecial(token) { return "" }
        pending.append(contentsOf: tokenizer.pieces[token])
        let complete = pending.count - Self.openBytes(pending)
        let text = String(decoding: pending[..<complete], as: UTF8.self)
        pending.removeFirst(complete)
        return text
    }

    /// What is left at the end: U+FFFD when a character was never completed.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// How many bytes at the end begin a character that more bytes could complete.
    private static func openBytes(_ bytes: [UInt8]) -> Int {
        for back in 1...3 where back <= bytes.count {
            let lead = bytes[bytes.count - back]
            if lead & 0xC0 == 0x80 { continue }
            let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1
            guard length > back else { return 0 }
            // Open is what some continuation makes valid: any does, once the second byte is there and right.
            guard back > 1 else { return (0xC2...0xF4).contains(lead) ? 1 : 0 }
            let completed = bytes.suffix(back) + repeatElement(0x80, count: length - back)
            return String(validating: completed, as: UTF8.self) == nil ? 0 : back
        }
        return 0
    }
}
