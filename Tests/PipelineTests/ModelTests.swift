// Models in the coordinator: when they are looked for, solved, put in place, stored, refused and given up.

import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Summaries
import Teachers
import TestKit
import Testing

/// What is for the lane of models waits for the test.
final class Stage: CoordinatorStage {
    /// Actions for the lane of models, in order, until taken.
    var forModels: [Action] = []
    var notes: [String] = []
    /// Lists for the ranker, until taken.
    var rankings: [RankingJob] = []
    private var log: [RecordBatch.Entry]

    init(
        teachers: [String] = ["ease:lambda=1"], events: Int = 200, owns: Bool = true,
        ranking: RankingConfiguration? = nil
    ) throws {
        var random = SeededRandom(seed: 7)
        var configuration = PipelineConfiguration(
            engine: EngineConfiguration(
                history: HistoryRules(types: Shop.types, historyMax: 20, cooccurrenceReach: 20)),
            feedEpoch: 1, partition: { _, _ in 0 }, decodeItem: { id, _ in record(id) })
        configuration.ranking = ranking
        configuration.summaries = SummaryConfiguration(.template(TemplateSummariser()))
        configuration.teachers = try teachers.map { try TeacherRegistry.teacher(described: $0) }
        configuration.solveIntervalMilliseconds = 60_000
        configuration.modelLookIntervalMilliseconds = 5_000
        log = Shop.logs(partitions: 1, events: events, &random)[0]
        super.init(configuration, items: 25, owns: owns)
        begin()
    }

    /// Everything in the log is folded and committed.
    func fold() {
        let batch = RecordBatch(
            partition: 0, firstOffset: -1, entries: log, nextOffset: Offset(log.count),
            recordCount: log.count)
        tell { $0.received(batch) }
    }

    /// One event more, of a user of its own.
    func addEvent() throws {
        let event = Interaction(
            user: try #require(UserID("late")), item: try #require(ItemID("item-1")), type: 1,
            time: 1_700_000_000_000)
        let offset = Offset(log.count)
        let batch = RecordBatch(
            partition: 0, firstOffset: offset,
            entries: [RecordBatch.Entry(offset: offset, entry: .interaction(event))],
            nextOffset: offset + 1, recordCount: 1)
        tell { $0.received(batch) }
    }

    override func perform(_ action: Action) {
        switch action {
        case .loadModel, .saveModel, .loadExternal, .loadExternalRecord, .solve, .cancelSolves:
            forModels.append(action)
        case .rank(let job): rankings.append(job)
        case .observe(.note(_, let text, _)): notes.append(text)
        default: super.perform(action)
        }
    }

    // MARK: - The lane of models

    /// Answers a look for `ease` with what is stored.
    func answerLook(_ result: Result<LoadedModel, PortError> = .success(.nothingNewer)) {
        for action in taken() {
            if case .loadModel(let blank, _, let ticket) = action {
                tell { $0.modelLoaded(blank.name, ticket, result) }
            } else {
                forModels.append(action)
            }
        }
    }

    func takeSolve() -> SolveOrder? {
        for (index, action) in forModels.enumerated() {
            guard case .solve(let order) = action else { continue }
            forModels.remove(at: index)
            return order
        }
        return nil
    }

    func takeSave() -> (teacher: any Teacher, incarnation: String, ticket: Ticket)? {
        for (index, action) in forModels.enumerated() {
            guard case .saveModel(let teacher, let incarnation, let ticket) = action else {
                continue
            }
            forModels.remove(at: index)
            return (teacher, incarnation, ticket)
        }
        return nil
    }

    private func taken() -> [Action] {
        defer { forModels = [] }
        return forModels
    }

    /// Up to the first solve order.
    func firstSolve() throws -> SolveOrder {
        fold()
        pass(50)
        answerLook()
        pass(50)
        return try #require(takeSolve())
    }

    func solve(_ order: SolveOrder) throws -> any Teacher {
        try order.teacher.solved(
            from: TeacherMaterial(statistics: order.statistics, version: order.version),
            progress: { _ in true })
    }

    func list(_ teacher: String, user: String = "user-1") throws -> Result<
        Recommendation, PortError
    > {
        var request = RecommendRequest(user: try #require(UserID(user)))
        request.teacher = teacher
        return try list(request)
    }

    var ease: String { info["teacher_ease"] ?? "" }
}

private func record(_ id: ItemID) -> ItemRecord? {
    ItemRecord(id: id, title: id.text)
}

@Suite("Models of teachers in the coordinator")
struct ModelTests {
    @Test("a solve is published at once, then stored, and repeated when its time has come")
    func solveAndPublish() throws {
        let stage = try Stage()
        let order = try stage.firstSolve()
        guard case .failure(let early) = try stage.list("ease") else {
            Issue.record("a list of a model that is not there")
            return
        }
        #expect(early.code == .unavailable && early.reason.contains("being solved"))
        stage.tell { $0.solveProgressed("ease", order.ticket, 0.42) }
        #expect(stage.ease.contains("work=solving,progress=42"))

        let model = try stage.solve(order)
        stage.tell { $0.solved("ease", order.ticket, .success(model), seconds: 1) }
        let list = try stage.list("ease").get()
        #expect(list.rung == "ease" && !list.items.isEmpty)
        #expect(list.items.allSatisfy { $0.source == "ease" })
        let save = try #require(stage.takeSave())
        #expect(save.incarnation == "a" && save.teacher.version == order.version)
        stage.tell { $0.modelSaved("ease", save.ticket, .success(10)) }
        #expect(stage.ease.contains("work=none") && stage.ease.contains("bytes=10"))

        // Nothing has changed since: there is nothing to solve, however long it takes.
        stage.pass(120_000)
        stage.answerLook()
        stage.pass(50)
        #expect(stage.takeSolve() == nil)
    }

