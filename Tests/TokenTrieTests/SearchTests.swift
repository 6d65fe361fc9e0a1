import Foundation
import TestKit
import Testing
import TokenTrie

/// A model of next tokens that depends on the prefix alone, and knows nothing of tries but which tokens are legal.
struct HashModel {
    var seed: UInt64
    /// Logits are multiples of this: a coarse one makes ties.
    var grain: Float = 0.01

    func logProbabilities(_ prefix: [Int32], _ legal: ArraySlice<Int32>) -> [Float] {
        let logits = legal.map { token -> Float in
            var hash = seed
            for token in prefix + [token] {
                hash = (hash ^ UInt64(UInt32(bitPattern: token))) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash >> 29
            }
            return (Float(hash % 1000) / 250 / grain).rounded() * grain
        }
        let sum = logits.reduce(0) { $0 + exp(Double($1)) }
        return logits.map { Float(Double($0) - log(sum)) }
    }
}

@Suite("candidates as one tree, and beams")
struct SearchTests {
    /// Log-likelihood of every path, one token at a time.
    static func enumerate(_ list: PathList, _ model: HashModel) -> [[Int32]: Double] {
        var scores: [[Int32]: Double] = [:]
        for path in Set(list.paths.values) {
            var sum = 0.0
            for length in path.indices {
                let prefix = Array(path[..<length])
                let legal = list.next(after: prefix)
                guard legal.count > 1, let slot = legal.firstIndex(of: path[length]) else {
                    continue
                }
                sum += Double(model.logProbabilities(prefix, legal[...])[slot])
            }
            scores[path] = sum
        }
        return scores
    }

    @Test("a tree asks once at every branching prefix, feeds every token once, and scores exactly")
    func tree() throws {
        for seed in 0..<20 {
            var random = SeededRandom(seed: UInt64(seed))
            let list = PathList.random(30, &random)
            let model = HashModel(seed: UInt64(seed))
            let candidates = (0..<12).map { _ in Int32(random.below(33)) }
            let tree = try CandidateTree(candidates, in: try list.trie)
            var prefixes: [[Int32]] = []
            var answers: [Float] = []
            for (index, node) in tree.nodes.enumerated() {
                #expect(node.parent < index, "parents first")
                let above = node.parent < 0 ? [] : prefixes[Int(node.parent)]
                let run = tree.runs[Int(node.run.lowerBound)..<Int(node.run.upperBound)]
                prefixes.append(above + run)
                #expect(prefixes[index].count == Int(node.depth))
                let legal = tree.legal.tokens[tree.legal.row(index)]
                #expect(Array(legal) == list.next(after: prefixes[index]))
                #expect(legal.count > 1, "forced prefixes are not asked")
                answers += model.logProbabilities(prefixes[index], legal)
            }
            #expect(Set(prefixes).count == prefixes.count)
            let exact = Self.enumerate(list, model)
            for (item, score) in zip(candidates, try tree.logLikelihoods(answers.span)) {
                let expected = list.paths[item].flatMap { exact[$0] } ?? -.infinity
                #expect(score == expected)
            }
        }
    }

    /// Answers a beam from the prefixes that its questions spell out.
    static func beam(
        _ trie: CatalogueTrie, _ model: HashModel, width: Int
    ) throws -> [BeamResult] {
        var before: [[Int32]] = []
        return try beamSearch(trie, width: width) { question in
            var answers: [Float] = []
            var prefixes: [[Int32]] = []
            for row in question.runs.indices {
                let parent = question.parents[row]
                prefixes.append((parent < 0 ? [] : before[Int(parent)]) + question.runs[row])
                #expect(prefixes[row].count == Int(question.depths[row]))
                answers += model.logProbabilities(
                    prefixes[row], question.legal.tokens[question.legal.row(row)])
            }
            before = prefixes
            return answers
        }
    }

    @Test(
        "a beam as wide as the catalogue enumerates it: likelihoods exact, best first, ties by path"
    )
    func exact() throws {
        for seed in 0..<20 {
            var random = SeededRandom(seed: UInt64(seed))
            let list = PathList.random(random.below(30), &random)
            let model = HashModel(seed: UInt64(seed), grain: seed % 2 == 0 ? 0.01 : 4)
            let expected = Self.enumerate(list, model).sorted { left, right in
                left.value != right.value
                    ? left.value > right.value : left.key.lexicographicallyPrecedes(right.key)
            }
            let found = try Self.beam(try list.trie, model, width: 64)
            #expect(found.map(\.path) == expected.map(\.key))
            #expect(found.map(\.logLikelihood) == expected.map(\.value))
            #expect(found.map(\.items) == expected.map { list.items(below: $0.key) })
            let total = found.reduce(0) { $0 + exp($1.logLikelihood) }
            #expect(found.isEmpty || abs(total - 1) < 1e-5)
        }
    }

