import Alignment
import Foundation
import TestKit
import Testing
import TokenTrie

@Suite("token losses equal PyTorch's")
struct GoldenTests {
    struct Golden: Decodable {
        struct Run: Decodable {
            var loss: String
            var masked: Bool
            var tau: Double
            var alpha: Double
            var value: Double
            var gradient: [Double]
        }
        struct Case: Decodable {
            var paths: [[Int32]]
            var scores: [Double]
            var gold: Int
            var beta: Double
            var distributions: [Double]
            var logits: [Double]
            var runs: [Run]
        }
        var vocabulary: Int
        var cases: [Case]
    }

    /// Read once; decoding fails in each test that asks.
    static let decoded = Result {
        let file = URL(filePath: #filePath).appending(path: "../../Fixtures/alignment.json")
        return try JSONDecoder().decode(
            Golden.self, from: try Data(contentsOf: file.standardizedFileURL))
    }
    static let count = 4
    static var golden: Golden { get throws { try decoded.get() } }

    static func targets(_ sample: Golden.Case) throws -> (TokenTargets, CatalogueTrie) {
        let shelf = Shelf(paths: sample.paths, scores: sample.scores.map { Float($0) })
        var teacher = try TokenizerTests.load(shelf, sample.beta)
        return (try teacher.targets(for: Int32(sample.gold)), teacher.trie)
    }

    @Test("distributions at every branching prefix", arguments: 0..<count)
    func distributions(index: Int) throws {
        let sample = try Self.golden.cases[index]
        let (targets, trie) = try Self.targets(sample)
        let legal = try targets.legal(in: trie)
        #expect(!targets.positions.isEmpty)
        let width = try Self.golden.vocabulary
        for (row, position) in targets.positions.enumerated() {
            let tokens = legal.tokens[legal.row(row)]
            let shares = targets.distribution(at: position, over: tokens)
            for (token, share) in zip(tokens, shares) {
                let expected = sample.distributions[
                    Int(position.depth) * width + Int(token)]
                #expect(near(share, expected, 1e-6))
            }
        }
    }

    @Test(
        "values and gradients, both losses, with and without mask", arguments: 0..<count)
    func losses(index: Int) throws {
        let sample = try Self.golden.cases[index]
        let (targets, trie) = try Self.targets(sample)
        let legal = try targets.legal(in: trie)
        for run in sample.runs {
            let settings = try AlignmentSettings(
                loss: run.loss == "logOfExpectation" ? .logOfExpectation : .softCrossEntropy,
                isMasked: run.masked, alpha: run.alpha, temperature: run.tau)
            let (value, gradient) = try Self.loss(targets, legal, sample, settings)
            #expect(near(value.sum, run.value, 2e-6), "\(run.loss) \(run.masked) \(run.alpha)")
            let worst = zip(gradient, run.gradient).map { abs($0 - $1) }.max() ?? 0
            #expect(worst < 2e-6, "\(run.loss) \(run.masked) \(run.alpha)")
            #expect(value.positions == (run.masked ? targets.positions.count : targets.path.count))
        }
    }

    /// Loss and dense gradient, [token of the path][vocabulary].
    static func loss(
        _ targets: TokenTargets, _ legal: LegalTokens, _ sample: Golden.Case,
        _ settings: AlignmentSettings
    ) throws -> (LossSum, [Double]) {
        let logits = sample.logits.map { Float($0) }
        let width = try golden.vocabulary
        var dense = [Float](repeating: 0, count: logits.count)
        guard settings.isMasked else {
            var span = dense.mutableSpan
            let value = try targets.unmaskedLoss(
                legal: legal, logits: logits.span, vocabulary: width, settings, gradient: &span)
            return (value, dense.map(Double.init))
        }
        var places: [Int] = []
        for (row, position) in targets.positions.enumerated() {
            places += legal.row(row).map { Int(position.depth) * width + Int(legal.tokens[$0]) }
        }
        let gathered = places.map { logits[$0] }
        var part = [Float](repeating: 0, count: places.count)
        var span = part.mutableSpan
        let value = try targets.maskedLoss(
            legal: legal, logits: gathered.span, settings, gradient: &span)
        for (place, slope) in zip(places, part) { dense[place] = slope }
        return (value, dense.map(Double.init))
    }

    @Test("targets of another trie, and logits of another shape, are refused by name")
    func refusals() throws {
        let sample = try Self.golden.cases[0]
        let (targets, trie) = try Self.targets(sample)
        let without = try trie.applying(
            trie.items(at: targets.path).map { .withdraw(item: $0) })
        #expect(throws: AlignmentError.self) { try targets.legal(in: without) }
        let settings = try AlignmentSettings(
            loss: .softCrossEntropy, isMasked: true, alpha: 0.1, temperature: 1)
        let legal = try targets.legal(in: trie)
        let logits: [Float] = [0]
        var gradient: [Float] = [0]
        #expect(throws: AlignmentError.self) {
            var span = gradient.mutableSpan
            _ = try targets.maskedLoss(
                legal: legal, logits: logits.span, settings, gradient: &span)
        }
        #expect(throws: AlignmentError.self) {
            var span = gradient.mutableSpan
            _ = try targets.unmaskedLoss(
                legal: legal, logits: logits.span, vocabulary: 10, settings, gradient: &span)
        }
    }
}
