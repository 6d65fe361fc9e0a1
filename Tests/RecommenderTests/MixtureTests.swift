// Candidates and features of the combined list against twins that look at everything.

import Combiner
import Interactions
import TestKit
import Testing

@testable import Recommender
@testable import Teachers

@Suite("The combined list")
struct MixtureTests {
    private static let types = EventTypes([
        EventType(name: "view", weight: 1, seen: .always),
        EventType(name: "soap", weight: 2, seen: .cooldown(40_000_000)),
        EventType(name: "dislike", weight: -1, seen: .always),
    ])
    private static let now: Milliseconds = 1_700_000_000_000 + 400 * 200_000

    private static func shop(
        seed: UInt64, items: Int = 70, configuration: MixtureConfiguration = small
    ) throws -> (engine: Engine, states: [UserState]) {
        var random = SeededRandom(seed: seed)
        let engine = Engine(
            EngineConfiguration(
                history: HistoryRules(types: types, historyMax: 12, cooccurrenceReach: 12),
                halfLivesSeconds: MixtureConfiguration.halfLives(beside: [50_000]),
                mixture: configuration))
        for index in 0..<items where index % 9 != 0 {
            let record = ItemRecord(
                id: try #require(ItemID("i\(index)")), title: "item \(index)",
                categories: index % 4 == 0 ? [] : ["a\(index % 3)", "b\(index % 5)"],
                available: index % 7 != 0,
                expires: index % 11 == 0 ? now - 1_000 : nil)
            _ = engine.change(.set(record, json: []))
        }
        var states = Array(repeating: UserState(), count: 9)
        for step in 0..<400 {
            let user = random.below(8)
            var edits = StatisticsEditsWriter()
            let event = Interaction(
                user: try #require(UserID("u\(user)")),
                item: try #require(ItemID("i\(random.below(items))")), type: UInt8(random.below(3)),
                time: 1_700_000_000_000 + Milliseconds(step * 200_000))
            _ = engine.fold(.interaction(event), into: &states[user], edits: &edits)
            try engine.apply(edits: edits.finish(nextOffset: nil, fingerprint: 0))
        }
        return (engine, states)
    }

    private static var small: MixtureConfiguration {
        var small = MixtureConfiguration()
        small.proposalsMax = 4
        return small
    }

    /// Scores of every item by one source.
    private static func scores(
        _ engine: Engine, _ state: UserState
    ) -> [(name: String, scores: [KeyIndex.Number: Double])] {
        let statistics = engine.statistics
        let count = statistics.items.count
        let keys = engine.recent(state, session: [])
        let numbers = keys.compactMap { statistics.items.number(of: $0) }
        func touched(_ body: (inout SparseScores) -> Void) -> [KeyIndex.Number: Double] {
            var scores = SparseScores()
            scores.begin(count)
            body(&scores)
            return Dictionary(uniqueKeysWithValues: scores.touched.map { ($0, scores[$0]) })
        }
        func popular(_ popularity: DecayedPopularity) -> [KeyIndex.Number: Double] {
            Dictionary(
                uniqueKeysWithValues: (0..<KeyIndex.Number(count)).compactMap { number in
                    statistics.popularity.values[Int(number)] > 0
                        ? (number, Double(popularity.values[Int(number)])) : nil
                })
        }
        func rules(_ parameters: RuleParameters) -> [KeyIndex.Number: Double] {
            let found = touched {
                SequentialRules(parameters).add(recent: keys, from: statistics, to: &$0)
            }
            return Dictionary(
                uniqueKeysWithValues: found.map {
                    ($0.key, $0.value + 0.15 * statistics.popularity.share($0.key))
                })
        }
        let pairs = statistics.recent ?? RecentPairs()
        return [
            ("popularity", popular(statistics.popularities[0])),
            ("popularity-slow", popular(statistics.popularities[4])),
            ("rules", rules(RuleParameters())), ("rules-basket", rules(.baskets)),
            (
                "recent-rules",
                touched {
                    pairs.addFollowers(
                        of: numbers, now: now / 1_000, halfLife: 419_204, prior: 5, to: &$0)
                }
            ),
            (
                "recent-neighbours",
                touched {
                    pairs.addNeighbours(
                        of: numbers, now: now / 1_000, halfLife: 179_659, decay: 0.85,
                        norm: {
                            let value = statistics.popularities[2].values[Int($0)]
                            return (Double(max(value, 0)) / DecayedPopularity.valueOfNewest + 3)
                                .squareRoot()
                        }, to: &$0)
                }
            ),
            (
                "neighbours",
                touched {
                    ItemNeighbours().score(
                        TeacherUser(items: keys), from: statistics, into: &$0)
                }
            ),
        ]
    }

