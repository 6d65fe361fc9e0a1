// The daemon's journal of what its lists were worth (`PREQUENTIAL`), as outcomes that a report is made of.

import Evaluation
import WireProtocol

struct StreamJournal {
    struct Weights {
        var time: Double
        var serves: String
        var values: [String: Double]
    }

    /// What served first, popularity last; outcomes of the same events.
    private(set) var sources: [(name: String, outcomes: [Outcome])] = []
    private(set) var weights: [Weights] = []
    private(set) var models: [SVGChart.Marker] = []
    private(set) var dropped = 0
    /// Lists that a source was missing from, by source.
    private(set) var missing: [String: Int] = [:]

    private static let pageCount = 5_000

    /// Reads all that is kept.
    init(_ client: SocketClient) throws {
        var lists: [[String: String]] = []
        var next = 0
        while true {
            let page = try client.ask(
                "PREQUENTIAL", "FROM", "\(next)", "COUNT", "\(Self.pageCount)")
            let lines = page["lines"]?.elements ?? []
            if next == 0 { dropped = page["dropped"]?.number.map { Int($0) } ?? 0 }
            for line in lines.compactMap(\.text) {
                var fields: [String: String] = [:]
                let words = line.split(separator: " ")
                for word in words.dropFirst() {
                    let parts = word.split(separator: "=", maxSplits: 1)
                    if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
                }
                switch words.first {
                case "list": lists.append(fields)
                case "weights": note(weights: fields)
                case "model": note(model: fields)
                default: break
                }
            }
            guard !lines.isEmpty, let after = page["next"]?.number else { break }
            next = Int(after)
        }
        collect(lists)
    }

    private mutating func note(weights fields: [String: String]) {
        var values: [String: Double] = [:]
        for (name, text) in fields where !["time", "wall", "version", "serves"].contains(name) {
            values[name] = Double(text)
        }
        weights.append(
            Weights(
                time: fields["time"].flatMap(Double.init) ?? 0, serves: fields["serves"] ?? "?",
                values: values))
    }

    private mutating func note(model fields: [String: String]) {
        guard let time = fields["time"].flatMap(Double.init), let version = fields["version"] else {
            return
        }
        models.append(SVGChart.Marker(x: time, label: "model \(version.prefix(6))"))
    }

    /// A source takes part when half of the lists had it; a list without it is a miss of that source, and counted.
    private mutating func collect(_ lists: [[String: String]]) {
        let candidates = [
            (field: "served", name: "combined list"), ("mix-model", "model"),
            ("mix-rules", "rules"), ("mix-recent-rules", "recent rules"),
            ("mix-popularity", "popularity"),
        ]
        var users: [String: Int32] = [:]
        for list in lists {
            if let user = list["user"], users[user] == nil { users[user] = Int32(users.count) }
        }
        for (field, name) in candidates {
            let absent = lists.count { $0[field] == nil }
            guard absent * 2 < lists.count else { continue }
            if absent > 0 { missing[name] = absent }
            let outcomes = lists.map { list in
                Outcome(
                    user: list["user"].flatMap { users[$0] } ?? -1,
                    rank: list[field].flatMap(Double.init).map(Self.rank),
                    targetEvents: list["target"].flatMap { Int($0) } ?? 0,
                    historyCount: list["history"].flatMap { Int($0) } ?? 0,
                    time: list["time"].flatMap { Int64($0) } ?? 0,
                    sameDay: list["same_day"] == "1")
            }
            sources.append((name: name, outcomes: outcomes))
        }
    }

    /// A place in the middle of equal scores.
    private static func rank(_ place: Double) -> Rank {
        let above = Int(place)
        return Rank(above: above, tied: Int(((place - Double(above)) * 2).rounded()))
    }
}
