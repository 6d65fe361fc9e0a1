// Means with an honest error. Events of one user are not independent, so the standard error treats each user as one
// draw (a cluster-robust error); with one event per user it is the ordinary one.

/// A mean over scored events, and how far chance may have moved it.
public struct Estimate: Sendable, Hashable {
    public var mean: Double
    public var standardError: Double
    public var count: Int

    /// `users[i]` says whose event `values[i]` is.
    public init(_ values: [Double], users: [Int32]) {
        precondition(values.count == users.count, "every value belongs to a user")
        count = values.count
        guard count > 0 else {
            mean = 0
            standardError = 0
            return
        }
        let mean = values.reduce(0, +) / Double(count)
        self.mean = mean
        var deviations: [Int32: Double] = [:]
        var order: [Int32] = []
        for (value, user) in zip(values, users) {
            if deviations[user] == nil { order.append(user) }
            deviations[user, default: 0] += value - mean
        }
        // In order of first appearance: the sum is the same in every run.
        let squares = order.reduce(0.0) { sum, user in
            let deviation = deviations[user] ?? 0
            return sum + deviation * deviation
        }
        let clusters = Double(order.count)
        let correction = clusters > 1 ? clusters / (clusters - 1) : 1
        standardError = (squares * correction).squareRoot() / Double(count)
    }
}

/// One scored event.
public struct Outcome: Sendable, Hashable {
    public var user: Int32
    /// Nil when the target was no candidate: a miss.
    public var rank: Rank?
    /// Events of the target before this one.
    public var targetEvents: Int
    /// Items in the user's history before this event.
    public var historyCount: Int
    public var time: Int64
    /// Whether the user's previous event was on the same (UTC) day; false without one.
    public var sameDay: Bool

    public init(
        user: Int32, rank: Rank?, targetEvents: Int = 0, historyCount: Int = 0, time: Int64 = 0,
        sameDay: Bool = false
    ) {
        self.user = user
        self.rank = rank
        self.targetEvents = targetEvents
        self.historyCount = historyCount
        self.time = time
        self.sameDay = sameDay
    }
}

extension [Outcome] {
    public func estimate(_ metric: Metric, cutoff: Int) -> Estimate {
        Estimate(map { metric.value($0.rank, cutoff: cutoff) }, users: map(\.user))
    }

    /// The mean of (own - other's) over the same events.
    public func difference(from other: [Outcome], _ metric: Metric, cutoff: Int) -> Estimate {
        precondition(count == other.count, "paired outcomes are of the same events")
        let values = zip(self, other).map {
            metric.value($0.rank, cutoff: cutoff) - metric.value($1.rank, cutoff: cutoff)
        }
        return Estimate(values, users: map(\.user))
    }
}

/// Outcomes of one kind, for reading where a source is strong.
public struct Breakdown: Sendable {
    public var name: String
    public var labels: [String]
    /// Index into `labels`.
    public var group: @Sendable (Outcome) -> Int

    public static let coldness = Breakdown(
        name: "earlier events of the target", labels: ["none", "1 to 3", "more"]
    ) { $0.targetEvents == 0 ? 0 : $0.targetEvents <= 3 ? 1 : 2 }

    public static let history = Breakdown(
        name: "history of the user",
        labels: ["none", "1 to 2", "3 to 9", "10 to 29", "30 and more"]
    ) { outcome in
        switch outcome.historyCount {
        case ..<1: 0
        case ..<3: 1
        case ..<10: 2
        case ..<30: 3
        default: 4
        }
    }

    public static let dayOfPrevious = Breakdown(
        name: "user's previous event", labels: ["on the same day", "earlier", "none"]
    ) { $0.historyCount == 0 ? 2 : $0.sameDay ? 0 : 1 }

    public static let all = [coldness, history, dayOfPrevious]
}
