// Lists of feeds on their way to a topic (`feeds.topic`), at least once each newest one.
//
// Nothing waits for the broker. So much is handed to the producer; beyond that, and while the broker is away, a feed
// has one place here, and a newer list takes the place of the older one, which is counted: who reads the topic misses
// lists that are no longer right, never the one that is. The bound is that of watched feeds.

import DequeModule
import Interactions
public import Ports

struct FeedTopic {
    /// Handed to the producer and not answered.
    static let inFlightMax = 1_000
    static let retryMilliseconds: Milliseconds = 1_000

    private var waiting: [UserID: FeedEntry] = [:]
    private var line = Deque<UserID>()
    private var flying: Set<UserID> = []
    private var failedAt: Milliseconds?
    private(set) var producedCount: UInt64 = 0
    private(set) var failedCount: UInt64 = 0
    private(set) var supersededCount: UInt64 = 0

    var waitingCount: Int { waiting.count }
    var inFlightCount: Int { flying.count }

    /// Takes a new list in; returns whether it took the place of one that was not produced.
    mutating func add(_ entry: FeedEntry) -> Bool {
        let isReplaced = waiting.updateValue(entry, forKey: entry.user) != nil
        if isReplaced { supersededCount += 1 } else { line.append(entry.user) }
        return isReplaced
    }

    /// What is to be produced now. Of one feed a list at a time: none overtakes another.
    mutating func takeReady(now: Milliseconds) -> [FeedEntry] {
        if let failedAt, now - failedAt < Self.retryMilliseconds { return [] }
        failedAt = nil
        var ready: [FeedEntry] = []
        for _ in 0..<line.count where flying.count < Self.inFlightMax {
            guard let user = line.popFirst() else { break }
            if flying.contains(user) {
                line.append(user)
            } else if let entry = waiting.removeValue(forKey: user) {
                flying.insert(user)
                ready.append(entry)
            }
        }
        return ready
    }

    /// The broker has it, or not: then it is tried again, unless a newer one is here.
    mutating func ended(_ entry: FeedEntry, isProduced: Bool, now: Milliseconds) {
        flying.remove(entry.user)
        guard !isProduced else {
            producedCount += 1
            return
        }
        failedCount += 1
        failedAt = now
        if waiting[entry.user] != nil {
            supersededCount += 1
        } else {
            waiting[entry.user] = entry
            line.append(entry.user)
        }
    }
}

extension Coordinator {
    func produce(_ entry: FeedEntry) {
        guard configuration.producesFeeds else { return }
        if feedTopic.add(entry) { act(.observe(.feedProduced(outcome: "superseded"))) }
        produceFeeds()
    }

    /// Hands on what the producer may have now.
    func produceFeeds() {
        guard feedTopic.waitingCount > 0 else { return }
        for entry in feedTopic.takeReady(now: now) { act(.produceFeed(entry)) }
    }

    public func feedProduced(_ entry: FeedEntry, _ result: Result<LogPosition, PortError>) {
        let isProduced = if case .success = result { true } else { false }
        feedTopic.ended(entry, isProduced: isProduced, now: now)
        act(.observe(.feedProduced(outcome: isProduced ? "produced" : "failed")))
        produceFeeds()
    }

    var feedTopicNumbers: [(name: String, value: UInt64)] {
        guard configuration.producesFeeds else { return [] }
        return [
            ("feed_topic_produced", feedTopic.producedCount),
            ("feed_topic_failed", feedTopic.failedCount),
            ("feed_topic_superseded", feedTopic.supersededCount),
            ("feed_topic_waiting", UInt64(feedTopic.waitingCount + feedTopic.inFlightCount)),
        ]
    }

    var feedTopicLines: [InfoLine] { feedTopicNumbers.map { InfoLine($0.name, "\($0.value)") } }
}
