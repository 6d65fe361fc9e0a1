import TestKit
import Testing

@testable import Alignment

@Suite("a soft label as a correction of the plain loss")
struct CorrectionTests {
    @Test("Plain loss and correction add up to the soft label's", arguments: AlignmentLoss.allCases)
    func sums(_ loss: AlignmentLoss) throws {
        var random = SeededRandom(seed: 1)
        for round in 0..<40 {
            let count = 1 + random.below(9)
            let spread: Float = [1, 20, 200][round % 3]
            let logits = (0..<count).map { _ in Float.random(in: -spread..<spread, using: &random) }
            let gold = random.below(count)
            let counts = (0..<6).filter { _ in random.chance(0.6) }.map {
                (item: Int32($0), count: Float(1 + random.below(5)))
            }
            let targets = try ItemTargets(counts: counts)
            // Item i stands in column i + 1; the others were not sampled.
            func column(_ item: Int32) -> Int? { item + 1 < count ? Int(item) + 1 : nil }
            let alpha = [0, 0.3, 1][random.below(3)]
            func settings(_ alpha: Double) throws -> AlignmentSettings {
                try AlignmentSettings(
                    loss: loss, isMasked: false, alpha: alpha, temperature: 1, evidenceHalf: 3)
            }
            func whole(_ alpha: Double) throws -> (loss: Double, gradient: [Float]) {
                var gradient = [Float](repeating: 0, count: count)
                var out = gradient.mutableSpan
                let value = try targets.loss(
                    logits: logits.span, gold: gold, column: column, settings(alpha),
                    gradient: &out)
                return (value, gradient)
            }
            let correction = try targets.correction(
                logits: logits.span, gold: gold, column: column, settings(alpha))
            var (value, gradient) = try whole(0)
            value += correction.loss
            for (column, change) in correction.entries { gradient[column] += change }
            let expected = try whole(alpha)
            #expect(near(value, expected.loss, 1e-6))
            for (one, two) in zip(gradient, expected.gradient) { #expect(abs(one - two) < 1e-6) }
            #expect(Set(correction.entries.map(\.column)).count == correction.entries.count)
            if alpha == 0 || targets.items.isEmpty { #expect(correction == LabelCorrection()) }
        }
    }

    @Test("Logits that are no numbers are refused where the teacher looks")
    func refused() throws {
        let targets = try ItemTargets(counts: [(0, 1)])
        let settings = try AlignmentSettings(
            loss: .softCrossEntropy, isMasked: false, alpha: 0.5, temperature: 1)
        let logits: [Float] = [.nan, 0]
        #expect(throws: AlignmentError.self) {
            try targets.correction(
                logits: logits.span, gold: 1, column: { Int($0) }, settings)
        }
        #expect(throws: AlignmentError.self) {
            try targets.correction(
                logits: logits.span, gold: 2, column: { Int($0) }, settings)
        }
    }

    @Test("Counts of others' transitions, the asking user's left out")
    func transitions() throws {
        var counts = TransitionCounts()
        counts.add(2, after: 1, by: 7)
        counts.add(2, after: 1, by: 7)
        counts.add(3, after: 1, by: 8)
        counts.add(2, after: 1, by: 8)
        #expect(counts.targets(after: 1, leavingOut: 9).items == [2, 3])
        #expect(counts.targets(after: 1, leavingOut: 9).shares == [0.75, 0.25])
        #expect(counts.targets(after: 1, leavingOut: 9).evidence == 4)
        #expect(counts.targets(after: 1, leavingOut: 7).shares == [0.5, 0.5])
        #expect(counts.targets(after: 1, leavingOut: 8).items == [2])
        #expect(counts.targets(after: 2, leavingOut: 9) == ItemTargets.none)
        #expect(counts.count == 4)
    }
}
