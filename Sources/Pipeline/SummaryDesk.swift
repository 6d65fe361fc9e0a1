// Who waits for a summary, who is being written about, and what became of it.

import DequeModule
import Interactions
import Summaries

/// A writer's answer on its way into the user's state.
struct WrittenSummary: Sendable {
    var body: [UInt8]
    var block: UInt64
    var fingerprint: UInt64
    var version: UInt64
}

struct SummaryDesk {
    struct Running {
        var user: UserID
        var partition: PartitionIndex
        var ticket: Ticket
        var block: UInt64
        var fingerprint: UInt64
        var attempt: Int
        var startedAt: Milliseconds
    }

    struct Delayed {
        var attempt: Int
        var at: Milliseconds
    }

    /// What INFO and the metrics show.
    struct Counts {
        var blocks: UInt64 = 0
        var eventsLost: UInt64 = 0
        var started: UInt64 = 0
        var failed: UInt64 = 0
        var timedOut: UInt64 = 0
        var stale: UInt64 = 0
        var givenUp: UInt64 = 0
        var deferred: UInt64 = 0
    }

    var counts = Counts()
    var failure: String?
    /// Jobs under way, by number.
    var running: [UInt64: Running] = [:]
    /// Of items met lately; emptied when it is full and when an item changes.
    var traits: [ItemKey: ItemTraits] = [:]
    static let traitsMax = 16_384
    /// Partitions whose stored users have yet to be looked through for blocks that wait.
    var resuming: Set<PartitionIndex> = []
    private var watched = Deque<UserID>()
    private var others = Deque<UserID>()
    /// Everybody in line or being written about, with the attempt that comes next.
    private var attempts: [UserID: Int] = [:]
    private var delayed: [UserID: Delayed] = [:]
    private var jobs: UInt64 = 0
    private var minute: Milliseconds = -1
    private var startedInMinute = 0

    /// Users who wait.
    var waitingCount: Int { watched.count + others.count + delayed.count }

    /// Puts a user in line, once. False when the line is full.
    mutating func add(_ user: UserID, isWatched: Bool, queueMax: Int) -> Bool {
        if attempts[user] != nil || delayed[user] != nil { return true }
        guard waitingCount < queueMax else {
            counts.deferred += 1
            // Whoever watches goes before the newest of those who do not.
            guard isWatched, let displaced = others.popLast() else { return false }
            attempts[displaced] = nil
            append(user, isWatched: true, attempt: 0)
            return true
        }
        append(user, isWatched: isWatched, attempt: 0)
        return true
    }

    private mutating func append(_ user: UserID, isWatched: Bool, attempt: Int) {
        attempts[user] = attempt
        if isWatched { watched.append(user) } else { others.append(user) }
    }

    /// Those whose wait is over come back into line.
    mutating func wake(now: Milliseconds, isWatched: (UserID) -> Bool) {
        let due = delayed.filter { $0.value.at <= now }.keys.sorted()
        for user in due {
            guard let entry = delayed.removeValue(forKey: user) else { continue }
            append(user, isWatched: isWatched(user), attempt: entry.attempt)
        }
    }

    /// The next in line, while the minute's budget lasts.
    mutating func next(now: Milliseconds, perMinuteMax: Int) -> (user: UserID, attempt: Int)? {
        let minute = now / 60_000
        if minute != self.minute {
            self.minute = minute
            startedInMinute = 0
        }
        guard startedInMinute < perMinuteMax, let user = watched.popFirst() ?? others.popFirst()
        else { return nil }
        return (user: user, attempt: attempts[user] ?? 0)
    }

    mutating func start(_ job: Running) -> UInt64 {
        jobs += 1
        counts.started += 1
        startedInMinute += 1
        running[jobs] = job
        return jobs
    }

    /// The user is done with, for now.
    mutating func leave(_ user: UserID) { attempts[user] = nil }

    mutating func delay(_ user: UserID, attempt: Int, until: Milliseconds) {
        attempts[user] = nil
        delayed[user] = Delayed(attempt: attempt, at: until)
    }

    /// Nothing of before counts: the users come again from the store.
    mutating func forgetQueue() {
        watched.removeAll()
        others.removeAll()
        delayed = [:]
        attempts = [:]
        running = [:]
        resuming = []
    }
}
