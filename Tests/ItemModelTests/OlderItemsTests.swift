// The mean of what has left the window, as the row in front: slid into, changed, trained on.

import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("The mean of the items before the window")
struct OlderItemsTests {
    private static let texts: [[Int32]] = [[], [1, 14, 15, 16, 9, 2], [1, 17, 2]]

    private static func model(_ change: (inout ItemModelShape) -> Void = { _ in }) -> SmallModel {
        SmallModel(seed: 7) {
            $0.older = .mean
            $0.historyMax = 3
            change(&$0)
        }
    }

    @Test("Appended item by item equals the full pass at every length, with a summary and without")
    func appended() {
        for (seesItself, historyMax) in [(true, 3), (false, 3), (true, 1)] {
            let model = Self.model {
                $0.seesItself = seesItself
                $0.historyMax = historyMax
            }
            let table = model.vectors
            var scorer = ItemScorer(model.parameters)
            for text in Self.texts {
                let summary = text.isEmpty ? [] : scorer.textVectors(of: [text])
                for length in 1...7 {
                    let history = Array([2, 4, 0, 1, 6, 3, 5].prefix(length).map(Int32.init))
                    let state = model.historyState(history, summary: summary, table: table)
                    let full = scorer.states(of: [history], summaries: [text], table: table)
                    #expect(close(state.query, full), "\(length)")
                    let hasFront = !text.isEmpty || length > historyMax
                    #expect(state.rows == min(length, historyMax) + (hasFront ? 1 : 0))
                    #expect(state.caches[0].rows == state.rows)
                }
            }
        }
    }

    @Test(
        "The running sum is the full pass's sum to the bit, and the order of the older items does not matter to it"
    )
    func exact() {
        let model = Self.model()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        let slid = model.historyState([2, 4, 0, 1, 6, 3, 5], table: table)
        let built = model.historyState([6, 3, 5], older: [2, 4, 0, 1], table: table)
        #expect(slid.older == built.older)
        #expect(close(slid.query, built.query))
        let turned = scorer.states(of: [[1, 0, 4, 2, 6, 3, 5]], table: table)
        #expect(close(slid.query, turned))
        let other = scorer.states(of: [[1, 0, 4, 6, 3, 5]], table: table)
        #expect(!close(slid.query, other), "they are read")
    }

