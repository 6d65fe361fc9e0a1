// The report for a terminal, and for a program.

/// A table whose first column is left-aligned and whose others are right-aligned.
public func textTable(_ header: [String], _ rows: [[String]]) -> String {
    let all = [header] + rows
    let widths = header.indices.map { column in
        all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    func line(_ cells: [String]) -> String {
        var out = ""
        for (column, width) in widths.enumerated() {
            let cell = column < cells.count ? cells[column] : ""
            let space = String(repeating: " ", count: width - cell.count)
            out += column == 0 ? cell + space : "  " + space + cell
        }
        while out.last == " " { out.removeLast() }
        return out + "\n"
    }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ") + "\n"
    return line(header) + rule + rows.map(line).joined()
}

extension Estimate {
    /// `.0892 ±.0040`
    public var text: String { "\(share(mean)) ±\(share(standardError))" }

    /// `+.0102 ±.0021`
    public var differenceText: String { (mean < 0 ? "" : "+") + text }
}

extension EvaluationReport {
    /// For people: tables in plain text.
    public var text: String {
        var out = "\(title)\n\(method)\n\n"
        for warning in warnings { out += "WARNING: \(warning)\n" }
        if !warnings.isEmpty { out += "\n" }
        out += textTable(
            ["source", "events", "HR@\(cutoff)", "NDCG@\(cutoff)", "MRR@\(cutoff)"],
            sources.map {
                [
                    $0.name, grouped($0.hitRate.count), $0.hitRate.text, $0.gain.text,
                    $0.reciprocalRank.text,
                ]
            })
        if !differences.isEmpty {
            out += "\n"
            out += textTable(
                ["difference, same events", "HR@\(cutoff)", "NDCG@\(cutoff)"],
                differences.map {
                    [
                        "\($0.source) - \($0.baseline)", $0.hitRate.differenceText,
                        $0.gain.differenceText,
                    ]
                })
        }
        for breakdown in Self.breakdownNames {
            let rows = groupRows(breakdown)
            guard rows.count > 1 else { continue }
            let names = sources.map { "\($0.name) HR/NDCG" }
            out += "\n" + textTable([breakdown, "events"] + names, rows)
        }
        out += "\n"
        for fact in facts { out += "\(fact.name): \(fact.value)\n" }
        for file in files {
            out += "sha256 \(file.sha256)  \(file.name) (\(grouped(file.bytes)) bytes)\n"
        }
        return out
    }

    /// One row a group: label, events, then each source's accuracy.
    func groupRows(_ breakdown: String) -> [[String]] {
        guard let first = sources.first else { return [] }
        return first.groups.filter { $0.breakdown == breakdown }.map { group in
            [group.label, grouped(group.count)]
                + sources.map { source in
                    let own = source.groups.first {
                        $0.breakdown == breakdown && $0.label == group.label
                    }
                    return own.map { "\(share($0.hitRate.mean))/\(share($0.gain.mean))" } ?? "–"
                }
        }
    }

    /// For programs: one JSON object.
    public var json: String {
        let sourceTexts = sources.map { source in
            let groups = source.groups.map {
                "{\"breakdown\":\(jsonString($0.breakdown)),\"label\":\(jsonString($0.label)),"
                    + "\"events\":\($0.count),\"hr\":\(Self.json($0.hitRate)),"
                    + "\"ndcg\":\(Self.json($0.gain))}"
            }
            return "{\"name\":\(jsonString(source.name)),\"hr\":\(Self.json(source.hitRate)),"
                + "\"ndcg\":\(Self.json(source.gain)),"
                + "\"mrr\":\(Self.json(source.reciprocalRank)),"
                + "\"groups\":[\(groups.joined(separator: ","))],"
                + "\"hrOverTime\":\(Self.json(source.hitRateOverTime)),"
                + "\"ndcgOverTime\":\(Self.json(source.gainOverTime))}"
        }
        let differenceTexts = differences.map {
            "{\"source\":\(jsonString($0.source)),\"baseline\":\(jsonString($0.baseline)),"
                + "\"hr\":\(Self.json($0.hitRate)),\"ndcg\":\(Self.json($0.gain))}"
        }
        let fileTexts = files.map {
            "{\"name\":\(jsonString($0.name)),\"bytes\":\($0.bytes),\"sha256\":\"\($0.sha256)\"}"
        }
        let factTexts = facts.map { "\(jsonString($0.name)):\(jsonString($0.value))" }
        return "{\"title\":\(jsonString(title)),\"method\":\(jsonString(method)),"
            + "\"cutoff\":\(cutoff),\"events\":\(scoredCount),"
            + "\"warnings\":[\(warnings.map(jsonString).joined(separator: ","))],"
            + "\"sources\":[\(sourceTexts.joined(separator: ","))],"
            + "\"differences\":[\(differenceTexts.joined(separator: ","))],"
            + "\"facts\":{\(factTexts.joined(separator: ","))},"
            + "\"files\":[\(fileTexts.joined(separator: ","))]}"
    }

    private static func json(_ estimate: Estimate) -> String {
        "{\"mean\":\(fixed(estimate.mean, 6)),\"se\":\(fixed(estimate.standardError, 6))}"
    }

    private static func json(_ points: [SeriesPoint]) -> String {
        let texts = points.map {
            "[\($0.events),\($0.time),\(fixed($0.mean, 6)),\(fixed($0.standardError, 6))]"
        }
        return "[\(texts.joined(separator: ","))]"
    }
}
