// Reading back what the importer and the simulator write: `events.jsonl` and `items.jsonl`.

public import Interactions

/// A line of `events.jsonl`, its type not yet looked up.
public struct LoggedEvent: Sendable, Hashable {
    public var user: UserID
    public var item: ItemID
    public var type: String
    public var time: Milliseconds
    public var value: Double?
}

/// A line of `items.jsonl`; `time` is when the record came, nil for records that were there before the log.
public struct LoggedItem: Sendable, Hashable {
    public var record: ItemRecord
    public var time: Milliseconds?

    public init(record: ItemRecord, time: Milliseconds? = nil) {
        self.record = record
        self.time = time
    }
}

public struct LogLineError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }
}

extension LoggedEvent {
    public init(parsing line: [UInt8]) throws(LogLineError) {
        let json = try readJSON(line)
        guard let user = json["user"]?.text.flatMap(UserID.init) else {
            throw LogLineError("`user` is missing or not 1 to \(Identifier.bytesMax) bytes")
        }
        guard let item = json["item"]?.text.flatMap(ItemID.init) else {
            throw LogLineError("`item` is missing or not 1 to \(Identifier.bytesMax) bytes")
        }
        guard let time = json["ts"].flatMap(loggedTime) else {
            throw LogLineError("`ts` is missing or not a time")
        }
        self.user = user
        self.item = item
        self.time = time
        type = json["type"]?.text ?? "view"
        value = json["value"]?.double
    }
}

extension LoggedItem {
    public init(parsing line: [UInt8]) throws(LogLineError) {
        let json = try readJSON(line)
        guard let id = json["id"]?.text.flatMap(ItemID.init) else {
            throw LogLineError("`id` is missing or not 1 to \(Identifier.bytesMax) bytes")
        }
        guard let title = json["title"]?.text, !title.isEmpty else {
            throw LogLineError("`title` of \(id) is missing")
        }
        record = ItemRecord(
            id: id, title: title, brand: json["brand"]?.text,
            categories: (json["categories"]?.elements ?? []).compactMap(\.text),
            description: json["description"]?.text, price: json["price"]?.double,
            available: json["available"] != .bool(false),
            expires: json["expires"].flatMap(loggedTime))
        time = json["ts"].flatMap(loggedTime)
    }
}

/// Milliseconds, or RFC 3339: our own logs never hold seconds, so small numbers are not taken for them.
private func loggedTime(_ value: JSONValue) -> Milliseconds? {
    guard case .number(let text) = value else {
        return value.text.flatMap { Double($0) == nil ? Milliseconds.imported($0) : nil }
    }
    guard let number = Double(text), number >= 0,
        number <= Double(Milliseconds.importedMax)
    else { return nil }
    return Milliseconds(number)
}

private func readJSON(_ line: [UInt8]) throws(LogLineError) -> JSONValue {
    do {
        return try JSONValue(parsing: line)
    } catch {
        throw LogLineError("is not JSON at byte \(error.offset): \(error.reason)")
    }
}

/// The types of a log in order of first appearance, all of the same weight, and its changes in the order of time.
public func changes(
    of events: [LoggedEvent], items: [LoggedItem], seen: SeenRule
) -> (types: EventTypes, changes: [LogChange]) {
    var types: [EventType] = []
    var index: [String: EventType.Index] = [:]
    for event in events where index[event.type] == nil && types.count < EventTypes.countMax {
        index[event.type] = EventType.Index(types.count)
        types.append(EventType(name: event.type, weight: 1, seen: seen))
    }
    if types.isEmpty { types = [EventType(name: "view", weight: 1, seen: seen)] }
    var timed: [(time: Milliseconds, change: LogChange)] = []
    timed.reserveCapacity(events.count + items.count)
    for item in items { timed.append((item.time ?? .min, .item(item.record))) }
    for event in events {
        let interaction = Interaction(
            user: event.user, item: event.item, type: index[event.type] ?? 0, time: event.time,
            value: event.value)
        timed.append((event.time, .interaction(interaction)))
    }
    // The sort of the standard library is stable: equal times stay in file order, items first.
    timed.sort { $0.time < $1.time }
    return (EventTypes(types), timed.map(\.change))
}
