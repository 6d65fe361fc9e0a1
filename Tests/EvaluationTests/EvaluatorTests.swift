import Evaluation
import Interactions
import Recommender
import Teachers
import Testing

@Suite("Evaluator")
struct EvaluatorTests {
    private func evaluator(
        seen: SeenRule = .always, ranked: RankedItems = .all, items: [String] = [],
        sources: [EvaluatedSource] = [.rules, .popularity, .count]
    ) throws -> Evaluator {
        let types = EventTypes([
            EventType(name: "view", weight: 1, seen: seen),
            EventType(name: "return", weight: -1, seen: .never),
        ])
        let evaluator = Evaluator(
            EvaluatorConfiguration(
                engine: EngineConfiguration(
                    history: HistoryRules(types: types), rules: RuleParameters(backoff: 0.1)),
                sources: sources,
                rankedItems: ranked))
        for item in items {
            evaluator.set(ItemRecord(id: try #require(ItemID(item)), title: item))
        }
        return evaluator
    }

    private func event(
        _ user: String, _ item: String, _ time: Milliseconds, type: EventType.Index = 0
    ) throws -> Interaction {
        Interaction(
            user: try #require(UserID(user)), item: try #require(ItemID(item)), type: type,
            time: time * 1_000)
    }

    private func log(_ text: String) throws -> [LogChange] {
        try text.split(separator: " ").enumerated().map { index, pair in
            .interaction(
                try event(
                    String(pair.prefix(1)), String(pair.dropFirst()), Milliseconds(1_000 + index)))
        }
    }

    @Test("rules rank what followed before, popularity what was frequent, count what is most")
    func worked() throws {
        let evaluator = try evaluator(items: ["a", "b", "c", "d"])
        for user in 0..<3 {
            evaluator.learn(try event("u\(user)", "a", 100))
            evaluator.learn(try event("u\(user)", "b", 101))
        }
        for user in 3..<8 { evaluator.learn(try event("u\(user)", "c", 102)) }
        evaluator.learn(try event("x", "a", 103))
        #expect(evaluator.score(try event("x", "b", 104)))
        let ranks = evaluator.outcomes.map { $0[0].rank }
        #expect(ranks[0] == Rank(above: 0, tied: 0))
        #expect(ranks[1] == Rank(above: 1, tied: 0))
        #expect(ranks[2] == Rank(above: 1, tied: 0))
        #expect(evaluator.outcomes[0][0].targetEvents == 3)
        #expect(evaluator.outcomes[0][0].historyCount == 1)
        #expect(evaluator.outcomes[0][0].sameDay)
        #expect(evaluator.contradictionCount == 0)
    }

    @Test("what a history hides cannot be judged; what is no evidence of taste is no target")
    func unscorable() throws {
        let evaluator = try evaluator(items: ["a", "b"])
        evaluator.learn(try event("x", "a", 100))
        #expect(!evaluator.score(try event("x", "a", 101)))
        #expect(!evaluator.score(try event("x", "b", 101, type: 1)))
        #expect(evaluator.unscorableCount == 2)
        let open = try self.evaluator(seen: .never, items: ["a", "b"])
        open.learn(try event("x", "a", 100))
        #expect(open.score(try event("x", "a", 101)))
    }

    @Test("withdrawn and expired items leave the ranking; an item without a record is a miss")
    func catalogue() throws {
        let evaluator = try evaluator(items: ["a", "b"], sources: [.count])
        for user in 0..<4 { evaluator.learn(try event("u\(user)", "a", 100)) }
        #expect(evaluator.score(try event("x", "b", 101)))
        #expect(evaluator.outcomes[0][0].rank == Rank(above: 1, tied: 0))
        evaluator.set(ItemRecord(id: try #require(ItemID("a")), title: "a", expires: 200_000))
        evaluator.score(try event("x", "b", 199))
        #expect(evaluator.outcomes[0][1].rank == Rank(above: 1, tied: 0))
        evaluator.score(try event("x", "b", 200))
        #expect(evaluator.outcomes[0][2].rank == Rank(above: 0, tied: 0))
        evaluator.score(try event("x", "unheard", 201))
        #expect(evaluator.outcomes[0][3].rank == nil)
        evaluator.set(ItemRecord(id: try #require(ItemID("b")), title: "b", available: false))
        evaluator.score(try event("x", "b", 202))
        #expect(evaluator.outcomes[0][4].rank == nil)
    }

    @Test("with known items only, an item joins with its first event")
    func knownItems() throws {
        let evaluator = try evaluator(ranked: .known, items: ["a", "b", "c"])
        #expect(evaluator.candidateCount == 0)
        evaluator.score(try event("x", "a", 100))
        #expect(evaluator.outcomes[0][0].rank == nil)
        evaluator.learn(try event("x", "a", 100))
        #expect(evaluator.candidateCount == 1)
        evaluator.score(try event("y", "a", 101))
        #expect(evaluator.outcomes[0][1].rank == Rank(above: 0, tied: 0))
    }

    @Test("no protocol lets a score see its own event or a later one")
    func noLeak() throws {
        // Everyone goes a, b, c; the first score sees nothing, whatever the protocol's order.
        let log = try log("xa xb xc ya yb yc za zb zc")
        let orders: [(EvaluationProtocol, Int, [Int])] = [
            (.prequential(warmUp: 0), 9, [0, 0, 0, 1, 1, 1, 2, 2, 2]),
            (.prequential(warmUp: 0.5), 5, [1, 1, 2, 2, 2]),
            (.timeSplit(train: 0.5), 5, [1, 1, 2, 1, 1]),
            (.leaveOneOut, 3, [0, 0, 0]),
        ]
        for (order, count, earlier) in orders {
            let evaluator = try evaluator(items: ["a", "b", "c"])
            var heard = 0
            evaluator.run(order, over: log) { heard = $0 }
            #expect(evaluator.outcomes.map(\.count) == [count, count, count], "\(order)")
            #expect(evaluator.outcomes[0].map(\.targetEvents) == earlier, "\(order)")
            #expect(heard == log.count)
            #expect(evaluator.contradictionCount == 0)
        }
        let sampled = try evaluator(items: ["a", "b", "c"])
        sampled.run(.prequential(warmUp: 0), over: log, every: 3)
        #expect(sampled.outcomes[0].count == 3)
        #expect(sampled.learnedCount == 9)
    }

    @Test("served lists and the full ranking agree over a whole simulated shop", arguments: [1, 2])
    func servedListsAgree(seed: UInt64) {
        let configuration = ShopConfiguration(
            seed: seed, users: 150, items: 120, newItemsPerDay: 60, withdrawalsPerDay: 60)
        var shop = ShopSimulator(configuration)
        let types = EventTypes([EventType(name: "view", weight: 1, seen: .cooldown(3_600_000))])
        let evaluator = Evaluator(
            EvaluatorConfiguration(
                engine: EngineConfiguration(history: HistoryRules(types: types, historyMax: 30))))
        for record in shop.catalogue { evaluator.set(record) }
        for index in 0..<4_000 {
            let event = shop.next()
            switch event.kind {
            case .item(let record): evaluator.set(record)
            case .interaction(let user, let item, _, let value):
                let interaction = Interaction(
                    user: user, item: item, type: 0, time: event.time, value: value)
                if index % 4 == 0 { evaluator.score(interaction) }
                evaluator.learn(interaction)
            }
        }
        #expect(evaluator.outcomes[0].count > 400)
        #expect(evaluator.contradictionCount == 0)
        let rules = evaluator.outcomes[0].estimate(.hitRate, cutoff: 10).mean
        let popularity = evaluator.outcomes[1].estimate(.hitRate, cutoff: 10).mean
        #expect(rules > popularity)
    }
}
