// `millrace recommend USER`: the list that any client would get, with titles.

import ArgumentParser
import WireProtocol

struct RecommendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recommend", abstract: "Show a user's recommendations from a running daemon.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user's identifier.")
    var user: String

    @Option(help: "How many items; the scenario's number or 20 when it is left out.")
    var count: Int?

    @Option(help: "Which rung may answer: auto, lm, cf or popular.")
    var mode = "auto"

    @Option(help: "Only items that match, as in docs/filters.md: \"price < 20 AND HAS brand\".")
    var filter: String?

    @Option(help: "The rules to make the list by: a name of lists.scenarios.")
    var scenario: String?

    private struct Line: Encodable {
        var rank: Int
        var item: String
        var score: Double?
        var source: String?
        var title: String?
    }

    func run() throws { try show(client.connect()) }

    private func show(_ connection: SocketClient) throws {
        var request = ["REC.GET", user, "MODE", mode]
        if let count { request += ["COUNT", String(count)] }
        if let filter { request += ["FILTER", filter] }
        if let scenario { request += ["SCENARIO", scenario] }
        let reply = try connection.ask(request + ["WITHSCORES", "WITHSOURCES", "ASOF"])
        let parts = reply.elements ?? []
        let places = (parts.count == 2 ? parts[1].elements : nil) ?? []
        var items = places.compactMap { place -> ShownItem? in
            guard let fields = place.elements, fields.count == 3, let id = fields[0].text else {
                return nil
            }
            return ShownItem(id: id, score: fields[1].number, source: fields[2].text)
        }
        let titles = try connection.titles(items.map(\.id))
        for index in items.indices { items[index].title = titles[items[index].id] }
        if client.json {
            for (index, item) in items.enumerated() {
                Terminal.line(
                    try JSONLine.of(
                        Line(
                            rank: index + 1, item: item.id, score: item.score,
                            source: item.source, title: item.title)))
            }
        } else {
            print(items, asOf: parts.first)
        }
    }

    private func print(_ items: [ShownItem], asOf: Reply?) {
        let width = items.map(\.id.count).max() ?? 0
        for (index, item) in items.enumerated() {
            let rank = String(index + 1)
            Terminal.line(
                String(repeating: " ", count: max(0, 4 - rank.count)) + rank + "  "
                    + Terminal.padded(Terminal.harmless(item.id), width) + "  "
                    + Terminal.padded(Terminal.number(item.score ?? 0), 10) + "  "
                    + Terminal.padded(item.source ?? "", 12) + "  "
                    + Terminal.harmless(item.title ?? ""))
        }
        if items.isEmpty { Terminal.line("nothing to recommend: is the catalogue empty?") }
        guard let asOf else { return }
        let field = { (name: String) in asOf[name]?.text ?? "?" }
        Terminal.line(
            "rung \(field("rung")), as of partition \(field("partition")) "
                + "offset \(field("offset")), \(field("age_ms")) ms old; list \(field("id"))")
    }
}
