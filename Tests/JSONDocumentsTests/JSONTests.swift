import Foundation
import JSONDocuments
import TestKit
import Testing

private func parse(_ text: String, _ limits: JSONLimits = JSONLimits()) throws -> JSONValue {
    try JSONValue(parsing: Array(text.utf8), named: "x.json", limits: limits)
}

@Suite("JSON documents")
struct JSONTests {
    @Test("a document reads as its values, members in order")
    func values() throws {
        let text =
            #" {"b": [1, -2.5e3, true, false, null, "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"], "a": {}} "#
        #expect(
            try parse(text)
                == .object([
                    JSONMember(
                        "b",
                        .array([
                            1, -2500.0, true, false, .null,
                            "a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1F600}",
                        ])),
                    JSONMember("a", .object([])),
                ]))
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("1000000000000000019884624838656") == .real(1e30))
    }

    @Test("what is not JSON is refused, each with a reason")
    func refused() {
        let faults = [
            "", " ", "{", "}", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01", "-", "1.", ".5",
            "1e", "+1", "nul", "truefalse", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
            "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "[1 2]", "1 2", "NaN", "Infinity",
            "1e999", "'a'", "[", "[\"a\"", "{\"a\":1,\"a\":2}",
        ]
        for text in faults {
            #expect(throws: DocumentError.self, "\(text)") { try parse(text) }
        }
        #expect(throws: DocumentError.self) {
            try JSONValue(parsing: [0x22, 0xC3, 0x22], named: "x")
        }
        #expect(throws: DocumentError.self) {
            try JSONValue(parsing: [0x22, 0x5C, 0x6E, 0xFF, 0x22], named: "x")
        }
    }

    @Test("names are the same only when their bytes are, in small objects and large ones")
    func duplicates() throws {
        #expect(throws: Never.self) { try parse(#"{"\u00e9":1,"e\u0301":2}"#) }
        let many = (0..<100).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(throws: Never.self) { try parse("{\(many)}") }
        let error = #expect(throws: DocumentError.self) { try parse("{\(many),\"k7\":1}") }
        #expect(error?.reason.contains("\"k7\" twice") == true)
    }

    @Test("depth and size have limits, and both are reached")
    func limits() throws {
        let nested = { (depth: Int) in
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(throws: Never.self) { try parse(nested(JSONLimits.depthMax)) }
        #expect(throws: DocumentError.self) { try parse(nested(JSONLimits.depthMax + 1)) }
        #expect(throws: DocumentError.self) { try parse(nested(1_000_000)) }
        #expect(throws: Never.self) { try parse("[1,2]", JSONLimits(bytesMax: 5)) }
        #expect(throws: DocumentError.self) { try parse("[1,2]", JSONLimits(bytesMax: 4)) }
    }

    @Test("what is written reads back as it was", arguments: 0..<20)
    func roundTrip(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let value = Self.anyValue(&random, depth: 4)
        for layout in [JSONValue.Layout.compact, .indented] {
            let bytes = value.serialised(layout)
            #expect(try JSONValue(parsing: bytes, named: "x") == value)
            #expect(throws: Never.self) {
                try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            }
        }
    }

    @Test("mutilated documents are refused or read, and never read where Foundation refuses")
    func mutilated() throws {
        var random = SeededRandom(seed: 7)
        let whole = Array(
            #"{"a": [1, 2.5, -3e2, "x\u00e9\n", true, null], "b": {"c": "d", "e": []}}"#.utf8)
        for _ in 0..<4000 {
            var bytes = whole
            for _ in 0...random.below(3) {
                let at = random.below(bytes.count)
                switch random.below(3) {
                case 0: bytes[at] = UInt8(random.below(256))
                case 1: bytes.remove(at: at)
                default: bytes.insert(bytes[random.below(bytes.count)], at: at)
                }
            }
            guard (try? JSONValue(parsing: bytes, named: "x")) != nil else { continue }
            // A zero byte inside a string is refused by us; elsewhere both agree on what is JSON.
            #expect(
                (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed))
                    != nil, "\(String(decoding: bytes, as: UTF8.self))")
        }
    }

    @Test("errors name the document, the place, the value and what is expected")
    func paths() throws {
        let root = JSONNode(try parse(#"{"a": {"b": [1, "x"]}}"#), document: "config.json")
        let error = #expect(throws: DocumentError.self) {
            try root.member("a").member("b").elements()[1].integer(in: 1...9)
        }
        #expect(
            error?.description
                == "config.json: a.b[1]: \"x\", but an integer from 1 to 9 is expected")
        let missing = #expect(throws: DocumentError.self) { try root.member("a").member("c") }
        #expect(missing?.description == "config.json: a.c: is missing")
        #expect(throws: DocumentError.self) {
            try root.member("a").member("b").elements(countMax: 1)
        }
        #expect(throws: DocumentError.self) { try root.text() }
        #expect(throws: DocumentError.self) { try root.flag() }
        #expect(throws: DocumentError.self) { try root.real(in: 0...1) }
    }

    private static func anyValue(_ random: inout SeededRandom, depth: Int) -> JSONValue {
        switch random.below(depth == 0 ? 5 : 7) {
        case 0: return .null
        case 1: return .bool(random.chance(0.5))
        case 2: return .integer(Int64(bitPattern: random.next()))
        case 3: return .real(Double.random(in: -1e9...1e9, using: &random) + 0.25)
        case 4:
            let scalars = (0..<random.below(8)).compactMap { _ in
                Unicode.Scalar(UInt32(random.below(0x3000)))
            }
            return .string(String(String.UnicodeScalarView(scalars)))
        case 5:
            return .array((0..<random.below(5)).map { _ in anyValue(&random, depth: depth - 1) })
        default:
            return .object(
                (0..<random.below(5)).map {
                    JSONMember("k\($0)", anyValue(&random, depth: depth - 1))
                }
            )
        }
    }
}
