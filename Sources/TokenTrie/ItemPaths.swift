// Items and their token paths as they arrive, checked one by one and kept in three flat arrays: a catalogue of
// 200 000 items is three allocations, not 200 000.

/// Token paths of items in order of arrival, each ending with the end token and holding it nowhere else.
public struct ItemPaths: Sendable {
    /// Number of tokens the model knows; tokens are 0..<vocabulary.
    public let vocabulary: Int
    public let endToken: Int32
    public private(set) var items: [Int32] = []
    var tokens: [Int32] = []
    var ends: [Int32] = []

    public init(vocabulary: Int, endToken: Int32) {
        precondition(endToken >= 0 && Int(endToken) < vocabulary, "the end token is a token")
        self.vocabulary = vocabulary
        self.endToken = endToken
    }

    public var count: Int { items.count }

    /// Adds an item with its path; throws, and adds nothing, when the path breaks a rule or a limit.
    public mutating func append(item: Int32, path: [Int32]) throws(TrieError) {
        guard item >= 0 else { throw .negativeItem(item) }
        guard items.count < TrieLimits.itemsMax else { throw .tooManyItems(items.count + 1) }
        let length = path.count
        guard length > 0 else { throw .emptyPath(item: item) }
        guard length <= TrieLimits.pathTokensMax else {
            throw .longPath(item: item, tokens: length)
        }
        guard tokens.count + length <= TrieLimits.tokensMax else {
            throw .tooManyTokens(tokens.count + length)
        }
        var index = 0
        for token in path {
            index += 1
            guard token >= 0, Int(token) < vocabulary else {
                throw .foreignToken(item: item, token: token, vocabulary: vocabulary)
            }
            if token == endToken, index < length { throw .endInside(item: item, index: index - 1) }
            if token != endToken, index == length { throw .noEnd(item: item, endToken: endToken) }
        }
        items.append(item)
        tokens.append(contentsOf: path)
        ends.append(Int32(tokens.count))
    }

    func start(_ index: Int) -> Int { index == 0 ? 0 : Int(ends[index - 1]) }

    /// Indices in order of path, then of item number.
    func sortedOrder() -> [Int32] {
        // The first two tokens as one integer decide most comparisons without a look at the paths.
        struct Key {
            var head: UInt64
            var index: Int32
        }
        var keys: [Key] = []
        keys.reserveCapacity(count)
        for index in 0..<count {
            let start = start(index)
            let first = UInt64(UInt32(bitPattern: tokens[start]) &+ 1)
            let second =
                start + 1 < Int(ends[index])
                ? UInt64(UInt32(bitPattern: tokens[start + 1]) &+ 1) : 0
            keys.append(Key(head: first << 32 | second, index: Int32(index)))
        }
        let span = tokens.span
        let (ends, items) = (ends.span, items.span)
        func begin(_ index: Int32) -> Int { index == 0 ? 0 : Int(ends[Int(index) - 1]) }
        keys.sort { left, right in
            if left.head != right.head { return left.head < right.head }
            var (a, b) = (begin(left.index) + 2, begin(right.index) + 2)
            let (aEnd, bEnd) = (Int(ends[Int(left.index)]), Int(ends[Int(right.index)]))
            while a < aEnd, b < bEnd {
                if span[a] != span[b] { return span[a] < span[b] }
                a += 1
                b += 1
            }
            if aEnd - a != bEnd - b { return aEnd - a < bEnd - b }
            return items[Int(left.index)] < items[Int(right.index)]
        }
        return keys.map(\.index)
    }
}