    @Test("serving by teacher: rules and popularity always, others by name, unknown ones refused")
    func modes() throws {
        let stage = try Stage()
        stage.fold()
        for name in ["rules", "popularity"] {
            let list = try stage.list(name).get()
            #expect(list.rung == name && !list.items.isEmpty)
        }
        guard case .failure(let error) = try stage.list("als") else {
            Issue.record("als is not enabled")
            return
        }
        #expect(error.code == .refused && error.reason.contains("teachers.enabled"))
    }

    @Test("what cannot be stored serves all the same; a later solve that fails changes nothing")
    func failure() throws {
        let stage = try Stage(events: 400)
        let order = try stage.firstSolve()
        let model = try stage.solve(order)
        stage.tell { $0.solved("ease", order.ticket, .success(model), seconds: 1) }
        let save = try #require(stage.takeSave())
        stage.tell { $0.modelSaved("ease", save.ticket, .failure(PortError(.refused, "full"))) }
        #expect(stage.ease.contains("failure=serves, but was not stored: full"))
        let before = try stage.list("ease").get()
        try stage.addEvent()
        stage.pass(60_000)
        stage.answerLook()
        stage.pass(50)
        let second = try #require(stage.takeSolve())
        #expect(second.version > order.version)
        stage.tell {
            $0.solved("ease", second.ticket, .failure(.solve(.unsolvable("no"))), seconds: 1)
        }
        #expect(try stage.list("ease").get().items == before.items)
        #expect(stage.coordinator.engine.teacher(named: "ease")?.version == order.version)
    }

    @Test("an unsolvable problem is told with its reason and tried again after the interval")
    func unsolvable() throws {
        let stage = try Stage()
        let order = try stage.firstSolve()
        stage.tell {
            $0.solved(
                "ease", order.ticket, .failure(.solve(.unsolvable("lambda is too small"))),
                seconds: 1)
        }
        #expect(stage.ease.contains("lambda is too small"))
        #expect(stage.notes.contains { $0.contains("lambda is too small") })
        guard case .failure(let error) = try stage.list("ease") else {
            Issue.record("there is no model")
            return
        }
        #expect(error.reason.contains("lambda is too small"))
    }

    @Test("trouble of the store while histories are read: the solve comes again after a pause")
    func storeTrouble() throws {
        let stage = try Stage()
        let order = try stage.firstSolve()
        let trouble = PortError(.unavailable, "away")
        stage.tell { $0.solved("ease", order.ticket, .failure(.store(trouble)), seconds: 1) }
        stage.pass(50)
        stage.answerLook()
        #expect(stage.takeSolve() == nil)
        stage.pass(10_000)
        stage.answerLook()
        stage.pass(50)
        #expect(stage.takeSolve() != nil)
    }

    @Test("nothing is solved before the store has said what it holds")
    func lookFirst() throws {
        let stage = try Stage()
        stage.fold()
        stage.pass(50)
        stage.answerLook(.failure(PortError(.unavailable, "away")))
        stage.pass(50)
        #expect(stage.takeSolve() == nil)
        stage.pass(5_000)
        stage.answerLook()
        stage.pass(50)
        #expect(stage.takeSolve() != nil)
    }

    @Test("a store that never says what it holds is not waited for for ever")
    func lostChunks() throws {
        let stage = try Stage()
        stage.fold()
        for _ in 0..<3 {
            #expect(stage.takeSolve() == nil)
            stage.pass(5_000)
            stage.answerLook(.failure(PortError(.unavailable, "replaced while reading it")))
        }
        stage.pass(50)
        #expect(stage.takeSolve() != nil)
    }

    @Test("a stored model serves from the start, and is solved anew when it is old enough")
    func loaded() throws {
        let first = try Stage()
        let order = try first.firstSolve()
        let bytes = try first.solve(order).encoded()
        let stored = StoredModel(name: "ease", version: order.version, chunks: [bytes])

        let stage = try Stage()
        stage.coordinator.wall = Milliseconds(order.version) + 20_000
        stage.fold()
        stage.pass(50)
        stage.answerLook(.success(LoadedModel(stored, as: first.configuration.teachers[0])))
        #expect(try !stage.list("ease").get().items.isEmpty)
        stage.pass(30_000)
        stage.answerLook()
        #expect(stage.takeSolve() == nil)
        stage.pass(10_000)
        stage.answerLook()
        stage.pass(50)
        let next = try #require(stage.takeSolve())
        #expect(next.version > order.version)
    }

