import Interactions
import Teachers
import TestKit
import Testing

/// Random events of a few users with few items, so that repeats, evictions and negative events are common.
struct Crowd {
    let rules: HistoryRules
    var states: [UserID: UserState] = [:]
    var statistics = Statistics(halfLivesSeconds: [50_000, 400_000])
    /// The edits of every event, as stored.
    var log: [[UInt8]] = []

    init(historyMax: Int, reach: Int = 0) {
        rules = HistoryRules(
            types: EventTypes([
                EventType(name: "view", weight: 1, seen: .never),
                EventType(name: "buy", weight: 5, seen: .always),
                EventType(name: "dislike", weight: -2, seen: .always),
            ]), historyMax: historyMax, cooccurrenceReach: reach)
    }

    mutating func run(_ events: Int, _ random: inout SeededRandom) throws {
        for step in 0..<events {
            guard let user = UserID("u\(random.below(12))"),
                let item = ItemID("i\(random.below(30))")
            else { continue }
            var edits = StatisticsEditsWriter()
            if random.chance(0.01) {
                rules.subtractAll(states[user] ?? UserState(), edits: &edits)
                states[user] = nil
            } else {
                _ = rules.append(
                    Interaction(
                        user: user, item: item, type: UInt8(random.below(3)),
                        time: 1_700_000_000_000
                            + Milliseconds(step * 600_000 - random.below(90_000_000)),
                        eventKey: UInt64(random.below(500))),
                    to: &states[user, default: UserState()], edits: &edits)
            }
            log.append(edits.finish(nextOffset: nil, fingerprint: rules.fingerprint))
            try statistics.apply(log[log.count - 1])
        }
    }

    /// The statistics of the final histories, from nothing.
    func refolded() throws -> Statistics {
        var edits = StatisticsEditsWriter()
        for state in states.values { rules.addAll(state, edits: &edits) }
        var fresh = Statistics(halfLivesSeconds: [50_000, 400_000])
        try fresh.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        return fresh
    }
}

@Suite("Statistics are a pure function of histories")
struct StatisticsLawTests {
    @Test(
        "streamed = folded at once, whatever repeats, evictions and forgetting", arguments: 0..<60)
    func streamingEqualsBatch(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var crowd = Crowd(historyMax: 2 + random.below(25), reach: random.below(28))
        try crowd.run(800, &random)
        let batch = try crowd.refolded()
        #expect(crowd.statistics.digest == batch.digest)
        if crowd.statistics.popularity.newest == batch.popularity.newest {
            #expect(crowd.statistics.popularityDigest == batch.popularityDigest)
        }
        #expect(crowd.statistics.transitions.refusedCount == 0)
        #expect(crowd.statistics.cooccurrences.refusedCount == 0)
    }

    @Test(
        "co-occurrence is the count of histories that hold two items within reach",
        arguments: 0..<20)
    func cooccurrence(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var crowd = Crowd(historyMax: 2 + random.below(25), reach: 1 + random.below(28))
        try crowd.run(500, &random)
        var expected: [[ItemKey]: Int64] = [:]
        for state in crowd.states.values {
            let items = state.history.filter { crowd.rules.types[$0.type].weight > 0 }.map(\.item)
            for right in items.indices {
                for left in max(0, right - crowd.rules.cooccurrenceReach)..<right {
                    expected[[items[left], items[right]], default: 0] += 1
                    expected[[items[right], items[left]], default: 0] += 1
                }
            }
        }
        let statistics = crowd.statistics
        for (row, one) in statistics.items.keys.enumerated() {
            for (column, other) in statistics.items.keys.enumerated() {
                let held = statistics.cooccurrences[Int32(row), Int32(column)]
                #expect(held == expected[[one, other]] ?? 0)
            }
        }
    }

    @Test("shards counted apart add up to the whole", arguments: 0..<6)
    func shards(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var crowd = Crowd(historyMax: 12, reach: 12)
        try crowd.run(400, &random)
        // Two instances, each with half of the users; then one takes over the other's edits.
        let users = crowd.states.keys.sorted()
        var sum = Statistics(halfLivesSeconds: [50_000, 400_000])
        for half in [users.prefix(users.count / 2), users.suffix(users.count - users.count / 2)] {
            var edits = StatisticsEditsWriter()
            for user in half {
                crowd.rules.addAll(crowd.states[user] ?? UserState(), edits: &edits)
            }
            try sum.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        }
        #expect(sum.digest == crowd.statistics.digest)
    }

    @Test("what is not counted changes no fingerprint, digest or stored form")
    func withoutCooccurrence() throws {
        var random = SeededRandom(seed: 3)
        var crowd = Crowd(historyMax: 12)
        let counted = HistoryRules(types: crowd.rules.types, cooccurrenceReach: 5)
        #expect(crowd.rules.fingerprint == HistoryRules(types: crowd.rules.types).fingerprint)
        #expect(crowd.rules.fingerprint != counted.fingerprint)
        try crowd.run(300, &random)
        for edits in crowd.log {
            guard var operations = try? StatisticsEdits(edits) else { continue }
            while let operation = try operations.next() {
                if case .together = operation { Issue.record("co-occurrence was not asked for") }
            }
        }
        #expect(crowd.statistics.cooccurrences.pairCount == 0)
    }

