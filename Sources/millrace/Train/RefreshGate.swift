// The gate of a refresh: candidate and what serves are asked the same newest events, in their order, and the candidate
// goes through when sequential tests say that it is not worse, by likelihood and by the ranking. Likelihood alone is
// not enough: events with shuffled labels still tell what is popular now, and a model that has learnt that from them is
// the likelier one and makes the worse lists (docs/refresh.md).

import Evaluation
import ItemModel
import Tensors

struct RefreshGate {
    /// How two models answered the same events.
    struct Verdict {
        /// Of the log-likelihood of the target, in nats.
        var likelihood: NotWorseTest
        /// Of NDCG@10.
        var gain: NotWorseTest
        /// Means, candidate's minus the other's.
        var likelihoodDifference: Estimate
        var gainDifference: Estimate
        var candidate: [Rank]
        var current: [Rank]

        var hasPassed: Bool { likelihood.hasPassed && gain.hasPassed }

        var text: String {
            """
            gate, on \(grouped(candidate.count)) newest events: \(hasPassed ? "passed" : "refused")
              log-likelihood \(line(likelihood, likelihoodDifference))
              NDCG@10        \(line(gain, gainDifference))
              candidate \(candidate.summary)
              current   \(current.summary)
            """
        }

        private func line(_ test: NotWorseTest, _ difference: Estimate) -> String {
            let claim =
                test.passedAt.map { "not worse, decided after \(grouped($0))" }
                ?? "not shown to be not worse"
            return "\(difference.mean < 0 ? "" : "+")\(fixed(difference.mean, 4)), standard error "
                + "\(fixed(difference.standardError, 4)), margin \(fixed(test.margin, 3)): \(claim)"
        }
    }

    struct Margins {
        /// Nats an event.
        var likelihood = 0.01
        /// NDCG@10.
        var gain = 0.005
        /// Probability of passing what is worse by more than either.
        var error = 0.05
    }

    /// Items' text vectors, items × width.
    let textVectors: [Float]
    let listed: [UInt8]
    /// Of a summary's text; none where the models read none.
    var summaryTokens: (String) -> [Int32] = { _ in [] }

    private static let rowsMax = 256

    func judge(
        _ candidate: ItemModelParameters, against current: ItemModelParameters,
        on cases: [RefreshData.Case], margins: Margins = Margins(),
        progress: (Int) -> Void = { _ in }
    ) -> Verdict {
        var likelihood = NotWorseTest(margin: margins.likelihood, error: margins.error, cut: 2)
        var gain = NotWorseTest(margin: margins.gain, error: margins.error, cut: 1)
        var differences: (likelihood: [Double], gain: [Double]) = ([], [])
        var ranks: (candidate: [Rank], current: [Rank]) = ([], [])
        var scorers = (ItemScorer(candidate), ItemScorer(current))
        let tables = (table(candidate), table(current))
        for start in stride(from: 0, to: cases.count, by: Self.rowsMax) {
            let part = Array(cases[start..<min(cases.count, start + Self.rowsMax)])
            let own = answers(&scorers.0, tables.0, part)
            let other = answers(&scorers.1, tables.1, part)
            for (one, two) in zip(own, other) {
                differences.likelihood.append(one.logLikelihood - two.logLikelihood)
                differences.gain.append(
                    Metric.gain.value(one.rank, cutoff: 10)
                        - Metric.gain.value(two.rank, cutoff: 10))
                likelihood.add(differences.likelihood[differences.likelihood.count - 1])
                gain.add(differences.gain[differences.gain.count - 1])
                ranks.candidate.append(one.rank)
                ranks.current.append(two.rank)
            }
            progress(start + part.count)
        }
        let events = cases.indices.map(Int32.init)
        return Verdict(
            likelihood: likelihood, gain: gain,
            likelihoodDifference: Estimate(differences.likelihood, users: events),
            gainDifference: Estimate(differences.gain, users: events),
            candidate: ranks.candidate, current: ranks.current)
    }

    private func table(_ parameters: ItemModelParameters) -> [Float] {
        var table = textVectors
        let count = textVectors.count / parameters.layout.shape.width
        parameters.addIdentity((0..<Int32(count)).map { $0 }, to: &table)
        return table
    }

    func answers(
        _ scorer: inout ItemScorer, _ table: [Float], _ cases: [RefreshData.Case]
    ) -> [(logLikelihood: Double, rank: Rank)] {
        let states = scorer.states(
            of: cases.map(\.history), summaries: cases.map { summaryTokens($0.summary) },
            table: table)
        let logits = scorer.logits(states: states, table: table)
        let columns = listed.count
        return cases.enumerated().map { row, one in
            // An item without a record is no choice; the target is one even then.
            var scores: [Double] = []
            var kept: [Float] = []
            scores.reserveCapacity(columns)
            for column in 0..<columns {
                let logit = logits[row * columns + column]
                scores.append(Double(logit))
                if listed[column] == 1 || column == Int(one.target) { kept.append(logit) }
            }
            var logs = kept
            var out = logs.mutableSpan
            logSoftmax(kept.span, into: &out, rows: 1, width: kept.count)
            let shift = logs.isEmpty ? 0 : Double(kept[0] - logs[0])
            return (
                Double(logits[row * columns + Int(one.target)]) - shift,
                Rank(of: Int(one.target), scores: scores, candidates: listed)
            )
        }
    }
}
