import Filters
import Interactions
import Recommender
import Teachers
import TestKit
import Testing

/// A shop whose items have brands, categories and prices.
private struct RuledShop {
    let shop: Shop
    var engine: Engine { shop.engine }

    init(seed: UInt64, items: Int = 60) throws {
        shop = try Shop(seed: seed, items: items)
        for index in 0..<items where index % 9 != 0 {
            let id = try #require(ItemID("i\(index)"))
            let record = ItemRecord(
                id: id, title: "item \(index)", brand: index % 4 == 0 ? nil : "brand \(index % 4)",
                categories: ["c\(index % 5)", "d\(index % 3)"].filter { $0 != "d0" },
                price: index % 6 == 0 ? nil : Double(index), available: index % 7 != 0)
            _ = engine.change(.set(record, json: []))
        }
    }

    func list(
        _ scenario: Scenario, _ state: UserState, count: Int, rung: Rung = .cf, seed: UInt64 = 1
    ) -> [ListedItem] {
        engine.arrange(scenario, count: count, seed: seed, now: Shop.now) { count, gate in
            engine.recommend(state, count: count, rung: rung, gate: gate, now: Shop.now)
        } ?? []
    }

    /// Everything that may be in a user's list, best first, scored one by one.
    func wholeRanking(
        _ state: UserState, rung: Rung, boost: (CatalogueEntry) -> Double = { _ in 1 }
    )
        -> [(entry: CatalogueEntry, score: Double)]
    {
        let keys = engine.statistics.items.keys
        let hidden = Set(engine.hidden(state, now: Shop.now))
        return engine.scoreAll(state, rung: rung).enumerated().compactMap { number, score in
            guard !hidden.contains(keys[number]),
                engine.catalogue.isRecommendable(Int32(number), now: Shop.now),
                let entry = engine.catalogue[keys[number]]
            else { return nil }
            return (entry, score * boost(entry))
        }.sorted { $0.score != $1.score ? $0.score > $1.score : $0.entry.id.key < $1.entry.id.key }
    }
}

@Suite("Lists by rules")
struct ArrangementTests {
    @Test("a filtered list is the top of the whole ranking's matching items", arguments: 0..<10)
    func filters(seed: Int) throws {
        let shop = try RuledShop(seed: UInt64(seed), items: seed % 2 == 0 ? 60 : 200)
        let filters: [(String, (CatalogueEntry) -> Bool)] = [
            ("price < 20", { $0.price.map { $0 < 20 } ?? false }),
            (
                "brand = 'brand 1' OR categories IN ('c2')",
                { $0.brand == "brand 1" || $0.categories.contains("c2") }
            ),
            (
                "NOT HAS brand AND categories != 'd1'",
                { $0.brand == nil && !$0.categories.contains("d1") }
            ),
            ("id = 'nobody'", { _ in false }),
        ]
        for state in shop.shop.states.prefix(4) {
            for (text, matches) in filters {
                for (rung, count) in [(Rung.cf, 3), (.cf, 100), (.popular, 7)] {
                    let scenario = Scenario(filters: [try Filter(text)])
                    let list = shop.list(scenario, state, count: count, rung: rung)
                    let naive = shop.wholeRanking(state, rung: rung).filter { matches($0.entry) }
                    #expect(list.map(\.item) == naive.prefix(count).map(\.entry.id.key), "\(text)")
                }
            }
        }
    }

    @Test("a boosted list is the top of the boosted ranking", arguments: 0..<10)
    func boosts(seed: Int) throws {
        let shop = try RuledShop(seed: UInt64(seed), items: seed % 2 == 0 ? 60 : 200)
        let scenario = Scenario(boosts: [
            Boost(when: try Filter("brand = 'brand 2'"), by: 8),
            Boost(when: try Filter("categories = 'd1'"), by: 0.25),
        ])
        for state in shop.shop.states.prefix(4) {
            let naive = shop.wholeRanking(state, rung: .cf) { entry in
                (entry.brand == "brand 2" ? 8 : 1) * (entry.categories.contains("d1") ? 0.25 : 1)
            }
            for count in [1, 5, 100] {
                let list = shop.list(scenario, state, count: count)
                #expect(list.map(\.item) == naive.prefix(count).map(\.entry.id.key))
            }
        }
    }

