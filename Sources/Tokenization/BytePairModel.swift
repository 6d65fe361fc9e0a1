// Byte pair encoding of one word (Sennrich et al. 2016): begin with its bytes, and merge the adjacent pair that was
// learnt first until no known pair is left.

import HeapModule

/// Merges by the pair of tokens they join.
struct BytePairModel: Sendable {
    struct Merge: Sendable {
        var rank: Int32
        var result: Int32
    }

    /// The token of each byte, or -1: such a byte vanishes, as it does in Hugging Face's tokenizers.
    var byteTokens = [Int32](repeating: -1, count: 256)
    var merges: [UInt64: Merge] = [:]
    /// Tokens that a whole word becomes at once, without merges; used by Llama 3.
    var wholeWords: [[UInt8]: Int32] = [:]

    static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Appends the tokens of `word`.
    func encode(_ word: ArraySlice<UInt8>, into tokens: inout [Int32]) {
        if !wholeWords.isEmpty, let token = wholeWords[Array(word)] {
            tokens.append(token)
            return
        }
        var chain = Chain(word.compactMap { byteTokens[Int($0)] }.filter { $0 >= 0 })
        chain.merge(by: self)
        chain.append(to: &tokens)
    }

    /// A pair that could be merged, the earliest learnt and leftmost first.
    private struct Candidate: Comparable {
        var rank: Int32
        var position: Int32
        var left: Int32
        var right: Int32
        var result: Int32

        static func < (a: Candidate, b: Candidate) -> Bool {
            (a.rank, a.position) < (b.rank, b.position)
        }
    }

    /// The tokens of a word as a doubly linked list over positions; a merged-away position holds -1.
    private struct Chain {
        var tokens: [Int32]
        var next: [Int32]
        var previous: [Int32]

        init(_ bytes: [Int32]) {
            tokens = bytes
            next = (0..<bytes.count).map { Int32($0 + 1) }
            previous = (0..<bytes.count).map { Int32($0 - 1) }
        }

        private func candidate(at position: Int32, _ model: BytePairModel) -> Candidate? {
            guard position >= 0, next[Int(position)] < tokens.count else { return nil }
            let left = tokens[Int(position)]
            let right = tokens[Int(next[Int(position)])]
            guard let merge = model.merges[BytePairModel.key(left, right)] else { return nil }
            return Candidate(
                rank: merge.rank, position: position, left: left, right: right,
                result: merge.result)
        }

        mutating func merge(by model: BytePairModel) {
            guard tokens.count > 1 else { return }
            var heap = Heap(
                (0..<Int32(tokens.count) - 1).compactMap { candidate(at: $0, model) })
            while let best = heap.popMin() {
                let position = Int(best.position)
                let other = Int(next[position])
                // One of the two has been merged with another since.
                guard other < tokens.count, tokens[position] == best.left,
                    tokens[other] == best.right
                else { continue }
                tokens[position] = best.result
                tokens[other] = -1
                next[position] = next[other]
                if next[other] < tokens.count { previous[Int(next[other])] = best.position }
                if let before = candidate(at: previous[position], model) { heap.insert(before) }
                if let after = candidate(at: best.position, model) { heap.insert(after) }
            }
        }

        func append(to result: inout [Int32]) {
            for token in tokens where token >= 0 { result.append(token) }
        }
    }
}