    @Test(
        "a narrow beam returns whole paths with their exact likelihoods, whatever is pending in the trie"
    )
    func narrow() throws {
        var random = SeededRandom(seed: 5)
        let list = PathList.random(30, &random)
        let model = HashModel(seed: 7)
        let exact = Self.enumerate(list, model)
        var half = PathList()
        half.paths = list.paths.filter { $0.key % 2 == 0 }
        half.paths[99] = [5, 5, 5, 0]
        var owner = TrieOwner(try half.trie)
        try owner.apply(
            [.withdraw(item: 99)]
                + list.paths.filter { $0.key % 2 == 1 }.map { .enter(item: $0.key, path: $0.value) }
        )
        for width in [1, 2, 3, 8] {
            let found = try Self.beam(try list.trie, model, width: width)
            #expect(found.count == width)
            for result in found { #expect(result.logLikelihood == exact[result.path]) }
            let other = try Self.beam(owner.trie, model, width: width)
            #expect(other == found)
        }
    }

    @Test("widths, answers of the wrong length and answers that are no number are refused by name")
    func refusals() throws {
        var random = SeededRandom(seed: 5)
        let trie = try PathList.random(30, &random).trie
        #expect(throws: TrieError.beamWidth(0)) { try beamSearch(trie, width: 0) { _ in [] } }
        #expect(throws: TrieError.beamWidth(5000)) { try beamSearch(trie, width: 5000) { _ in [] } }
        let count = trie.legalTokens(trie.root).count
        #expect(throws: TrieError.answerCount(expected: count, received: 1)) {
            try beamSearch(trie, width: 2) { _ in [0] }
        }
        #expect(throws: TrieError.notANumber(depth: 0)) {
            try beamSearch(trie, width: 2) { $0.legal.tokens.map { _ in .nan } }
        }
        let many = [Int32](repeating: 0, count: TrieLimits.candidatesMax + 1)
        #expect(throws: TrieError.tooManyCandidates(many.count)) {
            try CandidateTree(many, in: trie)
        }
        let tree = try CandidateTree([0], in: trie)
        #expect(throws: TrieError.self) { try tree.logLikelihoods([Float]().span) }
    }

    @Test("an empty trie has no children, no candidates and no beam")
    func empty() throws {
        let trie = try PathList().trie
        #expect(trie.legalTokens(trie.root).isEmpty)
        #expect(try beamSearch(trie, width: 3) { _ in [] } == [])
        let tree = try CandidateTree([1], in: trie)
        #expect(try tree.logLikelihoods([Float]().span) == [-.infinity])
    }

    @Test("the masked softmax reads legal logits only and is the softmax over them")
    func masked() throws {
        var random = SeededRandom(seed: 9)
        let list = PathList.random(30, &random)
        let trie = try list.trie
        var legal = LegalTokens()
        var logits: [Float] = []
        var expected: [Double] = []
        for prefix in list.prefixes.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let node = try #require(trie.node(prefix))
            let tokens = trie.legalTokens(node)
            legal.append(node, of: trie)
            var row = [Float](repeating: .nan, count: PathList.vocabulary)
            for token in tokens { row[Int(token)] = Float(random.below(100)) / 10 - 5 }
            logits += row
            let sum = tokens.reduce(0) { $0 + exp(Double(row[Int($1)]) / 4.5) }
            expected += tokens.map { Double(row[Int($0)]) / 4.5 - log(sum) }
        }
        var answers: [Float] = []
        legal.logProbabilities(
            logits: logits.span, vocabulary: PathList.vocabulary, temperature: 4.5, into: &answers)
        #expect(answers.count == expected.count)
        for (one, other) in zip(answers, expected) { #expect(abs(Double(one) - other) < 1e-6) }
        for row in 0..<legal.rowCount where legal.row(row).count == 1 {
            #expect(answers[legal.row(row).lowerBound] == 0, "forced: exactly nothing")
        }
        legal.removeAll()
        legal.append(trie.root, of: trie)
        let broken = [Float](repeating: .nan, count: PathList.vocabulary)
        legal.logProbabilities(
            logits: broken.span, vocabulary: PathList.vocabulary, into: &answers)
        #expect(answers.filter { !$0.isNaN } == [])
    }
}