    @Test("no rules and lambda 1 leave the order of scores", arguments: 0..<10)
    func plain(seed: Int) throws {
        let shop = try RuledShop(seed: UInt64(seed))
        for state in shop.shop.states {
            let plain = shop.engine.recommend(state, count: 12, rung: .cf, now: Shop.now)
            #expect(shop.list(Scenario(), state, count: 12) == plain)
            // Caps that nothing reaches take the way through the pool.
            let loose = Scenario(brandMax: 1_000, diversityLambda: 1)
            #expect(shop.list(loose, state, count: 12) == plain)
        }
    }

    @Test("caps hold, and the list is the greedy one over the whole ranking", arguments: 0..<10)
    func caps(seed: Int) throws {
        let shop = try RuledShop(seed: UInt64(seed))
        let scenario = Scenario(brandMax: 2, categoryMax: 3)
        for state in shop.shop.states {
            var brands: [String: Int] = [:]
            var categories: [String: Int] = [:]
            let naive = shop.wholeRanking(state, rung: .cf).filter { entry, _ in
                guard entry.brand.map({ brands[$0, default: 0] < 2 }) ?? true,
                    entry.categories.allSatisfy({ categories[$0, default: 0] < 3 })
                else { return false }
                if let brand = entry.brand { brands[brand, default: 0] += 1 }
                for category in entry.categories { categories[category, default: 0] += 1 }
                return true
            }
            let list = shop.list(scenario, state, count: 20)
            #expect(list.map(\.item) == naive.prefix(20).map(\.entry.id.key))
            for other in [Scenario(brandMax: 1, diversityLambda: 0.3, exploration: 0.3)] {
                let brands = shop.list(other, state, count: 20).compactMap {
                    shop.engine.catalogue[$0.item]?.brand
                }
                #expect(brands.count == Set(brands).count)
            }
        }
    }

    @Test("diversity takes a quarter and more of what neighbours in the order of scores share")
    func diversity() throws {
        var plainLikeness = 0
        var diverseLikeness = 0
        for seed in 0..<10 {
            let shop = try RuledShop(seed: UInt64(seed))
            for state in shop.shop.states {
                let shared = { (list: [ListedItem]) in
                    let entries = list.compactMap { shop.engine.catalogue[$0.item] }
                    return zip(entries, entries.dropFirst()).reduce(0) { sum, pair in
                        sum + Set(pair.0.categories).intersection(pair.1.categories).count
                    }
                }
                plainLikeness += shared(shop.list(Scenario(), state, count: 10))
                let diverse = shop.list(Scenario(diversityLambda: 0.5), state, count: 10)
                #expect(Set(diverse.map(\.item)).count == diverse.count)
                diverseLikeness += shared(diverse)
                // The best item has nothing above it to be like.
                #expect(diverse.first == shop.list(Scenario(), state, count: 1).first)
            }
        }
        #expect(diverseLikeness * 4 < plainLikeness * 3)
    }

    @Test("caps look through ten thousand items and no more")
    func capsHaveABound() throws {
        let shop = try RuledShop(seed: 1)
        for index in 0..<10_100 {
            let id = try #require(ItemID("many-\(index)"))
            let brand = index == 0 ? "rare" : "common"
            _ = shop.engine.change(.set(ItemRecord(id: id, title: "t", brand: brand), json: []))
        }
        let many = try Filter("NOT title CONTAINS 'item'")
        let asked = Scenario(filters: [many], brandMax: 1)
        var poolCounts: [Int] = []
        let list = shop.engine.arrange(asked, count: 5, seed: 0, now: Shop.now) { count, gate in
            poolCounts.append(count)
            return shop.engine.recommend(
                UserState(), count: count, rung: .popular, gate: gate, now: Shop.now)
        }
        #expect(poolCounts == [100, 400, 1_600, 6_400, 10_000])
        #expect((1...2).contains(list?.count ?? 0))
    }

