// Exact log-likelihoods of many candidates for the price of few positions. Candidates share prefixes, and most tokens
// of a path are forced: the model is asked once at every distinct branching prefix above a candidate, and forced tokens
// are only fed.

/// Candidates' branching prefixes as one tree, parents before children, ready for a token head to run as one batch.
public struct CandidateTree: Sendable {
    /// A branching prefix: feed `run` after the parent's tokens, then ask for the row of legal tokens.
    public struct Node: Sendable, Equatable {
        /// Index of the branching prefix above it; -1 for none (its run then follows the prompt).
        public let parent: Int32
        /// Tokens of the prefix; its last token sits at this position of the answer, counted from 1.
        public let depth: Int32
        /// Range in `runs` of the tokens between the parent's prefix and this one.
        public let run: Range<Int32>
    }

    public private(set) var nodes: [Node] = []
    /// Token runs of all nodes, one after the other.
    public private(set) var runs: [Int32] = []
    /// Row i: the tokens legal at node i over the whole catalogue, not only the candidates.
    public private(set) var legal = LegalTokens()
    public let candidates: [Int32]
    // Decisions of candidate c: steps[stepOffsets[c]..<stepOffsets[c + 1]], indices in the flat array of legal tokens.
    private var steps: [Int32] = []
    private var stepOffsets: [Int32] = [0]
    private var isPresent: [Bool] = []

    /// The tree above `candidates`. Those not in the trie (any more) get the log-likelihood -infinity.
    public init(_ candidates: [Int32], in trie: CatalogueTrie) throws(TrieError) {
        guard candidates.count <= TrieLimits.candidatesMax else {
            throw .tooManyCandidates(candidates.count)
        }
        self.candidates = candidates
        var known: [TrieNode: Int32] = [:]
        for item in candidates {
            if let path = trie.path(of: item) {
                add(path, trie, &known)
                isPresent.append(true)
            } else {
                isPresent.append(false)
            }
            stepOffsets.append(Int32(steps.count))
        }
    }

    private mutating func add(
        _ path: [Int32], _ trie: CatalogueTrie, _ known: inout [TrieNode: Int32]
    ) {
        var parent: Int32 = -1
        var fed = 0
        for (node, token) in trie.branchings(of: path) ?? [] {
            let reached = node.depth
            let index: Int32
            if let found = known[node] {
                index = found
            } else {
                index = Int32(nodes.count)
                known[node] = index
                let start = Int32(runs.count)
                runs.append(contentsOf: path[fed..<reached])
                nodes.append(
                    Node(parent: parent, depth: Int32(node.depth), run: start..<Int32(runs.count)))
                legal.append(node, of: trie)
            }
            steps.append(Int32(slot(of: token, in: legal.row(Int(index)))))
            parent = index
            fed = reached
        }
    }

    private func slot(of token: Int32, in row: Range<Int>) -> Int {
        var (low, high) = (row.lowerBound, row.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if legal.tokens[middle] < token { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Log-likelihood of each candidate's path from the log-probabilities of `legal.tokens`, each row normalised.
    public func logLikelihoods(_ logProbabilities: Span<Float>) throws(TrieError) -> [Double] {
        guard logProbabilities.count == legal.tokens.count else {
            throw .answerCount(expected: legal.tokens.count, received: logProbabilities.count)
        }
        var sums: [Double] = []
        sums.reserveCapacity(candidates.count)
        for candidate in candidates.indices {
            var sum = isPresent[candidate] ? 0 : -Double.infinity
            for step in Int(stepOffsets[candidate])..<Int(stepOffsets[candidate + 1]) {
                sum += Double(logProbabilities[Int(steps[step])])
            }
            sums.append(sum)
        }
        return sums
    }
}
