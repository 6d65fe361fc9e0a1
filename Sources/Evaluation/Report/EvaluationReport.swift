// What an evaluation found, as values: numbers with their errors, and everything needed to make them again.

/// A file that was read, by its content.
public struct ReportedFile: Sendable, Hashable {
    public var name: String
    public var bytes: Int
    public var sha256: String

    public init(name: String, bytes: Int, sha256: String) {
        self.name = name
        self.bytes = bytes
        self.sha256 = sha256
    }
}

public struct ReportedFact: Sendable, Hashable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Part of the scored events.
public struct ReportedGroup: Sendable, Hashable {
    public var breakdown: String
    public var label: String
    public var count: Int
    public var hitRate: Estimate
    public var gain: Estimate
}

public struct ReportedSource: Sendable, Hashable {
    public var name: String
    public var hitRate: Estimate
    public var gain: Estimate
    public var reciprocalRank: Estimate
    public var groups: [ReportedGroup]
    public var hitRateOverTime: [SeriesPoint]
    public var gainOverTime: [SeriesPoint]
}

/// One source minus another, over the same events.
public struct ReportedDifference: Sendable, Hashable {
    public var source: String
    public var baseline: String
    public var hitRate: Estimate
    public var gain: Estimate
}

/// A chart of something else than accuracy, with what it says.
public struct ReportedFigure: Sendable {
    public var heading: String
    public var text: String
    public var chart: SVGChart

    public init(_ heading: String, _ text: String, _ chart: SVGChart) {
        self.heading = heading
        self.text = text
        self.chart = chart
    }
}

/// One user, to be looked at.
public struct ReportedExample: Sendable, Hashable {
    public var title: String
    public var lines: [ReportedFact]

    public init(_ title: String, _ lines: [ReportedFact]) {
        self.title = title
        self.lines = lines
    }
}

public struct EvaluationReport: Sendable {
    public var title: String
    /// How it was done, in a sentence or two.
    public var method: String
    public var facts: [ReportedFact]
    public var files: [ReportedFile]
    public var cutoff: Int
    public var sources: [ReportedSource]
    public var differences: [ReportedDifference]
    /// What a reader must know before believing the numbers.
    public var warnings: [String]
    /// What happened on the way, in the charts over time.
    public var markers: [SVGChart.Marker] = []
    public var figures: [ReportedFigure] = []
    public var examples: [ReportedExample] = []

    /// Sums up outcomes of the same events, one list a source; the last source is the baseline of the differences.
    public init(
        title: String, method: String, facts: [ReportedFact], files: [ReportedFile], cutoff: Int,
        outcomes: [(name: String, outcomes: [Outcome])], warnings: [String] = []
    ) {
        self.title = title
        self.method = method
        self.facts = facts
        self.files = files
        self.cutoff = cutoff
        self.warnings = warnings
        sources = outcomes.map { Self.source($0.name, $0.outcomes, cutoff: cutoff) }
        differences = []
        guard let baseline = outcomes.last else { return }
        differences = outcomes.dropLast().map { one in
            ReportedDifference(
                source: one.name, baseline: baseline.name,
                hitRate: one.outcomes.difference(
                    from: baseline.outcomes, .hitRate, cutoff: cutoff),
                gain: one.outcomes.difference(from: baseline.outcomes, .gain, cutoff: cutoff))
        }
    }

    private static func source(
        _ name: String, _ outcomes: [Outcome], cutoff: Int
    ) -> ReportedSource {
        var groups: [ReportedGroup] = []
        for breakdown in Breakdown.all {
            let grouped = Dictionary(grouping: outcomes, by: breakdown.group)
            for (index, label) in breakdown.labels.enumerated() {
                guard let members = grouped[index] else { continue }
                groups.append(
                    ReportedGroup(
                        breakdown: breakdown.name, label: label, count: members.count,
                        hitRate: members.estimate(.hitRate, cutoff: cutoff),
                        gain: members.estimate(.gain, cutoff: cutoff)))
            }
        }
        groups += tenths(outcomes, cutoff: cutoff)
        var hitRate = MovingAverage.fitting(events: outcomes.count)
        var gain = hitRate
        for outcome in outcomes {
            hitRate.add(Metric.hitRate.value(outcome.rank, cutoff: cutoff), time: outcome.time)
            gain.add(Metric.gain.value(outcome.rank, cutoff: cutoff), time: outcome.time)
        }
        return ReportedSource(
            name: name, hitRate: outcomes.estimate(.hitRate, cutoff: cutoff),
            gain: outcomes.estimate(.gain, cutoff: cutoff),
            reciprocalRank: outcomes.estimate(.reciprocalRank, cutoff: cutoff), groups: groups,
            hitRateOverTime: hitRate.points, gainOverTime: gain.points)
    }

    /// The scored events in ten parts, in their order: how steady the accuracy is.
    private static func tenths(_ outcomes: [Outcome], cutoff: Int) -> [ReportedGroup] {
        guard outcomes.count >= 100 else { return [] }
        return (0..<10).map { part in
            let range = outcomes.count * part / 10..<outcomes.count * (part + 1) / 10
            let members = Array(outcomes[range])
            return ReportedGroup(
                breakdown: Self.tenthsName, label: "\(part + 1)", count: members.count,
                hitRate: members.estimate(.hitRate, cutoff: cutoff),
                gain: members.estimate(.gain, cutoff: cutoff))
        }
    }

    static let tenthsName = "tenth of the scored events"
    static let breakdownNames = Breakdown.all.map(\.name) + [tenthsName]

    public var scoredCount: Int { sources.first?.hitRate.count ?? 0 }

    /// Accuracy over time, a line a source; nil when time means nothing (fixed splits) or there are too few points.
    public func charts() -> [SVGChart] {
        guard let first = sources.first?.hitRateOverTime, first.count > 2,
            let start = first.first?.time, let end = first.last?.time, end > start
        else { return [] }
        let window = MovingAverage.fitting(events: scoredCount).window
        let note =
            "Mean over the last \(plain(window)) scored events, band: one standard error"
        return [
            chart("HR@\(cutoff) over time", "share of events with a hit", note) {
                $0.hitRateOverTime
            },
            chart("NDCG@\(cutoff) over time", "mean NDCG", note) { $0.gainOverTime },
        ]
    }

    private func chart(
        _ title: String, _ yLabel: String, _ note: String,
        _ points: (ReportedSource) -> [SeriesPoint]
    ) -> SVGChart {
        var chart = SVGChart(
            title: title, note: note, xLabel: "time of the event (UTC)", yLabel: yLabel,
            xScale: .time,
            series: sources.map { source in
                SVGChart.Series(
                    name: source.name,
                    points: points(source).map {
                        SVGChart.Point(x: Double($0.time), y: $0.mean, error: $0.standardError)
                    })
            })
        chart.markers = markers
        return chart
    }

    private func plain(_ count: Int) -> String { grouped(count) }
}
