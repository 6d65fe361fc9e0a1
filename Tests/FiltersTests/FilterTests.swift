import Filters
import TestKit
import Testing

@Suite("Filters")
struct FilterTests {
    static let lamp = FilterItem(
        id: "lamp-1", title: "Reading Lamp", brand: "Lux", categories: ["home", "light"],
        price: 19.5, expires: 3_600, popularity: 0.25, count: 12)
    static let book = FilterItem(id: "b", title: "Ökobuch: it's \"all\"", categories: ["books"])

    @Test(
        "say what they mean",
        arguments: [
            ("price < 20", true, false), ("price >= 19.5", true, false),
            ("price != 19.5", false, true), ("price = 19.5", true, false),
            ("NOT price < 20", false, true), ("HAS price", true, false),
            ("not has brand", false, true), ("brand = 'Lux'", true, false),
            ("brand != 'Lux'", false, true), ("brand = 'lux'", false, false),
            ("categories = 'light'", true, false), ("categories != 'light'", false, true),
            ("categories IN ('books', 'light')", true, true),
            ("categories NOT IN ('books')", true, false),
            ("title CONTAINS 'LAMP'", true, false), ("title contains 'öko'", false, false),
            ("title contains \"it's\"", false, true), (#"title CONTAINS "\"all""#, false, true),
            ("id = 'b' or brand='Lux' and price>100", false, true),
            ("(id = 'b' or brand='Lux') and not (price>100)", true, true),
            ("available", true, true), ("available = false", false, false),
            ("available != FALSE and count in (1, 12)", true, false),
            ("expires < 2h", true, false), ("expires > 1d", false, false),
            ("popularity > .2", true, false), ("count >= +0", true, true),
            ("price > -1 OR id='b'", true, true),
        ] as [(String, Bool, Bool)])
    func meaning(text: String, lamp: Bool, book: Bool) throws {
        let filter = try Filter(text)
        #expect(filter.matches(Self.lamp) == lamp, "\(text) of the lamp")
        #expect(filter.matches(Self.book) == book, "\(text) of the book")
    }

    @Test(
        "complaints point at the character",
        arguments: [
            ("price < ", #"expected a value at 9: "price < ""#),
            (
                "",
                #"expected a field (id, title, brand, categories, price, available, expires, "#
                    + #"popularity, count) at 1: """#
            ),
            ("price < 'a'", #"expected a number, not a string, at 9: "price < ""#),
            ("brand < 'a'", #"expected =, !=, IN or CONTAINS, not <, at 7: "brand ""#),
            (
                "brand = 'ö' price",
                #"expected AND, OR or the end, not price, at 13: "brand = 'ö' ""#
            ),
            ("(price = 1", #"expected AND, OR or ) at 11: "(price = 1""#),
            ("brand IN 'a'", #"expected (, not a string, at 10: "brand IN ""#),
            ("brand IN ('a' 'b')", #"expected , or ), not a string, at 15: "brand IN ('a' ""#),
            ("brand NOT 'a'", #"expected IN, not a string, at 11: "brand NOT ""#),
            ("brand = 'a", #"expected the closing quote of a string that starts at 9: "brand = ""#),
            (
                "price = 1x",
                #"expected a unit of time (s, m, h, d, w) or a space at 10: "price = 1""#
            ),
            ("price = 1.2.3", #"expected a number such as 12 or 0.5 at 9: "price = ""#),
            ("available = 1", #"expected TRUE or FALSE, not a number, at 13: "available = ""#),
            ("price ! 3", #"expected != (or the word NOT) at 7: "price ""#),
            ("price = 1 & id", #"expected a word, a value or a sign at 11: "price = 1 ""#),
            ("price\n= x", #"expected a number, not x, at 9: "price?= ""#),
        ])
    func complaints(text: String, complaint: String) {
        #expect { try Filter(text) } throws: { "\($0)" == complaint }
    }

    @Test("a field nobody has is answered with those there are")
    func unknownField() {
        #expect { try Filter("id = 'a' AND colour = 'red'") } throws: { error in
            let error = error as? FilterError
            return error?.position == 14 && error?.reason.contains("categories, price") == true
        }
    }

    @Test("limits on length, depth and number of tests hold, and one less passes")
    func limits() throws {
        let name = String(repeating: "x", count: Filter.bytesMax - 7)
        _ = try Filter("id = '\(name)'")
        #expect(throws: FilterError.self) { try Filter("id = '\(name)x'") }

        func nested(_ depth: Int) -> String {
            String(repeating: "(", count: depth) + "available"
                + String(repeating: ")", count: depth)
        }
        _ = try Filter(nested(Filter.depthMax))
        #expect(throws: FilterError.self) { try Filter(nested(Filter.depthMax + 1)) }
        let not = String(repeating: "NOT ", count: Filter.depthMax)
        _ = try Filter(not + "available")
        #expect(throws: FilterError.self) { try Filter("NOT " + not + "available") }

        let numbers = (1..<Filter.nodesMax).map { "\($0)" }.joined(separator: ",")
        _ = try Filter("count IN (\(numbers))")
        #expect(throws: FilterError.self) { try Filter("count IN (\(numbers),0)") }
        let tests = Array(repeating: "available", count: Filter.nodesMax)
        _ = try Filter(tests.joined(separator: " OR "))
        #expect(throws: FilterError.self) {
            try Filter((tests + ["available"]).joined(separator: " OR "))
        }
    }
}
