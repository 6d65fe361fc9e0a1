import Alignment
import Foundation
import TestKit
import Testing
import TokenTrie

@Suite("losses with soft labels")
struct LossTests {
    static func run(
        _ loss: AlignmentLoss, _ logits: [Double], _ label: SoftLabel, _ temperature: Double
    ) throws -> (value: Double, gradient: [Double]) {
        var gradient = [Double](repeating: 0, count: logits.count)
        var span = gradient.mutableSpan
        let value = try softLabelLoss(
            loss, logits: logits.span, label: label, temperature: temperature, gradient: &span)
        return (value, gradient)
    }

    static func softmax(_ logits: [Double], _ temperature: Double) -> [Double] {
        let greatest = logits.max()!
        let weights = logits.map { exp(($0 - greatest) / temperature) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    static func sample(_ random: inout SeededRandom) -> (logits: [Double], label: SoftLabel) {
        let count = 1 + random.below(8)
        let logits = (0..<count).map { _ in Double.random(in: -4...4, using: &random) }
        let width = 1 + random.below(count)
        let slots = (0..<Int32(count)).shuffled(using: &random).prefix(width)
        let weights = slots.map { _ in Double.random(in: 0...1, using: &random) }
        let sum = weights.reduce(0, +)
        let label = SoftLabel(
            gold: random.below(count), slots: Array(slots), teacher: weights.map { $0 / sum },
            alpha: [0, 0.1, 0.6, 1][random.below(4)])
        return (logits, label)
    }

    static func dense(_ label: SoftLabel, _ count: Int) -> [Double] {
        var dense = [Double](repeating: 0, count: count)
        for (index, share) in label.teacher.enumerated() {
            dense[label.slots.map { Int($0[index]) } ?? index] = label.alpha * share
        }
        dense[label.gold] += 1 - label.alpha
        return dense
    }

    @Test("value and gradient are those of the definitions", arguments: AlignmentLoss.allCases)
    func definitions(loss: AlignmentLoss) throws {
        for seed in 0..<60 {
            var random = SeededRandom(seed: UInt64(seed))
            let (logits, label) = Self.sample(&random)
            let temperature = [1, 4.5, 0.3][seed % 3]
            let p = Self.softmax(logits, temperature)
            let y = Self.dense(label, logits.count)
            let expectation = zip(y, p).reduce(0) { $0 + $1.0 * $1.1 }
            let (value, gradient) = try Self.run(loss, logits, label, temperature)
            let expected =
                loss == .logOfExpectation
                ? -log(expectation)
                : zip(y, p).reduce(0) { $0 - ($1.0 == 0 ? 0 : $1.0 * log($1.1)) }
            #expect(near(value, expected))
            for slot in logits.indices {
                let target =
                    loss == .logOfExpectation ? y[slot] * p[slot] / expectation : y[slot]
                #expect(near(gradient[slot], (p[slot] - target) / temperature))
            }
        }
    }

    @Test("gradients agree with finite differences", arguments: AlignmentLoss.allCases)
    func differences(loss: AlignmentLoss) throws {
        for seed in 0..<20 {
            var random = SeededRandom(seed: UInt64(seed))
            let (logits, label) = Self.sample(&random)
            let (_, gradient) = try Self.run(loss, logits, label, 1.5)
            for slot in logits.indices {
                let step = 1e-5
                var (above, below) = (logits, logits)
                above[slot] += step
                below[slot] -= step
                let difference =
                    (try Self.run(loss, above, label, 1.5).value
                        - Self.run(loss, below, label, 1.5).value) / (2 * step)
                #expect(abs(difference - gradient[slot]) < 1e-9)
            }
        }
    }

    @Test("alpha = 0 is the plain loss, bit for bit, whatever the teacher says")
    func plain() throws {
        for seed in 0..<40 {
            var random = SeededRandom(seed: UInt64(seed))
            var (logits, label) = Self.sample(&random)
            label.alpha = 0
            let bare = try Self.run(
                .softCrossEntropy, logits, SoftLabel(gold: label.gold), 4.5)
            for loss in AlignmentLoss.allCases {
                let (value, gradient) = try Self.run(loss, logits, label, 4.5)
                #expect(value.bitPattern == bare.value.bitPattern)
                #expect(gradient.map(\.bitPattern) == bare.gradient.map(\.bitPattern))
            }
            #expect(near(bare.value, -log(Self.softmax(logits, 4.5)[label.gold])))
        }
    }

    @Test("a softmax over one logit has exactly no loss and no gradient")
    func forced() throws {
        for loss in AlignmentLoss.allCases {
            for alpha in [0, 0.3, 1.0] {
                let label = SoftLabel(gold: 0, teacher: [1], alpha: alpha)
                let (value, gradient) = try Self.run(loss, [3.7], label, 4.5)
                #expect(value == 0 && gradient == [0])
            }
        }
    }

    /// Plain gradient descent to where nothing moves.
    static func minimum(
        _ loss: AlignmentLoss, _ label: SoftLabel, count: Int
    ) throws -> [Double] {
        var logits = (0..<count).map { Double($0 % 3) * 0.1 }
        for _ in 0..<4000 {
            let (_, gradient) = try run(loss, logits, label, 1)
            for slot in logits.indices { logits[slot] -= 2 * gradient[slot] }
        }
        return softmax(logits, 1)
    }

    @Test("the log of the expectation is least at all mass on the greatest entry, not at the label")
    func minimisers() throws {
        let label = SoftLabel(gold: 0, teacher: [0.2, 0.355, 0.3, 0.145], alpha: 1)
        let published = try Self.minimum(.logOfExpectation, label, count: 4)
        #expect(published[1] > 0.99)
        let distilled = try Self.minimum(.softCrossEntropy, label, count: 4)
        for (p, y) in zip(distilled, label.teacher) { #expect(abs(p - y) < 1e-6) }
        // Below one half the greatest entry is always the target's.
        let gold = SoftLabel(gold: 0, teacher: [0, 1, 0, 0], alpha: 0.4)
        #expect(try Self.minimum(.logOfExpectation, gold, count: 4)[0] > 0.99)
    }

    @Test("far logits neither overflow nor lose the label")
    func far() throws {
        let label = SoftLabel(gold: 1, teacher: [0, 0.5, 0.5], alpha: 0.5)
        for loss in AlignmentLoss.allCases {
            let (value, gradient) = try Self.run(loss, [1e5, 0, -3], label, 1)
            #expect(value > 9e4 && value.isFinite)
            #expect(gradient[0] == 1 && gradient.allSatisfy(\.isFinite))
        }
        #expect(throws: AlignmentError.logit(index: 1, .infinity)) {
            try Self.run(.softCrossEntropy, [0, .infinity], SoftLabel(gold: 0), 1)
        }
    }

    @Test("evidence scales alpha: none gives none, much gives all")
    func evidence() throws {
        let settings = try AlignmentSettings(
            loss: .softCrossEntropy, isMasked: true, alpha: 0.6, temperature: 1, evidenceHalf: 3)
        #expect(settings.alpha(evidence: 0) == 0)
        #expect(settings.alpha(evidence: 3) == 0.3)
        #expect(settings.alpha(evidence: 1e9) > 0.59)
        var teacher = try TeacherDistribution(
            over: try Shelf(paths: [[1, 2, 0], [1, 3, 0], [4, 0]], scores: []).trie)
        let logits: [Float] = [0, 0, 0.693_147_2]
        try teacher.load(logits)
        let targets = try teacher.targets(for: 0, evidence: 6)
        // The prefix [1] holds half of the mass, so half of the evidence.
        let alphas = targets.positions.map { targets.alpha(at: $0, settings) }
        #expect(near(alphas[0], 0.4, 1e-6) && near(alphas[1], 0.3, 1e-6))
    }
}

@Suite("soft labels on the item head")
struct ItemTests {
    @Test("counts become shares, the target's column and the teacher's items meet")
    func counts() throws {
        let targets = try ItemTargets(counts: [(7, 3), (2, 1), (5, 0)])
        #expect(targets.items == [2, 7] && targets.shares == [0.25, 0.75])
        #expect(targets.evidence == 4)
        let settings = try AlignmentSettings(
            loss: .softCrossEntropy, isMasked: true, alpha: 0.5, temperature: 1, evidenceHalf: 4)
        let logits: [Float] = [0.5, -1, 2]
        var gradient: [Float] = [0, 0, 0]
        var span = gradient.mutableSpan
        let columns: [Int32: Int] = [2: 0, 7: 2]
        let value = try targets.loss(
            logits: logits.span, gold: 1, column: { columns[$0] }, settings, gradient: &span)
        let p = LossTests.softmax(logits.map(Double.init), 1)
        // alpha 0.5 at evidence 4 of half 4: 0.25.
        let y = [0.25 * 0.25, 0.75, 0.25 * 0.75]
        #expect(near(value, zip(y, p).reduce(0) { $0 - $1.0 * log($1.1) }))
        for slot in 0..<3 { #expect(near(Double(gradient[slot]), p[slot] - y[slot], 1e-6)) }
    }

    @Test(
        "items that were not sampled leave their mass to the others; with none the label is plain")
    func sampled() throws {
        let targets = try ItemTargets(counts: [(7, 3), (2, 1)])
        let settings = try AlignmentSettings(
            loss: .logOfExpectation, isMasked: true, alpha: 1, temperature: 1)
        func value(_ columns: [Int32: Int]) throws -> Double {
            let logits: [Float] = [0, 1]
            var gradient: [Float] = [0, 0]
            var span = gradient.mutableSpan
            return try targets.loss(
                logits: logits.span, gold: 0, column: { columns[$0] }, settings, gradient: &span)
        }
        #expect(near(try value([7: 1]), log(1 + exp(-1))))
        #expect(near(try value([:]), log(1 + exp(1))))
    }

    @Test("the teacher's distribution over items is the product of its next-token shares")
    func sameTeacher() throws {
        var random = SeededRandom(seed: 2)
        let shelf = Shelf.random(12, spread: 2, &random)
        let teacher = try TokenizerTests.load(shelf, 1.5)
        let targets = teacher.itemTargets(keptMax: 100)
        let shares = shelf.shares(temperature: 1.5)
        #expect(targets.items == Array(0..<12))
        for (item, share) in zip(targets.items, targets.shares) {
            #expect(near(Double(share), shares[Int(item)], 1e-6))
        }
        let three = teacher.itemTargets(keptMax: 3)
        #expect(three.items.count == 3 && abs(three.shares.reduce(0, +) - 1) < 1e-6)
    }

    @Test("counts that are no counts are refused")
    func refusals() {
        #expect(throws: AlignmentError.score(item: 4, -1)) { try ItemTargets(counts: [(4, -1)]) }
        #expect(throws: AlignmentError.repeatedItem(4)) {
            try ItemTargets(counts: [(4, 1), (4, 2)])
        }
    }
}
