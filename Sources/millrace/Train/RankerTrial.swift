// How well a ranker finds the chosen item among others: Recall@k and MRR@k over one chosen and twenty drawn items, as
// LLM-TRSR reports them.

import Evaluation
import JSONDocuments
import PreferenceRanking
import Transformer

struct RankerTrial {
    static let cutoffs = [3, 5, 10]

    /// A place for every case.
    private(set) var ranks: [Rank] = []
    private let users: [Int32]

    init(
        _ ranker: PreferenceRanker, _ data: RankerData, _ cases: [RankerData.Case],
        progress: (Int) -> Void
    ) throws {
        users = cases.map(\.user)
        for (index, one) in cases.enumerated() {
            let prompts = try ([one.target] + one.others).map {
                try ranker.prompt(data.request(one, candidate: $0))
            }
            ranks.append(Self.rank(try ranker.probabilities(prompts).map(Double.init)))
            progress(index + 1)
        }
    }

    /// By the number of events an item had before.
    init(popularity data: RankerData, _ cases: [RankerData.Case]) {
        users = cases.map(\.user)
        ranks = cases.map { one in
            Self.rank(([one.target] + one.others).map { Double(data.counts[Int($0)]) })
        }
    }

    private static func rank(_ scores: [Double]) -> Rank {
        Rank(of: 0, scores: scores, candidates: Array(repeating: 1, count: scores.count))
    }

    func estimate(_ metric: Metric, cutoff: Int) -> Estimate {
        Estimate(ranks.map { metric.value($0, cutoff: cutoff) }, users: users)
    }

    /// What epochs are chosen by, as in the paper's code: the sum of the recalls.
    var sumOfRecalls: Double {
        Self.cutoffs.reduce(0) { $0 + estimate(.hitRate, cutoff: $1).mean }
    }

    var text: String {
        let parts = Self.cutoffs.map { cutoff in
            let recall = estimate(.hitRate, cutoff: cutoff)
            return "R@\(cutoff) \(fixed(recall.mean, 4))±\(fixed(recall.standardError, 4))"
        }
        let places = Self.cutoffs.map {
            "MRR@\($0) \(fixed(estimate(.reciprocalRank, cutoff: $0).mean, 4))"
        }
        return (parts + places).joined(separator: ", ")
    }

    var document: JSONDocuments.JSONValue {
        .object(
            Self.cutoffs.flatMap { cutoff in
                [("recall", Metric.hitRate), ("mrr", .reciprocalRank)].flatMap { name, metric in
                    let found = estimate(metric, cutoff: cutoff)
                    return [
                        JSONMember("\(name)_\(cutoff)", .real(found.mean)),
                        JSONMember("\(name)_\(cutoff)_error", .real(found.standardError)),
                    ]
                }
            })
    }
}
