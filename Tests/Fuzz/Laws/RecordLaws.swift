// Records of the two topics. An input is a byte of flags (what is null, which record time), the key behind its length,
// and the payload.

import Evaluation
import Interactions
import RecordDecoding

private let now: Milliseconds = 1_700_000_000_000
private let types = EventTypes([
    EventType(name: "view", weight: 1, seen: .always),
    EventType(name: "rate", weight: 4, seen: .cooldown(86_400_000)),
    EventType(name: "dislike", weight: -2, seen: .always),
])

private func seed(_ flags: UInt8, _ key: String, _ payload: String) -> [UInt8] {
    [flags] + FuzzInput.block(Array(key.utf8)) + Array(payload.utf8)
}

extension FuzzTarget {
    static let interactions = FuzzTarget(
        "interactions",
        seeds: [
            seed(
                0, "u1", #"{"user":"u1","item":"i1","type":"view","ts":1690000000000,"id":"e1"}"#),
            seed(
                1, "", #"{"user":7,"item":18446744073709551615,"type":"rate","value":-4.5e3} "#),
            seed(
                4, "ü",
                #"{"item":"i\u00e9\ud83d\ude00","type":"dislike","ts":"2023-01-31T12:00:00Z"}"#),
            seed(2, "u1", ""), seed(3, "", ""), seed(8, "u1", #"{"user":"u2"}"#),
            seed(0, "u", #"{"item":"i","type":"view","x":[[{"a":[1,2,{"b":null}]}]],"id":null}"#),
            seed(12, "u", #"{"item":"i","type":"view","ts":1800000000000}"#),
        ]
    ) { bytes in
        let record = Record(bytes)
        var decoder = InteractionDecoder(types: types)
        func decode(
            _ key: [UInt8]?, _ payload: [UInt8]?
        ) -> InteractionOutcome {
            decoder.decode(key: key, payload: payload, recordTime: record.time, now: now)
        }
        let outcome = decode(record.key, record.payload)
        _ = decode(Array("u".utf8), Array(#"{"item":"other","type":"rate"}"#.utf8))
        let again = decode(record.key, record.payload)
        try require(again == outcome, "a used decoder says \(again), a new one \(outcome)")
        try requireOneGrammar(record.payload, outcome.rejection)
        guard case .entry(.interaction(let event), let notes) = outcome else { return }
        let key = Array(event.user.text.utf8)
        try require(
            notes.contains(.unkeyed) || key == record.key, "the key is not \(event.user)'s")
        if notes.contains(.unidentified), let payload = record.payload {
            let named = appending("id", "topic/0/1", toObject: payload).map { decode(key, $0) }
            var expected = event
            expected.eventKey = xxh64("topic/0/1")
            guard case .entry(.interaction(expected), _)? = named else {
                throw BrokenLaw("with an id appended: \(String(describing: named))")
            }
        }
        // The record's own time is not held to the bounds of the field.
        guard event.time >= DecodingLimits().timeMin else { return }
        var writer = JSONObjectWriter()
        writer.add("user", event.user.text)
        writer.add("item", event.item.text)
        writer.add("type", types[event.type].name)
        writer.add("ts", event.time)
        if let value = event.value { writer.add("value", value) }
        let written = decode(key, writer.finished())
        var expected = event
        expected.eventKey = 0
        guard case .entry(.interaction(expected), _) = written else {
            throw BrokenLaw("\(event), written and read: \(written)")
        }
    }

    static let items = FuzzTarget(
        "items",
        seeds: [
            seed(
                0, "i1", #"{"id":"i1","title":"A title","brand":"b","categories":["a","b\nc",""]}"#),
            seed(
                1, "",
                #"{"id":5,"title":"T","price":1.25,"available":false,"expires":1790000000000}"#),
            seed(0, "i", #"{"title":"T","description":"d","categories":"one","x":{"y":[]}}"#),
            seed(2, "i1", ""), seed(3, "", ""), seed(0, "i", #"{"title":"T","categories":[]}"#),
            // One category with a line feed once kept it, where one of several does not.
            seed(0, "i", #"{"title":"T","categories":"a\nb"}"#),
        ]
    ) { bytes in
        let record = Record(bytes)
        var decoder = ItemDecoder()
        let outcome = decoder.decode(key: record.key, payload: record.payload)
        _ = decoder.decode(
            key: [UInt8]?.none, payload: Array(#"{"id":"o","title":"t","categories":["c"]}"#.utf8))
        let again = decoder.decode(key: record.key, payload: record.payload)
        try require(again == outcome, "a used decoder says \(again), a new one \(outcome)")
        try requireOneGrammar(record.payload, outcome.rejection)
        guard case .change(.set(let item, let json)) = outcome else { return }
        try require(json == record.payload, "the record is not kept as it came")
        let written = Array(text(of: item).utf8)
        let reread = decoder.decode(key: Array(item.id.text.utf8), payload: written)
        try require(
            reread == .change(.set(item, json: written)), "\(item), written and read: \(reread)")
    }
}

private struct Record {
    var key: [UInt8]?
    var payload: [UInt8]?
    var time: Milliseconds?

    init(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let flags = input.byte()
        let times: [Milliseconds?] = [now - 1_000, nil, now + 60_000_000, now - 86_400_000]
        key = input.block()
        payload = input.remainder()
        if flags & 1 != 0 { key = nil }
        if flags & 2 != 0 { payload = nil }
        time = times[Int(flags >> 2 & 3)]
    }
}

extension InteractionOutcome {
    fileprivate var rejection: Rejection? {
        if case .rejected(let rejection) = self { rejection } else { nil }
    }
}

extension ItemOutcome {
    fileprivate var rejection: Rejection? {
        if case .rejected(let rejection) = self { rejection } else { nil }
    }
}

/// What simdjson takes for an object, the importer's reader takes for one.
private func requireOneGrammar(
    _ payload: [UInt8]?, _ rejection: Rejection?
) throws {
    let syntax: [Rejection.Reason] = [
        .invalidJSON, .invalidUTF8, .notAnObject, .payloadTooLarge, .timestampInFuture,
    ]
    guard let payload, !syntax.contains(rejection?.reason ?? .missingField) else { return }
    do {
        guard case .object = try JSONValue(parsing: payload) else {
            throw BrokenLaw("an object to simdjson only")
        }
    } catch let error as JSONError {
        try require(error.reason.contains("deep"), "JSON to simdjson only: \(error)")
    }
}

private func text(of item: ItemRecord) -> String {
    var json = "{\"id\":\(jsonString(item.id.text)),\"title\":\(jsonString(item.title))"
    if let brand = item.brand { json += ",\"brand\":\(jsonString(brand))" }
    if let description = item.description { json += ",\"description\":\(jsonString(description))" }
    json += ",\"categories\":[\(item.categories.map(jsonString).joined(separator: ","))]"
    if let price = item.price { json += ",\"price\":\(price)" }
    if let expires = item.expires { json += ",\"expires\":\(expires)" }
    return json + ",\"available\":\(item.available)}"
}
