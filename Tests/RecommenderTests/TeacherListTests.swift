import Interactions
import Recommender
import Teachers
import TestKit
import Testing

@Suite("Lists of one teacher")
struct TeacherListTests {
    private func installAll(_ shop: Shop) throws {
        var histories = Histories()
        for state in shop.states {
            histories.append(state, rules: shop.engine.configuration.history)
        }
        let material = TeacherMaterial(
            statistics: shop.engine.statistics, histories: histories, version: 3)
        for type in TeacherRegistry.all where type.material != .external {
            var teacher = type.init()
            if type.name == "als" {
                try teacher.set("factors", to: 4)
                try teacher.set("sweeps", to: 2)
            }
            if type.name == "sasrec" {
                try teacher.set("width", to: 8)
                try teacher.set("epochs", to: 2)
                try teacher.set("batch", to: 16)
            }
            shop.engine.install(try teacher.solved(from: material) { _ in true })
        }
    }

    private func expected(_ shop: Shop, _ state: UserState, by name: String, count: Int)
        -> [ItemKey]
    {
        let keys = shop.engine.statistics.items.keys
        let hidden = Set(shop.engine.hidden(state, now: Shop.now))
        let scores = shop.engine.scoreAll(state, by: name)
        let order = scores.indices.filter {
            scores[$0] != nil && !hidden.contains(keys[$0])
                && shop.engine.catalogue.isRecommendable(Int32($0), now: Shop.now)
        }.sorted { left, right in
            let (one, other) = (scores[left] ?? 0, scores[right] ?? 0)
            return one != other ? one > other : keys[left] < keys[right]
        }
        return order.prefix(count).map { keys[$0] }
    }

    @Test("are the top of its scores, without seen, withdrawn and unknown items", arguments: 0..<5)
    func fastEqualsSlow(seed: Int) throws {
        let shop = try Shop(seed: UInt64(seed))
        try installAll(shop)
        let gone = try #require(ItemID("i1"))
        _ = shop.engine.change(.withdraw(gone))
        for type in TeacherRegistry.all {
            for state in shop.states {
                for count in [1, 7, 200] {
                    let list = shop.engine.recommend(
                        state, by: type.name, count: count, now: Shop.now)
                    #expect(
                        list.map(\.item) == expected(shop, state, by: type.name, count: count),
                        "\(type.name)")
                    #expect(!list.contains { $0.item == gone.key })
                    #expect(list.isEmpty == (type.name == "external"), "\(type.name)")
                }
            }
        }
    }

    @Test("rank only candidates when there are some, and nothing for a name nobody has")
    func candidates() throws {
        let shop = try Shop(seed: 2)
        try installAll(shop)
        let all = shop.engine.recommend(
            shop.states[0], by: "item-knn", count: 100, now: Shop.now
        ).map(\.item)
        let some = all.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        let list = shop.engine.recommend(
            shop.states[0], by: "item-knn", candidates: some.reversed() + [12_345], count: 100,
            now: Shop.now)
        #expect(list.map(\.item) == some)
        #expect(
            shop.engine.recommend(shop.states[0], by: "nobody", count: 5, now: Shop.now).isEmpty)
    }

    @Test("stay the same when the statistics are replaced by equal ones with other numbers")
    func replaced() throws {
        let shop = try Shop(seed: 3)
        try installAll(shop)
        let names = TeacherRegistry.all.map { $0.name }
        let before = names.map {
            shop.engine.recommend(shop.states[0], by: $0, count: 10, now: Shop.now).map(\.item)
        }
        var edits = StatisticsEditsWriter()
        for state in shop.states.reversed() {
            shop.engine.configuration.history.addAll(state, edits: &edits)
        }
        var other = Statistics(halfLivesSeconds: shop.engine.configuration.halfLivesSeconds)
        try other.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        #expect(other.items.keys != shop.engine.statistics.items.keys)
        shop.engine.replace(statistics: other)
        let after = names.map {
            shop.engine.recommend(shop.states[0], by: $0, count: 10, now: Shop.now).map(\.item)
        }
        #expect(before == after)
    }

    @Test("put what a session looked at before the history")
    func session() throws {
        let shop = try Shop(seed: 4)
        try installAll(shop)
        let looked = shop.engine.statistics.items.keys[5]
        let list = shop.engine.recommend(
            UserState(), by: "item-knn", session: [looked], count: 10, now: Shop.now)
        #expect(!list.isEmpty && !list.contains { $0.item == looked })
    }
}