    @Test("a young log teaches densely, an old one as it was told, whatever its partitions")
    func schedule() {
        var plan = MixtureConfiguration()
        plan.learnInterval = 64
        #expect(plan.learnInterval(at: 0, partitions: 1) == 1)
        #expect(plan.learnInterval(at: 999, partitions: 1) == 1)
        #expect(plan.learnInterval(at: 1_000, partitions: 1) == 2)
        #expect(plan.learnInterval(at: 62_999, partitions: 1) == 63)
        #expect(plan.learnInterval(at: .max, partitions: 1) == 64)
        #expect(plan.learnInterval(at: -5, partitions: 0) == 1)
        for partitions in [1, 4, 10] {
            let lessons = (0..<200_000 / partitions).reduce(0) {
                $0 + 1 / Double(plan.learnInterval(at: Offset($1), partitions: partitions))
            }
            // 1 000 (1 + 1/2 + ... 1/63), and one of 64 of the rest.
            #expect(abs(lessons * Double(partitions) - (4_728 + 137_000 / 64)) < 10)
        }
        plan.learnInterval = 3
        #expect(plan.learnInterval(at: 50_000, partitions: 1) == 3)
        plan.learnInterval = 0
        #expect(plan.learnInterval(at: 0, partitions: 1) == 0)
    }