    @Test(
        "edits in any order give the same counts, and taken back leave nothing", arguments: 0..<20)
    func editsCommute(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var crowd = Crowd(historyMax: 12, reach: seed % 14)
        try crowd.run(300, &random)
        var shuffled = Statistics(halfLivesSeconds: [50_000, 400_000])
        for edits in crowd.log.shuffled(using: &random) { try shuffled.apply(edits) }
        #expect(shuffled.digest == crowd.statistics.digest)
        #expect(shuffled.popularityDigest == crowd.statistics.popularityDigest)
        for edits in crowd.log.shuffled(using: &random) { try shuffled.apply(edits, undo: true) }
        #expect(shuffled.digest == Statistics(halfLivesSeconds: [1]).digest)
        #expect(shuffled.counts.allSatisfy { $0 == 0 })
    }

    @Test("a checkpoint reads back as the same statistics", arguments: 0..<10)
    func checkpoint(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var crowd = Crowd(historyMax: 12, reach: seed % 2 * 12)
        try crowd.run(500, &random)
        let chunks = crowd.statistics.checkpointChunks(fingerprint: 7)
        #expect(chunks[0][0] == (seed % 2 == 0 ? 1 : 2), "the format tells what is counted")
        let read = try Statistics(
            checkpointChunks: chunks, halfLivesSeconds: [50_000, 400_000], pairCountMax: 1_000_000,
            fingerprint: 7)
        #expect(read.digest == crowd.statistics.digest)
        #expect(read.popularityDigest == crowd.statistics.popularityDigest)
        #expect(read.popularity.total == crowd.statistics.popularity.total)
        #expect(throws: MalformedBytes.self) {
            try Statistics(
                checkpointChunks: chunks, halfLivesSeconds: [50_000, 400_000],
                pairCountMax: 1_000_000, fingerprint: 8)
        }
    }

    @Test("damaged edits and checkpoints are refused or read, never a trap", arguments: 0..<20)
    func damage(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var crowd = Crowd(historyMax: 12, reach: seed % 2 * 5)
        try crowd.run(60, &random)
        var scratch = Statistics(halfLivesSeconds: [50_000, 400_000])
        for edits in crowd.log where !edits.isEmpty {
            for end in 0..<edits.count { try? scratch.apply(Array(edits[..<end])) }
            var damaged = edits
            damaged[random.below(damaged.count)] = UInt8(random.below(256))
            try? scratch.apply(damaged)
        }
        let chunks = crowd.statistics.checkpointChunks(fingerprint: 0)
        for _ in 0..<300 {
            var damaged = chunks
            let chunk = random.below(damaged.count)
            damaged[chunk][random.below(damaged[chunk].count)] = UInt8(random.below(256))
            _ = try? Statistics(
                checkpointChunks: damaged, halfLivesSeconds: [50_000, 400_000],
                pairCountMax: 1_000_000, fingerprint: 0)
        }
    }

    @Test("the bound on pairs is kept and counted")
    func bound() throws {
        var random = SeededRandom(seed: 5)
        var crowd = Crowd(historyMax: 12)
        crowd.statistics = Statistics(halfLivesSeconds: [50_000], pairCountMax: 40)
        try crowd.run(400, &random)
        #expect(crowd.statistics.transitions.pairCount <= 40)
        #expect(crowd.statistics.transitions.refusedCount > 0)
    }

    @Test("decayed popularity halves with every half-life, within a thousandth")
    func decay() throws {
        var writer = StatisticsEditsWriter()
        let start: UInt32 = 1_700_000_000
        for (item, age) in [(1, 0), (2, 50_000), (3, 100_000), (4, 25_000)] as [(ItemKey, UInt32)] {
            writer.append(
                .entry(
                    subtract: false, item: item, seconds: start - age, weight: 1, repeatGap: 0))
        }
        var statistics = Statistics(halfLivesSeconds: [50_000])
        try statistics.apply(writer.finish(nextOffset: nil, fingerprint: 0))
        let values = statistics.popularity.values.map { Double($0) }
        #expect(abs(values[1] / values[0] - 0.5) < 0.001)
        #expect(abs(values[2] / values[0] - 0.25) < 0.001)
        #expect(abs(values[3] / values[0] - 0.5.squareRoot()) < 0.001)
    }
}

@Test(
    "the popularity order is the best of the sorted one after every event", arguments: 0..<10,
    [1, 3, 8, PopularityOrder.heldMax])
func popularityOrder(seed: Int, held: Int) throws {
    var random = SeededRandom(seed: UInt64(seed))
    var crowd = Crowd(historyMax: 12)
    var order = PopularityOrder(count: held)
    for _ in 0..<300 {
        let before = crowd.log.count
        try crowd.run(1 + random.below(3), &random)
        var touched: [KeyIndex.Number] = []
        for edits in crowd.log[before...] {
            guard var operations = try? StatisticsEdits(edits) else { continue }
            while let operation = try operations.next() {
                guard case .entry(_, let item, _, _, _) = operation,
                    let number = crowd.statistics.items.number(of: item)
                else { continue }
                touched.append(number)
            }
        }
        order.touch(touched, in: crowd.statistics)
        order.refresh(crowd.statistics)
        let values = crowd.statistics.popularity.values
        let keys = crowd.statistics.items.keys
        let expected = values.indices.filter { values[$0] > 0 }.sorted {
            values[$0] != values[$1] ? values[$0] > values[$1] : keys[$0] < keys[$1]
        }
        #expect(order.top.map(Int.init) == Array(expected.prefix(held)))
        #expect(!order.isComplete || expected.count <= held)
    }
}
