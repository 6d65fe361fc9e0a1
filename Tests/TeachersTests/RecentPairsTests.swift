import Interactions
import TestKit
import Testing

@testable import Teachers

@Suite("The latest pairs")
struct RecentPairsTests {
    /// One pair as it happened, found again by looking at everything.
    private struct Seen {
        var from: KeyIndex.Number
        var to: KeyIndex.Number
        var seconds: UInt32
        var gap: Int
    }

    private static let itemCount = 12

    private static func windows(_ count: Int, _ random: inout SeededRandom) -> [[KeyIndex.Number]] {
        (0..<count).map { _ in
            (0..<(2 + random.below(5))).map { _ in KeyIndex.Number(random.below(itemCount)) }
        }
    }

    private static func made(
        _ windows: [[KeyIndex.Number]], pairCountMax: Int = 1_000_000
    ) -> (RecentPairs, [Seen]) {
        var pairs = RecentPairs(pairCountMax: pairCountMax)
        pairs.reserve(itemCount)
        var seen: [Seen] = []
        for (step, window) in windows.enumerated() {
            let seconds = UInt32(1_000_000 + step * 500)
            pairs.add(window, seconds: seconds)
            for (place, other) in window.dropLast().enumerated() {
                seen.append(
                    Seen(
                        from: other, to: window[window.count - 1], seconds: seconds,
                        gap: window.count - 1 - place))
            }
        }
        return (pairs, seen)
    }

    @Test(
        "followers and neighbours are the sums over all pairs that ever happened", arguments: 1...6)
    func slowTwin(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let (pairs, seen) = Self.made(Self.windows(60, &random))
        let recent = (0..<4).map { _ in KeyIndex.Number(random.below(Self.itemCount)) }
        let now: Int64 = 1_040_000
        func worth(_ pair: Seen) -> Double { RecentPairs.fade(now - Int64(pair.seconds), 9_000) }
        var followers = SparseScores()
        followers.begin(Self.itemCount)
        pairs.addFollowers(of: recent, now: now, halfLife: 9_000, prior: 5, to: &followers)
        var neighbours = SparseScores()
        neighbours.begin(Self.itemCount)
        let norm: (KeyIndex.Number) -> Double = { 1 + Double($0) / 7 }
        pairs.addNeighbours(
            of: recent, now: now, halfLife: 9_000, decay: 0.85, norm: norm, to: &neighbours)
        for target in 0..<KeyIndex.Number(Self.itemCount) {
            var follows = 0.0
            var stands = 0.0
            var weight = 1.0
            for (age, source) in recent.enumerated() {
                let from = seen.filter { $0.from == source }
                let sum = from.reduce(5) { $0 + worth($1) / Double($1.gap) }
                for pair in from where pair.to == target {
                    follows += worth(pair) / Double(pair.gap) / (Double(1 + age) * sum)
                }
                let both = seen.filter {
                    $0.from == source && $0.to == target || $0.from == target && $0.to == source
                }
                for pair in both {
                    // A pair of an item with itself stands in its row in both directions.
                    let count = pair.from == pair.to ? 2.0 : 1
                    stands += count * weight * worth(pair) / (norm(source) * norm(target))
                }
                weight *= 0.85
            }
            #expect(abs(followers[target] - follows) < 1e-9)
            #expect(abs(neighbours[target] - stands) < 1e-9)
        }
    }

    @Test("fading halves with every half-life, and nearly as the exponential does between")
    func fading() {
        #expect(RecentPairs.fade(-5, 100) == 1)
        #expect(RecentPairs.fade(0, 100) == 1)
        for periods in 1..<20 {
            #expect(RecentPairs.fade(Int64(periods * 100), 100) == 1 / Double(1 << periods))
        }
        var expected = 1.0
        let step = 0.993_092_495_437_036  // 2 ^ -(1 / 100)
        for age in 0..<300 {
            #expect(abs(RecentPairs.fade(Int64(age), 100) / expected - 1) < 0.003)
            expected *= step
        }
        #expect(RecentPairs.fade(.max, 100) > 0)
    }

