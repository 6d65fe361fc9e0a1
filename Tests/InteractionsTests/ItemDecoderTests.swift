import Interactions
import RecordDecoding
import Testing

private func decode(key: String? = "i1", _ payload: String?) -> ItemOutcome {
    var decoder = ItemDecoder()
    return decoder.decode(
        key: key.map { Array($0.utf8) }, payload: payload.map { Array($0.utf8) })
}

private func record(_ outcome: ItemOutcome) -> ItemRecord? {
    guard case .change(.set(let record, json: _)) = outcome else { return nil }
    return record
}

private func reason(_ outcome: ItemOutcome) -> Rejection.Reason? {
    guard case .rejected(let rejection) = outcome else { return nil }
    return rejection.reason
}

@Suite struct ItemDecoderTests {
    @Test("a full item is decoded, and its bytes are kept")
    func full() throws {
        let payload = """
            {"id":"i1","title":"Chair","brand":"B","categories":["home","","a\\nb"],"description":"soft",
            "price":19.5,"available":false,"expires":"2030-01-01T00:00:00Z","other":{"x":[1]}}
            """
        let outcome = decode(payload)
        let item = try #require(record(outcome))
        #expect(item.id.text == "i1")
        #expect(item.title == "Chair")
        #expect(item.brand == "B")
        #expect(item.categories == ["home", "a b"])
        #expect(item.description == "soft")
        #expect(item.price == 19.5)
        #expect(item.available == false)
        #expect(item.expires == 1_893_456_000_000)
        #expect(outcome == .change(.set(item, json: Array(payload.utf8))))
    }

    @Test("the title is enough; the key names the item")
    func least() throws {
        let id = try #require(ItemID("i1"))
        #expect(record(decode(#"{"title":"T"}"#)) == ItemRecord(id: id, title: "T"))
        let one = decode(key: nil, #"{"id":7,"title":"T","categories":"books"}"#)
        #expect(record(one)?.id.text == "7")
        #expect(record(one)?.categories == ["books"])
    }

    @Test("a tombstone withdraws; nothing at all is empty")
    func tombstone() throws {
        #expect(decode(nil) == .change(.withdraw(try #require(ItemID("i1")))))
        #expect(decode(key: nil, nil) == .empty)
    }

    @Test(
        "what cannot be an item is rejected by name",
        arguments: [
            ("{", .invalidJSON), ("[]", .notAnObject), ("{}", .missingField),
            (#"{"title":""}"#, .missingField), (#"{"title":7}"#, .wrongType),
            (#"{"id":"i2","title":"T"}"#, .keyMismatch),
            (#"{"title":"T","price":-1}"#, .invalidValue),
            (#"{"title":"T","price":"1"}"#, .wrongType),
            (#"{"title":"T","available":1}"#, .wrongType),
            (#"{"title":"T","categories":[1]}"#, .wrongType),
            (#"{"title":"T","categories":{}}"#, .wrongType),
            (#"{"title":"T","expires":"soon"}"#, .invalidTime),
            (#"{"title":"T","expires":1893456000}"#, .invalidTime),
        ] as [(String, Rejection.Reason)])
    func rejected(payload: String, expected: Rejection.Reason) {
        #expect(reason(decode(payload)) == expected)
    }

    @Test("every field has a limit that is reached")
    func limits() {
        func text(_ count: Int) -> String { String(repeating: "t", count: count) }
        #expect(record(decode(#"{"title":"\#(text(1_024))"}"#)) != nil)
        #expect(reason(decode(#"{"title":"\#(text(1_025))"}"#)) == .fieldTooLong)
        #expect(reason(decode(#"{"title":"T","brand":"\#(text(1_025))"}"#)) == .fieldTooLong)
        #expect(
            reason(decode(#"{"title":"T","description":"\#(text(65_537))"}"#)) == .fieldTooLong)
        #expect(
            reason(decode(#"{"title":"T","categories":["\#(text(1_025))"]}"#)) == .fieldTooLong)
        func categories(_ count: Int) -> String {
            (0..<count).map { #""c\#($0)""# }.joined(separator: ",")
        }
        #expect(record(decode(#"{"title":"T","categories":[\#(categories(32))]}"#)) != nil)
        #expect(
            reason(decode(#"{"title":"T","categories":[\#(categories(33))]}"#)) == .tooManyValues)
        let large = #"{"title":"T","x":"\#(text(1_024 * 1_024))"}"#
        #expect(reason(decode(large)) == .payloadTooLarge)
        #expect(reason(decode(key: text(257), #"{"title":"T"}"#)) == .invalidIdentifier)
    }
}
