// `millrace explain USER ITEM`: what speaks for an item, and what keeps it out.

import ArgumentParser
import WireProtocol

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say why an item is in a user's list, or is not.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user's identifier.")
    var user: String

    @Argument(help: "The item's identifier.")
    var item: String

    @Option(help: "How many features and pieces of evidence to show.")
    var count = 10

    @Option(help: "As the list was asked for: a filter, as in docs/filters.md.")
    var filter: String?

    @Option(help: "As the list was asked for: a name of lists.scenarios.")
    var scenario: String?

    @Option(help: "A list that was shown, by the id that `recommend` tells: by its own numbers.")
    var list: String?

    @Flag(help: "Make the list again without each of the latest events.")
    var events = false

    func run() throws {
        let connection = try client.connect()
        var request = ["REC.EXPLAIN", user, item]
        if let filter { request += ["FILTER", filter] }
        if let scenario { request += ["SCENARIO", scenario] }
        if let list { request += ["LIST", list] }
        if events { request.append("EVENTS") }
        let reply = try connection.ask(request)
        guard !client.json else { return Terminal.line(try JSONLine.of(reply)) }
        let shown = ExplanationShown(reply, count: max(0, count))
        let titles = try connection.titles(shown.items)
        for line in shown.lines(user: user, titles: titles) { Terminal.line(line) }
    }
}

/// A reply to `REC.EXPLAIN` for people.
struct ExplanationShown {
    let reply: Reply
    let count: Int

    init(_ reply: Reply, count: Int) {
        self.reply = reply
        self.count = count
    }

    /// Items whose titles are worth knowing.
    var items: [String] {
        [reply["item"]?.text].compactMap { $0 }
            + (rows("evidence") + rows("events")).compactMap { $0.first?.text }
    }

    func lines(user: String, titles: [String: String]) -> [String] {
        let id = reply["item"]?.text ?? "?"
        var lines = [verdict(on: named(id, titles), user: user)]
        if let filter = reply["filter"]?.text { lines.append(line("filter", filter)) }
        lines += rows("boosts").map { line("boost", "\($0.first?.text ?? "?")", number($0, 1)) }
        if let mixture = reply["mixture"] { lines += self.lines(of: mixture) }
        lines += (reply["sources"]?.pairs ?? []).map {
            line("source", $0.key.text ?? "?", Terminal.number($0.value.number ?? 0))
        }
        lines += rows("evidence").map {
            line("because", $0.first?.text ?? "?", number($0, 1), title($0, titles))
        }
        lines += rows("events").map { row in
            let rank = row.count > 2 ? row[2].number.map { "rank \(Int($0))" } ?? "no rank" : ""
            return line(
                "without", row.first?.text ?? "?", change(row) + "  " + rank,
                title(row, titles))
        }
        lines += (reply["phrases"]?.elements ?? []).map { line("summary", $0.text ?? "") }
        if let then = reply["then"] { lines += self.lines(then: then) }
        return lines
    }

    private func verdict(on name: String, user: String) -> String {
        if let place = reply["place"]?.number {
            return "\(name) has place \(Int(place)) in the list of \(user), score \(score)"
        }
        if let cause = reply["removed_by"]?.text {
            return "\(name) is not in the list of \(user): \(Terminal.harmless(cause))"
        }
        let stage = reply["lost_at"]?.text ?? "?"
        guard let rank = reply["rank"]?.number else {
            return "\(name) is not in the list of \(user): \(Terminal.harmless(stage))"
        }
        return "\(name) is not in the list of \(user): \(Terminal.harmless(stage)), "
            + "rank \(Int(rank)), score \(score)"
    }

    private func lines(of mixture: Reply) -> [String] {
        let proposers = (mixture["proposed_by"]?.elements ?? []).compactMap(\.text)
        let opening =
            "\(mixture["rung"]?.text ?? "?") of \(mixture["candidates"]?.text ?? "?") candidates, "
            + "weights \(mixture["weights"]?.text ?? "?"), proposed by "
            + (proposers.isEmpty ? "no source" : proposers.joined(separator: ", "))
        let features = (mixture["features"]?.elements ?? []).prefix(count).compactMap(\.elements)
        return [line("combined", opening)]
            + features.map { row in
                line(
                    "feature", row.first?.text ?? "?", number(row, 3),
                    "value \(number(row, 1)) x weight \(number(row, 2))")
            }
    }

    private func lines(then: Reply) -> [String] {
        let asOf = then["asof"]
        let opening =
            "place \(then["place"]?.text ?? "?"), score \(Terminal.number(then["score"]?.number ?? 0)), "
            + "source \(then["source"]?.text ?? "?"), rung \(asOf?["rung"]?.text ?? "?"), "
            + "offset \(asOf?["offset"]?.text ?? "?")"
        let features = (then["features"]?.elements ?? []).prefix(count).compactMap(\.elements)
        return [line("then", opening)]
            + features.map { line("then", $0.first?.text ?? "?", number($0, 1)) }
    }

    private var score: String { Terminal.number(reply["score"]?.number ?? 0) }

    private func rows(_ name: String) -> [[Reply]] {
        (reply[name]?.elements ?? []).prefix(count).compactMap(\.elements)
    }

    /// Of the score, without the event.
    private func change(_ row: [Reply]) -> String {
        let amount = row.count > 1 ? row[1].number ?? 0 : 0
        return (amount < 0 ? "+" : "-") + Terminal.number(abs(amount))
    }

    private func number(_ row: [Reply], _ place: Int) -> String {
        Terminal.number(place < row.count ? row[place].number ?? 0 : 0)
    }

    private func title(_ row: [Reply], _ titles: [String: String]) -> String {
        row.first?.text.flatMap { titles[$0] }.map(Terminal.harmless) ?? ""
    }

    private func named(_ id: String, _ titles: [String: String]) -> String {
        let title = titles[id].map { " (\(Terminal.harmless($0)))" } ?? ""
        return Terminal.harmless(id) + title
    }

    private func line(_ kind: String, _ parts: String...) -> String {
        var line = "  " + Terminal.padded(kind, 9)
        for (place, part) in parts.enumerated() {
            let isLast = place == parts.count - 1
            line +=
                " "
                + (isLast ? Terminal.harmless(part) : Terminal.padded(Terminal.harmless(part), 18))
        }
        return line
    }
}
