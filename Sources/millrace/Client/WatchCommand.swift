// `millrace watch USER`: the list as it changes. On a terminal it is redrawn with marks at what moved; elsewhere one
// line per change is printed.

import ArgumentParser
import WireProtocol

/// What became of a place since the list before.
enum Movement: Equatable {
    case new
    case up(Int)
    case down(Int)
    case same

    /// How each item of `list` stands compared to `before`.
    static func between(_ before: [String], _ list: [String]) -> [Movement] {
        let old = Dictionary(
            before.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return list.enumerated().map { index, id in
            guard let place = old[id] else { return .new }
            if place == index { return .same }
            return place > index ? .up(place - index) : .down(index - place)
        }
    }

    var mark: String {
        switch self {
        case .new: "new"
        case .up(let places): "▲\(places)"
        case .down(let places): "▼\(places)"
        case .same: ""
        }
    }
}

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Follow a user's list as it changes, until interrupted.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user's identifier.")
    var user: String

    @Option(help: "How many places to show.")
    var count = 10

    @Option(help: "End after so many changes; 0 goes on until interrupted.")
    var changes = 0

    private struct Line: Encodable {
        var id: String
        var items: [String]
        var rung: String
        var partition: Int?
        var offset: Int?
        var ageMilliseconds: Int?
        var skipped: Int?
    }

    /// How long one XREAD waits: short enough to notice a daemon that hangs.
    private static let blockMilliseconds = 30_000

    func run() throws { try follow(client.connect()) }

    private func follow(_ connection: SocketClient) throws {
        let places = max(1, count)
        var shown = try current(connection, places)
        var titles: [String: String] = [:]
        if Terminal.isInteractive, !client.json {
            try draw(shown, before: shown, connection, &titles, note: "now")
        }
        var position = "$"
        var seen = 0
        while changes == 0 || seen < changes {
            let reply = try connection.ask(
                "XREAD", "COUNT", "100", "BLOCK", String(Self.blockMilliseconds), "STREAMS",
                "feed:" + user, position)
            for entry in reply["feed:" + user]?.elements ?? [] {
                guard let parts = entry.elements, parts.count == 2, let id = parts[0].text else {
                    continue
                }
                position = id
                seen += 1
                let fields = parts[1]
                let list = Array(JSONLine.strings(fields["items"]?.text ?? "").prefix(places))
                try tell(id, list, before: shown, fields, connection, &titles)
                shown = list
            }
        }
    }

    private func current(_ connection: SocketClient, _ places: Int) throws -> [String] {
        let reply = try connection.ask("REC.GET", user, "COUNT", String(places))
        return (reply.elements ?? []).compactMap(\.text)
    }

    private func tell(
        _ id: String, _ list: [String], before: [String], _ fields: Reply,
        _ connection: SocketClient, _ titles: inout [String: String]
    ) throws {
        let number = { (name: String) in fields[name]?.text.flatMap { Int($0) } }
        if client.json {
            let line = Line(
                id: id, items: list, rung: fields["rung"]?.text ?? "",
                partition: number("partition"), offset: number("offset"),
                ageMilliseconds: number("age_ms"), skipped: number("skipped"))
            return Terminal.line(try JSONLine.of(line))
        }
        let skipped = number("skipped") ?? 0
        let note =
            "entry \(id), offset \(number("offset") ?? 0)"
            + (skipped > 0 ? ", \(skipped) skipped" : "")
        if Terminal.isInteractive {
            try draw(list, before: before, connection, &titles, note: note)
        } else {
            let marked = zip(list, Movement.between(before, list)).map { item, movement in
                Terminal.harmless(item) + (movement == .same ? "" : "(\(movement.mark))")
            }
            Terminal.line("\(note): " + marked.joined(separator: " "))
        }
    }

    /// Clears the screen and shows the list with what moved.
    private func draw(
        _ list: [String], before: [String], _ connection: SocketClient,
        _ titles: inout [String: String], note: String
    ) throws {
        let missing = list.filter { titles[$0] == nil }
        if titles.count > Self.titlesMax { titles = [:] }
        titles.merge(try connection.titles(missing)) { $1 }
        let width = list.map(\.count).max() ?? 0
        var text = "\u{1B}[2J\u{1B}[H" + "feed of \(Terminal.harmless(user)) · \(note)\n\n"
        for (index, movement) in Movement.between(before, list).enumerated() {
            let rank = String(index + 1)
            text +=
                String(repeating: " ", count: max(0, 3 - rank.count)) + rank + "  "
                + color(movement) + Terminal.padded(movement.mark, 4) + "\u{1B}[0m  "
                + Terminal.padded(Terminal.harmless(list[index]), width) + "  "
                + Terminal.harmless(titles[list[index]] ?? "") + "\n"
        }
        Terminal.write(text + "\nCtrl-C ends\n")
    }

    private static let titlesMax = 10_000

    private func color(_ movement: Movement) -> String {
        switch movement {
        case .new, .up: "\u{1B}[32m"
        case .down: "\u{1B}[31m"
        case .same: ""
        }
    }
}
