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

    @Option(help: "How many pieces of evidence to show.")
    var count = 10

    private struct Line: Encodable {
        struct Evidence: Encodable {
            var item: String
            var contribution: Double
            var title: String?
        }

        var item: String
        var title: String?
        var rank: Int?
        var score: Double
        var removedBy: String?
        var sources: [String: Double]
        var evidence: [Evidence]
    }

    func run() throws { try show(client.connect()) }

    private func show(_ connection: SocketClient) throws {
        let reply = try connection.ask("REC.EXPLAIN", user, item)
        let pairs = (reply["evidence"]?.elements ?? []).prefix(max(0, count)).compactMap {
            pair -> (String, Double)? in
            guard let parts = pair.elements, parts.count == 2, let id = parts[0].text,
                let share = parts[1].number
            else { return nil }
            return (id, share)
        }
        let titles = try connection.titles([item] + pairs.map(\.0))
        var sources: [String: Double] = [:]
        if case .map(let found)? = reply["sources"] {
            for pair in found { sources[pair.key.text ?? ""] = pair.value.number }
        }
        let line = Line(
            item: item, title: titles[item],
            rank: reply["rank"]?.number.flatMap { Int(exactly: $0) },
            score: reply["score"]?.number ?? 0, removedBy: reply["removed_by"]?.text,
            sources: sources,
            evidence: pairs.map { .init(item: $0.0, contribution: $0.1, title: titles[$0.0]) })
        if client.json { Terminal.line(try JSONLine.of(line)) } else { print(line) }
    }

    private func print(_ line: Line) {
        let name = line.title.map { "\(item) (\(Terminal.harmless($0)))" } ?? item
        if let cause = line.removedBy {
            Terminal.line("\(name) is not in the list of \(user): \(cause)")
        } else if let rank = line.rank {
            Terminal.line(
                "\(name) has rank \(rank) for \(user), score \(Terminal.number(line.score))")
        } else {
            Terminal.line("\(name) has no rank for \(user): nothing speaks for it")
        }
        for (source, score) in line.sources.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) })
        {
            Terminal.line("  source  \(Terminal.padded(source, 16))  \(Terminal.number(score))")
        }
        for piece in line.evidence {
            Terminal.line(
                "  because \(Terminal.padded(Terminal.harmless(piece.item), 16))  "
                    + "\(Terminal.padded(Terminal.number(piece.contribution), 10))  "
                    + Terminal.harmless(piece.title ?? ""))
        }
    }
}
