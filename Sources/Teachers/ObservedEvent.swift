// What the combiner needs of one event to learn from it: the item that came, and its user just before.
//
// It stands in the edits in front of the event's own operations. Whoever applies the edits (the fold, recovery, other
// instances) therefore scores the event by the same statistics and learns the same, whatever the size of batches.

public import Interactions

/// A user's history as lists are made from it.
public struct ObservedUser: Sendable, Hashable {
    public struct Entry: Sendable, Hashable {
        public var item: ItemKey
        public var isPositive: Bool
        /// Kept out of lists at the time of the request.
        public var isHidden: Bool

        public init(item: ItemKey, isPositive: Bool, isHidden: Bool) {
            self.item = item
            self.isPositive = isPositive
            self.isHidden = isHidden
        }
    }

    public var key: UInt64
    /// Oldest first.
    public var history: [Entry]
    /// Entries of the history, those left out here included.
    public var historyCount: Int
    /// Seconds of the newest entry; nil without one.
    public var lastSeconds: UInt32?
    /// The summary as it is stored, where the model reads it; else empty.
    public var summary: [UInt8]

    public init(
        key: UInt64, history: [Entry], historyCount: Int, lastSeconds: UInt32?,
        summary: [UInt8] = []
    ) {
        self.key = key
        self.history = history
        self.historyCount = historyCount
        self.lastSeconds = lastSeconds
        self.summary = summary
    }

    /// Positive items, newest first.
    public func recent(atMost count: Int) -> [ItemKey] {
        var found: [ItemKey] = []
        for entry in history.reversed() where entry.isPositive {
            if found.count >= count { break }
            found.append(entry.item)
        }
        return found
    }
}

/// An event that the combiner learns from.
public struct ObservedEvent: Sendable, Hashable {
    /// Entries of a history that are written down, the newest; what came before counts as not seen.
    public static let historyMax = 1_024

    public var user: ObservedUser
    public var item: ItemKey
    public var time: Milliseconds

    public init(user: ObservedUser, item: ItemKey, time: Milliseconds) {
        self.user = user
        self.user.history = Array(user.history.suffix(Self.historyMax))
        self.item = item
        self.time = time
    }
}
