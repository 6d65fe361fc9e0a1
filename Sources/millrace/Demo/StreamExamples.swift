// A few users as the daemon knows them at the end of a log: what they did, their summary, their list.

import Evaluation
import KafkaIngest
import WireProtocol

enum StreamExamples {
    private static let recentCount = 6
    private static let listCount = 5

    static func of(_ users: [String], _ client: SocketClient) throws -> [ReportedExample] {
        try users.map { user in
            let known = try client.ask("USER.GET", user)
            let history = (known["history"]?.elements ?? []).suffix(recentCount).reversed()
            let recent = history.compactMap { $0.elements?.first?.text }
            let reply = try client.ask(
                "REC.GET", user, "COUNT", "\(listCount)", "WITHSOURCES", "ASOF")
            let rows = (reply.elements?.last?.elements ?? []).compactMap(\.elements)
            let listed = rows.compactMap { $0.first?.text }
            let titles = try client.titles(recent + listed)
            func named(_ id: String) -> String { titles[id] ?? id }
            var lines = [
                ReportedFact("events", known["events"]?.text ?? "0"),
                ReportedFact("latest", recent.map(named).joined(separator: " · ")),
            ]
            if let summary = known["summary"]?["text"]?.text, !summary.isEmpty {
                lines.append(ReportedFact("summary", summary))
            }
            let places = rows.enumerated().map { place, row in
                "\(place + 1). \(named(row.first?.text ?? "?"))"
                    + (row.count > 1 ? " (\(row[1].text ?? "?"))" : "")
            }
            let rung = reply.elements?.first?["rung"]?.text ?? "?"
            lines.append(ReportedFact("list now (\(rung))", places.joined(separator: " · ")))
            return ReportedExample("User \(user)", lines)
        }
    }
}

extension LogReplay {
    private static let tailLines = 20_000

    /// Those with the most events in the last part of the log, the first of equals.
    func busiestUsers(_ count: Int) throws -> [String] {
        let path = folder + "/events.jsonl"
        let counter = try LineReader(path)
        while try counter.next() != nil {}
        let log = try EventLog(path: path, configuration: configuration)
        var counts: [[UInt8]: (events: Int, first: Int)] = [:]
        var place = 0
        while let record = log.next() {
            place += 1
            guard place > counter.lineNumber - Self.tailLines, let key = record.key else {
                continue
            }
            counts[key, default: (0, place)].events += 1
        }
        let sorted = counts.sorted {
            ($1.value.events, $0.value.first) < ($0.value.events, $1.value.first)
        }
        return sorted.prefix(count).map { String(decoding: $0.key, as: UTF8.self) }
    }
}
