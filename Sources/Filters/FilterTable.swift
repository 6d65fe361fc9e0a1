// Items by number, an attribute to a column: what an expression asks of every item of a catalogue.
//
// Texts that repeat (brands, categories) are numbers here, so that a question about them is asked once of each text and
// of an item costs a comparison.

/// Rows are numbered from 0 by whoever fills the table; a row that was never set, or was removed, matches nothing.
public struct FilterTable: Sendable {
    var isPresent: [Bool] = []
    var ids: [String] = []
    var titles: [String] = []
    /// -1: none.
    var brands: [Int32] = []
    var categories: [[Int32]] = []
    /// Not a number: none.
    var prices: [Double] = []
    /// Milliseconds since 1970; the greatest number: never.
    var expires: [Int64] = []
    var available: [Bool] = []
    var texts = RepeatedTexts()

    public init() {}

    /// Places for texts that repeat, free ones among them: bounded by the most that were in use at a time.
    public var textCapacity: Int { texts.names.count }

    /// Sets a row. `popularity`, `count` and `expires` of the item are not looked at: the first two are counted
    /// elsewhere, and the time of expiry is given as it is.
    public mutating func set(_ row: Int, _ item: FilterItem, expires at: Int64?) {
        remove(row)
        grow(to: row + 1)
        isPresent[row] = true
        ids[row] = item.id
        titles[row] = item.title
        brands[row] = item.brand.map { texts.use($0) } ?? -1
        categories[row] = item.categories.map { texts.use($0) }
        prices[row] = item.price ?? .nan
        expires[row] = at ?? .max
        available[row] = item.isAvailable
    }

    public mutating func remove(_ row: Int) {
        guard row < isPresent.count, isPresent[row] else { return }
        isPresent[row] = false
        ids[row] = ""
        titles[row] = ""
        if brands[row] >= 0 { texts.release(brands[row]) }
        for category in categories[row] { texts.release(category) }
        categories[row] = []
    }

    private mutating func grow(to count: Int) {
        while isPresent.count < count {
            isPresent.append(false)
            ids.append("")
            titles.append("")
            brands.append(-1)
            categories.append([])
            prices.append(.nan)
            expires.append(.max)
            available.append(false)
        }
    }
}

/// Texts as small numbers, for as long as somebody uses them.
struct RepeatedTexts: Sendable {
    private(set) var names: [String] = []
    private var uses: [Int32] = []
    private var numbers: [String: Int32] = [:]
    private var free: [Int32] = []

    /// How many there are in use.
    var count: Int { numbers.count }

    func number(of text: String) -> Int32? { numbers[text] }

    mutating func use(_ text: String) -> Int32 {
        if let known = numbers[text] {
            uses[Int(known)] += 1
            return known
        }
        let number = free.popLast() ?? Int32(names.count)
        if Int(number) == names.count {
            names.append(text)
            uses.append(1)
        } else {
            names[Int(number)] = text
            uses[Int(number)] = 1
        }
        numbers[text] = number
        return number
    }

    mutating func release(_ number: Int32) {
        uses[Int(number)] -= 1
        guard uses[Int(number)] == 0 else { return }
        numbers[names[Int(number)]] = nil
        names[Int(number)] = ""
        free.append(number)
    }
}
