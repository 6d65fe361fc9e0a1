import Alignment
import Foundation
import TestKit
import Testing
import TokenTrie

@Suite("the collaborative tokenizer")
struct TokenizerTests {
    /// Spreads from alike to one where everything but one far branch underflows.
    static let spreads: [Float] = [0, 1, 10, 300, 5000]

    static func load(_ shelf: Shelf, _ temperature: Double) throws -> TeacherDistribution {
        var teacher = try TeacherDistribution(over: try shelf.trie, temperature: temperature)
        try teacher.load(shelf.scores)
        return teacher
    }

    @Test("equals the published algorithm at every prefix, far branches or not", arguments: spreads)
    func published(spread: Float) throws {
        for seed in 0..<15 {
            var random = SeededRandom(seed: UInt64(seed))
            let shelf = Shelf.random(2 + random.below(20), spread: spread, &random)
            let temperature = [1, 0.5, 3][seed % 3]
            var teacher = try Self.load(shelf, temperature)
            for gold in shelf.paths.indices {
                let path = shelf.paths[gold]
                let expected = shelf.published(gold: gold, temperature: temperature)
                for (node, token) in try #require(teacher.trie.branchings(of: path)) {
                    let answer = teacher.nextTokens(at: node)
                    let (tokens, shares) = try #require(answer)
                    #expect(tokens.contains(token), "the target is always among its candidates")
                    #expect(near(shares.reduce(0, +), 1))
                    for (token, share) in zip(tokens, shares) {
                        #expect(nearRelative(share, expected[node.depth][Int(token)]))
                    }
                    let listed = tokens.reduce(0) { $0 + expected[node.depth][Int($1)] }
                    #expect(near(listed, 1), "no mass outside the legal tokens")
                }
            }
        }
    }

    @Test("shares along a path multiply to the item's, duplicates adding up", arguments: spreads)
    func products(spread: Float) throws {
        for seed in 0..<15 {
            var random = SeededRandom(seed: UInt64(seed))
            let shelf = Shelf.random(2 + random.below(20), spread: spread, &random)
            var teacher = try Self.load(shelf, 1)
            let shares = shelf.shares(temperature: 1)
            for (gold, path) in shelf.paths.enumerated() {
                var product = 1.0
                for (node, token) in try #require(teacher.trie.branchings(of: path)) {
                    let answer = teacher.nextTokens(at: node)
                    let (tokens, q) = try #require(answer)
                    product *= q[try #require(tokens.firstIndex(of: token))]
                }
                let same = shelf.paths.indices.filter { shelf.paths[$0] == path }
                let expected = same.reduce(0) { $0 + shares[$1] }
                #expect(nearRelative(product, expected))
                #expect(nearRelative(teacher.share(of: Int32(gold)), shares[gold]))
            }
        }
    }

    @Test("a prefix deep below a far branch that holds all mass keeps its digits")
    func deep() throws {
        let shelf = Shelf(
            paths: [[1, 0], [2, 3, 4, 0], [2, 3, 5, 0], [2, 3, 5, 6, 0]],
            scores: [0, -2000, -2001, -2003])
        var teacher = try Self.load(shelf, 1)
        let branchings = try #require(teacher.trie.branchings(of: [2, 3, 5, 0]))
        #expect(branchings.map(\.node.depth) == [0, 2, 3])
        let answer = teacher.nextTokens(at: branchings[1].node)
        let (tokens, shares) = try #require(answer)
        #expect(tokens == [4, 5])
        #expect(nearRelative(shares[0], 1 / (1 + exp(-1) + exp(-3)), 1e-12))
    }

    @Test("what is pending in the trie and what left it make no difference")
    func pending() throws {
        var random = SeededRandom(seed: 4)
        let shelf = Shelf.random(20, spread: 2, &random)
        var half = ItemPaths(vocabulary: Shelf.vocabulary, endToken: Shelf.endToken)
        for item in stride(from: 0, to: 20, by: 2) {
            try half.append(item: Int32(item), path: shelf.paths[item])
        }
        try half.append(item: 77, path: [9, 9, 0])
        let changed = try CatalogueTrie(half).applying(
            [.withdraw(item: 77)]
                + stride(from: 1, to: 20, by: 2).map {
                    .enter(item: Int32($0), path: shelf.paths[$0])
                })
        #expect(changed.pendingCount == 11)
        var one = try TeacherDistribution(over: changed)
        var scores = shelf.scores + [Float](repeating: 5, count: 60)
        scores[77] = 5000
        scores[60] = 9000
        try one.load(scores)
        var other = try Self.load(shelf, 1)
        #expect(one.itemTargets(keptMax: 50) == other.itemTargets(keptMax: 50))
        for item in Int32(0)..<20 {
            let (left, right) = (try one.targets(for: item), try other.targets(for: item))
            #expect(left.tokens == right.tokens)
            for (a, b) in zip(left.shares, right.shares) { #expect(abs(a - b) < 1e-6) }
        }
    }

    @Test(
        "items newer than the teacher have no mass, and where it knows nothing the label is plain")
    func newItems() throws {
        let shelf = Shelf(paths: [[1, 0], [1, 2, 0], [3, 4, 0], [3, 5, 0]], scores: [1, 2])
        var teacher = try Self.load(shelf, 1)
        let targets = try teacher.targets(for: 3)
        #expect(targets.positions.map(\.depth) == [0, 1])
        #expect(targets.positions[1].kept.isEmpty)
        #expect(targets.positions[1].prefixShare == 0)
        let legal = try targets.legal(in: teacher.trie)
        #expect(targets.distribution(at: targets.positions[0], over: [1, 3]) == [1, 0])
        #expect(targets.distribution(at: targets.positions[1], over: [4, 5]) == [])
        #expect(legal.tokens == [1, 3, 4, 5])
    }

    @Test("scores that are no number, items that are not there and senseless settings are refused")
    func refusals() throws {
        let shelf = Shelf(paths: [[1, 0], [2, 0]], scores: [0, .nan])
        var teacher = try TeacherDistribution(over: try shelf.trie)
        #expect(throws: AlignmentError.self) { try teacher.load(shelf.scores) }
        let endless: [Float] = [.infinity, 0]
        #expect(throws: AlignmentError.score(item: 0, .infinity)) { try teacher.load(endless) }
        let nothing: [Float] = [-.infinity, -.infinity]
        try teacher.load(nothing)
        let answer = teacher.nextTokens(at: teacher.trie.root)
        #expect(answer == nil)
        #expect(throws: AlignmentError.unknownItem(9)) { try teacher.targets(for: 9) }
        #expect(throws: AlignmentError.evidence(-1)) { try teacher.targets(for: 0, evidence: -1) }
        #expect(throws: AlignmentError.temperature(0)) {
            try TeacherDistribution(over: teacher.trie, temperature: 0)
        }
        #expect(throws: AlignmentError.alpha(1.5)) {
            try AlignmentSettings(
                loss: .softCrossEntropy, isMasked: true, alpha: 1.5, temperature: 1)
        }
    }

    @Test("the heaviest children and the target's are kept, the rest is one number")
    func compact() throws {
        let paths = (1..<10).map { [Int32($0), 0] }
        let shelf = Shelf(paths: paths, scores: [3, 1, 4, 1, 5, 9, 2, 6, 5])
        var teacher = try Self.load(shelf, 2)
        let full = try teacher.targets(for: 1)
        let targets = try teacher.targets(for: 1, keptMax: 3)
        #expect(full.tokens == Array(1...9) && full.positions[0].remainder == 0)
        // 9 and 6, the first of the two 5s, and the target.
        #expect(targets.tokens == [2, 5, 6, 8])
        #expect(targets.bytes < full.bytes)
        let position = targets.positions[0]
        #expect(abs(targets.shares.reduce(position.remainder, +) - 1) < 1e-6)
        let spread = targets.distribution(at: position, over: full.tokens[...])
        let exact = full.distribution(at: full.positions[0], over: full.tokens[...])
        #expect(near(spread.reduce(0, +), 1))
        for slot in [1, 4, 5, 7] { #expect(near(spread[slot], exact[slot], 1e-6)) }
        #expect(near(spread[0], Double(position.remainder) / 5, 1e-6))
        let none = try teacher.targets(for: 1, keptMax: 0)
        #expect(none.tokens == [2])
    }
}
