// How long it takes from a client's event to the entry in its feed: through the log, the fold, the store and back.

import Evaluation
import WireProtocol

struct FreshnessProbe {
    let client: SocketClient
    /// A user of its own: its events are real ones.
    let user: String
    /// The name of an event type.
    let type: String

    private static let count = 100
    private static let waitMilliseconds = 2_000

    /// Sends events one after the other, each when the one before has shown; milliseconds, ascending.
    func run() throws -> [Double] {
        let clock = SystemClock()
        let feed = "feed:\(user)"
        var position = "0"
        // The first entry is the list as it is.
        if let id = DemoCommand.firstEntryID(
            try client.ask("XREAD", "BLOCK", "\(Self.waitMilliseconds)", "STREAMS", feed, "0"))
        {
            position = id
        }
        var found: [Double] = []
        for _ in 0..<Self.count {
            let list = try client.ask("REC.GET", user, "COUNT", "1")
            guard let item = list.elements?.first?.text else { break }
            let start = clock.monotonicSeconds
            let added = try client.ask("EVENT.ADD", user, item, type).text?.split(separator: ":")
            guard let offset = added?.last.flatMap({ Int($0) }) else { break }
            // An entry may be of before: others change lists too.
            while let entry = Self.newest(
                try client.ask(
                    "XREAD", "BLOCK", "\(Self.waitMilliseconds)", "STREAMS", feed, position))
            {
                position = entry.id
                guard entry.nextOffset > offset else { continue }
                found.append((clock.monotonicSeconds - start) * 1_000)
                break
            }
        }
        return found.sorted()
    }

    /// The last entry of a feed's reply, and up to where it has read the user's partition; nil when none came.
    private static func newest(_ reply: Reply) -> (id: String, nextOffset: Int)? {
        guard let entry = reply.pairs?.first?.value.elements?.last?.elements, entry.count == 2,
            let id = entry[0].text, let fields = entry[1].elements?.compactMap(\.text),
            let place = fields.firstIndex(of: "offset"), place + 1 < fields.count,
            let offset = Int(fields[place + 1])
        else { return nil }
        return (id: id, nextOffset: offset)
    }

    /// For a report.
    static func text(_ milliseconds: [Double]) -> String {
        guard !milliseconds.isEmpty else { return "no entry came" }
        func part(_ share: Double) -> String {
            let place = Int(share * Double(milliseconds.count - 1) + 0.5)
            return fixed(milliseconds[place], 1) + " ms"
        }
        return
            "p50 \(part(0.5)), p99 \(part(0.99)) over \(milliseconds.count) events, one at a time"
    }
}
