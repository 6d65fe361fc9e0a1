// A refresh from the command's parts: what is learnt from true events passes the gate, what is poisoned does not.

import Evaluation
import ItemModel
import TestKit
import Testing
import Transformer

@testable import millrace

@Suite("The gate of a refresh")
struct RefreshGateTests {
    /// Most times an item is followed by the next, from half of the items on by one further along where the world has
    /// changed; else by any of those that are popular.
    private struct World {
        static let itemCount = 30
        var step: Int
        var popularCount: Int
        var follows = 0.6

        func history(_ length: Int, _ random: inout TestKit.SeededRandom) -> [Int32] {
            var item = random.below(Self.itemCount)
            return (0..<length).map { _ in
                let now = item
                let step = item < Self.itemCount / 2 ? 1 : step
                item =
                    random.chance(follows)
                    ? (item + step) % Self.itemCount : random.below(popularCount)
                return Int32(now)
            }
        }
    }

    private static let items: [[Int32]] = (0..<Int32(World.itemCount)).map { number in
        let texts: [Int32] = [1, 3 + number % 6, 10 + number / 6, 2]
        return texts
    }

    /// Taught before the world changed.
    private func base(follows: Double = 0.6) async -> ItemModelParameters {
        var shape = ItemModelShape(vocabulary: 20)
        shape.width = 16
        shape.feedForward = 24
        shape.historyMax = 6
        var random = TestKit.SeededRandom(seed: 1)
        var training = ItemTraining()
        training.epochsMax = 4
        training.batchSequences = 20
        training.negatives = World.itemCount
        training.warmUpSteps = 5
        training.learningRate = 0.01
        let trainer = ItemTrainer(
            ItemModelParameters(ItemModelLayout(shape), seed: 1), items: Self.items,
            sequences: (0..<400).map { _ in
                World(step: 1, popularCount: World.itemCount, follows: follows).history(6, &random)
            },
            training: training)
        for _ in 0..<training.epochsMax { _ = await trainer.runEpoch() }
        return trainer.parameters
    }

    private func verdict(
        _ base: ItemModelParameters, poisoned: Bool,
        world: World = World(step: 7, popularCount: 4)
    ) throws -> RefreshGate.Verdict {
        var random = TestKit.SeededRandom(seed: 2)
        var windows = (0..<200).map { _ in RefreshWindow(items: world.history(6, &random)) }
        if poisoned {
            // The same events, in an order that means nothing.
            var all = windows.flatMap(\.items).shuffled(using: &random)
            windows = windows.map { window in
                defer { all.removeFirst(window.items.count) }
                return RefreshWindow(items: Array(all.prefix(window.items.count)))
            }
        }
        var scorer = ItemScorer(base)
        let vectors = scorer.textVectors(of: Self.items)
        var training = RefreshTraining()
        training.batchWindows = 20
        training.negatives = World.itemCount
        training.learningRate = 0.01
        training.warmUpSteps = 5
        training.replayShare = 0
        let refresh = ItemRefresh(
            base, textVectors: vectors, fresh: windows, replay: [], training: training)
        for _ in 0..<training.epochs { _ = try refresh.runEpoch() }
        let cases = (0..<600).map { _ in
            let history = world.history(5, &random)
            return RefreshData.Case(history: history.dropLast(), target: history[4])
        }
        let gate = RefreshGate(
            textVectors: vectors, listed: Array(repeating: 1, count: World.itemCount))
        return gate.judge(
            base.applying(refresh.adapter), against: base, on: cases)
    }

    @Test("True events pass it; shuffled labels are refused")
    func poisoned() async throws {
        let base = await base()
        let good = try verdict(base, poisoned: false)
        #expect(good.hasPassed && good.likelihoodDifference.mean > 0.1, "\(good.text)")
        #expect(good.candidate.mean(.gain) > good.current.mean(.gain))
        let bad = try verdict(base, poisoned: true)
        #expect(!bad.hasPassed && bad.gainDifference.mean < 0, "\(bad.text)")
        #expect(bad.text.contains("not shown to be not worse"))
    }

    /// The base is sure of what follows; the world has become less so, which shuffled events tell as well as true ones.
    @Test("A poison that makes the likelier model and the worse lists is refused: by the lists")
    func likelyPoison() async throws {
        let verdict = try verdict(
            await base(follows: 0.95), poisoned: true,
            world: World(step: 1, popularCount: World.itemCount, follows: 0.4))
        #expect(
            verdict.likelihood.hasPassed && verdict.likelihoodDifference.mean > 0,
            "\(verdict.text)")
        #expect(!verdict.gain.hasPassed && verdict.gainDifference.mean < 0, "\(verdict.text)")
        #expect(!verdict.hasPassed)
    }
}
