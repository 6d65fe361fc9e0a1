// What is kept of a teacher for one training example: its distributions at the branching prefixes of the target's
// path. Where many children follow (the root has thousands) the heaviest are kept and the rest as one number.

import TokenTrie

/// Soft targets of one example. Bound to a version of the teacher and of the trie: make it again when either changed.
public struct TokenTargets: Sendable, Equatable {
    /// One branching prefix of the path.
    public struct Position: Sendable, Equatable {
        /// Tokens of the prefix.
        public let depth: Int32
        /// The token the path takes.
        public let gold: Int32
        /// Range of its kept children in `tokens` and `shares`; empty when the teacher knows nothing below.
        public let kept: Range<Int32>
        /// Mass of the children that are not kept.
        public let remainder: Float
        /// The teacher's share of all mass below this prefix.
        public let prefixShare: Float
    }

    /// The target's tokens, the end token included.
    public let path: [Int32]
    public internal(set) var positions: [Position] = []
    /// Kept children of all positions, ascending within one; the path's token is always among them.
    public internal(set) var tokens: [Int32] = []
    public internal(set) var shares: [Float] = []
    /// The teacher's evidence for this example, in counts.
    public let evidence: Float

    /// Bytes of its arrays.
    public var bytes: Int {
        4 * (path.count + tokens.count + shares.count)
            + positions.count * MemoryLayout<Position>.stride
    }

    /// Children kept at a prefix unless told otherwise.
    public static let keptMax = 64
}

extension TeacherDistribution {
    /// Targets for an item under the scores loaded last, with the `keptMax` heaviest children (and the path's own) of
    /// each branching prefix. `evidence`: how many events the teacher's opinion rests on.
    public mutating func targets(
        for item: Int32, evidence: Float = 0, keptMax: Int = TokenTargets.keptMax
    ) throws(AlignmentError) -> TokenTargets {
        guard evidence >= 0, evidence.isFinite else { throw .evidence(Double(evidence)) }
        guard let path = trie.path(of: item), let branchings = trie.branchings(of: path) else {
            throw .unknownItem(item)
        }
        var targets = TokenTargets(path: path, evidence: evidence)
        var prefixShare = 1.0
        for (node, gold) in branchings {
            let start = Int32(targets.tokens.count)
            guard let scale = sumChildren(of: node) else {
                targets.positions.append(
                    TokenTargets.Position(
                        depth: Int32(node.depth), gold: gold, kept: start..<start, remainder: 0,
                        prefixShare: 0))
                prefixShare = 0
                continue
            }
            let (goldShare, remainder) = keep(
                gold: gold, scale: scale, keptMax: keptMax, in: &targets)
            targets.positions.append(
                TokenTargets.Position(
                    depth: Int32(node.depth), gold: gold,
                    kept: start..<Int32(targets.tokens.count), remainder: Float(remainder),
                    prefixShare: Float(prefixShare)))
            prefixShare *= goldShare
        }
        return targets
    }

    /// Appends the children summed last; returns the path's own share and the mass left out.
    private func keep(
        gold: Int32, scale: Double, keptMax: Int, in targets: inout TokenTargets
    ) -> (gold: Double, remainder: Double) {
        let (tokens, sums) = (children.tokens, children.sums)
        let least = sums.count > keptMax ? Self.heaviest(sums, keptMax) : -1
        // Of equal masses at the border the first by token are kept.
        var ties = keptMax - sums.count { $0 > least }
        var (goldShare, remainder) = (0.0, 0.0)
        for (index, token) in tokens.enumerated() {
            let share = sums[index] * scale
            if token == gold { goldShare = share }
            var isKept = sums[index] > least
            if sums[index] == least, ties > 0 {
                ties -= 1
                isKept = true
            }
            if isKept || token == gold {
                targets.tokens.append(token)
                targets.shares.append(Float(share))
            } else {
                remainder += share
            }
        }
        return (goldShare, remainder)
    }

    /// The `count`-th greatest of `sums`.
    private static func heaviest(_ sums: [Double], _ count: Int) -> Double {
        guard count > 0 else { return .infinity }
        // A heap of the greatest so far, the least of them at its top.
        var heap = Array(sums[..<count].sorted())
        for sum in sums[count...] where sum > heap[0] {
            var hole = 0
            while true {
                var child = 2 * hole + 1
                guard child < count else { break }
                if child + 1 < count, heap[child + 1] < heap[child] { child += 1 }
                guard heap[child] < sum else { break }
                heap[hole] = heap[child]
                hole = child
            }
            heap[hole] = sum
        }
        return heap[0]
    }
}

extension TokenTargets {
    /// The teacher's distribution at a position over `legal` tokens (ascending): kept shares in place, the remainder
    /// in equal parts over the others. Empty when the teacher knows nothing there.
    public func distribution(at position: Position, over legal: ArraySlice<Int32>) -> [Double] {
        guard !position.kept.isEmpty else { return [] }
        var shares = [Double](repeating: -1, count: legal.count)
        var kept = Int(position.kept.lowerBound)
        let end = Int(position.kept.upperBound)
        var others = legal.count
        for (slot, token) in legal.enumerated() {
            while kept < end, tokens[kept] < token { kept += 1 }
            guard kept < end, tokens[kept] == token else { continue }
            shares[slot] = Double(self.shares[kept])
            others -= 1
        }
        let part = others > 0 ? Double(position.remainder) / Double(others) : 0
        var total = 0.0
        for slot in shares.indices {
            if shares[slot] < 0 { shares[slot] = part }
            total += shares[slot]
        }
        // Shares are stored in 32 bits, and a child may have left since.
        guard total > 0 else { return [] }
        for slot in shares.indices { shares[slot] /= total }
        return shares
    }
}
