// How the model that serves does on events that it has not learnt from, and whether the one before it would have done
// better. Both answer the same sampled events, each from what its user had done before; neither answer is served.

import Evaluation
import Interactions
import ItemModel
import ModelFolders
import Pipeline
import Summaries

struct ShadowJudge {
    /// A model with vectors of all items that are judged by; its identity rows are those of its own items.
    fileprivate struct Side {
        var scorer: ItemScorer
        let table: [Float]

        init(_ model: ItemModelFolder, textVectors: [Float], rows: [ItemID: Int]) {
            scorer = ItemScorer(model.parameters)
            var table = textVectors
            let width = model.parameters.layout.shape.width
            for (number, item) in model.items.enumerated() {
                guard let row = rows[item] else { continue }
                var vector = Array(table[row * width..<(row + 1) * width])
                model.parameters.addIdentity([Int32(number)], to: &vector)
                table.replaceSubrange(row * width..<(row + 1) * width, with: vector)
            }
            self.table = table
        }
    }

    /// The model on probation, by its version, and what would serve instead.
    struct Probation {
        let version: String
        var test: NotWorseTest
        var left: Int
        fileprivate var before: Side
    }

    private let gate: RefreshGate
    private let textVectors: [Float]
    private let rows: [ItemID: Int]
    private let numbers: [ItemKey: Int32]
    private var serving: Side
    private(set) var probation: Probation?
    private(set) var sampleCount = 0
    /// NDCG@10 of the model that serves: over its first window, and over the latest whole one.
    private(set) var firstGain: Double?
    private(set) var latestGain: Double?
    private var window = (count: 0, sum: 0.0)

    static let windowCount = 2_000

    /// Judges by the base's items and the catalogue as it is.
    init(
        serving: ItemModelFolder, base: ItemModelFolder, items: [ItemRecord]
    ) {
        var rows: [ItemID: Int] = [:]
        var texts: [[Int32]] = []
        for (item, title) in items.map({ ($0.id, $0.title) }) + base.items.map({ ($0, $0.text) })
        where rows[item] == nil {
            rows[item] = texts.count
            texts.append(base.tokens(of: title))
        }
        var scorer = ItemScorer(base.parameters)
        textVectors = scorer.textVectors(of: texts)
        // What only the model knows cannot be listed.
        let listed = (0..<texts.count).map { UInt8($0 < items.count ? 1 : 0) }
        gate = RefreshGate(
            textVectors: textVectors, listed: listed, summaryTokens: base.summaryTokens)
        numbers = Dictionary(rows.map { ($0.key.key, Int32($0.value)) }) { first, _ in first }
        self.rows = rows
        self.serving = Side(serving, textVectors: textVectors, rows: rows)
    }

    /// From now on the two are compared; the test says "not worse" of the earlier one when the later one is worse.
    mutating func begin(
        _ version: String, against before: ItemModelFolder, samples: Int, error: Double
    ) {
        probation = Probation(
            version: version, test: NotWorseTest(margin: 0, error: error, cut: 1), left: samples,
            before: Side(before, textVectors: textVectors, rows: rows))
    }

    /// How far the accuracy has fallen, as a share of what it was at first; nil before there is enough to say.
    var drift: Double? {
        guard let firstGain, let latestGain, firstGain > 0 else { return nil }
        return max(0, 1 - latestGain / firstGain)
    }

    enum Finding: Equatable {
        case worse(String)
        /// The probation is over.
        case kept
    }

    /// Takes samples in their order; a finding ends the probation.
    mutating func judge(_ samples: [EventSample]) -> Finding? {
        let cases = samples.compactMap { sample -> RefreshData.Case? in
            let history = sample.history.compactMap { numbers[$0] }
            guard let target = numbers[sample.target], !history.isEmpty else { return nil }
            return RefreshData.Case(
                history: history, target: target,
                summary: SummaryTrail.template.text(ofStored: sample.summary))
        }
        guard !cases.isEmpty else { return nil }
        let own = gains(&serving, cases)
        for gain in own { note(gain) }
        guard var probation else { return nil }
        let other = gains(&probation.before, cases)
        for (mine, before) in zip(own, other) { probation.test.add(before - mine) }
        probation.left -= cases.count
        self.probation = probation
        if probation.test.hasPassed {
            self.probation = nil
            return .worse(
                "NDCG@10 on \(grouped(probation.test.count)) newer events is worse than before, shown by a "
                    + "test with error \(probation.test.error)")
        }
        guard probation.left <= 0 else { return nil }
        self.probation = nil
        return .kept
    }

    private func gains(_ side: inout Side, _ cases: [RefreshData.Case]) -> [Double] {
        gate.answers(&side.scorer, side.table, cases).map {
            Metric.gain.value($0.rank, cutoff: 10)
        }
    }

    private mutating func note(_ gain: Double) {
        sampleCount += 1
        window.count += 1
        window.sum += gain
        guard window.count >= Self.windowCount else { return }
        latestGain = window.sum / Double(window.count)
        if firstGain == nil { firstGain = latestGain }
        window = (0, 0)
    }
}
