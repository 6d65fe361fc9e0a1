// The mass below each child: weights of the items, in order of position, summed over the child's range. Sums are direct
// ones and not differences of prefix sums, so that a child of tiny mass beside a heavy one keeps all its digits.

extension CatalogueTrie {
    /// Number of positions: those of the base, then those of the side.
    public var positionCount: Int { base.count + side.count }

    /// Appends for each child of `node`, by ascending token, the sum of the weights below it, and the tokens.
    ///
    /// `weights` has one entry a position; those of withdrawn positions must be 0.
    public func appendChildSums(
        of node: TrieNode, weights: Span<Double>, tokens: inout [Int32], sums: inout [Double]
    ) {
        precondition(weights.count == positionCount, "one weight a position")
        appendLegal(node, to: &tokens)
        if withdrawn.isEmpty, node.side.isEmpty, node.base.branch >= 0,
            node.depth == base.sharedDepth(node.base)
        {
            var first = node.base.range.lowerBound
            let ends = base.childEnds
            for child in base.children(node.base.branch) {
                let end = Int(ends[child])
                sums.append(sum(weights, first..<end))
                first = end
            }
            return
        }
        let offset = base.count
        forEachChild(of: node) { _, child in
            let side = child.sideRange.lowerBound + offset..<child.sideRange.upperBound + offset
            sums.append(sum(weights, child.baseRange) + sum(weights, side))
            return true
        }
    }

    private func sum(_ weights: Span<Double>, _ range: Range<Int>) -> Double {
        var total = 0.0
        for position in range { total += weights[position] }
        return total
    }
}
