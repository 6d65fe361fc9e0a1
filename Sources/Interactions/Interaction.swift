// What happened: one user did one thing with one item.

/// One interaction, decoded and checked; the input of the fold.
public struct Interaction: Sendable, Hashable {
    public var user: UserID
    public var item: ItemID
    /// Index into `EventTypes`.
    public var type: EventType.Index
    /// When it happened; never later than the record's own timestamp plus the configured tolerance.
    public var time: Milliseconds
    /// XXH64 of the producer's event id, for de-duplication; 0 when it sent none.
    public var eventKey: UInt64
    /// What the producer sent as `value` (a rating, a quantity); nil when absent.
    public var value: Double?

    public init(
        user: UserID, item: ItemID, type: EventType.Index, time: Milliseconds, eventKey: UInt64 = 0,
        value: Double? = nil
    ) {
        self.user = user
        self.item = item
        self.type = type
        self.time = time
        self.eventKey = eventKey
        self.value = value
    }
}

/// How long an item a user interacted with stays out of that user's lists (promise G3).
public enum SeenRule: Sendable, Hashable {
    /// As long as the history remembers it.
    case always
    /// For this many milliseconds after the event: shops with repeat purchases.
    case cooldown(Milliseconds)
    /// The event does not hide the item.
    case never
}

/// A kind of interaction (view, purchase, ...), as the operator configured it.
public struct EventType: Sendable, Hashable {
    /// Index into the configured list; stored in histories, so the list may only be appended to.
    public typealias Index = UInt8

    public var name: String
    /// What one such event adds to popularity; not positive means the item is no evidence of taste and takes no part
    /// in rules.
    public var weight: Int
    public var seen: SeenRule

    public static let weightBounds = -64...64

    public init(name: String, weight: Int, seen: SeenRule) {
        self.name = name
        self.weight = weight
        self.seen = seen
    }
}

/// The configured event types, found by name or index.
public struct EventTypes: Sendable, Hashable {
    public static let countMax = 64

    public let all: [EventType]
    private let indexByName: [String: EventType.Index]

    /// `all` holds 1 to `countMax` types with distinct names.
    public init(_ all: [EventType]) {
        precondition((1...Self.countMax).contains(all.count), "1 to 64 event types")
        self.all = all
        var index: [String: EventType.Index] = [:]
        for (position, type) in all.enumerated() {
            precondition(index[type.name] == nil, "event type \(type.name) is named twice")
            index[type.name] = EventType.Index(position)
        }
        indexByName = index
    }

    public func index(named name: String) -> EventType.Index? { indexByName[name] }

    /// The type at `index`; histories written under a longer list fall back to the first type.
    public subscript(_ index: EventType.Index) -> EventType {
        all[position(index)]
    }

    /// The same of one type without a copy of its name, which counts references: asked for every entry of a history.
    public func weight(of index: EventType.Index) -> Int { all[position(index)].weight }
    public func seen(of index: EventType.Index) -> SeenRule { all[position(index)].seen }

    private func position(_ index: EventType.Index) -> Int {
        Int(index) < all.count ? Int(index) : 0
    }
}

/// What one record of the interactions topic asks for.
public enum LogEntry: Sendable, Hashable {
    case interaction(Interaction)
    /// A tombstone (null payload under a key): forget this user (promise G9).
    case forget(UserID)

    public var user: UserID {
        switch self {
        case .interaction(let interaction): interaction.user
        case .forget(let user): user
        }
    }
}
