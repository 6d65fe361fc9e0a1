// The prequential report of a streamed replay: what the daemon measured of itself, as a table, a page and a chart.

import Evaluation

struct StreamReport {
    let title: String
    let windows: [StreamWindow]
    let learnt: [LearntSource]
    let facts: [(name: String, value: String)]

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
                    name: "rules + popularity (served)",
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

    var html: String {
        let rows = facts.map {
            "<tr><th>\(Self.escaped($0.name))</th><td>\(Self.escaped($0.value))</td></tr>"
        }
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark"><title>\(Self.escaped(title))</title>
            <style>
            body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
            pre, table { font-size: 0.95rem } th { text-align: left; padding-right: 1.5rem; font-weight: 500 }
            svg { max-width: 100%; height: auto }
            </style></head><body>
            <h1>\(Self.escaped(title))</h1>
            <pre>\(Self.escaped(text))</pre>
            \(charts.map { "<figure>\($0.svg)</figure>" }.joined(separator: "\n"))
            <table>\(rows.joined(separator: "\n"))</table>
            </body></html>

            """
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "&": out += "&amp;"
            default: out.append(character)
            }
        }
        return out
    }
}