    @Test("Nothing older is the plain model, to the bit")
    func absent() {
        let model = Self.model()
        var plain = ItemModelParameters(
            ItemModelLayout(SmallModel.shape { $0.historyMax = 3 }), seed: 1)
        plain.values = Array(model.parameters.values.prefix(plain.values.count))
        plain.identity = model.parameters.identity
        let table = model.vectors
        var (scorer, twin) = (ItemScorer(model.parameters), ItemScorer(plain))
        for history in [[2], [4, 1], [0, 5, 3]] as [[Int32]] {
            #expect(
                scorer.states(of: [history], table: table)
                    == twin.states(of: [history], table: table))
        }
        let (long, rest): ([Int32], [Int32]) = ([6, 0, 5, 3], [0, 5, 3])
        #expect(
            !close(
                scorer.states(of: [long], table: table), scorer.states(of: [rest], table: table)))
        #expect(twin.states(of: [long], table: table) == twin.states(of: [rest], table: table))
    }

    @Test("An item that was met again counts once, at its last place")
    func repeated() {
        let model = Self.model()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        #expect(
            scorer.states(of: [[2, 6, 4, 2, 1, 6, 3, 5]], table: table)
                == scorer.states(of: [[4, 2, 1, 6, 3, 5]], table: table))
    }

    /// A user as the daemon keeps one: an item that comes again moves to the end, the oldest leave, some lose their
    /// vectors and get them back.
    @Test("The cache equals the full pass whatever becomes", arguments: 0..<4 as Range<UInt64>)
    func cache(_ seed: UInt64) throws {
        let model = Self.model()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        var cache = HistoryStateCache(model.parameters, capacity: 3)
        var random = SeededRandom(seed: seed)
        var histories = Array(repeating: [Int32](), count: 4)
        var summaries = Array(repeating: 0, count: 4)
        var hidden: Int32 = 7
        for _ in 0..<300 {
            let user = random.below(histories.count)
            if random.below(8) == 0 { summaries[user] = random.below(3) }
            if random.below(8) == 0 { hidden = Int32(random.below(8)) }
            if random.below(12) == 0 { histories[user] = [] }
            let item = Int32(random.below(7))
            histories[user].removeAll { $0 == item }
            histories[user] = (histories[user] + [item]).suffix(6)
            let history = histories[user].filter { $0 != hidden }
            guard !history.isEmpty else { continue }
            let text = Self.texts[summaries[user]]
            var reader = scorer
            let state = cache.state(
                of: UInt64(user), history: history, summaryKey: UInt64(summaries[user]),
                summary: { text.isEmpty ? [] : reader.textVectors(of: [text]) },
                vector: { model.row(Int($0), of: table) })
            let full = scorer.states(of: [history], summaries: [text], table: table)
            #expect(close(try #require(state).query, full))
        }
    }

    @Test("An append costs one row of the cache at any length, an item met again three")
    func cost() {
        let model = Self.model()
        let table = model.vectors
        var cache = HistoryStateCache(model.parameters, capacity: 3)
        func ask(_ history: [Int32]) -> (rows: Int, vectors: Int, rebuilds: Int) {
            let before = (cache.rowCount, cache.rebuildCount)
            var vectors = 0
            _ = cache.state(
                of: 1, history: history,
                vector: {
                    vectors += 1
                    return model.row(Int($0), of: table)
                })
            return (cache.rowCount - before.0, vectors, cache.rebuildCount - before.1)
        }
        #expect(ask([0, 1, 2, 3, 4]) == (3, 5, 1))
        #expect(ask([0, 1, 2, 3, 4, 5]) == (1, 2, 0))
        #expect(ask([0, 1, 2, 3, 4, 5]) == (0, 0, 0))
        #expect(ask([0, 2, 3, 4, 5, 1]) == (3, 6, 0), "the mean is made anew, the window slides")
    }

    // MARK: - Training

    private func train(_ model: SmallModel, epochs: Int = 2) async throws -> ItemTrainer.Progress {
        var training = ItemTraining()
        training.epochsMax = epochs
        training.batchSequences = 3
        training.negatives = 2
        training.warmUpSteps = 2
        let trainer = ItemTrainer(
            model.parameters, items: model.items, sequences: model.histories,
            summaries: model.summaries, older: model.older, answers: try model.table,
            training: training)
        for _ in 0..<epochs { _ = await trainer.runEpoch() }
        return trainer.progress
    }

    @Test("The same seed gives the same model, other older items another")
    func repeatable() async throws {
        var model = Self.model { $0.historyMax = 5 }
        model.summaries = [Self.texts[1], [], Self.texts[2], []]
        model.older = [[5, 4], [3, 1], [], [6]]
        let first = try await train(model)
        #expect(try await train(model) == first)
        var other = model
        other.older[1] = [3, 2]
        #expect(try await train(other).values != first.values)
    }

    @Test("Histories without older items are learnt to the bit as by a model that reads none")
    func noneIsNothing() async throws {
        var model = Self.model { $0.historyMax = 5 }
        model.older = model.histories.map { _ in [] }
        var plain = model
        let layout = ItemModelLayout(SmallModel.shape())
        plain.parameters = ItemModelParameters(
            layout, values: Array(model.parameters.values.prefix(layout.parameters.count)),
            identity: model.parameters.identity)
        plain.older = []
        let (with, without) = (try await train(model), try await train(plain))
        #expect(with.values.prefix(without.values.count) == without.values[...])
        #expect(with.identity == without.identity)
    }

    @Test("A shape that reads them says so and counts their memory")
    func shapes() {
        let plain = SmallModel.shape()
        var reading = plain
        reading.older = .mean
        #expect(
            HistoryState.bytes(of: reading) - HistoryState.bytes(of: plain) == 4 * 3 * plain.width)
        #expect(reading.described.contains("older: Optional(ItemModel.OlderReading.mean)"))
        #expect(!plain.described.contains("older"))
        let added = Set(ItemModelLayout(reading).parameters.entries.map(\.name))
            .subtracting(ItemModelLayout(plain).parameters.entries.map(\.name))
        #expect(added == ["millrace.older_norm.weight"])
    }
}