    @Test("a stored model that is damaged or foreign is refused with a note, and solved anew")
    func refused() throws {
        let first = try Stage()
        let order = try first.firstSolve()
        let bytes = try first.solve(order).encoded()
        let other = try TeacherRegistry.teacher(described: "ease:lambda=2")
        let version = UInt64(1) << 60
        for (chunks, blank) in [
            ([Array(bytes.dropLast())], first.configuration.teachers[0]), ([bytes], other),
            ([[1, 2, 3]], other), ([], other),
        ] {
            let stage = try Stage()
            stage.fold()
            stage.pass(50)
            let stored = StoredModel(name: "ease", version: version, chunks: chunks)
            stage.answerLook(.success(LoadedModel(stored, as: blank)))
            #expect(stage.notes.contains { $0.contains("is not used") })
            stage.pass(50)
            // Newer than what it replaces.
            #expect(stage.takeSolve()?.version == version + 1)
        }
    }

    @Test("after a restart of the store a solve under way is given up, and its answer not heard")
    func restart() throws {
        let stage = try Stage()
        let order = try stage.firstSolve()
        stage.tell { $0.storeHealthChanged(StoreHealth(incarnation: "b")) }
        let isCancelled = stage.forModels.contains {
            if case .cancelSolves(let upTo) = $0 { upTo >= order.ticket } else { false }
        }
        #expect(isCancelled)
        let model = try stage.solve(order)
        stage.tell { $0.solved("ease", order.ticket, .success(model), seconds: 1) }
        #expect(stage.coordinator.engine.teacher(named: "ease")?.version == 0)
        #expect(stage.takeSave() == nil)
    }

    @Test("only the owner of partition 0 solves")
    func notTheOwner() throws {
        let stage = try Stage(owns: false)
        for _ in 0..<5 {
            stage.pass(10_000)
            stage.answerLook()
        }
        #expect(stage.takeSolve() == nil)
    }

    @Test(
        "external scores: one read for all who ask at once; trouble is an error, no record a short list"
    )
    func external() throws {
        let stage = try Stage(teachers: ["external"])
        stage.fold()
        stage.pass(50)
        var ticket: Ticket = 0
        for case .loadExternal(_, let asked) in stage.forModels { ticket = asked }
        stage.forModels = []
        let publication = ExternalPublication(version: 5, items: nil)
        stage.tell {
            $0.modelLoaded("external", ticket, .success(LoadedModel(publication)))
        }
        var request = RecommendRequest(user: try #require(UserID("user-1")))
        request.teacher = "external"
        var answers: [Result<Recommendation, PortError>] = []
        for _ in 0..<3 { stage.tell { $0.recommend(request) { answers.append($0) } } }
        #expect(stage.forModels.count == 1)
        stage.tell { $0.externalRecordLoaded(request.user, .success(nil)) }
        #expect(try answers.map { try $0.get().items } == [[], [], []])
        stage.tell { $0.recommend(request) { answers.append($0) } }
        stage.tell {
            $0.externalRecordLoaded(request.user, .failure(PortError(.unavailable, "away")))
        }
        guard case .failure = answers.last else {
            Issue.record("the record could not be read")
            return
        }
    }

    @Test("under faults: equal versions are equal models, and ingest ends where it ends without")
    func underFaults() throws {
        // Whether a run of trouble leaves time to store anything is left to chance; not in all of them.
        let stored = try (1...12).map { try storedModelCount(seed: $0) }
        #expect(stored.contains { $0 > 0 })
    }

    private func storedModelCount(seed: UInt64) throws -> Int {
        var random = SeededRandom(seed: seed)
        let logs = Shop.logs(partitions: 3, events: 600, &random)
        var configuration = Shop.configuration(random: &random)
        configuration.engine.history.cooccurrenceReach = 10
        configuration.solveIntervalMilliseconds = 300
        configuration.modelLookIntervalMilliseconds = 200
        configuration.teachers = try ["ease:lambda=20", "als:factors=2,sweeps=1"].map {
            try TeacherRegistry.teacher(described: $0)
        }
        let world = World(
            seed: seed, logs: logs, instances: 1 + Int(seed % 3), configuration: configuration)
        let problem = world.run(stormySteps: 2_000)
        #expect(problem == nil, "seed \(seed): \(world.summary)")
        let expected = ReferenceFold(logs: logs, configuration: configuration.engine).statistics
        for instance in world.instances {
            #expect(instance.coordinator.engine.statistics.digest == expected.digest)
            for (name, stored) in world.store.models {
                let own = try #require(instance.coordinator.engine.teacher(named: name))
                guard own.version == stored.version else { continue }
                #expect(own.encoded() == Array(stored.chunks.joined()), "seed \(seed)")
            }
        }
        return world.store.models.count
    }
}
