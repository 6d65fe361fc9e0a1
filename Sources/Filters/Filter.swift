// Which items a list may hold, as a small expression that clients and the settings write (docs/filters.md).
//
// An expression is checked whole when it is read: what has been parsed can be asked of any item and never fails. What
// an item does not have equals nothing and compares with nothing, so every expression is true or false.

/// What an expression can ask about an item.
public struct FilterItem: Sendable, Hashable {
    public var id: String
    public var title: String
    public var brand: String?
    public var categories: [String]
    public var price: Double?
    public var isAvailable: Bool
    /// Seconds until the item is no longer recommended.
    public var expires: Double?
    /// Share of the decayed popularity of all items, 0...1.
    public var popularity: Double
    /// Histories that hold the item.
    public var count: Double

    public init(
        id: String, title: String, brand: String? = nil, categories: [String] = [],
        price: Double? = nil, isAvailable: Bool = true, expires: Double? = nil,
        popularity: Double = 0, count: Double = 0
    ) {
        self.id = id
        self.title = title
        self.brand = brand
        self.categories = categories
        self.price = price
        self.isAvailable = isAvailable
        self.expires = expires
        self.popularity = popularity
        self.count = count
    }
}

/// A checked expression over items.
public struct Filter: Sendable, Hashable, CustomStringConvertible {
    /// As it was written.
    public let text: String
    let root: FilterNode

    /// Longest expression, in bytes of UTF-8.
    public static let bytesMax = 4_096
    /// Deepest nesting of parentheses and NOT.
    public static let depthMax = 32
    /// Most tests and listed values.
    public static let nodesMax = 256

    public init(_ text: String) throws(FilterError) {
        self.text = text
        root = try FilterParser.parse(text)
    }

    public func matches(_ item: FilterItem) -> Bool { root.matches(item) }

    public var description: String { text }
}

/// What is wrong with an expression, and where.
public struct FilterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Of the character (Unicode scalar) where the fault is, from 1; one behind the last at the end of the text.
    public let position: Int
    /// What was expected.
    public let reason: String
    /// The text before the position, its last part where it is long.
    public let before: String

    public var description: String { "\(reason) at \(position): \"\(before)\"" }
}

enum FilterField: String, CaseIterable {
    case id, title, brand, categories, price, available, expires, popularity, count

    enum Kind { case text, number, flag }

    var kind: Kind {
        switch self {
        case .id, .title, .brand, .categories: .text
        case .price, .expires, .popularity, .count: .number
        case .available: .flag
        }
    }
}

enum FilterComparison: String {
    case equal = "="
    case unequal = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
}

indirect enum FilterNode: Sendable, Hashable {
    case all([FilterNode])
    case any([FilterNode])
    case not(FilterNode)
    case has(FilterField)
    case isAvailable
    /// One of the values; of categories, one that the item is in.
    case isText(FilterField, [String])
    /// Holds the text, ASCII letters of either case alike; lower case here.
    case contains(FilterField, [UInt8])
    case isNumber(FilterField, [Double])
    /// Never `equal` or `unequal`.
    case compares(FilterField, FilterComparison, Double)

    func matches(_ item: FilterItem) -> Bool {
        switch self {
        case .all(let nodes): nodes.allSatisfy { $0.matches(item) }
        case .any(let nodes): nodes.contains { $0.matches(item) }
        case .not(let node): !node.matches(item)
        case .has(let field): item.has(field)
        case .isAvailable: item.isAvailable
        case .isText(.categories, let values):
            item.categories.contains { values.contains($0) }
        case .isText(let field, let values):
            item.text(field).map { values.contains($0) } ?? false
        case .contains(.categories, let part):
            item.categories.contains { $0.holds(part) }
        case .contains(let field, let part): item.text(field)?.holds(part) ?? false
        case .isNumber(let field, let values):
            item.number(field).map { values.contains($0) } ?? false
        case .compares(let field, let comparison, let value):
            item.number(field).map { Self.holds($0, comparison, value) } ?? false
        }
    }

    static func holds(
        _ left: Double, _ comparison: FilterComparison, _ right: Double
    ) -> Bool {
        switch comparison {
        case .equal: left == right
        case .unequal: left != right
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        }
    }
}

extension FilterItem {
    fileprivate func text(_ field: FilterField) -> String? {
        switch field {
        case .id: id
        case .title: title
        case .brand: brand
        case .categories, .price, .available, .expires, .popularity, .count: nil
        }
    }

    fileprivate func number(_ field: FilterField) -> Double? {
        switch field {
        case .price: price
        case .expires: expires
        case .popularity: popularity
        case .count: count
        case .id, .title, .brand, .categories, .available: nil
        }
    }

    fileprivate func has(_ field: FilterField) -> Bool {
        switch field {
        case .categories: !categories.isEmpty
        case .available: isAvailable
        default: text(field) != nil || number(field) != nil
        }
    }
}

extension String {
    /// Whether the lower-case bytes occur in it, ASCII letters of either case alike.
    func holds(_ part: [UInt8]) -> Bool {
        let bytes = Array(utf8)
        guard bytes.count >= part.count else { return false }
        for start in 0...(bytes.count - part.count) {
            var length = 0
            while length < part.count, bytes[start + length].lowercased == part[length] {
                length += 1
            }
            if length == part.count { return true }
        }
        return false
    }
}

extension UInt8 {
    /// An ASCII capital letter as a small one; any other byte as it is.
    var lowercased: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }
}
