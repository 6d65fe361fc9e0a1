// The items that may be recommended, by item number of the statistics.

import Filters
public import Interactions
public import Teachers

/// What the catalogue says about one item; what serving needs, no more. The full record stays in the store.
public struct CatalogueEntry: Sendable, Hashable {
    public var id: ItemID
    public var title: String
    public var brand: String?
    public var categories: [String]
    public var price: Double?
    public var available: Bool
    public var expires: Milliseconds?
    /// The record as it came.
    public var json: [UInt8]

    public init(_ record: ItemRecord, json: [UInt8]) {
        id = record.id
        title = record.title
        brand = record.brand
        categories = record.categories
        price = record.price
        available = record.available
        expires = record.expires
        self.json = json
    }
}

extension FilterItem {
    /// Of an item's record: what is counted is not in it.
    init(_ entry: CatalogueEntry) {
        self.init(
            id: entry.id.text, title: entry.title, brand: entry.brand,
            categories: entry.categories, price: entry.price, isAvailable: entry.available)
    }
}

extension CatalogueEntry {
    func removal(now: Milliseconds) -> Removal? {
        if !available { return .unavailable }
        return expires.map { $0 <= now } == true ? .expired : nil
    }
}

/// Why an item cannot be in a list.
public enum Removal: String, Sendable {
    case notInCatalogue = "not in the catalogue"
    case unavailable
    case expired
    case seen
    case excluded
    case notACandidate = "not a candidate"
    case filtered
}

public enum CatalogueOutcome: Sendable, Hashable {
    case stored
    case withdrawn
    /// Another identifier has the same 8-byte key: the newcomer is refused.
    case keyTaken(by: ItemID)
    /// `itemsMax` is reached: the newcomer is refused.
    case full
}

/// Records by item key, and which items are recommendable.
public struct Catalogue: Sendable {
    public let itemsMax: Int
    private var entries: [ItemKey: CatalogueEntry] = [:]
    /// By item number: 1 when listed and available.
    private var listed: [UInt8] = []
    private var expires: [Milliseconds] = []
    /// By item number.
    private var categoryRows: [[Int32]] = []
    private(set) var categoryNames = CategoryNames()
    public private(set) var bytes = 0
    /// What filters ask about, by item number.
    private(set) var facts = FilterTable()

    public init(itemsMax: Int) { self.itemsMax = itemsMax }

    public var count: Int { entries.count }

    public subscript(_ key: ItemKey) -> CatalogueEntry? { entries[key] }

    public var all: some Collection<CatalogueEntry> { entries.values }

    public mutating func set(
        _ entry: CatalogueEntry, number: KeyIndex.Number
    ) -> CatalogueOutcome {
        if let old = entries[entry.id.key] {
            guard old.id == entry.id else { return .keyTaken(by: old.id) }
            bytes -= old.json.count
        } else if entries.count >= itemsMax {
            return .full
        }
        bytes += entry.json.count
        entries[entry.id.key] = entry
        mark(number, listed: entry.available, expires: entry.expires)
        facts.set(Int(number), FilterItem(entry), expires: entry.expires)
        categoryRows[Int(number)] = entry.categories.compactMap {
            categoryNames.number(of: $0)
        }
        return .stored
    }

    /// Numbers of an item's categories; none for an item without a record.
    @inline(__always)
    func categories(of number: KeyIndex.Number) -> [Int32] {
        Int(number) < categoryRows.count ? categoryRows[Int(number)] : []
    }

    mutating func categoryNumber(of name: String) -> Int32? { categoryNames.number(of: name) }

    public mutating func withdraw(_ id: ItemID, number: KeyIndex.Number) {
        if let old = entries[id.key], old.id == id {
            bytes -= old.json.count
            entries[id.key] = nil
        }
        mark(number, listed: false, expires: nil)
        facts.remove(Int(number))
        categoryRows[Int(number)] = []
    }

    private mutating func mark(_ number: KeyIndex.Number, listed on: Bool, expires at: Int64?) {
        let index = Int(number)
        while listed.count <= index {
            listed.append(0)
            expires.append(.max)
            categoryRows.append([])
        }
        listed[index] = on ? 1 : 0
        expires[index] = at ?? .max
    }

    /// Whether an item may be recommended now, the user aside.
    @inline(__always)
    public func isRecommendable(_ number: KeyIndex.Number, now: Milliseconds) -> Bool {
        let index = Int(number)
        return index < listed.count && listed[index] == 1 && expires[index] > now
    }

    /// Why an item may not be recommended, the user aside; nil when it may.
    public func removal(_ key: ItemKey, now: Milliseconds) -> Removal? {
        entries[key].map { $0.removal(now: now) } ?? .notInCatalogue
    }
}
