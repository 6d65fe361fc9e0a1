// The Collaborative Tokenizer (TCA4Rec, arXiv 2601.18457): what a teacher that scores items thinks of the next token.
//
// The published algorithm collects, for each prefix of the target, the items that begin with it, normalises their
// scores over that set and adds them up by next token. That equals conditioning one softmax over all items on the
// prefix, so the exponentials are taken once, in the trie's order, and every prefix is sums over ranges.
//
// Where a far branch holds nearly all mass, exponentials relative to the greatest score of all would vanish; a prefix
// whose mass is that small is normalised by its own greatest score instead. Shares below 1e-100 may become 0.

public import TokenTrie

/// A teacher's distribution over the items of a trie, and over next tokens at any prefix. Reused for many examples.
public struct TeacherDistribution: Sendable {
    public let trie: CatalogueTrie
    /// Divisor of the teacher's scores (beta; 1 in the published code).
    public let temperature: Double
    /// By item number, as given.
    private var scores: [Float] = []
    /// The greatest score of a present item.
    private var shift = 0.0
    /// By position: exp((score - greatest) / temperature).
    private var weights: [Double]
    /// Children of the prefix asked last.
    private(set) var children = ChildSums()

    /// A prefix with less than this share of the greatest item's weight is normalised by itself.
    private static let massMin = 1e-200

    public init(
        over trie: CatalogueTrie, temperature: Double = 1
    ) throws(AlignmentError) {
        guard temperatures ~= temperature else { throw .temperature(temperature) }
        self.trie = trie
        self.temperature = temperature
        weights = Array(repeating: 0, count: trie.positionCount)
    }

    /// Takes the teacher's scores for one example: the score of item i at index i.
    ///
    /// Items beyond the last score (newer than the teacher) and those with -infinity have no mass. NaN and +infinity
    /// are refused. Scores of items outside the trie play no part.
    public mutating func load(_ scores: [Float]) throws(AlignmentError) {
        var isBad = false
        for score in scores { isBad = isBad || !(score < .infinity) }
        if isBad {
            for (item, score) in scores.enumerated() where !(score < .infinity) {
                throw .score(item: Int32(clamping: item), score)
            }
        }
        self.scores = scores
        shift = trie.weigh(scores, scale: 1 / temperature, into: &weights)
    }

    private func score(_ item: Int32) -> Double {
        Int(item) < scores.count ? Double(scores[Int(item)]) : -.infinity
    }

    // MARK: Answers

    /// Children of a prefix with their shares: tokens ascend, shares sum to 1. Nil when the teacher gives no item
    /// below any mass, and when nothing may follow.
    public mutating func nextTokens(
        at node: TrieNode
    ) -> (tokens: [Int32], shares: [Double])? {
        guard let scale = sumChildren(of: node) else { return nil }
        return (children.tokens, children.sums.map { $0 * scale })
    }

    /// Fills `children` for a prefix; returns what makes the sums shares, nil when there is no mass.
    mutating func sumChildren(of node: TrieNode) -> Double? {
        let weights = weights
        children.sum(below: node, of: trie, weights: weights.span)
        var total = children.sums.reduce(0, +)
        if total < Self.massMin {
            guard let local = localWeights(of: node) else { return nil }
            children.sum(below: node, of: trie, weights: local.span)
            total = children.sums.reduce(0, +)
        }
        return total > 0 ? 1 / total : nil
    }

    /// Weights relative to the greatest score below `node`, 0 elsewhere; nil when there is none.
    private func localWeights(of node: TrieNode) -> [Double]? {
        let sideStart = trie.baseItems.count
        var logits = [Double](repeating: -.infinity, count: weights.count)
        for position in node.baseRange { logits[position] = score(trie.baseItems[position]) }
        for position in node.sideRange {
            logits[sideStart + position] = score(trie.sideItems[position])
        }
        for position in trie.withdrawn { logits[Int(position)] = -.infinity }
        guard let greatest = logits.max(), greatest > -.infinity else { return nil }
        exponentiate(&logits, shift: greatest, scale: 1 / temperature)
        return logits
    }

    /// Share of one item; 0 when it is not in the trie or the teacher gives nothing any mass.
    public func share(of item: Int32) -> Double {
        let total = weights.reduce(0, +)
        return total > 0 && trie.contains(item) ? weight(of: item) / total : 0
    }

    /// Relative to the greatest score's.
    private func weight(of item: Int32) -> Double {
        exponential((score(item) - shift) / temperature)
    }

    /// The heaviest `keptMax` items under the scores loaded last, renormalised, for the item head.
    public func itemTargets(keptMax: Int, evidence: Float = 0) -> ItemTargets {
        var all = trie.items(below: trie.root).map { (item: $0, weight: weight(of: $0)) }
        all.sort { $0.weight == $1.weight ? $0.item < $1.item : $0.weight > $1.weight }
        let kept = all.prefix(keptMax).filter { $0.weight > 0 }.sorted { $0.item < $1.item }
        let total = kept.reduce(0) { $0 + $1.weight }
        return ItemTargets(
            items: kept.map(\.item), shares: kept.map { Float($0.weight / total) },
            evidence: evidence)
    }
}
