// The combined list: served while something was learnt, fitted beside serving, explained feature by feature.
//
// Which weights serve at which event depends on the events alone. A fit that is late is therefore waited for: nothing
// is folded whose events would be ordered by weights that are not there yet, while lists go on being answered.

public import Combiner
import DequeModule
import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    /// Has a fit made that the events just applied have begun, and forgets lists of weights of before.
    func tendMixture() {
        guard engine.combiner != nil else { return }
        if let fit = engine.takeFitOrder() { act(.fitMixture(fit, generation)) }
        let version = engine.combiner?.weights.version ?? 0
        if version != mixtureVersion {
            mixtureVersion = version
            versions.raiseAll()
            journalWeights()
        }
    }

    public func mixtureFitted(_ ticket: Ticket, _ weights: CombinerWeights) {
        guard ticket == generation else { return }
        engine.deliver(weights)
        for partition in owned.keys.sorted() { foldReady(partition) }
    }

    /// Whether so many more runs may be folded before the weights of a fit under way are needed.
    func isBeforeFit(_ runs: [Pending], _ next: Pending) -> Bool {
        guard let left = engine.listsBeforeFitDue else { return true }
        var chosen = 0
        for run in runs + [next] {
            for case .log(let record) in run.entries {
                guard case .interaction(let event) = record.entry else { continue }
                if engine.isToTeach(event, at: record.offset) { chosen += 1 }
            }
        }
        return chosen < left
    }

    // MARK: - To be seen

    private func journalWeights() {
        guard let combiner = engine.combiner else { return }
        enter(
            .weights(
                version: combiner.weights.version, ordering: combiner.ordering,
                values: Feature.allCases.map { combiner.weights.relative($0) }))
    }

    func enter(_ entry: PrequentialJournal.Entry) {
        if configuration.prequential { journal.add(entry, wall: wall) }
    }

    public func journal(
        from number: UInt64, count: Int, reply: (Result<JournalPage, PortError>) -> Void
    ) {
        guard configuration.prequential else {
            return reply(
                .failure(
                    PortError(.refused, "no journal is kept: set serving.prequential: true")))
        }
        reply(.success(journal.page(from: number, count: count)))
    }

    private var mixtureMeters: [(name: String, meter: Meter)] {
        guard let combiner = engine.combiner else { return [] }
        return [("served", combiner.served)]
            + Ordering.all.map { ordering in
                let name = ordering.name
                return (
                    name.hasPrefix("mix-") && ordering != .linear
                        ? String(name.dropFirst(4)) : name, combiner.meter(of: ordering)
                )
            }.filter { $0.1.listCount > 0 }
    }

    var mixtureGauges: [(String, Double)] {
        guard let combiner = engine.combiner else { return [] }
        return rankerGauges + [
            ("mixture_version", Double(combiner.weights.version)),
            ("mixture_lists_scored", Double(combiner.scoredCount)),
        ]
            + mixtureMeters.flatMap { name, meter in
                let metric = "mixture_" + String(name.map { $0 == "-" ? "_" : $0 })
                let count = Double(max(meter.listCount, 1))
                return [
                    (metric + "_hit_rate", meter.hitRate), (metric + "_gain", meter.gain),
                    (metric + "_hit_rate_total", Double(meter.hitCount) / count),
                    (metric + "_gain_total", meter.gainSum / count),
                ]
            }
    }

    var mixtureInfo: [InfoSection] {
        guard let combiner = engine.combiner else { return [] }
        func rounded(_ value: Double) -> Double { (value * 1e5).rounded() / 1e5 }
        let meters = mixtureMeters.map { name, meter in
            let count = Double(max(meter.listCount, 1))
            return InfoLine(
                "mixture_" + String(name.map { $0 == "-" ? "_" : $0 }),
                "hit_rate=\(rounded(meter.hitRate)),gain=\(rounded(meter.gain)),"
                    + "hit_rate_total=\(rounded(Double(meter.hitCount) / count)),"
                    + "gain_total=\(rounded(meter.gainSum / count)),lists=\(meter.listCount)")
        }
        return [
            InfoSection(
                title: "Mixture",
                lines: [
                    InfoLine(
                        "mixture_serves", combiner.isReady ? combiner.ordering.name : "not yet"),
                    InfoLine("mixture_version", "\(combiner.weights.version)"),
                    InfoLine("mixture_weights", String(combiner.weights.digest, radix: 16)),
                    InfoLine("mixture_lists_scored", "\(combiner.scoredCount)"),
                ] + meters + rankerInfo)
        ]
    }
}
