// Who waits for a summary, who is being written about, and what became of it.

import DequeModule
import Interactions
import Summaries

/// A writer's answer on its way into the user's state.
struct WrittenSummary: Sendable {
    var body: [UInt8]
    var due: DueBlock
    var regained: UInt64
    var version: UInt64
}

struct SummaryDesk {
    struct Running {
        var user: UserID
        var partition: PartitionIndex
        var ticket: Ticket
        var plan: SummaryPlan
        var attempt: Int
        var startedAt: Milliseconds
        /// Which part of which merge is asked about; nil for what becomes the user's summary.
        var part: Part?
    }

    struct Part: Hashable {
        var merge: UInt64
        var index: Int
    }

    /// A summary in parts: those not asked about yet, and what the others have become.
    struct Merge {
        var job: Running
        var previous: String?
        var waiting: Deque<(index: Int, request: SummaryRequest)>
        var texts: [String?]
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
        var merges: UInt64 = 0
    }

    var counts = Counts()
    var failure: String?
    /// Jobs under way, by number.
    var running: [UInt64: Running] = [:]
    /// Merges whose parts are asked about, by number.
    private var merges: [UInt64: Merge] = [:]
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
        guard hasBudget(now: now, perMinuteMax: perMinuteMax),
            let user = watched.popFirst() ?? others.popFirst()
        else { return nil }
        return (user: user, attempt: attempts[user] ?? 0)
    }

    private mutating func hasBudget(now: Milliseconds, perMinuteMax: Int) -> Bool {
        let minute = now / 60_000
        if minute != self.minute {
            self.minute = minute
            startedInMinute = 0
        }
        return startedInMinute < perMinuteMax
    }

    // MARK: - Merges

    mutating func begin(_ merge: Merge) {
        jobs += 1
        merges[jobs] = merge
    }

    /// The next part to be asked about, of the oldest merge that has one.
    mutating func nextPart(
        now: Milliseconds, perMinuteMax: Int
    ) -> (job: Running, request: SummaryRequest)? {
        let open = merges.keys.filter { merges[$0]?.waiting.isEmpty == false }.min()
        guard hasBudget(now: now, perMinuteMax: perMinuteMax), let open,
            var job = merges[open]?.job, let next = merges[open]?.waiting.popFirst()
        else { return nil }
        job.part = Part(merge: open, index: next.index)
        job.startedAt = now
        return (job: job, request: next.request)
    }

    /// A part's text has come. Returns the merge when it was the last; nil for a merge given up meanwhile, too.
    mutating func take(_ text: String, for part: Part) -> Merge? {
        guard merges[part.merge]?.texts.indices.contains(part.index) == true else { return nil }
        merges[part.merge]?.texts[part.index] = text
        guard merges[part.merge]?.texts.contains(where: { $0 == nil }) == false else { return nil }
        return merges.removeValue(forKey: part.merge)
    }

    /// Nobody waits for the other parts any more.
    mutating func giveUp(_ merge: UInt64) {
        merges[merge] = nil
        running = running.filter { $0.value.part?.merge != merge }
    }

    // MARK: - Jobs

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
        merges = [:]
        resuming = []
    }
}
