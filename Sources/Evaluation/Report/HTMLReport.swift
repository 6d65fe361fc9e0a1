// The report as one self-contained page: no script, nothing loaded from anywhere.

extension EvaluationReport {
    public var html: String {
        var out = """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(SVGChart.escaped(title))</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <main>
            <h1>\(SVGChart.escaped(title))</h1>
            <p class="method">\(SVGChart.escaped(method))</p>

            """
        for warning in warnings {
            out += "<p class=\"warning\">\(SVGChart.escaped(warning))</p>\n"
        }
        if !sources.isEmpty { out += tiles + accuracyTable }
        for chart in charts() { out += "<figure>\n\(chart.svg)</figure>\n" }
        out += breakdownTables
        for figure in figures {
            out += "<h2>\(SVGChart.escaped(figure.heading))</h2>\n"
            out += "<p class=\"method\">\(SVGChart.escaped(figure.text))</p>\n"
            out += "<figure>\n\(figure.chart.svg)</figure>\n"
        }
        out += exampleCards
        out += provenance
        return out + "</main>\n</body>\n</html>\n"
    }

    /// The headline: each source's hit rate.
    private var tiles: String {
        let best = sources.map(\.hitRate.mean).max() ?? 0
        let tiles = sources.map { source in
            """
            <div class="tile\(source.hitRate.mean == best ? " best" : "")">
            <span class="name">\(SVGChart.escaped(source.name))</span>
            <span class="number">\(share(source.hitRate.mean))</span>
            <span class="unit">HR@\(cutoff), ±\(share(source.hitRate.standardError))</span>
            </div>
            """
        }
        return "<div class=\"tiles\">\(tiles.joined(separator: "\n"))</div>\n"
    }

    private var accuracyTable: String {
        var out = Self.table(
            ["Source", "Events", "HR@\(cutoff)", "NDCG@\(cutoff)", "MRR@\(cutoff)"],
            sources.map {
                [
                    $0.name, grouped($0.hitRate.count), $0.hitRate.text, $0.gain.text,
                    $0.reciprocalRank.text,
                ]
            })
        guard !differences.isEmpty else { return out }
        out += Self.table(
            ["Difference on the same events", "HR@\(cutoff)", "NDCG@\(cutoff)"],
            differences.map {
                [
                    "\($0.source) − \($0.baseline)", $0.hitRate.differenceText,
                    $0.gain.differenceText,
                ]
            })
        return out
            + "<p class=\"soft\">± is one standard error; a user's events count as one draw.</p>\n"
    }

    private var breakdownTables: String {
        var out = ""
        for breakdown in Self.breakdownNames {
            let rows = groupRows(breakdown)
            guard rows.count > 1 else { continue }
            let heading = breakdown.prefix(1).uppercased() + breakdown.dropFirst()
            out += "<h2>By \(SVGChart.escaped(breakdown)), HR/NDCG</h2>\n"
            out += Self.table([heading, "Events"] + sources.map(\.name), rows)
        }
        return out
    }

    private var exampleCards: String {
        guard !examples.isEmpty else { return "" }
        let cards = examples.map { example in
            let lines = example.lines.map {
                "<dt>\(SVGChart.escaped($0.name))</dt><dd>\(SVGChart.escaped($0.value))</dd>"
            }
            return
                "<h3>\(SVGChart.escaped(example.title))</h3>\n<dl>\(lines.joined(separator: "\n"))</dl>\n"
        }
        return "<h2>Users at the end of the log</h2>\n" + cards.joined()
    }

    private var provenance: String {
        var out = "<h2>How to make it again</h2>\n<dl>\n"
        for fact in facts {
            out +=
                "<dt>\(SVGChart.escaped(fact.name))</dt><dd>\(SVGChart.escaped(fact.value))</dd>\n"
        }
        out += "</dl>\n"
        guard !files.isEmpty else { return out }
        out += Self.table(
            ["File", "Bytes", "SHA-256"], files.map { [$0.name, grouped($0.bytes), $0.sha256] },
            kind: "files")
        return out
    }

    private static func table(_ header: [String], _ rows: [[String]], kind: String = "") -> String {
        let heads = header.map { "<th>\(SVGChart.escaped($0))</th>" }.joined()
        let lines = rows.map { row in
            "<tr>\(row.map { "<td>\(SVGChart.escaped($0))</td>" }.joined())</tr>"
        }
        return "<div class=\"scroll\"><table class=\"\(kind)\"><thead><tr>\(heads)</tr></thead>\n"
            + "<tbody>\n\(lines.joined(separator: "\n"))\n</tbody></table></div>\n"
    }

    private static let style = """
        :root{--ground:#fff;--text:#1b1f24;--soft:#5b6570;--line:#e3e6ea;--tile:#f5f7f9;
        --best:#0b62c4;--warn:#8a3b00;--warnground:#fff3e6}
        @media(prefers-color-scheme:dark){:root{--ground:#14181d;--text:#e6e8eb;--soft:#9aa4af;
        --line:#2c333b;--tile:#1c2229;--best:#6cb2ff;--warn:#ffb070;--warnground:#33220f}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--ground);color:var(--text);
        font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
        main{max-width:920px;margin:0 auto;padding:32px 20px 64px}
        h1{font-size:26px;line-height:1.25;margin:0 0 8px}
        h2{font-size:18px;margin:36px 0 8px}
        h3{font-size:15px;margin:20px 0 4px}
        .method,.soft,dt,.unit{color:var(--soft)}
        .method{margin:0 0 20px;max-width:70ch}
        .soft{font-size:13px;margin:4px 0 0}
        .warning{background:var(--warnground);color:var(--warn);padding:10px 14px;border-radius:6px}
        .tiles{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 20px}
        .tile{background:var(--tile);border-radius:8px;padding:12px 18px;min-width:160px;
        display:flex;flex-direction:column}
        .number{font-size:30px;font-weight:650;line-height:1.2;font-variant-numeric:tabular-nums}
        .best .number{color:var(--best)}
        .unit{font-size:13px}
        .scroll{overflow-x:auto;margin:8px 0}
        table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
        th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);
        white-space:nowrap}
        th{color:var(--soft);font-weight:600;font-size:13px}
        th:first-child,td:first-child{text-align:left;padding-left:0}
        .files td:last-child{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:12px}
        figure{margin:24px 0}
        dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:8px 0 16px}
        dd{margin:0}
        """
}
