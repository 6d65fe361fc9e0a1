import Filters
import TestKit
import Testing

@Suite("Filters over a table")
struct BoundFilterTests {
    static let now: Int64 = 1_700_000_000_000
    static let brands: [String?] = ["Acme", "acme", "Lux", "x", nil]
    static let categories = ["light", "home", "books", "Home Decor", "a"]

    static func item(_ random: inout SeededRandom) -> (item: FilterItem, expires: Int64?) {
        let expires = random.chance(0.5) ? nil : now + Int64(random.below(7_200_000)) - 3_600_000
        let item = FilterItem(
            id: "i\(random.below(20))",
            title: ["Lamp", "lamp two", "Ökobuch", ""][random.below(4)],
            brand: brands[random.below(5)],
            categories: (0..<random.below(4)).map { _ in categories[random.below(5)] },
            price: random.chance(0.3) ? nil : Double(random.below(10)),
            isAvailable: random.chance(0.8), expires: expires.map { Double($0 - now) / 1_000 },
            popularity: Double(random.below(5)) / 4, count: Double(random.below(5)))
        return (item, expires)
    }

    static func expression(_ random: inout SeededRandom, depth: Int = 0) -> String {
        if depth < 3, random.chance(0.5) {
            let left = expression(&random, depth: depth + 1)
            switch random.below(3) {
            case 0: return "NOT (\(left))"
            case 1: return "(\(left)) AND (\(expression(&random, depth: depth + 1)))"
            default: return "(\(left)) OR (\(expression(&random, depth: depth + 1)))"
            }
        }
        let tests = [
            "brand = 'Acme'", "brand != 'Lux'", "brand IN ('x', 'none', 'acme')",
            "brand CONTAINS 'CM'", "categories = 'home'", "categories NOT IN ('books', 'a')",
            "categories CONTAINS 'home'", "categories = 'nowhere'", "title CONTAINS 'LAMP'",
            "title = 'Lamp'", "title CONTAINS 'kobuch'", "id = 'i3'", "id CONTAINS '1'",
            "id IN ('i1', 'i2')", "price < 5", "price != 3", "price IN (1, 2)", "expires > 10m",
            "expires < 0", "popularity >= 0.5", "count IN (1, 4)", "HAS brand", "HAS categories",
            "HAS price", "HAS expires", "HAS title", "HAS popularity", "available",
            "available = FALSE",
        ]
        return tests[random.below(tests.count)]
    }

    @Test("an item asked by its row answers as the item itself does", arguments: 0..<20)
    func law(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var table = FilterTable()
        var items: [Int: FilterItem] = [:]
        for _ in 0..<200 {
            let row = random.below(60)
            if random.chance(0.2) {
                table.remove(row)
                items[row] = nil
            } else {
                let (item, expires) = Self.item(&random)
                table.set(row, item, expires: expires)
                items[row] = item
            }
        }
        let held = items
        let moment = FilterMoment(
            now: Self.now, popularity: { held[$0]?.popularity ?? 0 },
            count: { held[$0]?.count ?? 0 })
        for _ in 0..<100 {
            let text = Self.expression(&random)
            let filter = try Filter(text)
            let bound = BoundFilter(filter, to: table, at: moment)
            for row in 0..<70 {
                #expect(
                    bound.matches(row) == (items[row].map { filter.matches($0) } ?? false),
                    "\(text) of row \(row)")
            }
        }
    }

    @Test("texts that nobody uses any more make room: a table does not grow by changes")
    func bounded() throws {
        var table = FilterTable()
        for round in 0..<1_000 {
            table.set(0, FilterItem(id: "a", title: "", brand: "b\(round)"), expires: nil)
            table.set(
                1, FilterItem(id: "b", title: "", categories: ["c\(round)", "c\(round)"]),
                expires: nil)
        }
        #expect(table.textCapacity <= 4)
    }
}
