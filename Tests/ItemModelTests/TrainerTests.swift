// Training as a whole: its losses are the scorers', and it can be repeated and interrupted.

import Alignment
import Tensors
import TestKit
import Testing
import TokenTrie

@testable import ItemModel

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Training an item-aware model")
struct TrainerTests {
    private static func training(
        _ change: (inout ItemTraining) -> Void = { _ in }
    ) -> ItemTraining {
        var training = ItemTraining()
        training.epochsMax = 4
        training.batchSequences = 2
        training.negatives = 2
        training.learningRate = 0.02
        training.warmUpSteps = 2
        change(&training)
        return training
    }

    private func trainer(
        _ model: SmallModel, _ training: ItemTraining
    ) throws -> ItemTrainer {
        ItemTrainer(
            model.parameters, items: model.items, sequences: model.histories,
            answers: try model.table, training: training)
    }

    /// One that learns nothing and drops nothing, over all items at once.
    private func still(_ change: (inout ItemTraining) -> Void = { _ in }) -> ItemTraining {
        Self.training {
            $0.learningRate = 0
            $0.dropout = 0
            $0.identityDropout = 0
            $0.negatives = 100
            $0.batchSequences = 100
            change(&$0)
        }
    }

    @Test("Without dropout its losses are minus what the scorers make of the same candidates")
    func lossOfScorers() async throws {
        for shape in 0..<2 {
            let model = SmallModel {
                $0.seesItself = shape == 0
                $0.historyMax = 2 + shape
            }
            let trainer = try trainer(model, still())
            let loss = await trainer.runEpoch()
            var trained = model
            trained.parameters = trainer.parameters
            #expect(trained.parameters.values == model.parameters.values)
            let table = trained.vectors
            var scorer = ItemScorer(trained.parameters)
            var head = TokenHead(
                trained.parameters, trie: try model.table.trie,
                beginToken: SmallModel.beginToken)
            var (item, answer, targets, answered) = (0.0, 0.0, 0, 0)
            for history in model.histories {
                let kept = history.suffix(model.shape.historyMax + 1)
                for end in kept.indices.dropFirst() {
                    let before = Array(kept[..<end])
                    let target = Int(kept[end])
                    let logits = scorer.logits(
                        states: scorer.states(of: [before], table: table), table: table)
                    item -=
                        Double(logits[target])
                        - log(logits.reduce(0.0) { $0 + exp(Double($1)) })
                    targets += 1
                    guard model.listed[target] == 1 else { continue }
                    let state = trained.historyState(before, table: table)
                    answer -= try head.logLikelihoods(of: [Int32(target)], after: state)[0]
                    answered += 1
                }
            }
            #expect(abs(loss.item - item / Double(targets)) < 1e-5)
            #expect(abs(loss.answer - answer / Double(answered)) < 1e-5)
        }
    }

    @Test("The work may be shared among any number of shards")
    func shards() async throws {
        let model = SmallModel()
        var values: [[Float]] = []
        var losses: [ItemTrainer.Loss] = []
        for count in [1, 2, 3, 9] {
            let trainer = try trainer(
                model,
                Self.training {
                    $0.shards = count
                    $0.dropout = 0
                    $0.optimiser.epsilon = 1e-3
                })
            losses.append(await trainer.runEpoch())
            values.append(trainer.parameters.values)
        }
        for index in 1..<4 {
            #expect(abs(losses[index].item - losses[0].item) < 1e-5)
            #expect(abs(losses[index].answer - losses[0].answer) < 1e-5)
            #expect(zip(values[index], values[0]).allSatisfy { abs($0 - $1) < 1e-4 })
        }
    }

    @Test("The same seed gives the same model to the bit, another seed another")
    func repeatable() async throws {
        func train(_ seed: UInt64) async throws -> ItemTrainer.Progress {
            let trainer = try trainer(SmallModel(), Self.training { $0.seed = seed })
            for _ in 0..<3 { _ = await trainer.runEpoch() }
            return trainer.progress
        }
        let first = try await train(5)
        #expect(try await train(5) == first)
        #expect(try await train(6).values != first.values)
    }

