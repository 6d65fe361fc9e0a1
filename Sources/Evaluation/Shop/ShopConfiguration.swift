// What can be chosen about a simulated shop.

public import Interactions

public struct ShopConfiguration: Sendable, Hashable {
    public var seed: UInt64
    public var users: Int
    /// Items on the first day.
    public var items: Int
    /// When the shop opens.
    public var startTime: Milliseconds
    /// Interactions a day, on average; the hours of the day differ.
    public var eventsPerDay: Double
    public var newItemsPerDay: Double
    public var withdrawalsPerDay: Double
    /// Chance that one of a user's interests is replaced by another before a visit.
    public var driftPerVisit: Double
    /// Items that are in fashion at the same time.
    public var trends: Int

    public static let usersBounds = 1...10_000_000
    public static let itemsBounds = 20...1_000_000

    /// 1 January 2026.
    public static let defaultStart: Milliseconds = 1_767_225_600_000

    public init(
        seed: UInt64, users: Int = 2_000, items: Int = 1_000,
        startTime: Milliseconds = ShopConfiguration.defaultStart, eventsPerDay: Double = 5_000,
        newItemsPerDay: Double = 10, withdrawalsPerDay: Double = 5, driftPerVisit: Double = 0.03,
        trends: Int = 4
    ) {
        self.seed = seed
        self.users = users.clamped(to: Self.usersBounds)
        self.items = items.clamped(to: Self.itemsBounds)
        self.startTime = max(0, startTime)
        self.eventsPerDay = max(1, eventsPerDay)
        self.newItemsPerDay = max(0, newItemsPerDay)
        self.withdrawalsPerDay = max(0, withdrawalsPerDay)
        self.driftPerVisit = driftPerVisit.clamped(to: 0...1)
        self.trends = trends.clamped(to: 0...100)
    }
}

extension Comparable {
    func clamped(to bounds: ClosedRange<Self>) -> Self {
        min(max(self, bounds.lowerBound), bounds.upperBound)
    }
}

/// What happened next in the simulated shop.
public struct SimulatedEvent: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case interaction(user: UserID, item: ItemID, type: ShopEventType, value: Double?)
        /// A new record, or (not available) one that was withdrawn.
        case item(ItemRecord)
    }

    /// Never before the time of the event before.
    public var time: Milliseconds
    public var kind: Kind

    /// The JSON that the `interactions` or `items` topic takes, without line feed. Items say in `ts` when they came.
    public var json: String {
        switch kind {
        case .interaction(let user, let item, let type, let value):
            var json = "{\"user\":\(jsonString(user.text)),\"item\":\(jsonString(item.text)),"
            json += "\"type\":\"\(type.rawValue)\",\"ts\":\(time)"
            if let value { json += ",\"value\":\(fixed(value, 2))" }
            return json + "}"
        case .item(let record): return Self.json(record, time: time)
        }
    }

    /// The JSON of a record that was there when the shop opened, or came at `time`.
    public static func json(_ record: ItemRecord, time: Milliseconds?) -> String {
        var json = "{\"id\":\(jsonString(record.id.text)),\"title\":\(jsonString(record.title))"
        if let brand = record.brand { json += ",\"brand\":\(jsonString(brand))" }
        if !record.categories.isEmpty {
            json += ",\"categories\":[\(record.categories.map(jsonString).joined(separator: ","))]"
        }
        if let price = record.price { json += ",\"price\":\(fixed(price, 2))" }
        if !record.available { json += ",\"available\":false" }
        if let time { json += ",\"ts\":\(time)" }
        return json + "}"
    }
}

public enum ShopEventType: String, Sendable, CaseIterable {
    case view
    case cart
    case purchase
}
