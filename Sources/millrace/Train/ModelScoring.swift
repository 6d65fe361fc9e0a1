// Full rankings by a model, for choosing an epoch and for a split's test rows.

import Evaluation
import Glibc
import ItemModel
import TokenTrie

struct ModelScoring {
    private let items: [[Int32]]
    private let listed: [UInt8]
    private let ranksSeen: Bool
    /// Of a summary's text; none where the model reads none.
    private let summaryTokens: (String) -> [Int32]

    private static let rowsMax = 256

    init(
        items: [[Int32]], set: ItemDataset,
        summaryTokens: @escaping (String) -> [Int32] = { _ in [] }
    ) {
        self.summaryTokens = summaryTokens
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
        // Without text, an item that was never seen has nothing to be scored by.
        let counts = parameters.identity.counts
        let speechless =
            parameters.layout.shape.vectors == .identity
            ? items.indices.filter { counts[$0] == 0 } : []
        var ranks: [Rank] = []
        ranks.reserveCapacity(cases.count)
        for start in stride(from: 0, to: cases.count, by: Self.rowsMax) {
            let part = cases[start..<min(cases.count, start + Self.rowsMax)]
            let histories = part.map(\.history)
            let states =
                switch parameters.layout.shape.attention {
                case .split:
                    scorer.states(
                        of: histories, summaries: part.map { summaryTokens($0.summary) },
                        table: table)
                case .plain: scorer.states(of: histories, tokens: items)
                }
            let logits = scorer.logits(states: states, table: table)
            for (row, one) in part.enumerated() {
                var scores = logits[row * items.count..<(row + 1) * items.count].map(Double.init)
                for item in speechless { scores[item] = -.infinity }
                var candidates = listed
                if !ranksSeen { for item in one.history { candidates[Int(item)] = 0 } }
                ranks.append(Rank(of: Int(one.target), scores: scores, candidates: candidates))
            }
        }
        return ranks
    }
}

extension ModelScoring {
    struct AnswerOutcome {
        var exact: [Rank] = []
        /// By the likelihoods of the paths a beam found; what it did not find has none.
        var beam: [Rank] = []
        /// How far the probabilities of all distinct paths are from 1 at most.
        var massError = 0.0
    }

    /// Ranks by the token head's exact likelihoods of all listed items, and by a beam of 20.
    func answerRanks(
        of cases: [ItemDataset.Case], _ parameters: ItemModelParameters, _ trie: CatalogueTrie,
        beginToken: Int32, progress: (Int) -> Void
    ) throws -> AnswerOutcome {
        var scorer = ItemScorer(parameters)
        let table = scorer.vectors(
            of: items.enumerated().map { (number: Int32($0.offset), tokens: $0.element) })
        var states = HistoryStateCache(parameters, capacity: 1)
        var head = TokenHead(parameters, trie: trie, beginToken: beginToken)
        let all = (0..<Int32(items.count)).filter { listed[Int($0)] == 1 }
        let width = parameters.layout.shape.width
        var outcome = AnswerOutcome()
        for (index, one) in cases.enumerated() {
            guard
                let history = states.state(
                    of: UInt64(index), history: one.history,
                    summary: {
                        let tokens = summaryTokens(one.summary)
                        return tokens.isEmpty ? [] : scorer.textVectors(of: [tokens])
                    },
                    vector: { Array(table[Int($0) * width..<(Int($0) + 1) * width]) })
            else { continue }
            let likelihoods = try head.logLikelihoods(of: all, after: history)
            var scores = [Double](repeating: -.infinity, count: items.count)
            var paths: [[Int32]: Double] = [:]
            for (item, likelihood) in zip(all, likelihoods) {
                scores[Int(item)] = likelihood
                paths[items[Int(item)]] = exp(likelihood)
            }
            outcome.massError = max(
                outcome.massError, abs(paths.values.reduce(0, +) - 1))
            outcome.exact.append(
                Rank(of: Int(one.target), scores: scores, candidates: listed))
            var found = [Double](repeating: -.infinity, count: items.count)
            for result in try head.beam(width: 20, after: history) {
                for item in result.items { found[Int(item)] = result.logLikelihood }
            }
            outcome.beam.append(Rank(of: Int(one.target), scores: found, candidates: listed))
            progress(index + 1)
        }
        return outcome
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
