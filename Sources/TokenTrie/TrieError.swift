// What a trie refuses, and its limits. Item texts come from outside: none of them may trap or exhaust memory.

/// Bounds of a trie; what is beyond is refused by a `TrieError` that names it.
public enum TrieLimits {
    /// Tokens of one path, the end token included.
    public static let pathTokensMax = 255
    /// Items of one trie.
    public static let itemsMax = 1 << 24
    /// Tokens of all paths together: positions in them are 32 bits wide.
    public static let tokensMax = 1 << 30
    /// Items entered or withdrawn since the last merge. At the limit the change that reaches it merges by itself.
    public static let pendingMax = 4096
    /// Items of one candidate tree.
    public static let candidatesMax = 1 << 16
    /// Hypotheses of one beam.
    public static let beamWidthMax = 4096
}

/// Why a path, an item or an answer of a model was refused.
public enum TrieError: Error, Equatable, CustomStringConvertible {
    case negativeItem(Int32)
    case repeatedItem(Int32)
    case emptyPath(item: Int32)
    case longPath(item: Int32, tokens: Int)
    case foreignToken(item: Int32, token: Int32, vocabulary: Int)
    case noEnd(item: Int32, endToken: Int32)
    case endInside(item: Int32, index: Int)
    case tooManyItems(Int)
    case tooManyTokens(Int)
    case tooManyCandidates(Int)
    case beamWidth(Int)
    case answerCount(expected: Int, received: Int)
    case notANumber(depth: Int)

    public var description: String {
        switch self {
        case .negativeItem(let item): "item number \(item) is negative: items count from 0"
        case .repeatedItem(let item): "item \(item) comes twice: give it one path"
        case .emptyPath(let item):
            "item \(item) has no token: a path holds at least the end token"
        case .longPath(let item, let tokens):
            "item \(item) has \(tokens) tokens, above \(TrieLimits.pathTokensMax): cut its text"
        case .foreignToken(let item, let token, let vocabulary):
            "item \(item) has token \(token) outside the vocabulary of \(vocabulary): "
                + "its text was encoded by another tokenizer"
        case .noEnd(let item, let endToken):
            "item \(item) does not end with the end token \(endToken): append it"
        case .endInside(let item, let index):
            "item \(item) has the end token at \(index), before its end: encode text without "
                + "special tokens"
        case .tooManyItems(let count):
            "\(count) items are above the limit of \(TrieLimits.itemsMax): shard the catalogue"
        case .tooManyTokens(let count):
            "\(count) tokens are above the limit of \(TrieLimits.tokensMax): shorten item texts"
        case .tooManyCandidates(let count):
            "\(count) candidates are above \(TrieLimits.candidatesMax): score them in parts"
        case .beamWidth(let width):
            "a beam of \(width) is outside 1...\(TrieLimits.beamWidthMax)"
        case .answerCount(let expected, let received):
            "\(received) log-probabilities for \(expected) children: one for each is needed"
        case .notANumber(let depth):
            "a log-probability at depth \(depth) is not a number: the model diverged"
        }
    }
}
