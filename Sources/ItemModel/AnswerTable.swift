// Where an item's path through the catalogue's trie has a choice: the positions at which the token head is asked and
// trained. Forced tokens need no model (methods 2.10: two to three choices a title).

public import TokenTrie

public struct AnswerTable: Sendable {
    /// One choice on an item's path.
    struct Choice: Sendable {
        /// Tokens before it, without the beginning; also the place, in the item's tokens, of the state that decides.
        var depth: Int32
        /// Number of the branching prefix.
        var node: Int32
        /// Which of the node's legal tokens the path takes.
        var place: Int32
    }

    public let trie: CatalogueTrie
    /// For every item, nearest the root first.
    let choices: [[Choice]]
    /// For every branching prefix, the tokens that may follow.
    let legal: LegalTokens

    /// `items` are token sequences with the beginning in front and the end token last; `listed` says which are in the
    /// trie (1). An item that is not has no choices.
    public init(
        items: [[Int32]], listed: [UInt8], vocabulary: Int, endToken: Int32
    ) throws(TrieError) {
        var paths = ItemPaths(vocabulary: vocabulary, endToken: endToken)
        for (number, tokens) in items.enumerated() where listed[number] == 1 {
            try paths.append(item: Int32(number), path: Array(tokens.dropFirst()))
        }
        let trie = try CatalogueTrie(paths)
        var numbers: [TrieNode: Int32] = [:]
        var legal = LegalTokens()
        var choices: [[Choice]] = []
        choices.reserveCapacity(items.count)
        for (number, tokens) in items.enumerated() {
            var own: [Choice] = []
            let path = listed[number] == 1 ? Array(tokens.dropFirst()) : []
            for (node, token) in trie.branchings(of: path) ?? [] {
                let known = numbers[node] ?? Int32(legal.rowCount)
                if numbers[node] == nil {
                    numbers[node] = known
                    legal.append(node, of: trie)
                }
                let row = legal.row(Int(known))
                guard let place = legal.tokens[row].firstIndex(of: token) else { continue }
                own.append(
                    Choice(
                        depth: Int32(node.depth), node: known,
                        place: Int32(place - row.lowerBound)))
            }
            choices.append(own)
        }
        self.trie = trie
        self.legal = legal
        self.choices = choices
    }
}
