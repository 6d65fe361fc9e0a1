// Feeds at size: whose list is made next, that nobody starves, and what becomes of lists for a topic that is away.

import Interactions
import Ports
import Recommender
import Teachers
import TestKit
import Testing

@testable import Pipeline

private final class Ear: FeedObserver {
    func feedChanged(_ entry: FeedEntry) {}
    func userChanged(_ user: UserID, asOf: AsOf) {}
}

@Suite("feeds at size")
struct FeedSizeTests {
    private static func hub(_ count: Int, followedBy ear: Ear?) throws -> (FeedHub, [UserID]) {
        var configuration = PipelineConfiguration(
            engine: .init(history: .init(types: Shop.types)), feedEpoch: 7,
            partition: { _, _ in 0 }, decodeItem: { _, _ in nil })
        configuration.feedWatchedMax = count
        configuration.feedRefreshMilliseconds = 0
        configuration.feedIdleMilliseconds = 1_000_000
        var hub = FeedHub(configuration)
        let users = try (0..<count).map { try #require(UserID("u\($0)")) }
        for (place, user) in users.enumerated() {
            if place % 2 == 0, let ear {
                hub.watch(user, ear, now: 0)
            } else {
                let isOpen = hub.open(user, now: 0)
                #expect(isOpen)
            }
        }
        return (hub, users)
    }

    @Test("no feed starves: however busy others are, each waits for a bounded number of lists")
    func fairness() throws {
        let ear = Ear()
        let count = 300
        var (hub, users) = try Self.hub(count, followedBy: ear)
        let now: Milliseconds = 100_000
        var random = SeededRandom(seed: 5)
        // Every second feed is followed, and of those one in ten changes without end.
        var dueSince: [UserID: Int] = [:]
        var longest: [FeedHub.Line: Int] = [:]
        var roundGap: [UserID: Int] = [:]
        var longestRound = 0
        for step in 0..<20_000 {
            for _ in 0..<3 {
                let busy = users[2 * random.below(count / 20)]
                hub.note(busy, eventTime: 1, committedAt: Double(step), now: now)
                if dueSince[busy] == nil { dueSince[busy] = step }
            }
            let quiet = users[random.below(count)]
            if step % 3 == 0 {
                hub.note(quiet, eventTime: 1, committedAt: Double(step), now: now)
                if dueSince[quiet] == nil { dueSince[quiet] = step }
            }
            let next = hub.takeNext(now: now)
            let user = try #require(next)
            if let since = dueSince.removeValue(forKey: user) {
                let place = try #require(users.firstIndex(of: user))
                let line: FeedHub.Line = place % 2 == 0 ? .followed : .changed
                longest[line] = max(longest[line] ?? 0, step - since)
            }
            longestRound = max(longestRound, step - (roundGap[user] ?? 0))
            roundGap[user] = step
            _ = hub.takeChange(user)
            hub.end(user, isMade: true, now: now)
            #expect(hub.inLineCount <= count)
        }
        for (line, wait) in longest {
            let weight = FeedHub.weights[line.rawValue]
            #expect(wait <= count * 7 / weight, "\(line) waited for \(wait) lists")
        }
        #expect(longest[.changed] ?? 0 > 0 && longest[.followed] ?? 0 > 0)
        #expect(longestRound <= 7 * (count + 1))
    }

    @Test("changes of a feed in line are one list; those made meanwhile are another")
    func coalesced() throws {
        var (hub, users) = try Self.hub(2, followedBy: nil)
        for time in 1...5 {
            hub.note(users[0], eventTime: Milliseconds(time), committedAt: 1, now: 1)
        }
        #expect(hub.inLineCount == 1)
        let next = hub.takeNext(now: 1)
        #expect(next == users[0])
        let change = hub.takeChange(users[0])
        #expect(change.count == 5 && change.eventTime == 1)
        hub.note(users[0], eventTime: 9, committedAt: 2, now: 1)
        #expect(hub.inLineCount == 0 && hub.computingCount == 1)
        hub.end(users[0], isMade: true, now: 1)
        #expect(hub.inLineCount == 1 && hub.computingCount == 0)
    }

    @Test("a burst of changes does not hold up what else the lane has to do")
    func slices() throws {
        let stage = try LadderStage(events: 300)
        let ear = Ear()
        let users = try (0..<40).map { try #require(UserID("user-\($0)")) }
        stage.tell { $0.watch(users, observer: ear) }
        stage.holdsFeedTurns = true
        // A look takes half a millisecond: a slice is a few lists.
        stage.watch.setStep(0.5)
        let published = stage.number("feeds_published")
        stage.receive(
            try (0..<40).map { try LadderStage.view("user-\($0)", $0 * 7, at: 1_800_000_000_000) })
        let inLine = stage.number("feeds_in_line")
        #expect(inLine > 30, "\(inLine)")
        // A request in between is answered in between.
        #expect(try stage.ask { $0.deadlineMilliseconds = 10_000 }.list != nil)
        stage.holdsFeedTurns = false
        stage.letGo()
        #expect(stage.number("feeds_in_line") == 0 && stage.feedTurns > 5)
        #expect(stage.number("feeds_published") > published)
    }

    @Test(
        "a reader goes on where it was; another run's position, or an old one, begins with the full list"
    )
    func resumption() throws {
        let stage = try LadderStage { $0.feedEntriesKept = 4 }
        let user = try #require(UserID("reader"))
        func read(_ after: FeedID) -> [FeedEntry] {
            var entries: [FeedEntry] = []
            stage.tell {
                $0.readFeeds([FeedCursor(user: user, after: after)], count: 100) {
                    entries = (try? $0.get()) ?? []
                }
            }
            return entries
        }
        let first = try #require(read(FeedID(epoch: 0, sequence: 0)).first)
        #expect(first.id.epoch == 7)
        var position = first.id
        var ids = [first.id]
        for item in 0..<12 {
            stage.receive([try LadderStage.view("reader", item, at: 1_800_000_000_000)])
            guard item % 2 == 1 else { continue }
            let entries = read(position)
            ids += entries.map(\.id)
            position = entries.last?.id ?? position
        }
        #expect(ids == Array(Set(ids)).sorted() && ids.count > 4)
        #expect(read(position).isEmpty)
        #expect(read(FeedID(epoch: 6, sequence: 999)).map(\.id) == [position])
        #expect(read(first.id).map(\.skipped) == [3])
    }

    @Test(
        "while the topic's broker is away a feed holds one place, the newest list's; then it arrives"
    )
    func topic() throws {
        let stage = try LadderStage { $0.producesFeeds = true }
        let ear = Ear()
        let users = try ["a", "b"].map { try #require(UserID($0)) }
        stage.tell { $0.watch(users, observer: ear) }
        #expect(stage.produced.map(\.user) == users)
        let away = PortError(.unavailable, "the broker is away")
        let first = stage.produced
        stage.produced = []
        for entry in first { stage.tell { $0.feedProduced(entry, .failure(away)) } }
        for item in 0..<10 {
            stage.receive([try LadderStage.view("a", item, at: 1_800_000_000_000)])
            #expect(stage.number("feed_topic_waiting") == 2)
        }
        #expect(stage.produced.isEmpty && stage.number("feed_topic_superseded") > 3)
        stage.turn(1_100)
        #expect(stage.produced.count == 2)
        let newest = try #require(stage.produced.first { $0.user == users[0] })
        #expect(newest.id > first[0].id)
        // None overtakes another: what comes meanwhile waits for the answer.
        stage.receive([try LadderStage.view("a", 20, at: 1_800_000_000_000)])
        #expect(stage.produced.count == 2)
        let position = LogPosition(partition: 0, offset: 1)
        for entry in stage.produced { stage.tell { $0.feedProduced(entry, .success(position)) } }
        #expect(stage.number("feed_topic_produced") == 2)
    }

    @Test("an entry tells what is different since the one before; the first tells nothing")
    func change() throws {
        var (hub, users) = try Self.hub(1, followedBy: nil)
        let asOf = AsOf(partition: 0, nextOffset: 0, userTime: 0, ageMilliseconds: 0)
        var random = SeededRandom(seed: 9)
        var held: [ItemID] = []
        var heldID: FeedID?
        for round in 0..<50 {
            let picked = (0..<20).shuffled(using: &random).prefix(random.below(8))
            let items = picked.compactMap { ItemID("i\($0)") }
            let list = Recommendation(
                items: items.map { RecommendedItem(id: $0, score: 1, source: "cf") }, rung: "cf",
                asOf: asOf, version: 0)
            guard let entry = hub.add(users[0], list, after: FeedHub.Change()) else {
                #expect(items == held && round > 0)
                continue
            }
            #expect(entry.change?.since == heldID)
            if let change = entry.change {
                let kept = Set(held).subtracting(change.removed)
                #expect(kept.union(change.added) == Set(items))
                #expect(change.added == items.filter { !held.contains($0) })
                #expect(change.removed.allSatisfy(held.contains))
            }
            (held, heldID) = (items, entry.id)
        }
    }

    @Test("what is handed to the producer is bounded")
    func topicIsBounded() throws {
        var topic = FeedTopic()
        let asOf = AsOf(partition: 0, nextOffset: 0, userTime: 0, ageMilliseconds: 0)
        let list = Recommendation(items: [], rung: "cf", asOf: asOf, version: 0)
        for number in 0..<3_000 {
            _ = topic.add(
                FeedEntry(
                    user: try #require(UserID("u\(number)")),
                    id: FeedID(epoch: 1, sequence: UInt64(number)), recommendation: list,
                    skipped: 0))
        }
        let ready = topic.takeReady(now: 0)
        let none = topic.takeReady(now: 0)
        #expect(ready.count == FeedTopic.inFlightMax && none.isEmpty)
        for entry in ready { topic.ended(entry, isProduced: true, now: 0) }
        let further = topic.takeReady(now: 0)
        #expect(further.count == FeedTopic.inFlightMax)
        #expect(topic.waitingCount == 1_000)
    }
}