    @Test("a diverse list takes the greedy best of lambda relevance and likeness, place by place")
    func marginalRelevance() throws {
        let shop = try RuledShop(seed: 8)
        let labels = { (item: ListedItem) -> Set<String> in
            guard let entry = shop.engine.catalogue[item.item] else { return [] }
            return Set(entry.categories + (entry.brand.map { ["brand: \($0)"] } ?? []))
        }
        let likeness = { (left: ListedItem, right: ListedItem) -> Double in
            let union = labels(left).union(labels(right)).count
            return union == 0
                ? 0 : Double(labels(left).intersection(labels(right)).count) / Double(union)
        }
        for state in shop.shop.states {
            // The whole shop is less than the pool: nothing is left out of the choice.
            var rest = shop.list(Scenario(), state, count: 100)
            let low = try #require(rest.last).score
            let range = try #require(rest.first).score - low
            var expected: [ListedItem] = []
            while expected.count < 12, !rest.isEmpty {
                let values = rest.map { item in
                    0.6 * (item.score - low) / range
                        - 0.4 * (expected.map { likeness(item, $0) }.max() ?? 0)
                }
                let best = try #require(values.indices.max { values[$0] < values[$1] })
                expected.append(rest.remove(at: best))
            }
            let list = shop.list(Scenario(diversityLambda: 0.6), state, count: 12)
            #expect(list == expected)
        }
    }

    @Test("exploration draws what its propensities say, the same for the same seed")
    func exploration() throws {
        let shop = try RuledShop(seed: 4)
        let state = shop.shop.states[0]
        let plain = shop.list(Scenario(), state, count: 5)
        let scenario = Scenario(exploration: 0.4)
        var keptFirst = 0
        var expected = 0.0
        let rounds = 400
        for seed in 0..<rounds {
            let list = shop.list(scenario, state, count: 5, seed: UInt64(seed))
            #expect(list == shop.list(scenario, state, count: 5, seed: UInt64(seed)))
            #expect(Set(list.map(\.item)).count == 5)
            #expect(list.allSatisfy { $0.propensity > 0 && $0.propensity < 1 })
            if list.first?.item == plain.first?.item {
                keptFirst += 1
                expected = list.first?.propensity ?? 0
            }
        }
        // Three standard deviations of a coin thrown 400 times.
        #expect(abs(Double(keptFirst) / Double(rounds) - expected) < 0.075)
        #expect(expected > 0.6 && expected < 0.65)
    }
}

@Suite("Similar items")
struct SimilarTests {
    @Test("an item that only has a record goes with those it shares attributes with")
    func newItem() throws {
        let shop = try RuledShop(seed: 5)
        let id = try #require(ItemID("brand-new"))
        let record = ItemRecord(id: id, title: "new", brand: "brand 1", categories: ["c1"])
        _ = shop.engine.change(.set(record, json: []))
        let list = shop.engine.similar(to: id.key, count: 5, now: Shop.now)
        #expect(list.count == 5)
        for item in list {
            #expect(item.source == .attributes)
            let entry = try #require(shop.engine.catalogue[item.item])
            #expect(entry.brand == "brand 1" || entry.categories.contains("c1"))
        }
        let neighbour = try #require(list.first).item
        let back = shop.engine.similar(to: neighbour, count: 60, now: Shop.now)
        #expect(back.contains { $0.item == id.key })
    }

    @Test("what follows an item comes first where both sources agree, and the item itself never")
    func blend() throws {
        let shop = try RuledShop(seed: 6)
        for key in shop.engine.statistics.items.keys.prefix(20) {
            let list = shop.engine.similar(to: key, count: 10, now: Shop.now)
            #expect(!list.contains { $0.item == key })
            #expect(zip(list, list.dropFirst()).allSatisfy { $0.score >= $1.score })
            #expect(list.allSatisfy { $0.score <= 2 / 61.0 })
        }
    }
}
