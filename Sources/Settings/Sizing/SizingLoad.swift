// The load that a plan is asked for.

/// Says what of a load or a cost is wrong, and what would be right.
public struct SizingProblem: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Users, items and rates at their busiest.
public struct SizingLoad: Sendable, Hashable, Encodable {
    /// How lists are made.
    public enum Mode: String, Sendable, CaseIterable, Encodable {
        case auto, cf, lm
    }

    public static let usersMax = 1_000_000_000_000.0
    public static let itemsMax = 100_000_000.0
    public static let rateMax = 1_000_000_000.0
    /// Distinct items a history can hold whatever the settings say.
    public static let historyMax = 4_096.0

    public private(set) var users: Double
    public private(set) var items: Double
    public private(set) var eventsPerSecond: Double
    public private(set) var listsPerSecond: Double
    public private(set) var mode: Mode
    /// Users whose feed is watched.
    public private(set) var feeds: Double
    /// Distinct items of a user's history, in the mean.
    public private(set) var history: Double

    public init(
        users: Double, items: Double, eventsPerSecond: Double, listsPerSecond: Double = 0,
        mode: Mode = .auto, feeds: Double = 0, history: Double = 50
    ) throws(SizingProblem) {
        try Self.check("--users", users, 1, Self.usersMax)
        try Self.check("--items", items, 1, Self.itemsMax)
        try Self.check("--events-per-second", eventsPerSecond, 0, Self.rateMax)
        try Self.check("--lists-per-second", listsPerSecond, 0, Self.rateMax)
        try Self.check("--feeds", feeds, 0, users)
        try Self.check("--history", history, 0, Self.historyMax)
        self.users = users
        self.items = items
        self.eventsPerSecond = eventsPerSecond
        self.listsPerSecond = listsPerSecond
        self.mode = mode
        self.feeds = feeds
        self.history = history
    }

    private static func check(
        _ name: String, _ value: Double, _ least: Double, _ most: Double
    ) throws(SizingProblem) {
        guard value >= least, value <= most else {
            throw SizingProblem("\(name) \(text(value)) is not in \(text(least))...\(text(most))")
        }
    }

    private static func text(_ value: Double) -> String {
        Int(exactly: value).map { "\($0)" } ?? "\(value)"
    }

    /// The same load on one of so many groups that know nothing of each other.
    func shared(by groups: Double) -> SizingLoad {
        var part = self
        part.users /= groups
        part.eventsPerSecond /= groups
        part.listsPerSecond /= groups
        part.feeds /= groups
        return part
    }

    /// No history is longer than the settings allow.
    func cut(to historyMax: Int) -> SizingLoad {
        var cut = self
        cut.history = min(history, Double(historyMax))
        return cut
    }
}
