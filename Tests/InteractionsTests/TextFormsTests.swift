import Foundation
import Interactions
import RecordDecoding
import TestKit
import Testing

@Suite struct TextFormsTests {
    @Test(
        "dates of RFC 3339 are read to the millisecond",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-01-01T00:00:00Z", 1_767_225_600_000),
            ("2026-01-01t01:30:00.25+01:30", 1_767_225_600_250),
            ("2025-12-31T23:59:59.9999-00:00", 1_767_225_599_999),
            ("2024-02-29T12:00:00.000000001z", 1_709_208_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("2017-01-01T00:59:60+01:00", 1_483_228_800_000),
            ("1969-12-31T23:59:59Z", -1_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("0000-03-01T00:00:00Z", -62_162_035_200_000),
        ])
    func dates(text: String, expected: Milliseconds) {
        #expect(milliseconds(rfc3339: text.utf8.span) == expected)
    }

    @Test(
        "what only resembles a date is refused",
        arguments: [
            "", "2026", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00",
            "2026-1-01T00:00:00Z", "2026-01-01T00:00Z", "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.0000000000Z", "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx",
            "-026-01-01T00:00:00Z", "２026-01-01T00:00:00Z",
        ])
    func notDates(text: String) {
        #expect(milliseconds(rfc3339: text.utf8.span) == nil)
    }

    @Test("dates agree with Foundation's over four centuries")
    func foundation() throws {
        let formatter = ISO8601DateFormatter()
        var random = SeededRandom(seed: 3)
        for _ in 0..<2_000 {
            let seconds = Int64(random.below(12_622_780_800)) - 2_208_988_800
            let text = formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            #expect(milliseconds(rfc3339: text.utf8.span) == seconds * 1_000, "\(text)")
        }
    }

    @Test("what is written reads back, whatever is in it")
    func written() throws {
        let texts = ["plain", "quo\"te \\ slash", "line\nfeed\ttab\u{0}\u{1f}", "é\u{1F600}\u{7f}"]
        for text in texts {
            var writer = JSONObjectWriter()
            writer.add("a\"b", text)
            writer.add("n", -42 as Int64)
            writer.add("x", 1e-7)
            let bytes = writer.finished()
            let object = try #require(
                JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
            #expect(object["a\"b"] as? String == text)
            #expect(object["n"] as? Int == -42)
            #expect(object["x"] as? Double == 1e-7)
        }
    }

    @Test(
        "a field added to an object is in it",
        arguments: ["{}", " { } ", #"{"a":1}"#, "{\"a\":{\"b\":2}\n}\n", #"{"id":null}"#])
    func appended(object: String) throws {
        let bytes = try #require(appending("id", "x/\"0", toObject: Array(object.utf8)))
        let types = EventTypes([EventType(name: "t", weight: 1, seen: .never)])
        var fields = InteractionFields()
        fields.user = "id"
        var decoder = InteractionDecoder(fields: fields, types: types)
        let outcome = decoder.decode(key: [0x7A], payload: bytes, recordTime: nil, now: 0)
        // Rejected for its lack of an item only after the user was read.
        guard case .rejected(let rejection) = outcome else {
            Issue.record("decoded")
            return
        }
        #expect(rejection.detail.contains("`item`"))
        #expect(appending("id", "x", toObject: [0x5B]) == nil)
    }
}
