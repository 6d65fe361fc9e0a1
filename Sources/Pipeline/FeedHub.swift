// Feeds: the lists of watched users, numbered, kept for resuming, told to observers when they change.
//
// Entries live in memory: their epoch is this run's, so a reader that comes back after a restart sees a gap and gets
// the full list first, which is what a list feed needs (product surface 2).
//
// Which list is made next: a feed whose user did something stands in one of two lines, once, however much its user did
// meanwhile; all feeds, changed or not, are gone round for what others changed. Of seven lists four are for feeds that
// somebody follows or has read of late, two for the other changed ones, one for the round; each line in the order in
// which its feeds changed. A line without feeds leaves its turns to the others. So a feed in line is made after at
// most `weights.sum / weight` times as many lists as there are feeds: nobody starves, however much others do.

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
        /// It stands in line.
        var isInLine = false
        /// What its user did that is not in its list.
        var change = Change()
    }

    /// What happened to a user since the list was made.
    struct Change {
        var count = 0
        /// When the first of it was committed, by the stopwatch.
        var committedAt = 0.0
        /// The time of the first of it, in milliseconds since 1970; 0: none.
        var eventTime: Milliseconds = 0
    }

    /// Who is served before whom.
    enum Line: Int, CaseIterable { case followed, changed, round }

    /// Lists of seven in a row that go to each line.
    static let weights = [4, 2, 1]
    /// The same, in order.
    private static let turns: [Line] = [
        .followed, .changed, .followed, .followed, .changed, .followed, .round,
    ]
    /// A feed read so recently counts as followed.
    static let followedMilliseconds: Milliseconds = 30_000
    /// Feeds of the round that are looked at for one that is due.
    private static let lookedAtMax = 64

    private(set) var feeds: [UserID: Feed] = [:]
    private(set) var everybody: [ObjectIdentifier: (observer: any FeedObserver, count: Int)] = [:]
    private var sequence: UInt64 = 0
    private var followed = Deque<UserID>()
    private var changed = Deque<UserID>()
    /// Every feed once.
    private var rounds = Deque<UserID>()
    private var turn = 0
    private(set) var computingCount = 0
    private(set) var publishedCount: UInt64 = 0
    private(set) var coalescedCount: UInt64 = 0
    private(set) var refusedCount: UInt64 = 0
    private let epoch: UInt64
    private let keptMax: Int
    private let watchedMax: Int
    private let idleMax: Milliseconds
    private let interval: Milliseconds

    init(_ configuration: PipelineConfiguration) {
        epoch = configuration.feedEpoch
        keptMax = configuration.feedEntriesKept
        watchedMax = configuration.feedWatchedMax
        idleMax = configuration.feedIdleMilliseconds
        interval = configuration.feedRefreshMilliseconds
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

    // MARK: - Lines

    /// Feeds whose users did something that is not in their lists.
    var inLineCount: Int { followed.count + changed.count }

    /// A watched user did something, which is durable.
    mutating func note(
        _ user: UserID, eventTime: Milliseconds, committedAt: Double, now: Milliseconds
    ) {
        guard let feed = feeds[user] else { return }
        if feed.change.count == 0 {
            feeds[user]?.change = Change(
                count: 1, committedAt: committedAt, eventTime: eventTime)
        } else {
            feeds[user]?.change.count += 1
        }
        // What is being computed may be of before: its end looks again.
        if !feed.isInLine, !feed.isComputing { enter(user, now: now) }
    }

    private mutating func enter(_ user: UserID, now: Milliseconds) {
        guard let feed = feeds[user] else { return }
        feeds[user]?.isInLine = true
        if !feed.observers.isEmpty || now - feed.readAt <= Self.followedMilliseconds {
            followed.append(user)
        } else {
            changed.append(user)
        }
    }

    /// The feed whose list is to be made next, from then on being computed; nil when none is due. Closes feeds of the
    /// round that nobody reads.
    mutating func takeNext(now: Milliseconds) -> UserID? {
        for step in 0..<Self.turns.count {
            let line = Self.turns[(turn + step) % Self.turns.count]
            guard let user = takeFirst(of: line, now: now) else { continue }
            turn = (turn + step + 1) % Self.turns.count
            feeds[user]?.isComputing = true
            computingCount += 1
            return user
        }
        return nil
    }

    private mutating func takeFirst(of line: Line, now: Milliseconds) -> UserID? {
        switch line {
        case .followed, .changed:
            let first = line == .followed ? followed.popFirst() : changed.popFirst()
            if let first { feeds[first]?.isInLine = false }
            return first
        case .round:
            for _ in 0..<min(Self.lookedAtMax, rounds.count) {
                guard let user = rounds.popFirst(), let feed = feeds[user] else { continue }
                if feed.observers.isEmpty, !feed.isInLine, !feed.isComputing,
                    now - feed.readAt > idleMax
                {
                    feeds[user] = nil
                    continue
                }
                rounds.append(user)
                if !feed.isComputing, !feed.isInLine, now - feed.refreshedAt >= interval {
                    return user
                }
            }
            return nil
        }
    }

    /// Somebody waits for the feed's first list.
    mutating func want(_ user: UserID, now: Milliseconds) {
        guard let feed = feeds[user], !feed.isInLine, !feed.isComputing else { return }
        enter(user, now: now)
    }

    /// What the list that is made now is the first to contain.
    mutating func takeChange(_ user: UserID) -> Change {
        let change = feeds[user]?.change ?? Change()
        feeds[user]?.change = Change()
        return change
    }

    /// The list was made; or it could not be: then the round tries it again.
    mutating func end(_ user: UserID, isMade: Bool, now: Milliseconds) {
        guard let feed = feeds[user], feed.isComputing else { return }
        feeds[user]?.isComputing = false
        feeds[user]?.refreshedAt = now
        computingCount -= 1
        if isMade, feed.change.count > 0, !feed.isInLine { enter(user, now: now) }
    }

    /// Adds the user's list if it differs from the newest entry; returns the new entry.
    mutating func add(
        _ user: UserID, _ recommendation: Recommendation, after change: Change
    ) -> FeedEntry? {
        guard feeds[user] != nil else { return nil }
        if change.count > 1 { coalescedCount += UInt64(change.count - 1) }
        let items = recommendation.items.map(\.id)
        let last = feeds[user]?.entries.last
        let before = last?.recommendation.items.map(\.id)
        if before == items { return nil }
        sequence += 1
        publishedCount += 1
        var entry = FeedEntry(
            user: user, id: FeedID(epoch: epoch, sequence: sequence),
            recommendation: recommendation, skipped: 0)
        entry.causedAt = change.eventTime
        if let last, let before {
            entry.change = FeedChange(from: before, since: last.id, to: items)
        }
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
}
