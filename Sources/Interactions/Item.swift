// What the catalogue knows about an item.

/// One record of the items topic, decoded and checked.
public struct ItemRecord: Sendable, Hashable {
    public var id: ItemID
    /// Required, 1 to `titleBytesMax` bytes.
    public var title: String
    public var brand: String?
    public var categories: [String]
    public var description: String?
    public var price: Double?
    /// False keeps the item out of every list while its statistics go on.
    public var available: Bool
    /// From this time on the item is not recommended.
    public var expires: Milliseconds?

    public static let titleBytesMax = 1_024
    public static let categoriesMax = 32
    public static let descriptionBytesMax = 64 * 1_024

    public init(
        id: ItemID, title: String, brand: String? = nil, categories: [String] = [],
        description: String? = nil, price: Double? = nil, available: Bool = true,
        expires: Milliseconds? = nil
    ) {
        self.id = id
        self.title = title
        self.brand = brand
        self.categories = categories
        self.description = description
        self.price = price
        self.available = available
        self.expires = expires
    }
}

/// What one record of the items topic asks for.
public enum ItemChange: Sendable, Hashable {
    /// The record as decoded, and the bytes it came as (what `ITEM.GET` returns).
    case set(ItemRecord, json: [UInt8])
    /// A tombstone: withdraw the item at once.
    case withdraw(ItemID)
}
