import Evaluation
import Foundation
import Interactions
import Testing

@Suite("Import")
struct ImportTests {
    private func take(
        _ kind: LineImporter.Kind, _ format: ImportFormat, _ text: String
    ) -> [ImportedLine] {
        var importer = LineImporter(kind, shape: kind == .events ? format.events : format.items)
        // By bytes: to Swift, a carriage return and a line feed are one character.
        let lines = Array(text.utf8).split(separator: 0x0A, omittingEmptySubsequences: false)
        var outcomes = lines.map { importer.take(line: Array($0)) }
        outcomes.append(importer.finish())
        return outcomes
    }

    private func json(_ lines: [ImportedLine]) -> [String] {
        lines.compactMap {
            switch $0 {
            case .event(_, _, let json), .item(_, let json): json
            default: nil
            }
        }
    }

    private func reasons(_ lines: [ImportedLine]) -> [String] {
        lines.compactMap { if case .bad(let line) = $0 { line.reason } else { nil } }
    }

    @Test("MovieTweetings files, bad lines counted by reason")
    func movieTweetings() {
        let lines = take(
            .events, .movietweetings,
            "1::1074638::7::1365029107\r\n\n2::0104257::8\n::5::1::1365029107\n3::4::x::yesterday\n"
                + "4::5::great::1365029108")
        #expect(
            json(lines) == [
                #"{"user":"u1","item":"tt1074638","type":"rate","ts":1365029107000,"value":7}"#,
                #"{"user":"u4","item":"tt5","type":"rate","ts":1365029108000}"#,
            ])
        #expect(reasons(lines) == ["no time", "no user", "time cannot be read"])
        let items = take(
            .items, .movietweetings, "0002844::Fantômas \"I\"::Crime|Drama\n1:: ::Drama\n2")
        #expect(
            json(items) == [
                #"{"id":"tt0002844","title":"Fantômas \"I\"","categories":["Crime","Drama"]}"#
            ])
        #expect(reasons(items) == ["no title", "no title"])
    }

    @Test("titles that are not UTF-8 are read as Latin-1")
    func latin1() {
        var importer = LineImporter(.items, shape: ImportFormat.movielens.items)
        let line = Array("1::Caf".utf8) + [0xE9] + Array("::Drama".utf8)
        guard case .item(_, let json) = importer.take(line: line) else {
            Issue.record("the line was refused")
            return
        }
        #expect(json == #"{"id":"1","title":"Café","categories":["Drama"]}"#)
    }

    @Test("Amazon reviews and metadata of 2018 and 2023")
    func amazon() {
        let events = take(
            .events, .amazon,
            #"{"reviewerID":"A1","asin":"B1","overall":5.0,"unixReviewTime":1365029107,"x":[{}]}"#
                + "\n"
                + #"{"user_id":"A","parent_asin":"B2","rating":4,"timestamp":1365029107123}"#
                + "\n{\"reviewerID\":\"A1\"\n[1]")
        #expect(
            json(events) == [
                #"{"user":"A1","item":"B1","type":"rate","ts":1365029107000,"value":5.0}"#,
                #"{"user":"A","item":"B2","type":"rate","ts":1365029107123,"value":4}"#,
            ])
        #expect(reasons(events) == ["not JSON: an object does not end", "not a JSON object"])
        let items = take(
            .items, .amazon,
            #"{"asin":"B1","title":"Pen","brand":"P","category":["Desk","Pens"],"price":"$1.50"}"#
                + "\n" + #"{"asin":"B2","title":"Ink","categories":[["A","B"]],"price":"$1 - $2"}"#)
        #expect(
            json(items) == [
                #"{"id":"B1","title":"Pen","brand":"P","categories":["Desk","Pens"],"price":1.5}"#,
                #"{"id":"B2","title":"Ink","categories":["A","B"]}"#,
            ])
    }

    @Test("CSV with a byte order mark, quotes, separators and line ends inside quotes")
    func separatedValues() {
        let lines = take(
            .items, .csv,
            "\u{feff}id,title,price\r\n1,\"A \"\"big\"\" pen, blue\r\nand red\",3\r\n2,plain,\n\n3")
        #expect(
            json(lines) == [
                #"{"id":"1","title":"A \"big\" pen, blue\r\nand red","price":3}"#,
                #"{"id":"2","title":"plain"}"#,
            ])
        #expect(reasons(lines) == ["no title"])
        #expect(
            reasons(take(.items, .csv, "id,title\n1,\"open")) == [
                "the last record has an open quote"
            ])
    }

    @Test("a stray quote does not swallow the file")
    func strayQuote() throws {
        var records = SeparatedValues()
        let line = Array(repeating: UInt8(ascii: "x"), count: 1_000)
        #expect(throws: SeparatedValues.Failure.recordTooLong) {
            _ = try records.take(line: [UInt8(ascii: "\"")])
            for _ in 0...(SeparatedValues.recordBytesMax / 1_000) {
                _ = try records.take(line: line)
            }
        }
        #expect(try records.take(line: Array("a,b".utf8))?.count == 2)
    }

    @Test(
        "times in seconds, milliseconds and RFC 3339",
        arguments: [
            ("1365029107", 1_365_029_107_000), ("1365029107.5", 1_365_029_107_500),
            ("1365029107123", 1_365_029_107_123), ("2013-04-03", 1_364_947_200_000),
            ("2013-04-03T22:45:07Z", 1_365_029_107_000),
            ("2013-04-04 00:45:07.25+02:00", 1_365_029_107_250),
        ] as [(String, Milliseconds)])
    func times(text: String, time: Milliseconds) {
        #expect(Milliseconds.imported(text) == time)
    }

    @Test(
        "times that are none",
        arguments: [
            "", "yesterday", "-1", "nan", "1e30", "2013-13-01", "2013-04-03T25:00:00Z",
            "2013-04-03T22:45", "2013-04-03T22:45:07+0", "1969-12-31",
        ])
    func badTimes(text: String) {
        #expect(Milliseconds.imported(text) == nil)
    }

    @Test("JSON: escapes, numbers kept as written, nonsense refused")
    func jsonValues() throws {
        let text = #" {"a":"\u00e9\n\ud83d\ude00\"","b":[1.50,-2e3,true,null],"c":{}} "#
        let value = try JSONValue(parsing: Array(text.utf8))
        #expect(value["a"]?.text == "é\n😀\"")
        #expect(value["b"]?.elements?.first == .number("1.50"))
        #expect(value["b"]?.elements?[1].double == -2_000)
        for bad in [
            "", "{", "[1,]", "{\"a\" 1}", "tru", "\"\\ud83d\"", "\"a", "1 2", "nan", "+1",
            "\"\u{1}\"",
            String(repeating: "[", count: 100_000),
        ] {
            #expect(throws: JSONError.self) { try JSONValue(parsing: Array(bad.utf8)) }
        }
    }

    @Test("every beginning of a line and random bytes are refused or read, never fatal")
    func fuzz() {
        let good = Array(#"{"user":"Ãu","item":"\u00e9","type":"x","ts":1,"value":-1.5e3}"#.utf8)
        for end in good.indices { _ = try? LoggedEvent(parsing: Array(good[..<end])) }
        var random = SeededRandom(seed: UInt64(Date().timeIntervalSince1970))
        for _ in 0..<3_000 {
            var line = good
            for _ in 0..<(1 + random.below(4)) {
                line[random.below(line.count)] = UInt8(random.below(256))
            }
            _ = try? LoggedEvent(parsing: line)
            _ = try? LoggedItem(parsing: line)
            for format in ImportFormat.allCases {
                var importer = LineImporter(.events, shape: format.events)
                _ = importer.take(line: line)
                _ = importer.take(line: line)
            }
        }
    }

    @Test("what was written is read back")
    func roundTrip() throws {
        let text = "line\n\"quote\"\\ \u{1} é 😀"
        let id = try #require(ItemID(text))
        let record = ItemRecord(
            id: id, title: text, brand: text, categories: [text], price: 1.25, available: false)
        let json = SimulatedEvent.json(record, time: 77_000)
        let back = try LoggedItem(parsing: Array(json.utf8))
        #expect(back == LoggedItem(record: record, time: 77_000))
    }
}
