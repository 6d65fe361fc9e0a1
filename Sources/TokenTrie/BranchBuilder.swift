// Branching nodes from sorted paths. With lcp[i] the number of tokens positions i - 1 and i share, a range branches at
// the least lcp inside it, and its children begin wherever lcp equals that. Every position is looked at once for each
// branching node above it: at most once a token, and two to three times in real catalogues.

struct BranchBuilder {
    let starts: [Int32]
    let lengths: [UInt8]
    let tokens: [Int32]
    private(set) var depths: [UInt8] = []
    private(set) var childStarts: [Int32] = [0]
    private(set) var childTokens: [Int32] = []
    private(set) var childEnds: [Int32] = []
    private(set) var childBranches: [Int32] = []

    init(starts: [Int32], lengths: [UInt8], tokens: [Int32]) {
        self.starts = starts
        self.lengths = lengths
        self.tokens = tokens
    }

    mutating func build() {
        guard let first = starts.first, starts.last != first else { return }
        let shared = sharedLengths()
        var ranges = [0..<starts.count]
        var next = 0
        while next < ranges.count {
            split(ranges[next], shared, &ranges)
            next += 1
        }
    }

    /// Appends the node of a range that holds several paths, and the ranges of its children that do.
    private mutating func split(
        _ range: Range<Int>, _ shared: [UInt8], _ ranges: inout [Range<Int>]
    ) {
        var depth = UInt8.max
        for position in range.dropFirst() where shared[position] < depth {
            depth = shared[position]
        }
        depths.append(depth)
        var first = range.lowerBound
        for position in first + 1...range.upperBound {
            guard position == range.upperBound || shared[position] == depth else { continue }
            childTokens.append(tokens[Int(starts[first]) + Int(depth)])
            childEnds.append(Int32(position))
            if starts[first] == starts[position - 1] {
                childBranches.append(-1)
            } else {
                childBranches.append(Int32(ranges.count))
                ranges.append(first..<position)
            }
            first = position
        }
        childStarts.append(Int32(childTokens.count))
    }

    /// Tokens each position shares with the one before it; 255 for equal paths, so that those never branch.
    private func sharedLengths() -> [UInt8] {
        var shared = [UInt8](repeating: .max, count: starts.count)
        for position in 1..<starts.count where starts[position] != starts[position - 1] {
            let (left, right) = (Int(starts[position - 1]), Int(starts[position]))
            let limit = Int(min(lengths[position - 1], lengths[position]))
            var length = 0
            while length < limit, tokens[left + length] == tokens[right + length] { length += 1 }
            shared[position] = UInt8(length)
        }
        return shared
    }
}
