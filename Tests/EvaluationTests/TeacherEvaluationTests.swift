import Combiner
import Evaluation
import Interactions
import Recommender
import Teachers
import TestKit
import Testing

@Suite("Evaluation of teachers")
struct TeacherEvaluationTests {
    /// All but the mixtures, which learn from scored events and have tests of their own.
    private static let sources = EvaluatedSource.names.compactMap { EvaluatedSource(name: $0) }
        .filter { !$0.name.hasPrefix("mix") }

    private func evaluator(interval: Int) throws -> Evaluator {
        let types = EventTypes([EventType(name: "view", weight: 1, seen: .always)])
        var als = ImplicitALS()
        try als.set("factors", to: 4)
        try als.set("sweeps", to: 2)
        var sasrec = SASRec()
        try sasrec.set("width", to: 8)
        try sasrec.set("epochs", to: 1)
        let sources = Self.sources
        return Evaluator(
            EvaluatorConfiguration(
                engine: EngineConfiguration(
                    history: HistoryRules(types: types, cooccurrenceReach: 512)),
                sources: sources, teachers: [als, sasrec], solveInterval: interval))
    }

    private func log(events: Int) throws -> [LogChange] {
        var random = TestKit.SeededRandom(seed: 5)
        var log: [LogChange] = try (0..<40).map {
            .item(ItemRecord(id: try #require(ItemID("i\($0)")), title: "\($0)"))
        }
        for step in 0..<events {
            log.append(
                .interaction(
                    Interaction(
                        user: try #require(UserID("u\(random.below(25))")),
                        item: try #require(ItemID("i\(random.below(40))")), type: 0,
                        time: 1_700_000_000_000 + Milliseconds(step) * 60_000)))
        }
        return log
    }

    @Test(
        "a combination without features that there are none of is the combination; without others it is another"
    )
    func ablations() throws {
        let names = ["mix", "mix-without-tokenHead+model", "mix-without-rules+rulesSharp"]
        let sources = names.compactMap { EvaluatedSource(name: $0) }
        #expect(sources.count == 3)
        // Features are named in one order, whatever the order they were asked for in.
        #expect(sources[1].name == "mix-without-model+tokenHead")
        #expect(EvaluatedSource(name: "mix-without-") == nil)
        #expect(EvaluatedSource(name: "mix-without-model+nothing") == nil)
        var mixture = MixtureConfiguration()
        mixture.combiner.listsMin = 20
        mixture.combiner.refitInterval = 50
        mixture.combiner.fitDelay = 5
        mixture.combiner.passes = 1
        let types = EventTypes([EventType(name: "view", weight: 1, seen: .always)])
        let evaluator = Evaluator(
            EvaluatorConfiguration(
                engine: EngineConfiguration(
                    history: HistoryRules(types: types),
                    halfLivesSeconds: MixtureConfiguration.halfLives(beside: [50_000]),
                    mixture: mixture), sources: sources))
        evaluator.run(.prequential(warmUp: 0.5), over: try log(events: 300))
        #expect(evaluator.contradictionCount == 0 && evaluator.outcomes[0].count > 50)
        #expect(evaluator.outcomes[1] == evaluator.outcomes[0])
        #expect(evaluator.outcomes[2] != evaluator.outcomes[0])
    }

    @Test("every registered teacher is judged, anew after each chunk; lists agree with ranks")
    func prequential() throws {
        let evaluator = try evaluator(interval: 50)
        evaluator.run(.prequential(warmUp: 0.5), over: try log(events: 400))
        #expect(evaluator.contradictionCount == 0)
        #expect(evaluator.solveFailure == nil)
        // Three models, before the first scored event and after 50, 100 and 150 more.
        #expect(evaluator.solvedCount == 3 * 4)
        let counts = Set(evaluator.outcomes.map(\.count))
        #expect(counts.count == 1 && counts.first ?? 0 > 100)
        for (name, outcomes) in zip(Self.sources.map(\.name), evaluator.outcomes) {
            let hits = outcomes.estimate(.hitRate, cutoff: 10).mean
            #expect(hits > 0.05 || name == "external", "\(name) \(hits)")
        }
    }

    @Test("a fixed split trains on its rows, each a history of its own")
    func rows() throws {
        let evaluator = try evaluator(interval: 5_000)
        for change in try log(events: 0) {
            if case .item(let record) = change { evaluator.set(record) }
        }
        let user = try #require(UserID("u"))
        func event(_ item: String) throws -> Interaction {
            Interaction(user: user, item: try #require(ItemID(item)), type: 0, time: 0)
        }
        let row = SequenceRow(history: [try event("i1"), try event("i2")], target: try event("i3"))
        evaluator.run(train: [row, row, row], test: [row])
        for (name, outcomes) in zip(Self.sources.map(\.name), evaluator.outcomes)
        where !["external", "popularity", "count"].contains(name) {
            #expect(outcomes.first?.rank?.above == 0, "\(name)")
        }
        #expect(evaluator.contradictionCount == 0)
    }

    @Test("names that are no source are none")
    func names() {
        #expect(EvaluatedSource(name: "nobody") == nil)
        for name in EvaluatedSource.names { #expect(EvaluatedSource(name: name)?.name == name) }
    }
}
