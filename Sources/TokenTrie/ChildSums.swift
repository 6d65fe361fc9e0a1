// The mass below each child: weights of the items, in order of position, summed over the child's range. Sums are direct
// ones and not differences of prefix sums, so that a child of tiny mass beside a heavy one keeps all its digits.

/// Tokens that may follow a prefix and the mass below each. Reused from prefix to prefix.
public struct ChildSums: Sendable {
    /// Ascending.
    public private(set) var tokens: [Int32] = []
    public private(set) var sums: [Double] = []

    public init() {}

    /// Sums for the children of `node`. `weights` has one entry a position; those of withdrawn positions must be 0.
    public mutating func sum(
        below node: TrieNode, of trie: CatalogueTrie, weights: Span<Double>
    ) {
        precondition(weights.count == trie.positionCount, "one weight a position")
        tokens.removeAll(keepingCapacity: true)
        sums.removeAll(keepingCapacity: true)
        trie.appendLegal(node, to: &tokens)
        if let children = trie.storedChildren(of: node) {
            var first = node.base.range.lowerBound
            let ends = trie.base.childEnds
            for child in children {
                let end = Int(ends[child])
                sums.append(mass(weights, first..<end))
                first = end
            }
            return
        }
        let offset = trie.base.count
        for (_, child) in trie.children(of: node) {
            let side = child.sideRange.lowerBound + offset..<child.sideRange.upperBound + offset
            sums.append(mass(weights, child.baseRange) + mass(weights, side))
        }
    }

    private func mass(_ weights: Span<Double>, _ range: Range<Int>) -> Double {
        var total = 0.0
        for position in range { total += weights[position] }
        return total
    }
}

extension CatalogueTrie {
    /// Number of positions: those of the base, then those of the side.
    public var positionCount: Int { base.count + side.count }

    /// By position: exp((score - greatest) * scale) of the item's score, `scores` being by item number. 0 for items
    /// beyond the last score and for withdrawn positions. Returns the greatest score of a present item, 0 without one.
    package func weigh(
        _ scores: [Float], scale: Double, into weights: inout [Double]
    ) -> Double {
        precondition(weights.count == positionCount, "one weight a position")
        let known = scores.count
        // A kernel of independent loads; every index is checked once, here.
        unsafe weights.withUnsafeMutableBufferPointer { weights in
            unsafe scores.withUnsafeBufferPointer { scores in
                for (offset, items) in [(0, base.items), (base.count, side.items)] {
                    for index in items.indices {
                        let item = Int(items[index])
                        unsafe weights[offset + index] =
                            item < known ? Double(scores[item]) : -.infinity
                    }
                }
            }
        }
        for position in withdrawn { weights[Int(position)] = -.infinity }
        let greatest = weights.reduce(-.infinity) { $1 > $0 ? $1 : $0 }
        let shift = greatest.isFinite ? greatest : 0
        exponentiate(&weights, shift: shift, scale: scale)
        return shift
    }
}