    @Test("an item keeps its latest pairs, and all items together no more than the bound")
    func bounds() {
        let (pairs, _) = Self.made(Array(repeating: [0, 1], count: RecentPairs.pairsMax + 10))
        #expect(pairs.rows[0].count == RecentPairs.pairsMax)
        #expect(pairs.rows[0].map(\.seconds).min() == UInt32(1_005_000))
        let (few, _) = Self.made([[0, 1], [0, 2], [3, 4], [0, 5]], pairCountMax: 4)
        #expect(few.pairCount == 4)
        // What came last replaced the oldest of its own row, and found no place in rows without any.
        #expect(few.rows[0].map(\.other) == [5, 2])
        #expect(few.rows[3].isEmpty)
    }

    @Test("what is taken out leaves the others as they were", arguments: 1...6)
    func removal(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let windows = Self.windows(40, &random).map { window in
            var distinct: [KeyIndex.Number] = []
            for item in window where !distinct.contains(item) { distinct.append(item) }
            return distinct
        }
        let gone = random.below(windows.count)
        var (pairs, _) = Self.made(windows)
        let window = windows[gone]
        guard let item = window.last, window.count > 1 else { return }
        pairs.remove(item, seconds: UInt32(1_000_000 + gone * 500), others: window)
        let (expected, seen) = Self.made(windows)
        for number in 0..<Self.itemCount {
            let kept = expected.rows[number].filter {
                $0.seconds != UInt32(1_000_000 + gone * 500)
            }
            #expect(pairs.rows[number] == kept)
        }
        #expect(pairs.pairCount == 2 * (seen.count - (window.count - 1)))
    }

    @Test(
        "a checkpoint brings them back to the last bit, in the middle of a full row",
        arguments: 1...4)
    func coding(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var statistics = Statistics(halfLivesSeconds: [1_000])
        statistics.keepRecentPairs()
        let rules = HistoryRules(
            types: EventTypes([EventType(name: "view", weight: 1, seen: .never)]), historyMax: 9,
            cooccurrenceReach: seed % 2 == 0 ? 9 : 0)
        var states = Array(repeating: UserState(), count: 700)
        func learn(_ count: Int, into statistics: inout Statistics) throws {
            var edits = StatisticsEditsWriter()
            for _ in 0..<count {
                let user = random.below(states.count)
                let event = Interaction(
                    user: try #require(UserID("u")),
                    item: try #require(ItemID("i\(random.below(6))")), type: 0,
                    time: 1_700_000_000_000 + Milliseconds(random.below(9_000_000)))
                _ = rules.append(event, to: &states[user], edits: &edits)
            }
            try statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        }
        try learn(2_500, into: &statistics)
        #expect(statistics.recent?.heads.contains { $0 > 0 } == true)
        let chunks = statistics.checkpointChunks(fingerprint: 7)
        var restored = try Statistics(
            checkpointChunks: chunks, halfLivesSeconds: [1_000], pairCountMax: 50_000_000,
            fingerprint: 7)
        #expect(restored.checkpointChunks(fingerprint: 7) == chunks)
        #expect(restored.digest == statistics.digest)
        let randomBefore = random
        let statesBefore = states
        try learn(50, into: &statistics)
        random = randomBefore
        states = statesBefore
        try learn(50, into: &restored)
        #expect(
            restored.checkpointChunks(fingerprint: 7) == statistics.checkpointChunks(fingerprint: 7)
        )
        for place in stride(from: 1, to: chunks[1].count, by: 41) {
            // Damage is refused or read as something else; it never traps.
            _ = try? Statistics(
                checkpointChunks: [chunks[0], Array(chunks[1][..<place])],
                halfLivesSeconds: [1_000], pairCountMax: 50_000_000, fingerprint: 7)
        }
    }
}

@Suite("Observed events among the edits")
struct ObservedEventTests {
    private static func event(_ count: Int) -> ObservedEvent {
        let history = (0..<count).map { place -> ObservedUser.Entry in
            let item = UInt64(place % 70) &* 0x9E37_79B9_7F4A_7C15
            return .init(item: item, isPositive: place % 3 > 0, isHidden: place % 5 == 0)
        }
        let user = ObservedUser(
            key: .max - 5, history: history, historyCount: count,
            lastSeconds: count == 0 ? nil : 1_700_000_000)
        return ObservedEvent(user: user, item: 42, time: 1_700_000_123_456)
    }