    @Test("Interrupted after any epoch and resumed is not interrupted, to the bit")
    func resumed() async throws {
        let model = SmallModel()
        let whole = try trainer(model, Self.training())
        var kept = [whole.progress]
        var losses: [ItemTrainer.Loss] = []
        for _ in 0..<4 {
            losses.append(await whole.runEpoch())
            kept.append(whole.progress)
        }
        for start in 0..<4 {
            let other = try trainer(model, Self.training())
            #expect(other.resume(kept[start]))
            for epoch in start..<4 { #expect(await other.runEpoch() == losses[epoch]) }
            #expect(other.progress == whole.progress)
            #expect(other.parameters == whole.parameters)
        }
    }

    @Test("Numbers of other arguments are not resumed from")
    func otherProgress() async throws {
        let model = SmallModel()
        let trainer = try trainer(model, Self.training())
        _ = await trainer.runEpoch()
        let good = trainer.progress
        #expect(!trainer.resume(good), "it has begun already")
        let changes: [(inout ItemTrainer.Progress) -> Void] = [
            { $0.epoch = 5 }, { $0.epoch = 2 }, { $0.step += 1 }, { $0.values.removeLast() },
            { $0.identity.append(0) }, { $0.m = [] }, { $0.v.removeLast() },
            { $0.identityM.removeLast() }, { $0.identityV = [] },
            {
                $0.epoch = -1
                $0.step = -2
            },
        ]
        for (index, change) in changes.enumerated() {
            var bad = good
            change(&bad)
            let fresh = try self.trainer(model, Self.training())
            let before = fresh.progress
            #expect(!fresh.resume(bad), "\(index)")
            #expect(fresh.progress == before)
        }
    }

    @Test("Alpha of 0 and teachers without an opinion are the plain training, bit for bit")
    func plainLabels() async throws {
        let model = SmallModel()
        let words = try model.histories.map { history in
            try history.dropFirst().map { _ in try ItemTargets(counts: [(1, 2), (3, 1)]) }
        }
        let silent = words.map { $0.map { _ in ItemTargets.none } }
        func train(_ words: [[ItemTargets]], _ alpha: Double?) async throws -> ItemTrainer.Progress
        {
            let alignment = try alpha.map {
                try AlignmentSettings(
                    loss: .softCrossEntropy, isMasked: false, alpha: $0, temperature: 1)
            }
            let trainer = ItemTrainer(
                model.parameters, items: model.items, sequences: model.histories,
                answers: try model.table, teachers: words, alignment: alignment,
                training: Self.training())
            for _ in 0..<2 { _ = await trainer.runEpoch() }
            return trainer.progress
        }
        let plain = try await train([], nil)
        #expect(try await train(words, 0) == plain)
        #expect(try await train(silent, 0.7) == plain)
        #expect(try await train(words, 0.7) != plain)
    }

    @Test("It learns what always comes next, with both heads")
    func learns() async throws {
        var model = SmallModel()
        model.histories = (0..<8).map { start in (0..<5).map { Int32((start + $0) % 5) } }
        model.parameters = ItemModelParameters(model.layout, seed: 1)
        let trainer = try trainer(
            model,
            Self.training {
                $0.epochsMax = 40
                $0.batchSequences = 4
                $0.dropout = 0
            })
        let first = await trainer.runEpoch()
        var last = first
        for _ in 1..<40 { last = await trainer.runEpoch() }
        #expect(last.item < 0.2 && last.item < first.item)
        #expect(last.answer < 0.2 && last.answer < first.answer)
        #expect(trainer.parameters.identity.counts == [8, 8, 8, 8, 8, 0, 0])
    }

    @Test("Nothing to learn from, or no token head, is no trouble")
    func nothing() async throws {
        var empty = SmallModel()
        empty.histories = []
        let idle = try trainer(empty, Self.training())
        #expect(await idle.runEpoch() == ItemTrainer.Loss())
        let silent = try trainer(SmallModel(), still { $0.answerWeight = 0 })
        let loss = await silent.runEpoch()
        #expect(loss.answer == 0 && loss.item > 0)
    }
}