    @Test("candidates are the best of every source that may be listed", arguments: 0..<12)
    func candidates(seed: Int) throws {
        // More items than the order of popularity has leaders in half of the shops.
        let (engine, states) = try Self.shop(seed: UInt64(seed), items: seed < 6 ? 70 : 200)
        let keys = engine.statistics.items.keys
        for (user, state) in states.enumerated() {
            let hidden = Set(engine.hidden(state, now: Self.now))
            var expected: Set<ItemKey> = []
            for (_, scores) in Self.scores(engine, state) {
                let best = scores.filter {
                    !hidden.contains(keys[Int($0.key)])
                        && engine.catalogue.removal(keys[Int($0.key)], now: Self.now) == nil
                }.sorted {
                    $0.value != $1.value
                        ? $0.value > $1.value : keys[Int($0.key)] < keys[Int($1.key)]
                }.prefix(4)
                expected.formUnion(best.map { keys[Int($0.key)] })
            }
            let list = try #require(
                engine.mixture(UInt64(user), state, now: Self.now)
            ).list
            #expect(list.items == expected.sorted(), "user \(user)")
        }
    }

    @Test("features are what the counts say", arguments: 0..<6)
    func features(seed: Int) throws {
        let (engine, states) = try Self.shop(seed: UInt64(seed))
        let statistics = engine.statistics
        for (user, state) in states.enumerated() {
            let list = try #require(engine.mixture(UInt64(user), state, now: Self.now)).list
            let sources = Dictionary(
                uniqueKeysWithValues: Self.scores(engine, state).map { ($0.name, $0.scores) })
            let recent = engine.recent(state, session: [])
            for (index, key) in list.items.enumerated() {
                let number = try #require(statistics.items.number(of: key))
                func weight(_ number: KeyIndex.Number, _ scale: Int) -> Double {
                    Double(max(0, statistics.popularities[scale].values[Int(number)]))
                        / DecayedPopularity.valueOfNewest
                }
                func check(_ feature: Feature, _ value: Double) {
                    let found = Double(list.score(feature, of: index))
                    #expect(abs(found - value) < 1e-4 * (1 + abs(value)), "\(feature)")
                }
                for scale in 0..<5 {
                    let feature = try #require(Feature(rawValue: scale))
                    check(feature, naturalLog(weight(number, scale) + 0.1))
                }
                let share = statistics.popularity.share(number)
                let rule = sources["rules"]?[number].map { $0 - 0.15 * share } ?? 0
                check(.rules, naturalLog(rule + 1.5 * share + 1e-6))
                check(.rulesSharp, naturalLog(rule + 0.3 * share + 1e-6))
                let pairs = sources["recent-rules"]?[number] ?? 0
                check(.recentRules, naturalLog(pairs + 0.3 * share + 1e-6))
                check(.neighbours, naturalLog((sources["neighbours"]?[number] ?? 0) + 0.01))
                check(.itemCount, naturalLog(Double(statistics.counts[Int(number)]) + 1))
                check(.isNew, statistics.counts[Int(number)] == 0 ? 1 : 0)
                check(.isSeen, state.history.contains { $0.item == key } ? 1 : 0)
                let own = engine.catalogue[key]?.categories ?? []
                let liked = own.map { category in
                    Double(
                        recent.filter {
                            engine.catalogue[$0]?.categories.contains(category) == true
                        }.count)
                }
                let mean = liked.reduce(0, +) / Double(max(own.count, 1))
                check(.categoryAffinity, mean / Double(max(recent.count, 1)))
            }
            #expect(!list.present.contains(.model))
        }
    }

    @Test("of given candidates those that may be listed are ranked, each once", arguments: 0..<4)
    func given(seed: Int) throws {
        let (engine, states) = try Self.shop(seed: UInt64(seed))
        let wanted = (0..<70).compactMap { ItemID("i\($0)")?.key } + [1, 2, 3]
        for state in states {
            let list = try #require(
                engine.mixture(
                    1, state, candidates: wanted + wanted, exclude: [wanted[5]], now: Self.now)
            ).list
            let hidden = Set(engine.hidden(state, now: Self.now))
            let expected = wanted.filter {
                !hidden.contains($0) && $0 != wanted[5]
                    && engine.catalogue.removal($0, now: Self.now) == nil
            }
            #expect(list.items == expected.sorted())
        }
    }

    @Test("a session counts as the newest history, and is not listed")
    func session() throws {
        let (engine, states) = try Self.shop(seed: 3)
        let session = try (1...3).map { try #require(ItemID("i\($0)")).key }
        for state in states {
            let list = try #require(
                engine.mixture(1, state, session: session, now: Self.now)
            ).list
            #expect(Set(list.items).isDisjoint(with: session))
            var later = state
            later.history.removeAll { session.contains($0.item) }
            later.history += session.map {
                HistoryEntry(item: $0, seconds: state.history.last?.seconds ?? 0, type: 0)
            }
            let stored = try #require(engine.mixture(1, later, now: Self.now)).list
            #expect(list.items == stored.items)
            for index in list.items.indices {
                #expect(list.score(.rules, of: index) == stored.score(.rules, of: index))
            }
        }
    }

    @Test("events are learnt from with the list that would have been served", arguments: 0..<3)
    func sameAsServed(seed: Int) throws {
        var teaching = Self.small
        teaching.learnInterval = 1
        teaching.combiner.refitInterval = 60
        teaching.combiner.listsMin = 10
        teaching.combiner.fitDelay = 7
        teaching.combiner.shortListCount = 4
        teaching.combiner.passes = 1
        let learnt = try Self.shop(seed: UInt64(seed), configuration: teaching).engine
        #expect(learnt.isMixing)
        // The slow twin makes each list as a request does, then teaches.
        var asking = teaching
        asking.learnInterval = 0
        var random = SeededRandom(seed: UInt64(seed))
        let engine = try Self.shop(seed: 1_000, configuration: asking).engine
        engine.replace(
            statistics: Statistics(halfLivesSeconds: engine.configuration.halfLivesSeconds))
        var states = Array(repeating: UserState(), count: 9)
        for step in 0..<400 {
            let user = random.below(8)
            let event = Interaction(
                user: try #require(UserID("u\(user)")),
                item: try #require(ItemID("i\(random.below(70))")), type: UInt8(random.below(3)),
                time: 1_700_000_000_000 + Milliseconds(step * 200_000))
            if engine.teachable(event, states[user]) != nil,
                let mixed = engine.mixture(event.user.key, states[user], now: event.time)
            {
                engine.learn(mixed.list, outcome: event.item.key)
            }
            var edits = StatisticsEditsWriter()
            _ = engine.fold(.interaction(event), into: &states[user], edits: &edits)
            try engine.apply(edits: edits.finish(nextOffset: nil, fingerprint: 0))
        }
        #expect(engine.combiner?.scoredCount == learnt.combiner?.scoredCount)
        #expect(engine.combiner?.weights == learnt.combiner?.weights)
    }

    @Test("an explanation's rank is the served one, its contributions add up, and losses are named")
    func explained() throws {
        var teaching = Self.small
        teaching.learnInterval = 1
        teaching.combiner.refitInterval = 60
        teaching.combiner.listsMin = 10
        teaching.combiner.fitDelay = 0
        teaching.combiner.shortListCount = 6
        teaching.combiner.passes = 1
        let (engine, states) = try Self.shop(seed: 2, configuration: teaching)
        for (user, state) in states.enumerated() {
            let mixed = try #require(engine.mixture(UInt64(user), state, now: Self.now))
            let served = engine.recommendMixed(mixed, for: state, count: 70, now: Self.now)
            for (place, item) in served.items.prefix(mixed.list.items.count).enumerated() {
                let why = try #require(
                    engine.explainMixed(item.item, user: UInt64(user), state, now: Self.now))
                #expect(why.rank == place + 1)
                #expect(why.score == item.score)
                #expect(!why.proposedBy.isEmpty)
                let sum = why.features.reduce(0) { $0 + $1.contribution }
                #expect(abs(sum - why.firstStage) < 1e-4)
                #expect((why.correction == nil) == (place >= 6) || why.ordering != .shortList)
            }
            for item in served.items.dropFirst(mixed.list.items.count) {
                let why = try #require(
                    engine.explainMixed(item.item, user: UInt64(user), state, now: Self.now))
                #expect(why.rank == nil && why.proposedBy.isEmpty)
            }
            if let seen = state.history.last {
                #expect(
                    engine.explainMixed(seen.item, user: UInt64(user), state, now: Self.now) != nil)
            }
        }
    }
}

