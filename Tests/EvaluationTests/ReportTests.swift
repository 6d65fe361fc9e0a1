import Evaluation
import Foundation
import Testing

@Suite("Report")
struct ReportTests {
    private func report(_ count: Int) -> EvaluationReport {
        var random = SeededRandom(seed: 3)
        let outcomes = (0..<2).map { source in
            (0..<count).map { index in
                Outcome(
                    user: Int32(index % 17),
                    rank: Rank(above: random.below(20 + 20 * source), tied: 0),
                    targetEvents: index % 5, historyCount: index % 40,
                    time: 1_360_000_000_000 + Int64(index) * 3_600_000)
            }
        }
        return EvaluationReport(
            title: "A <b>\"log\"</b>", method: "How & why.", facts: [ReportedFact("seed", "1")],
            files: [ReportedFile(name: "a.jsonl", bytes: 3, sha256: SHA256.digest([1, 2, 3]))],
            cutoff: 10, outcomes: [("rules", outcomes[0]), ("popularity", outcomes[1])],
            warnings: ["careful"])
    }

    @Test("the JSON is JSON and holds the numbers")
    func json() throws {
        let found = report(500)
        let object = try JSONSerialization.jsonObject(with: Data(found.json.utf8))
        let fields = try #require(object as? [String: Any])
        #expect(fields["events"] as? Int == 500)
        let sources = try #require(fields["sources"] as? [[String: Any]])
        let rate = try #require((sources[0]["hr"] as? [String: Any])?["mean"] as? Double)
        #expect(abs(rate - found.sources[0].hitRate.mean) < 1e-6)
        #expect((sources[0]["hrOverTime"] as? [Any])?.isEmpty == false)
    }

    @Test("the page stands alone: no script, nothing fetched, everything escaped")
    func html() {
        let page = report(500).html
        #expect(!page.contains("<script"))
        #expect(!page.contains("<b>"))
        #expect(page.contains("How &amp; why."))
        let links = page.replacingOccurrences(of: "http://www.w3.org/2000/svg", with: "")
        #expect(!links.contains("http"))
        #expect(page.components(separatedBy: "<svg").count == 3)
        #expect(page.contains("prefers-color-scheme"))
    }

    @Test("the plain text has a row for every source and a line for every file")
    func text() {
        let text = report(500).text
        #expect(text.contains("rules - popularity"))
        #expect(text.contains("WARNING: careful"))
        #expect(text.contains(SHA256.digest([1, 2, 3])))
        #expect(text.split(separator: "\n").allSatisfy { $0.count < 140 })
    }

    @Test("an empty evaluation makes an empty report")
    func empty() {
        let found = report(0)
        #expect(found.scoredCount == 0)
        #expect(found.charts().isEmpty)
        #expect(!found.html.isEmpty && !found.text.isEmpty && !found.json.isEmpty)
    }

    @Test(
        "a chart keeps every point inside its picture, whatever the values",
        arguments: [
            [(0.0, 0.0)], [], [(1, 5), (1, 5)], [(-3, -2), (4, 1e6)], [(0, 1e-9), (1, 3e-9)],
            [(1e12, 0.1), (1.1e12, 0.2)], [(0, .nan), (.infinity, 1)],
        ] as [[(Double, Double)]])
    func chartBounds(values: [(Double, Double)]) {
        let points = values.map { SVGChart.Point(x: $0.0, y: $0.1, error: 0.01) }
        for scale in [ChartScale.linear, .logarithmic, .time] {
            let chart = SVGChart(
                title: "t", xLabel: "x [1]", yLabel: "y [ms]", xScale: scale,
                yScale: scale == .time ? .linear : scale,
                series: [SVGChart.Series(name: "s", points: points, hasDots: true)])
            let svg = chart.svg
            #expect(svg.hasPrefix("<svg") && svg.hasSuffix("</svg>\n"))
            #expect(svg.utf8.count < 60_000)
        }
    }
}
