// What a refresh of the daemon learns from: the stored histories, written as a log that `millrace refresh` reads.
//
// A history is an order of its user's events with their times, so all of them together, sorted by time, are a log; what
// is known of a user before an event is exactly what stands before it there. Users are numbers in it: nobody is named.

import Evaluation
import Interactions
import JSONDocuments
import Pipeline

struct RefreshExport {
    private struct Event {
        var seconds: UInt32
        var user: Int32
        var item: ItemKey
    }

    /// Users whose newest event is older are left out, in seconds.
    let since: UInt32
    /// Newer events are left out: pages are read at different times, and up to here all of them are whole.
    let until: UInt32
    let eventsMax: Int
    private var users: [UInt64: [(item: ItemKey, seconds: UInt32)]] = [:]
    private(set) var eventCount = 0

    init(since: UInt32, until: UInt32, eventsMax: Int) {
        self.since = since
        self.until = until
        self.eventsMax = eventsMax
    }

    mutating func add(_ histories: [UserHistory]) {
        for history in histories {
            // A user may come twice: the later reading is the longer one.
            eventCount -= users.removeValue(forKey: history.user.key)?.count ?? 0
            let events = history.events.filter { $0.seconds <= until }
            guard let newest = events.last?.seconds, newest >= since else { continue }
            users[history.user.key] = events
            eventCount += events.count
        }
        if eventCount > 2 * eventsMax { trim() }
    }

    /// Leaves those who came last.
    private mutating func trim() {
        let order = users.sorted {
            ($0.value.last?.seconds ?? 0, $0.key) > ($1.value.last?.seconds ?? 0, $1.key)
        }
        users = [:]
        eventCount = 0
        for (user, events) in order {
            guard eventCount + events.count <= eventsMax else { break }
            users[user] = events
            eventCount += events.count
        }
    }

    struct Counts {
        var events = 0
        var new = 0
    }

    /// Writes `events.jsonl` and `items.jsonl`. Events of items that nobody can name any more are left out.
    mutating func write(
        to folder: String, names: [ItemKey: ItemID], items records: [ItemRecord],
        knownUntil: Milliseconds?
    ) throws -> Counts {
        trim()
        var events: [Event] = []
        events.reserveCapacity(eventCount)
        for (number, user) in users.sorted(by: { $0.key < $1.key }).enumerated() {
            for event in user.value {
                events.append(
                    Event(seconds: event.seconds, user: Int32(number), item: event.item))
            }
        }
        // Stable: a user's own events of one second stay in their order.
        events.sort { $0.seconds < $1.seconds }
        var counts = Counts()
        let log = try FileWriter("\(folder)/events.jsonl")
        for event in events {
            guard let name = names[event.item] else { continue }
            let time = Milliseconds(event.seconds) * 1_000
            counts.events += 1
            if time > knownUntil ?? .min { counts.new += 1 }
            try log.write(
                line: Self.line([
                    "user": .string("\(event.user)"), "item": .string(name.text),
                    "ts": .integer(time),
                ]))
        }
        try log.finish()
        let items = try FileWriter("\(folder)/items.jsonl")
        for record in records {
            // What summaries are made of as well.
            var members: [JSONMember] = [
                JSONMember("id", .string(record.id.text)),
                JSONMember("title", .string(record.title)),
            ]
            if let brand = record.brand { members.append(JSONMember("brand", .string(brand))) }
            if let price = record.price { members.append(JSONMember("price", .real(price))) }
            if !record.categories.isEmpty {
                members.append(
                    JSONMember("categories", .array(record.categories.map { .string($0) })))
            }
            try items.write(
                line: String(
                    decoding: JSONDocuments.JSONValue.object(members).serialised(.compact),
                    as: UTF8.self))
        }
        try items.finish()
        return counts
    }

    private static func line(
        _ members: KeyValuePairs<String, JSONDocuments.JSONValue>
    ) -> String {
        String(
            decoding: JSONDocuments.JSONValue.members(members).serialised(.compact), as: UTF8.self)
    }
}