@Suite("The trend of categories")
struct CategoryTrendTests {
    @Test("is that of shares faded one by one, over many events and a restart")
    func slowTwin() throws {
        var random = SeededRandom(seed: 4)
        var trend = CategoryTrend()
        var plain = Array(repeating: 0.0, count: 6)
        let names = (0..<6).map { "c\($0)" }
        for step in 0..<60_000 {
            let some = (0..<random.below(3)).map { _ in Int32(random.below(6)) }
            trend.add(some)
            for index in plain.indices { plain[index] *= 0.999 }
            for category in some { plain[Int(category)] += 1 - 0.999 }
            guard step % 20_000 == 19_999 else { continue }
            for index in plain.indices {
                #expect(abs(trend.share(Int32(index)) - plain[index]) < 1e-9)
            }
            var out = ByteWriter()
            trend.append(to: &out, names: names)
            var reader = ByteReader(out.bytes)
            let restored = try CategoryTrend(from: &reader) { name in
                names.firstIndex(of: name).map { Int32($0) }
            }
            #expect(restored == trend)
        }
    }

    @Test("beyond the bound, further categories are not followed")
    func bound() {
        var names = CategoryNames()
        for index in 0..<CategoryNames.countMax {
            #expect(names.number(of: "\(index)") == Int32(index))
        }
        #expect(names.number(of: "one more") == nil)
        #expect(names.number(of: "7") == 7)
    }
}