    @Test("read back as they were, at any length", arguments: [0, 1, 17, 1_024])
    func coding(count: Int) throws {
        var writer = StatisticsEditsWriter()
        writer.append(.observed(Self.event(count)))
        var edits = try StatisticsEdits(writer.finish(nextOffset: 3, fingerprint: 9))
        #expect(try edits.next() == .observed(Self.event(count)))
        #expect(try edits.next() == nil)
    }

    @Test("with the summary that the model reads, up to the longest that is stored")
    func summaries() throws {
        var (short, long) = (Self.event(3), Self.event(70))
        short.user.summary = [7]
        long.user.summary = [UInt8](repeating: 9, count: UserState.summaryBytesMax)
        let events = [short, Self.event(3), long]
        var writer = StatisticsEditsWriter()
        for event in events { writer.append(.observed(event)) }
        let bytes = writer.finish(nextOffset: 3, fingerprint: 9)
        var edits = try StatisticsEdits(bytes)
        for event in events { #expect(try edits.next() == .observed(event)) }
        #expect(try edits.next() == nil)
        // Without any, edits are what an earlier version reads.
        #expect(bytes[0] == 3)
        writer.append(.observed(events[1]))
        #expect(writer.finish(nextOffset: 3, fingerprint: 9)[0] == 2)
        long.user.summary.append(9)
        writer.append(.observed(long))
        edits = try StatisticsEdits(writer.finish(nextOffset: 3, fingerprint: 9))
        #expect(throws: MalformedBytes.self) { try edits.next() }
    }

    @Test("a longer history is written down by its newest part, and says how long it was")
    func longHistory() throws {
        let event = Self.event(1_500)
        #expect(event.user.history.count == ObservedEvent.historyMax)
        #expect(event.user.historyCount == 1_500)
        #expect(event.user.history.last == Self.event(1_500).user.history.last)
        var writer = StatisticsEditsWriter()
        writer.append(.observed(event))
        var edits = try StatisticsEdits(writer.finish(nextOffset: 3, fingerprint: 9))
        #expect(try edits.next() == .observed(event))
    }

    @Test("change nothing counted, and stop the application where they stand, but never undoing")
    func application() throws {
        func entry(_ item: ItemKey) -> StatisticsOperation {
            .entry(subtract: false, item: item, seconds: 9, weight: 1, repeatGap: 0)
        }
        var writer = StatisticsEditsWriter()
        for item in [5, 6] as [ItemKey] {
            writer.append(.observed(Self.event(2)))
            writer.append(entry(item))
        }
        let bytes = writer.finish(nextOffset: nil, fingerprint: 0)
        for item in [5, 6] as [ItemKey] { writer.append(entry(item)) }
        let plain = writer.finish(nextOffset: nil, fingerprint: 0)
        var statistics = Statistics(halfLivesSeconds: [100])
        var application = try statistics.begin(bytes, undo: false)
        #expect(try statistics.advance(&application) { _ in } == Self.event(2))
        #expect(statistics.popularity.newest == nil)
        #expect(try statistics.advance(&application) { _ in } == Self.event(2))
        #expect(statistics.popularity.newest == 0)
        #expect(try statistics.advance(&application) { _ in } == nil)
        var expected = Statistics(halfLivesSeconds: [100])
        try expected.apply(plain)
        #expect(statistics.digest == expected.digest)
        var back = try statistics.begin(bytes, undo: true)
        #expect(try statistics.advance(&back) { _ in } == nil)
        #expect(statistics.digest == Statistics(halfLivesSeconds: [100]).digest)
    }

    @Test("damaged ones are refused, and nothing traps")
    func damage() throws {
        var writer = StatisticsEditsWriter()
        writer.append(.observed(Self.event(40)))
        let bytes = writer.finish(nextOffset: 3, fingerprint: 9)
        var refused = 0
        for place in bytes.indices {
            for mask in [0x01, 0x80, 0xFF] as [UInt8] {
                var damaged = bytes
                damaged[place] ^= mask
                do { try StatisticsEdits(damaged).check() } catch { refused += 1 }
            }
            do { try StatisticsEdits(Array(bytes[..<place])).check() } catch { refused += 1000 }
        }
        // Cut off behind the header, there is no operation at all.
        #expect(refused / 1_000 == bytes.count - 1)
        #expect(refused % 1_000 > bytes.count / 10)
    }
}
