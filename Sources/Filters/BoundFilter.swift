// An expression made ready for one table: texts are looked up once, and an item is asked by its row.
//
// `Filter.matches` of the item as a value is the slow twin.

/// What of an item changes without its record.
public struct FilterMoment: Sendable {
    /// Milliseconds since 1970.
    public var now: Int64
    /// By row: share of the decayed popularity of all items.
    public var popularity: @Sendable (Int) -> Double
    /// By row: histories that hold the item.
    public var count: @Sendable (Int) -> Double

    public init(
        now: Int64, popularity: @escaping @Sendable (Int) -> Double,
        count: @escaping @Sendable (Int) -> Double
    ) {
        self.now = now
        self.popularity = popularity
        self.count = count
    }
}

/// Valid for the table it was bound to, as that was then. A class, so that asking counts one reference and not those of
/// all columns.
public final class BoundFilter: Sendable {
    private let table: FilterTable
    private let moment: FilterMoment
    private let root: BoundNode

    public init(_ filter: Filter, to table: FilterTable, at moment: FilterMoment) {
        self.table = table
        self.moment = moment
        root = BoundNode(filter.root, table.texts)
    }

    /// Whether the item of a row matches; a row without an item does not.
    public func matches(_ row: Int) -> Bool {
        row < table.isPresent.count && table.isPresent[row] && matches(row, root)
    }

    private func matches(_ row: Int, _ node: BoundNode) -> Bool {
        switch node {
        case .constant(let value): return value
        case .all(let nodes):
            for node in nodes where !matches(row, node) { return false }
            return true
        case .any(let nodes):
            for node in nodes where matches(row, node) { return true }
            return false
        case .not(let node): return !matches(row, node)
        case .hasBrand: return table.brands[row] >= 0
        case .hasCategories: return !table.categories[row].isEmpty
        case .hasPrice: return !table.prices[row].isNaN
        case .hasExpiry: return table.expires[row] != .max
        case .isAvailable: return table.available[row]
        case .brand(let texts): return texts.contains(table.brands[row])
        case .categories(let texts):
            for category in table.categories[row] where texts.contains(category) { return true }
            return false
        case .id(let values): return values.contains(table.ids[row])
        case .title(let values): return values.contains(table.titles[row])
        case .idHolds(let part): return table.ids[row].holds(part)
        case .titleHolds(let part): return table.titles[row].holds(part)
        case .isNumber(let field, let values):
            return number(field, row).map { values.contains($0) } ?? false
        case .compares(let field, let comparison, let value):
            return number(field, row).map { FilterNode.holds($0, comparison, value) } ?? false
        }
    }

    private func number(_ field: FilterField, _ row: Int) -> Double? {
        switch field {
        case .price: table.prices[row].isNaN ? nil : table.prices[row]
        case .expires:
            table.expires[row] == .max ? nil : Double(table.expires[row] - moment.now) / 1_000
        case .popularity: moment.popularity(row)
        case .count: moment.count(row)
        case .id, .title, .brand, .categories, .available: nil
        }
    }
}

/// Some of the texts that repeat.
enum TextSet: Sendable {
    case few([Int32])
    /// By number.
    case many([Bool])

    func contains(_ text: Int32) -> Bool {
        switch self {
        case .few(let numbers): numbers.contains(text)
        case .many(let marks): text >= 0 && Int(text) < marks.count && marks[Int(text)]
        }
    }
}

indirect enum BoundNode: Sendable {
    case constant(Bool)
    case all([BoundNode])
    case any([BoundNode])
    case not(BoundNode)
    case hasBrand, hasCategories, hasPrice, hasExpiry, isAvailable
    case brand(TextSet)
    case categories(TextSet)
    case id([String])
    case title([String])
    case idHolds([UInt8])
    case titleHolds([UInt8])
    case isNumber(FilterField, [Double])
    case compares(FilterField, FilterComparison, Double)

    init(_ node: FilterNode, _ texts: RepeatedTexts) {
        switch node {
        case .all(let nodes): self = .all(nodes.map { BoundNode($0, texts) })
        case .any(let nodes): self = .any(nodes.map { BoundNode($0, texts) })
        case .not(let node): self = .not(BoundNode(node, texts))
        case .isAvailable: self = .isAvailable
        case .has(let field): self = Self.has(field)
        case .isText(let field, let values): self = Self.isText(field, values, texts)
        case .contains(let field, let part): self = Self.holds(field, part, texts)
        case .isNumber(let field, let values): self = .isNumber(field, values)
        case .compares(let field, let comparison, let value):
            self = .compares(field, comparison, value)
        }
    }

    private static func has(_ field: FilterField) -> BoundNode {
        switch field {
        case .id, .title, .popularity, .count: .constant(true)
        case .brand: .hasBrand
        case .categories: .hasCategories
        case .price: .hasPrice
        case .expires: .hasExpiry
        case .available: .isAvailable
        }
    }

    private static func isText(
        _ field: FilterField, _ values: [String], _ texts: RepeatedTexts
    ) -> BoundNode {
        let numbers = values.compactMap { texts.number(of: $0) }
        switch field {
        case .id: return .id(values)
        case .title: return .title(values)
        // A text that no item has: no item has it.
        case .brand: return numbers.isEmpty ? .constant(false) : .brand(.few(numbers))
        case .categories: return numbers.isEmpty ? .constant(false) : .categories(.few(numbers))
        case .price, .available, .expires, .popularity, .count: return .constant(false)
        }
    }

    private static func holds(
        _ field: FilterField, _ part: [UInt8], _ texts: RepeatedTexts
    ) -> BoundNode {
        switch field {
        case .id: return .idHolds(part)
        case .title: return .titleHolds(part)
        case .brand: return .brand(.many(texts.names.map { $0.holds(part) }))
        case .categories: return .categories(.many(texts.names.map { $0.holds(part) }))
        case .price, .available, .expires, .popularity, .count: return .constant(false)
        }
    }
}
