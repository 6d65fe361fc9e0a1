// Texts to tokens and back, as the `tokenizer.json` of a model folder says, token for token what Hugging Face's
// tokenizers make of it.
//
// One rule is stricter than theirs: text is only text. A user's or an item's text that spells `<|im_end|>` becomes
// ordinary tokens unless the caller says that it may speak for the system.

import JSONDocuments

/// A byte-level BPE tokenizer. A value: encoding changes nothing, and the same text always gives the same tokens.
public struct Tokenizer: Sendable {
    /// What becomes of a text that spells an added token.
    public enum AddedTokens: Sendable {
        /// It is text like any other: for whatever came from outside. No token that is special can result.
        case asText
        /// It is that token, as in Hugging Face's tokenizers: for prompts written by the system itself.
        case recognised
    }

    /// Vocabularies in use reach some 260 000.
    public static let vocabularyCountMax = 1 << 22
    public static let tokenBytesMax = 1 << 16
    public static let addedTokensMax = 65_536

    var normalizers: [Normalizer] = []
    var preTokenizer = PreTokenizer(pattern: .gpt2)
    var model = BytePairModel()
    var added = AddedVocabulary()
    /// What stands before and after a framed text: BOS and EOS, usually.
    var prefix: [Int32] = []
    var suffix: [Int32] = []
    var pieces = PieceTable()
    var ids: [ExactText: Int32] = [:]

    /// One more than the highest token; a model's output has at least as many rows.
    public var vocabularyCount: Int { pieces.count }

    /// The token written `text`, in the vocabulary's own alphabet.
    public func id(of text: String) -> Int32? { ids[ExactText(text)] }

    public func isSpecial(_ token: Int32) -> Bool { added.specials.contains(token) }

    /// The first `countMax` tokens of `text`; no BOS or EOS.
    public func encode(
        _ text: String, added treatment: AddedTokens = .asText, countMax: Int = .max
    ) -> [Int32] {
        var tokens: [Int32] = []
        switch treatment {
        case .asText:
            encodeText(normalised(text), countMax: countMax, into: &tokens)
        case .recognised:
            for part in added.raw.split(text) {
                switch part {
                case .token(let token): tokens.append(token)
                case .text(let text):
                    for part in added.normalised.split(normalised(text)) {
                        switch part {
                        case .token(let token): tokens.append(token)
                        case .text(let text):
                            encodeText(text, countMax: countMax, into: &tokens)
                        }
                    }
                }
            }
        }
        return tokens.count > countMax ? Array(tokens[..<countMax]) : tokens
    }

    /// The text between what the post-processor puts around it: [BOS] + at most `contentMax` tokens + [EOS].
    public func encodeFramed(
        _ text: String, added treatment: AddedTokens = .asText, contentMax: Int = .max
    ) -> [Int32] {
        prefix + encode(text, added: treatment, countMax: contentMax) + suffix
    }

    /// The text of `tokens`. Bytes that are not UTF-8 become U+FFFD; tokens outside the vocabulary are left out.
    public func decode(
        _ tokens: some Sequence<Int32>, skippingSpecials: Bool = true
    ) -> String {
        var bytes: [UInt8] = []
        for token in tokens where !(skippingSpecials && isSpecial(token)) {
            bytes.append(contentsOf: pieces[token])
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func normalised(_ text: String) -> String {
        normalizers.reduce(text) { $1.normalise($0) }
    }

    private func encodeText(_ text: String, countMax: Int, into tokens: inout [Int32]) {
        preTokenizer.split(text) { word in
            model.encode(word, into: &tokens)
            return tokens.count < countMax
        }
    }
}

/// The bytes each token decodes to, one after the other.
struct PieceTable: Sendable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    init() {}

    init(_ pieces: [[UInt8]]) {
        for piece in pieces {
            bytes.append(contentsOf: piece)
            ends.append(bytes.count)
        }
    }

    var count: Int { ends.count }

    /// The bytes of `token`; none when there is no such token.
    subscript(token: Int32) -> ArraySlice<UInt8> {
        guard token >= 0, token < count else { return [] }
        return bytes[(token == 0 ? 0 : ends[Int(token) - 1])..<ends[Int(token)]]
    }
}
