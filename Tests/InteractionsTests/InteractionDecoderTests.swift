import Interactions
import RecordDecoding
import TestKit
import Testing

private let now: Milliseconds = 1_767_225_600_000  // 2026-01-01
private let types = EventTypes([
    EventType(name: "view", weight: 1, seen: .always),
    EventType(name: "purchase", weight: 5, seen: .always),
])

private func decode(
    key: String? = "u1", _ payload: String?, recordTime: Milliseconds? = now
) -> InteractionOutcome {
    var decoder = InteractionDecoder(types: types)
    return decoder.decode(
        key: key.map { Array($0.utf8) }, payload: payload.map { Array($0.utf8) },
        recordTime: recordTime, now: now)
}

private func interaction(_ outcome: InteractionOutcome) -> Interaction? {
    guard case .entry(.interaction(let interaction), _) = outcome else { return nil }
    return interaction
}

private func reason(_ outcome: InteractionOutcome) -> Rejection.Reason? {
    guard case .rejected(let rejection) = outcome else { return nil }
    return rejection.reason
}

@Suite struct InteractionDecoderTests {
    @Test("a full event is decoded field by field")
    func full() throws {
        let outcome = decode(
            #"{"user":"u1","item":"i/é","type":"purchase","value":4.5,"ts":1767225599000,"id":"e1"}"#
        )
        let event = try #require(interaction(outcome))
        #expect(event.user.text == "u1")
        #expect(event.item.text == "i/é")
        #expect(event.type == 1)
        #expect(event.value == 4.5)
        #expect(event.time == 1_767_225_599_000)
        #expect(event.eventKey == xxh64("e1"))
        #expect(outcome == .entry(.interaction(event), []))
    }

    @Test("identifiers may be integers, written in decimal")
    func integers() throws {
        let payload =
            #"{"user":42,"item":18446744073709551615,"type":"view","id":-7,"ts":"2026-01-01T00:00:00Z"}"#
        let event = try #require(interaction(decode(key: "42", payload)))
        #expect(event.user.text == "42")
        #expect(event.item.text == "18446744073709551615")
        #expect(event.eventKey == xxh64("-7"))
        #expect(event.time == now)
    }

    @Test("a time left out is the record's, and a null is as good as absent")
    func recordTime() throws {
        let payload = #"{"user":"u1","item":"i","type":"view","ts":null,"value":null,"id":null}"#
        let event = try #require(interaction(decode(payload, recordTime: now - 5)))
        #expect(event.time == now - 5)
        #expect(event.value == nil)
        #expect(event.eventKey == 0)
        #expect(reason(decode(payload, recordTime: nil)) == .missingField)
        #expect(reason(decode(payload, recordTime: -1)) == .missingField)
    }

