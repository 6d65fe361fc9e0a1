// Which tokens may follow, for several prefixes at once. The head gathers the logits of exactly these tokens and takes
// the softmax over each row (mask before the softmax: MSL, arXiv 2504.04178); no vector of the vocabulary's size is
// made.

/// Rows of legal next tokens in one flat array: row i is `tokens[offsets[i]..<offsets[i + 1]]`, ascending.
public struct LegalTokens: Sendable, Equatable {
    public private(set) var tokens: [Int32] = []
    public private(set) var offsets: [Int32] = [0]

    public init() {}

    public var rowCount: Int { offsets.count - 1 }

    public func row(_ index: Int) -> Range<Int> { Int(offsets[index])..<Int(offsets[index + 1]) }

    /// Appends the children of `node` as the next row.
    public mutating func append(_ node: TrieNode, of trie: CatalogueTrie) {
        trie.appendLegal(node, to: &tokens)
        offsets.append(Int32(tokens.count))
    }

    /// Empties it and keeps its memory.
    public mutating func removeAll() {
        tokens.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        offsets.append(0)
    }
}

extension CatalogueTrie {
    /// Tokens that may follow a prefix, ascending; empty when it is complete.
    public func legalTokens(_ node: TrieNode) -> [Int32] {
        var tokens: [Int32] = []
        appendLegal(node, to: &tokens)
        return tokens
    }

    func appendLegal(_ node: TrieNode, to tokens: inout [Int32]) {
        if let children = storedChildren(of: node) {
            tokens.append(contentsOf: base.childTokens[children])
            return
        }
        forEachChild(of: node) { token, _ in
            tokens.append(token)
            return true
        }
    }

    /// Where the children of a node lie in the base's arrays, when those are all there is to it: nothing is pending
    /// below it and it branches.
    func storedChildren(of node: TrieNode) -> Range<Int>? {
        guard withdrawn.isEmpty, node.side.isEmpty, node.base.branch >= 0,
            node.depth == base.sharedDepth(node.base)
        else { return nil }
        return base.children(node.base.branch)
    }
}
