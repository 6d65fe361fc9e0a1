// The prequential report of a streamed replay: what the daemon measured of itself, as a table, a page and a chart.

import Evaluation

struct StreamReport {
    let title: String
    let windows: [StreamWindow]
    let learnt: [LearntSource]
    let journal: StreamJournal
    let facts: [(name: String, value: String)]
    var examples: [ReportedExample] = []

    /// The second half of the events: what offline evaluation scores too, after its warm-up.
    private var judged: StreamWindow {
        let all = windows.reduce(0) { $0 + $1.events }
        var seen = 0
        var sum = StreamWindow([:])
        for window in windows {
            seen += window.events
            if seen * 2 > all { sum = sum + window }
        }
        return sum
    }

    var text: String {
        let second = judged
        let all = windows.reduce(StreamWindow([:]), +)
        func row(_ name: String, _ window: StreamWindow) -> [[String]] {
            [
                [
                    name, "rules + popularity", grouped(window.scored),
                    fixed(window.share(Double(window.rulesHits)), 4),
                    fixed(window.share(window.rulesGain), 4),
                ],
                [
                    "", "popularity alone", grouped(window.scored),
                    fixed(window.share(Double(window.popularityHits)), 4),
                    fixed(window.share(window.popularityGain), 4),
                ],
            ]
        }
        return "\(title)\n"
            + textTable(
                ["events", "source", "scored", "HR@10", "NDCG@10"],
                row("second half", second) + row("all", all)) + combined
    }

    /// On the events that the combiner learnt from, each scored by what it knew just before.
    private var combined: String {
        guard let lists = learnt.map(\.lists).max(), lists > 0 else { return "" }
        return
            "\nThe combiner and its sources, on the \(grouped(lists)) events it learnt from, each before\n"
            + textTable(
                ["source", "scored", "HR@10", "NDCG@10"],
                learnt.map {
                    [$0.name, grouped($0.lists), fixed($0.hitRate, 4), fixed($0.gain, 4)]
                })
    }

    /// Every event, by the two rungs that need no learning.
    var charts: [SVGChart] {
        [
            chart("HR@10 over time", "share of events whose item was in the list of ten") {
                ($0.share(Double($0.rulesHits)), $0.share(Double($0.popularityHits)))
            },
            chart("NDCG@10 over time", "1 / log2(1 + place), averaged") {
                ($0.share($0.rulesGain), $0.share($0.popularityGain))
            },
        ]
    }

    private func chart(
        _ title: String, _ meaning: String, _ values: (StreamWindow) -> (Double, Double)
    ) -> SVGChart {
        let merged = smoothed
        return SVGChart(
            title: title,
            note: "\(meaning); each event is scored by the daemon before it is learned",
            xLabel: "time of the event", yLabel: String(title.prefix { $0 != " " }), xScale: .time,
            series: [
                SVGChart.Series(
                    name: "rules + popularity",
                    points: merged.map { SVGChart.Point(x: $0.time, y: values($0).0) }),
                SVGChart.Series(
                    name: "popularity alone",
                    points: merged.map { SVGChart.Point(x: $0.time, y: values($0).1) }),
            ])
    }

    /// At most fifty points.
    private var smoothed: [StreamWindow] {
        let step = max(1, windows.count / 50)
        return stride(from: 0, to: windows.count, by: step).map { start in
            windows[start..<min(start + step, windows.count)].dropFirst()
                .reduce(windows[start], +)
        }.filter { $0.scored > 0 }
    }

    // MARK: - The page

    var html: String {
        var report = EvaluationReport(
            title: title,
            method:
                "The log went through Kafka into the daemon. Lists were made by the code that serves, from what "
                + "was known just before each event, and the event was learned afterwards. The first table is about "
                + "the events that the combiner learns from; nothing was left out as a warm-up, so the beginning "
                + "counts against it.",
            facts: facts.map { ReportedFact($0.name, $0.value) }, files: [],
            cutoff: 10, outcomes: journal.sources, warnings: warnings)
        report.markers = journal.models
        report.examples = examples
        report.figures = figures
        return report.html
    }

    private var warnings: [String] {
        var warnings = journal.missing.sorted { $0.key < $1.key }.map {
            "\(grouped($0.value)) lists had nothing of the source \($0.key): they count as its misses"
        }
        if journal.dropped > 0 {
            warnings.append(
                "\(grouped(journal.dropped)) older entries of the journal were not kept")
        }
        return warnings
    }

    private var figures: [ReportedFigure] {
        var figures: [ReportedFigure] = []
        if let chart = weightsChart {
            let served = Dictionary(grouping: journal.weights, by: \.serves)
                .map { "\($0.key) \($0.value.count) times" }.sorted()
            figures.append(
                ReportedFigure(
                    "What the combiner goes by",
                    "Weights of the first stage for features in units of their deviation, the largest at the end "
                        + "of the log, whenever a new fit came into force. What ordered lists then: "
                        + served.joined(separator: ", ") + ".", chart))
        }
        if let chart = throughputChart {
            figures.append(
                ReportedFigure(
                    "Throughput",
                    "Events a second that were decoded, scored by two rungs, folded and stored.",
                    chart))
        }
        figures += charts.map {
            ReportedFigure(
                $0.title.replacing(" over time", with: "") + " of all events",
                "Every event of the log, by the two rungs that answer without learning.", $0)
        }
        return figures
    }

    private static let weightsShown = 6

    private var weightsChart: SVGChart? {
        guard let last = journal.weights.last, journal.weights.count > 1 else { return nil }
        let names = last.values.sorted {
            (abs($1.value), $0.key) < (abs($0.value), $1.key)
        }.prefix(Self.weightsShown).map(\.key)
        var chart = SVGChart(
            title: "Weights of the combiner over time", note: "larger means: counts more",
            xLabel: "time of the event (UTC)", yLabel: "weight", xScale: .time,
            series: names.map { name in
                SVGChart.Series(
                    name: name,
                    points: journal.weights.map {
                        SVGChart.Point(x: $0.time, y: $0.values[name] ?? 0)
                    })
            })
        chart.markers = journal.models
        return chart
    }

    private var throughputChart: SVGChart? {
        let windows = windows.filter { $0.wall > 0 }
        guard let first = windows.first, windows.count > 4 else { return nil }
        let step = max(1, windows.count / 50)
        var points: [SVGChart.Point] = []
        var (before, events) = (first.wall, 0)
        for (index, window) in windows.dropFirst().enumerated() {
            events += window.events
            guard index % step == step - 1, window.wall > before else { continue }
            points.append(
                SVGChart.Point(
                    x: (window.wall - first.wall) / 1_000,
                    y: Double(events) / (window.wall - before) * 1_000))
            (before, events) = (window.wall, 0)
        }
        guard points.count > 2 else { return nil }
        return SVGChart(
            title: "Events a second", note: "measured by the daemon",
            xLabel: "seconds of the replay",
            yLabel: "events/s", series: [SVGChart.Series(name: "ingest", points: points)])
    }
}
