// Feeds: the lists of watched users, numbered, kept for resuming, told to observers when they change.
//
// Entries live in memory: their epoch is this run's, so a reader that comes back after a restart sees a gap and gets
// the full list first, which is what a list feed needs (product surface 2).

import DequeModule
import Interactions
import Ports

struct FeedHub {
    struct Feed {
        var entries = Deque<FeedEntry>()
        var observers: [ObjectIdentifier: (observer: any FeedObserver, count: Int)] = [:]
        var readAt: Milliseconds
        var refreshedAt: Milliseconds = 0
        /// A recomputation waits for the user's state.
        var isComputing = false
    }

    private(set) var feeds: [UserID: Feed] = [:]
    private(set) var everybody: [ObjectIdentifier: (observer: any FeedObserver, count: Int)] = [:]
    private var sequence: UInt64 = 0
    private var rounds = Deque<UserID>()
    private(set) var publishedCount: UInt64 = 0
    private(set) var refusedCount: UInt64 = 0
    private let epoch: UInt64
    private let keptMax: Int
    private let watchedMax: Int
    private let idleMax: Milliseconds

    init(_ configuration: PipelineConfiguration) {
        epoch = configuration.feedEpoch
        keptMax = configuration.feedEntriesKept
        watchedMax = configuration.feedWatchedMax
        idleMax = configuration.feedIdleMilliseconds
    }

    func isWatched(_ user: UserID) -> Bool { feeds[user] != nil }

    func newest(_ user: UserID) -> FeedEntry? { feeds[user]?.entries.last }

    /// Opens a feed, or notes that it is still read. False when the bound on watched feeds is reached.
    mutating func open(_ user: UserID, now: Milliseconds) -> Bool {
        if feeds[user] != nil {
            feeds[user]?.readAt = now
            return true
        }
        guard feeds.count < watchedMax else {
            refusedCount += 1
            return false
        }
        feeds[user] = Feed(readAt: now)
        rounds.append(user)
        return true
    }

    mutating func watch(_ user: UserID, _ observer: any FeedObserver, now: Milliseconds) {
        guard open(user, now: now) else { return }
        let count = feeds[user]?.observers[ObjectIdentifier(observer)]?.count ?? 0
        feeds[user]?.observers[ObjectIdentifier(observer)] = (observer: observer, count: count + 1)
    }

    mutating func unwatch(_ user: UserID, _ observer: any FeedObserver) {
        let key = ObjectIdentifier(observer)
        guard let count = feeds[user]?.observers[key]?.count else { return }
        if count > 1 {
            feeds[user]?.observers[key]?.count = count - 1
        } else {
            feeds[user]?.observers[key] = nil
        }
    }

    mutating func watchAll(_ on: Bool, _ observer: any FeedObserver) {
        let key = ObjectIdentifier(observer)
        let count = (everybody[key]?.count ?? 0) + (on ? 1 : -1)
        everybody[key] = count > 0 ? (observer: observer, count: count) : nil
    }

    mutating func setComputing(_ user: UserID, _ on: Bool) { feeds[user]?.isComputing = on }

    /// Adds the user's list if it differs from the newest entry; returns the new entry.
    mutating func add(
        _ user: UserID, _ recommendation: Recommendation, now: Milliseconds
    ) -> FeedEntry? {
        guard feeds[user] != nil else { return nil }
        feeds[user]?.isComputing = false
        feeds[user]?.refreshedAt = now
        if let last = feeds[user]?.entries.last,
            last.recommendation.items.map(\.id) == recommendation.items.map(\.id)
        {
            return nil
        }
        sequence += 1
        publishedCount += 1
        let entry = FeedEntry(
            user: user, id: FeedID(epoch: epoch, sequence: sequence),
            recommendation: recommendation, skipped: 0)
        feeds[user]?.entries.append(entry)
        if let count = feeds[user]?.entries.count, count > keptMax {
            feeds[user]?.entries.removeFirst(count - keptMax)
        }
        return entry
    }

    /// What a reader at `after` has not seen; a position of another run, or too old, yields the newest entry alone.
    func entries(of user: UserID, after: FeedID, count: Int) -> [FeedEntry] {
        guard let feed = feeds[user], let first = feed.entries.first, let last = feed.entries.last
        else { return [] }
        if after.epoch == epoch {
            if after >= last.id { return [] }
            if after >= first.id {
                return Array(feed.entries.filter { $0.id > after }.prefix(count))
            }
        }
        var newest = last
        if after.epoch == epoch, after.sequence > 0 { newest.skipped = feed.entries.count - 1 }
        return [newest]
    }

    func observers(of user: UserID) -> [any FeedObserver] {
        feeds[user]?.observers.values.map(\.observer) ?? []
    }

    /// Users whose list is due for another look because others changed the statistics; closes feeds nobody reads.
    mutating func due(
        now: Milliseconds, interval: Milliseconds, limit: Int, listsMax: Int
    ) -> [UserID] {
        var found: [UserID] = []
        for _ in 0..<min(limit, rounds.count) where found.count < listsMax {
            guard let user = rounds.popFirst(), let feed = feeds[user] else { continue }
            if feed.observers.isEmpty, now - feed.readAt > idleMax {
                feeds[user] = nil
                continue
            }
            rounds.append(user)
            if !feed.isComputing, now - feed.refreshedAt >= interval { found.append(user) }
        }
        return found
    }
}