    @Test("fields can be called otherwise")
    func renamed() {
        var fields = InteractionFields()
        fields.user = "uid"
        fields.item = "sku"
        fields.type = "verb"
        var decoder = InteractionDecoder(fields: fields, types: types)
        let payload = Array(#"{"uid":"a","sku":"b","verb":"view","user":"not me"}"#.utf8)
        let outcome = decoder.decode(key: nil, payload: payload, recordTime: now, now: now)
        #expect(interaction(outcome)?.user.text == "a")
        #expect(interaction(outcome)?.item.text == "b")
    }

    @Test("a tombstone forgets its key's user")
    func tombstone() throws {
        let user = try #require(UserID("u1"))
        #expect(decode(nil) == .entry(.forget(user), []))
        #expect(decode(key: nil, nil) == .empty)
        #expect(decode(key: "", nil) == .empty)
        let long = String(repeating: "k", count: Identifier.bytesMax + 1)
        #expect(reason(decode(key: long, nil)) == .invalidIdentifier)
        var decoder = InteractionDecoder(types: types)
        let outcome = decoder.decode(key: [0xFF, 0xFE], payload: nil, recordTime: now, now: now)
        #expect(reason(outcome) == .invalidUTF8)
    }

    @Test("a record without a key is noted, one whose key contradicts it rejected")
    func keys() {
        let payload = #"{"user":"u1","item":"i","type":"view","id":"e"}"#
        for key in [nil, ""] {
            guard case .entry(_, let notes) = decode(key: key, payload) else {
                Issue.record("not decoded")
                continue
            }
            #expect(notes == .unkeyed)
        }
        #expect(reason(decode(key: "u2", payload)) == .keyMismatch)
        #expect(reason(decode(key: "u11", payload)) == .keyMismatch)
    }

    @Test("an event dated after its record is moved back, a record dated after now rejected")
    func future() throws {
        func payload(_ time: Milliseconds) -> String {
            #"{"user":"u1","item":"i","type":"view","id":"e","ts":\#(time)}"#
        }
        let tolerance = DecodingLimits().futureTolerance
        let allowed = decode(payload(now - 1_000 + tolerance), recordTime: now - 1_000)
        #expect(interaction(allowed)?.time == now - 1_000 + tolerance)
        let clamped = decode(payload(now + tolerance), recordTime: now - 1_000)
        #expect(interaction(clamped)?.time == now - 1_000)
        #expect(clamped == .entry(.interaction(try #require(interaction(clamped))), .clamped))
        let late = decode(payload(now - 365 * 86_400_000), recordTime: now)
        #expect(interaction(late)?.time == now - 365 * 86_400_000)
        #expect(
            reason(decode(payload(now), recordTime: now + tolerance + 1)) == .timestampInFuture)
        #expect(
            reason(decode(payload(now + tolerance + 1), recordTime: nil)) == .timestampInFuture)
    }

    @Test(
        "what cannot be applied is rejected by name",
        arguments: [
            ("", .invalidJSON), ("{", .invalidJSON), ("{}x", .invalidJSON), ("nul", .invalidJSON),
            ("[1]", .notAnObject), ("\"a\"", .notAnObject), ("null", .notAnObject),
            (#"{"user":"u1","type":"view"}"#, .missingField),
            (#"{"user":"u1","item":"i"}"#, .missingField),
            (#"{"user":{},"item":"i","type":"view"}"#, .wrongType),
            (#"{"user":1.5,"item":"i","type":"view"}"#, .wrongType),
            (#"{"user":true,"item":"i","type":"view"}"#, .wrongType),
            (#"{"user":"","item":"i","type":"view"}"#, .invalidIdentifier),
            (#"{"user":"u1","item":"","type":"view"}"#, .invalidIdentifier),
            (#"{"user":"u1","item":"i","type":"sneeze"}"#, .unknownType),
            (#"{"user":"u1","item":"i","type":""}"#, .unknownType),
            (#"{"user":"u1","item":"i","type":3}"#, .wrongType),
            (#"{"user":"u1","item":"i","type":"view","value":"4"}"#, .wrongType),
            (#"{"user":"u1","item":"i","type":"view","value":1e999}"#, .invalidJSON),
            (#"{"user":"u1","item":"i","type":"view","value":NaN}"#, .invalidJSON),
            (#"{"user":"u1","item":"i","type":"view","ts":-1}"#, .invalidTime),
            (#"{"user":"u1","item":"i","type":"view","ts":0}"#, .invalidTime),
            (#"{"user":"u1","item":"i","type":"view","ts":1767225600}"#, .invalidTime),
            (#"{"user":"u1","item":"i","type":"view","ts":9223372036854775807}"#, .invalidTime),
            (#"{"user":"u1","item":"i","type":"view","ts":1e12}"#, .wrongType),
            (#"{"user":"u1","item":"i","type":"view","ts":"yesterday"}"#, .invalidTime),
            (#"{"user":"u1","item":"i","type":"view","ts":"2026-02-30T00:00:00Z"}"#, .invalidTime),
            (#"{"user":"\ud800","item":"i","type":"view"}"#, .invalidJSON),
        ] as [(String, Rejection.Reason)])
    func rejected(payload: String, expected: Rejection.Reason) {
        #expect(reason(decode(payload)) == expected)
    }

    @Test("bytes that are not UTF-8, payloads and identifiers that are too long, nesting too deep")
    func limits() {
        var decoder = InteractionDecoder(types: types)
        let broken = Array(#"{"user":"u1","item":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8)
        let outcome = decoder.decode(key: [0x75], payload: broken, recordTime: now, now: now)
        #expect(reason(outcome) == .invalidUTF8)

        let padding = String(repeating: " ", count: DecodingLimits().interactionBytesMax)
        let payload = #"{"user":"u1","item":"i","type":"view"}"#
        #expect(reason(decode(payload + padding)) == .payloadTooLarge)
        let fits = String(padding.dropLast(payload.utf8.count))
        #expect(interaction(decode(payload + fits)) != nil)

        let long = String(repeating: "x", count: Identifier.bytesMax + 1)
        #expect(
            reason(decode(#"{"user":"u1","item":"\#(long)","type":"view"}"#)) == .invalidIdentifier)
        let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(
            reason(decode(#"{"user":"u1","item":"i","type":"view","x":\#(deep)}"#)) == .invalidJSON)
    }

    @Test("a rejection leaves nothing behind for the next record")
    func reuse() {
        var decoder = InteractionDecoder(types: types)
        let good = Array(#"{"user":"u1","item":"i","type":"view"}"#.utf8)
        for bad in ["{", "[]", #"{"user":"u2","item":"z","type":"view","value":7,"id":"q"}x"#] {
            _ = decoder.decode(key: nil, payload: Array(bad.utf8), recordTime: now, now: now)
            let outcome = decoder.decode(key: nil, payload: good, recordTime: now, now: now)
            #expect(interaction(outcome)?.user.text == "u1")
            #expect(interaction(outcome)?.value == nil)
            #expect(interaction(outcome)?.eventKey == 0)
        }
    }

    @Test("every prefix of an event and random bytes are answered, never trapped on")
    func fuzz() {
        var random = SeededRandom(seed: 7)
        var decoder = InteractionDecoder(types: types)
        let whole = Array(
            #"{"user":"u1","item":"i\u00e9","type":"view","ts":"2026-01-01T00:00:00.5+01:00","value":-1.5e3,"id":9}"#
                .utf8)
        for end in 0..<whole.count {
            let outcome = decoder.decode(
                key: nil, payload: Array(whole[..<end]), recordTime: now, now: now)
            #expect(reason(outcome) == .invalidJSON)
        }
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0..<(1 + random.below(4)) {
                bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.chance(0.2) { bytes.removeSubrange(..<random.below(bytes.count)) }
            let key: [UInt8]? = random.chance(0.5) ? Array(bytes.prefix(random.below(8))) : nil
            _ = decoder.decode(key: key, payload: bytes, recordTime: now, now: now)
        }
    }
}
