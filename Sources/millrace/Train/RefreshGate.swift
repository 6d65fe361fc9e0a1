// The gate of a refresh: candidate and what serves are asked the same newest events, in their order, and the candidate
// goes through when a sequential test says that it is not worse.

import Evaluation
import ItemModel
import Tensors

struct RefreshGate {
    /// How two models answered the same events.
    struct Verdict {
        var test: NotWorseTest
        /// Mean log-likelihood of the target, candidate's minus the other's, nats an event.
        var difference: Estimate
        var candidate: [Rank]
        var current: [Rank]
        var eventCount: Int { candidate.count }

        var text: String {
            let claim =
                test.passedAt.map { "not worse, decided after \(grouped($0))" }
                ?? "not shown to be not worse"
            return """
                gate: \(claim) of \(grouped(eventCount)) newest events \
                (margin \(fixed(test.margin, 3)) nats, error \(fixed(test.error, 3)))
                  log-likelihood an event: \(signed(difference.mean)) \
                (standard error \(fixed(difference.standardError, 4)))
                  candidate \(candidate.summary)
                  current   \(current.summary)
                """
        }

        private func signed(_ value: Double) -> String {
            (value < 0 ? "" : "+") + fixed(value, 4)
        }
    }

    /// Items' text vectors, items × width.
    let textVectors: [Float]
    let listed: [UInt8]

    private static let rowsMax = 256

    func judge(
        _ candidate: ItemModelParameters, against current: ItemModelParameters,
        on cases: [RefreshData.Case], test: NotWorseTest, progress: (Int) -> Void = { _ in }
    ) -> Verdict {
        var test = test
        var differences: [Double] = []
        var ranks: (candidate: [Rank], current: [Rank]) = ([], [])
        var scorers = (ItemScorer(candidate), ItemScorer(current))
        let tables = (table(candidate), table(current))
        for start in stride(from: 0, to: cases.count, by: Self.rowsMax) {
            let part = Array(cases[start..<min(cases.count, start + Self.rowsMax)])
            let own = answers(&scorers.0, tables.0, part)
            let other = answers(&scorers.1, tables.1, part)
            for (one, two) in zip(own, other) {
                test.add(one.logLikelihood - two.logLikelihood)
                differences.append(one.logLikelihood - two.logLikelihood)
                ranks.candidate.append(one.rank)
                ranks.current.append(two.rank)
            }
            progress(start + part.count)
        }
        return Verdict(
            test: test,
            difference: Estimate(differences, users: differences.indices.map(Int32.init)),
            candidate: ranks.candidate, current: ranks.current)
    }

    private func table(_ parameters: ItemModelParameters) -> [Float] {
        var table = textVectors
        let count = textVectors.count / parameters.layout.shape.width
        parameters.addIdentity((0..<Int32(count)).map { $0 }, to: &table)
        return table
    }

    private func answers(
        _ scorer: inout ItemScorer, _ table: [Float], _ cases: [RefreshData.Case]
    ) -> [(logLikelihood: Double, rank: Rank)] {
        let states = scorer.states(of: cases.map(\.history), table: table)
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
