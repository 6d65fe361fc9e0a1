// A user's summary as one more row in front of the items: appended to, changed, trained on.

import ReferenceModel
import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("A summary before the items of a history")
struct SummarySegmentTests {
    private static let texts: [[Int32]] = [[1, 14, 15, 16, 9, 2], [1, 17, 2], [1, 5, 18, 2]]

    private func history(_ count: Int, seed: UInt64) -> [Int32] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in Int32(random.below(7)) }
    }

    @Test("Appended item by item equals the full pass at every length up to three windows")
    func appended() {
        for (seesItself, historyMax) in [(true, 5), (false, 5), (true, 1)] {
            let model = SmallModel {
                $0.seesItself = seesItself
                $0.historyMax = historyMax
            }
            let table = model.vectors
            let history = history(3 * historyMax + 2, seed: 1)
            var scorer = ItemScorer(model.parameters)
            let summary = scorer.textVectors(of: [Self.texts[0]])
            for length in 1...history.count {
                let start = Array(history[..<length])
                let state = model.historyState(start, summary: summary, table: table)
                let full = scorer.states(of: [start], summaries: [Self.texts[0]], table: table)
                #expect(close(state.query, full), "\(length)")
                #expect(state.rows == min(length, historyMax) + 1)
                #expect(state.caches[0].rows == state.rows)
                let without = scorer.states(of: [start], table: table)
                #expect(!close(state.query, without), "the summary is read")
            }
        }
    }

    @Test("With two inter blocks equals the full pass until something is dropped")
    func twoBlocks() {
        let model = SmallModel { $0.interBlocks = 2 }
        let table = model.vectors
        let history = history(2 * model.shape.historyMax, seed: 2)
        var scorer = ItemScorer(model.parameters)
        let summary = scorer.textVectors(of: [Self.texts[1]])
        for length in 1...history.count {
            let start = Array(history[..<length])
            let state = model.historyState(start, summary: summary, table: table)
            guard length <= model.shape.historyMax else {
                #expect(state.caches.allSatisfy { $0.rows == model.shape.historyMax + 1 })
                #expect(state.query.allSatisfy { $0.isFinite })
                continue
            }
            let full = scorer.states(of: [start], summaries: [Self.texts[1]], table: table)
            #expect(close(state.query, full), "\(length)")
        }
    }

    @Test("A batch of histories with and without summaries is each of them alone")
    func batch() {
        let model = SmallModel()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        let summaries = [Self.texts[0], [], Self.texts[2], Self.texts[1]]
        let together = scorer.states(of: model.histories, summaries: summaries, table: table)
        for (index, history) in model.histories.enumerated() {
            let alone = scorer.states(
                of: [history], summaries: [summaries[index]], table: table)
            #expect(close(model.row(index, of: together), alone))
        }
        let none = scorer.states(of: model.histories, table: table)
        let empty = [[Int32]](repeating: [], count: model.histories.count)
        let same = scorer.states(of: model.histories, summaries: empty, table: table)
        #expect(same == none, "no summary is nothing, to the bit")
    }

    /// Any histories and summaries at any time: what the cache answers is what the full pass does.
    @Test("The cache equals the full pass whatever becomes", arguments: 0..<4 as Range<UInt64>)
    func cache(_ seed: UInt64) throws {
        let model = SmallModel()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        var cache = HistoryStateCache(model.parameters, capacity: 3)
        var random = SeededRandom(seed: seed)
        var histories = Array(repeating: [Int32](), count: 5)
        var summaries = Array(repeating: 0, count: 5)
        for _ in 0..<200 {
            let user = random.below(histories.count)
            if random.below(5) == 0 { summaries[user] = random.below(4) }
            histories[user].append(Int32(random.below(7)))
            let text = summaries[user] == 0 ? [] : Self.texts[summaries[user] - 1]
            var reader = scorer
            let state = cache.state(
                of: UInt64(user), history: histories[user], summaryKey: UInt64(summaries[user]),
                summary: { text.isEmpty ? [] : reader.textVectors(of: [text]) },
                vector: { model.row(Int($0), of: table) })
            let full = scorer.states(of: [histories[user]], summaries: [text], table: table)
            #expect(close(try #require(state).query, full))
        }
    }

    @Test("Another summary rebuilds its user and nobody else; the same one costs nothing")
    func rebuilt() {
        let model = SmallModel()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        let vectors = Self.texts.map { scorer.textVectors(of: [$0]) }
        var cache = HistoryStateCache(model.parameters, capacity: 8)
        var asked = 0
        func ask(_ user: UInt64, _ history: [Int32], summary: Int) -> [Int] {
            let before = [cache.rowCount, cache.hitCount, cache.rebuildCount]
            _ = cache.state(
                of: user, history: history, summaryKey: UInt64(summary),
                summary: {
                    asked += 1
                    return vectors[summary]
                }, vector: { model.row(Int($0), of: table) })
            return zip([cache.rowCount, cache.hitCount, cache.rebuildCount], before).map { $0 - $1 }
        }
        #expect(ask(1, [0, 1, 2], summary: 1) == [3, 0, 1])
        #expect(ask(2, [0, 1, 2], summary: 1) == [3, 0, 1])
        #expect(ask(1, [0, 1, 2], summary: 1) == [0, 1, 0])
        #expect(ask(1, [0, 1, 2, 3], summary: 1) == [1, 0, 0])
        #expect(asked == 2)
        #expect(ask(1, [0, 1, 2, 3], summary: 2) == [4, 0, 1])
        #expect(ask(2, [0, 1, 2], summary: 1) == [0, 1, 0], "another user's state stays")
        #expect(asked == 3)
    }

    @Test("The token head's answers see it")
    func answers() throws {
        let model = SmallModel()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        let items = (0..<7 as Range<Int32>).filter { model.listed[Int($0)] == 1 }
        let twin = model.reference
        for text in [[]] + Self.texts {
            let summary = text.isEmpty ? [] : scorer.textVectors(of: [text])
            var head = TokenHead(
                model.parameters, trie: try model.table.trie, beginToken: SmallModel.beginToken)
            let state = model.historyState([0, 4], summary: summary, table: table)
            let ours = try head.logLikelihoods(of: items, after: state)
            let before =
                (text.isEmpty ? [] : [twin.textVector(text.map(Int.init))])
                + [0, 4].map { model.row($0, of: table).map(Double.init) }
            for (item, likelihood) in zip(items, ours) {
                let loss = twin.answerLoss(
                    model.items[Int(item)].map(Int.init), after: before,
                    items: model.items.map { $0.map(Int.init) },
                    listed: model.listed.map { $0 == 1 })
                #expect(abs(likelihood + loss) < 1e-4)
            }
        }
    }

    // MARK: - Training

    private func read(_ change: (inout ItemModelShape) -> Void = { _ in }) -> SmallModel {
        var model = SmallModel(seed: 5, change)
        model.summaries = [Self.texts[0], [], Self.texts[1], Self.texts[2]]
        return model
    }

    private func train(_ model: SmallModel, epochs: Int = 2) async throws -> ItemTrainer {
        var training = ItemTraining()
        training.epochsMax = epochs
        training.batchSequences = 3
        training.negatives = 2
        training.warmUpSteps = 2
        let trainer = ItemTrainer(
            model.parameters, items: model.items, sequences: model.histories,
            summaries: model.summaries, answers: try model.table, training: training)
        for _ in 0..<epochs { _ = await trainer.runEpoch() }
        return trainer
    }

    @Test("Histories without summaries are learnt to the bit as before there were any")
    func noneIsNothing() async throws {
        let model = SmallModel()
        var empty = model
        empty.summaries = model.histories.map { _ in [] }
        let plain = try await train(model).progress
        #expect(try await train(empty).progress == plain)
    }

    @Test("The same seed gives the same model, another summary another")
    func repeatable() async throws {
        let model = read()
        let first = try await train(model).progress
        #expect(try await train(model).progress == first)
        var other = model
        other.summaries[0] = Self.texts[1]
        #expect(try await train(other).progress.values != first.values)
    }

    @Test("A shape that reads summaries says so and counts their memory; any other is as before")
    func shapes() {
        let plain = SmallModel().shape
        var reading = plain
        reading.summaries = SummaryReading(summariserVersion: 7)
        #expect(
            HistoryState.bytes(of: reading) - HistoryState.bytes(of: plain)
                == 4 * 3 * plain.width)
        // Versions of stored models are made of this text.
        #expect(
            ItemModelShape(vocabulary: 20).described
                == "ItemModelShape(vocabulary: 20, width: 64, heads: 2, feedForward: 160, "
                + "intraBlocks: 1, interBlocks: 1, contentTokensMax: 10, historyMax: 30, "
                + "gateHalf: 3.0, rotaryBase: 10000.0, epsilon: 1e-06, "
                + "vectors: ItemModel.ItemVectors.gated, "
                + "attention: ItemModel.HistoryAttention.split, seesItself: true)")
        #expect(reading.described.contains("summariserVersion: 7"))
    }
}
