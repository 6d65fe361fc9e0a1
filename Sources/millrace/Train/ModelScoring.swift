// Full rankings by a model, for choosing an epoch and for a split's test rows.

import Evaluation
import ItemModel

struct ModelScoring {
    private let items: [[Int32]]
    private let listed: [UInt8]
    private let ranksSeen: Bool

    private static let rowsMax = 256

    init(items: [[Int32]], set: ItemDataset) {
        self.items = items
        listed = set.listed
        ranksSeen = set.ranksSeen
    }

    mutating func ranks(
        of cases: [ItemDataset.Case], _ parameters: ItemModelParameters
    ) -> [Rank] {
        var scorer = ItemScorer(parameters)
        let table = scorer.vectors(
            of: items.enumerated().map { (number: Int32($0.offset), tokens: $0.element) })
        var ranks: [Rank] = []
        ranks.reserveCapacity(cases.count)
        for start in stride(from: 0, to: cases.count, by: Self.rowsMax) {
            let part = cases[start..<min(cases.count, start + Self.rowsMax)]
            let states = scorer.states(of: part.map(\.history), table: table)
            let logits = scorer.logits(states: states, table: table)
            for (row, one) in part.enumerated() {
                let scores = logits[row * items.count..<(row + 1) * items.count].map(Double.init)
                var candidates = listed
                if !ranksSeen { for item in one.history { candidates[Int(item)] = 0 } }
                ranks.append(Rank(of: Int(one.target), scores: scores, candidates: candidates))
            }
        }
        return ranks
    }
}

extension [Rank] {
    func mean(_ metric: Metric) -> Double {
        reduce(0) { $0 + metric.value($1, cutoff: 10) } / Double(Swift.max(1, count))
    }

    var summary: String {
        "HR@10 \(fixed(mean(.hitRate), 4)), NDCG@10 \(fixed(mean(.gain), 4))"
    }
}
