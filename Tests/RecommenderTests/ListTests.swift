import Interactions
import Recommender
import Teachers
import TestKit
import Testing

/// An engine that has seen some events of some users.
struct Shop {
    let engine: Engine
    var states: [UserState] = []

    /// Events `step` milliseconds after one another.
    init(
        seed: UInt64, items: Int = 60, events: Int = 600, step spacing: Milliseconds = 100_000
    ) throws {
        var random = SeededRandom(seed: seed)
        let rules = HistoryRules(
            types: EventTypes([
                EventType(name: "view", weight: 1, seen: .never),
                EventType(name: "buy", weight: 5, seen: .always),
                EventType(name: "soap", weight: 2, seen: .cooldown(1_000_000)),
            ]), historyMax: 20, cooccurrenceReach: 20)
        engine = Engine(EngineConfiguration(history: rules))
        for index in 0..<items where index % 9 != 0 {
            guard let id = ItemID("i\(index)") else { continue }
            let record = ItemRecord(id: id, title: "item \(index)", available: index % 7 != 0)
            _ = engine.change(.set(record, json: []))
        }
        states = Array(repeating: UserState(), count: 10)
        for step in 0..<events {
            guard let user = UserID("u"), let item = ItemID("i\(random.below(items))") else {
                continue
            }
            var edits = StatisticsEditsWriter()
            let event = Interaction(
                user: user, item: item, type: UInt8(random.below(3)),
                time: 1_700_000_000_000 + Milliseconds(step) * spacing)
            _ = engine.fold(.interaction(event), into: &states[random.below(10)], edits: &edits)
            try engine.apply(edits: edits.finish(nextOffset: nil, fingerprint: 0))
        }
    }

    static let now: Milliseconds = 1_700_000_000_000 + 61_000_000
}

@Suite("Lists")
struct ListTests {
    /// More items than the order of popularity has leaders, and in every other shop many that are equally popular.
    @Test("are the top of the full ranking, at every length", arguments: 0..<20)
    func fastEqualsSlow(seed: Int) throws {
        let shop = try Shop(
            seed: UInt64(seed), items: seed < 10 ? 60 : 250, events: seed < 10 ? 600 : 900,
            step: seed % 2 == 0 ? 100_000 : 0)
        let keys = shop.engine.statistics.items.keys
        for state in shop.states {
            for (rung, count) in [(Rung.cf, 1), (.cf, 7), (.cf, 200), (.popular, 10)] {
                let list = shop.engine.recommend(state, count: count, rung: rung, now: Shop.now)
                let scores = shop.engine.scoreAll(state, rung: rung)
                let hidden = Set(shop.engine.hidden(state, now: Shop.now))
                let expected = scores.indices.filter {
                    !hidden.contains(keys[$0])
                        && shop.engine.catalogue.isRecommendable(Int32($0), now: Shop.now)
                }.sorted {
                    scores[$0] != scores[$1] ? scores[$0] > scores[$1] : keys[$0] < keys[$1]
                }.prefix(count)
                #expect(list.map(\.item) == expected.map { keys[$0] })
                #expect(list.map(\.score) == expected.map { scores[$0] })
            }
        }
    }

    @Test("never hold what is seen, excluded, withdrawn or without a record", arguments: 0..<10)
    func filters(seed: Int) throws {
        let shop = try Shop(seed: UInt64(seed))
        for state in shop.states {
            let seen = state.history.filter { $0.type == 1 }.map(\.item)
            let excluded = try #require(ItemID("i1")).key
            let list = shop.engine.recommend(
                state, exclude: [excluded], count: 200, rung: .cf, now: Shop.now)
            let items = Set(list.map(\.item))
            #expect(items.isDisjoint(with: seen))
            #expect(!items.contains(excluded))
            for item in items {
                #expect(shop.engine.catalogue[item]?.available == true)
                #expect(shop.engine.id(of: item) == shop.engine.catalogue[item]?.id)
            }
        }
        let victim = try #require(ItemID("i2"))
        _ = shop.engine.change(.withdraw(victim))
        for state in shop.states {
            let list = shop.engine.recommend(state, count: 200, rung: .cf, now: Shop.now)
            #expect(!list.contains { $0.item == victim.key })
        }
        #expect(shop.engine.id(of: victim.key) == nil)
    }

    @Test("a cool-down hides for its time and no longer")
    func cooldown() throws {
        let shop = try Shop(seed: 1)
        var state = UserState()
        let item = try #require(ItemID("i3")).key
        state.history = [HistoryEntry(item: item, seconds: 1_700_000_000, type: 2)]
        let time: Milliseconds = 1_700_000_000_000
        #expect(shop.engine.hidden(state, now: time + 999_999) == [item])
        #expect(shop.engine.hidden(state, now: time + 1_000_000).isEmpty)
    }

    @Test("explanations name the rank of the list, and what removed an item")
    func explanations() throws {
        let shop = try Shop(seed: 2)
        for state in shop.states {
            let list = shop.engine.recommend(state, count: 5, rung: .cf, now: Shop.now)
            for (place, item) in list.enumerated() {
                let ranking = shop.engine.explain(item.item, for: state, now: Shop.now)
                #expect(ranking.rank == place + 1)
                #expect(abs(ranking.score - item.score) < 1e-12)
            }
            for entry in state.history where entry.type == 1 {
                let ranking = shop.engine.explain(entry.item, for: state, now: Shop.now)
                #expect(ranking.rank == nil && ranking.removal != nil)
            }
        }
    }

    @Test("a user nobody knows gets popularity, a list of candidates only candidates")
    func emptyUser() throws {
        let shop = try Shop(seed: 3)
        let list = shop.engine.recommend(UserState(), count: 10, rung: .cf, now: Shop.now)
        #expect(list.count == 10)
        #expect(list.allSatisfy { $0.ruleScore == 0 })
        let candidates = Array(list.map(\.item).suffix(3))
        let ranked = shop.engine.recommend(
            UserState(), candidates: candidates, count: 10, rung: .cf, now: Shop.now)
        #expect(Set(ranked.map(\.item)) == Set(candidates))
    }
}
