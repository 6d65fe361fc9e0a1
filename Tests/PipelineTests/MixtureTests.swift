// What the combiner learns in the daemon's state machine: a function of the log, whatever the batches, the restarts, or
// how long fits take.

import Combiner
import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Summaries
import Teachers
import TestKit
import Testing

/// Delivered to in order, at a time of its own.
final class SoleDaemon: CoordinatorStage {
    static let types = EventTypes([
        EventType(name: "view", weight: 1, seen: .always),
        EventType(name: "dislike", weight: -1, seen: .always),
    ])
    static let itemCount = 90

    var time: Milliseconds = 0
    /// Fits that were ordered and are not delivered.
    var heldFits: [(fit: CombinerFit, ticket: Ticket)] = []
    var holdsFits = false
    var checkpointCount = 0
    var missedFitCount = 0
    /// In place before anything else is there.
    private let model: SmallServedModel?
    /// Lists for the ranker that nobody has answered.
    var rankings: [RankingJob] = []
    /// What the ranker says, when it says anything.
    var ranker: ((RankingJob) -> Result<[Double], RankingFailure>?)?

    init(
        learnInterval: Int = 1, enabled: Bool = true, model: SmallServedModel? = nil,
        change: (inout PipelineConfiguration) -> Void = { _ in }
    ) {
        self.model = model
        var engine = EngineConfiguration(
            history: HistoryRules(types: Self.types, historyMax: 30),
            halfLivesSeconds: MixtureConfiguration.halfLives(beside: [50_000]))
        if enabled {
            var mixture = MixtureConfiguration.quick()
            mixture.learnInterval = learnInterval
            mixture.usesTokenHead = model != nil
            engine.mixture = mixture
        }
        var configuration = PipelineConfiguration(
            engine: engine, feedEpoch: 1, partition: { _, _ in 0 },
            decodeItem: { id, _ in
                ItemRecord(id: id, title: id.text, categories: ["c\(id.key % 5)", "d"])
            })
        configuration.hasModel = model != nil
        configuration.commitEventsMax = 64
        configuration.checkpointIntervalMilliseconds = 1_000
        change(&configuration)
        super.init(configuration, items: Self.itemCount)
        begin()
    }

    override func begin() {
        model?.install(in: coordinator.engine)
        super.begin()
    }

    override func restart() {
        heldFits = []
        super.restart()
    }

    override func tell(_ message: (Coordinator) -> Void) {
        coordinator.now = time
        coordinator.wall = Self.end
        super.tell(message)
    }

    func feed(_ log: [RecordBatch.Entry], upTo end: Int, batch: Int) {
        while true {
            let next = Int(store.partitions[0]?.nextOffset ?? 0)
            guard next < end else { return }
            receive(log[next..<min(next + batch, end)].map(\.entry))
            if Int(store.partitions[0]?.nextOffset ?? 0) == next { return }
        }
    }

    func tick() {
        time += 2_000
        tell { $0.tick() }
    }

    func deliverFits() {
        let fits = heldFits
        heldFits = []
        for (fit, ticket) in fits { tell { $0.mixtureFitted(ticket, fit.run()) } }
    }

    func list(_ user: String, mode: ServingMode = .auto, count: Int = 10) throws -> Recommendation {
        let id = try #require(UserID(user))
        return try list(RecommendRequest(user: id, count: count, mode: mode)).get()
    }

    static let end: Milliseconds = 1_700_000_000_000 + 4_000 * 60_000

    override func perform(_ action: Action) {
        switch action {
        case .saveCheckpoint(let snapshot, let sequences, _):
            checkpointCount += 1
            store.save(
                StatisticsCheckpoint(
                    sequences: sequences,
                    chunks: snapshot.chunks(
                        fingerprint: configuration.engine.history.fingerprint)))
            tell { $0.checkpointSaved(.success(0), seconds: 0) }
        case .fitMixture(let fit, let ticket):
            if holdsFits {
                heldFits.append((fit, ticket))
            } else {
                tell { $0.mixtureFitted(ticket, fit.run()) }
            }
        case .rank(let job):
            guard let answer = ranker?(job) else { return rankings.append(job) }
            tell { $0.ranked(job.id, answer) }
        case .loadCatalogue:
            super.perform(action)
            while coordinator.engine.encodeItems(atMost: 1_000) {}
        default: super.perform(action)
        }
    }
}

@Suite("The combiner in the pipeline")
struct MixtureTests {
    /// Users who mostly go from an item to the one that follows it.
    static func log(_ count: Int, seed: UInt64 = 5) -> [RecordBatch.Entry] {
        var random = SeededRandom(seed: seed)
        var last: [Int: Int] = [:]
        return (0..<count).compactMap { place in
            let number = random.below(120)
            let before = last[number] ?? random.below(SoleDaemon.itemCount)
            let next =
                random.chance(0.6)
                ? (before * 7 + 3) % SoleDaemon.itemCount : random.below(SoleDaemon.itemCount)
            last[number] = next
            guard let user = UserID("user-\(number)"), let item = ItemID("item-\(next)") else {
                return nil
            }
            let time = 1_700_000_000_000 + Milliseconds(place * 60_000)
            let entry: LogEntry =
                random.chance(0.004)
                ? .forget(user)
                : .interaction(
                    Interaction(
                        user: user, item: item, type: random.chance(0.05) ? 1 : 0, time: time,
                        eventKey: UInt64(random.below(5_000))))
            return RecordBatch.Entry(offset: Offset(place), entry: entry)
        }
    }

    /// What must agree: weights, meters, and lists.
    static func outcome(_ daemon: SoleDaemon) throws -> [String] {
        let info = daemon.info.filter { $0.key.hasPrefix("mixture") }
        let lists = try (0..<20).map { number in
            let list = try daemon.list("user-\(number)")
            return "\(list.rung) "
                + list.items.map { "\($0.id):\($0.score)" }.joined(separator: " ")
        }
        return info.map { "\($0)=\($1)" }.sorted() + lists
            + [daemon.coordinator.engine.statistics.digest]
    }

    static func run(
        batch: Int, learnInterval: Int = 1, model: SmallServedModel? = nil, _ count: Int = 600,
        each step: (SoleDaemon, Int) throws -> Void = { _, _ in },
        change: (inout PipelineConfiguration) -> Void = { _ in }
    ) throws -> SoleDaemon {
        let log = log(count)
        let daemon = SoleDaemon(learnInterval: learnInterval, model: model, change: change)
        for end in stride(from: 100, through: count, by: 100) {
            daemon.feed(log, upTo: end, batch: batch)
            try step(daemon, end)
        }
        #expect(daemon.store.partitions[0]?.nextOffset == Offset(count))
        return daemon
    }

    @Test("learns the same from the same log, whatever the size of batches", arguments: [1, 3])
    func batches(interval: Int) throws {
        let expected = try Self.outcome(Self.run(batch: 1, learnInterval: interval))
        #expect(expected.contains { $0.hasPrefix("mixture_version") && $0 != "mixture_version=0" })
        #expect(expected.contains { $0.hasPrefix("mix") && $0.contains(" item-") })
        for batch in [7, 64] {
            let found = try Self.outcome(Self.run(batch: batch, learnInterval: interval))
            #expect(found == expected, "batches of \(batch)")
        }
    }

    @Test("a restart changes nothing, with and without a checkpoint", arguments: [1, 4])
    func restarts(checkpointEvery: Int) throws {
        let expected = try Self.outcome(Self.run(batch: 10))
        let daemon = try Self.run(batch: 10) { daemon, end in
            if end / 100 % checkpointEvery == 0 { daemon.tick() }
            if end % 200 == 100 { daemon.restart() }
        }
        #expect(daemon.checkpointCount >= 1)
        #expect(try Self.outcome(daemon) == expected)
    }

    @Test("what a restart would learn again is bounded: a checkpoint follows so many lists")
    func checkpoints() throws {
        let log = Self.log(1_600)
        let daemon = SoleDaemon {
            $0.checkpointIntervalMilliseconds = 1_000_000_000
            $0.listsLearntAgainMax = 500
        }
        var contained = 0
        for end in stride(from: 100, through: 1_600, by: 100) {
            daemon.feed(log, upTo: end, batch: 50)
            let known = daemon.checkpointCount
            daemon.tick()
            let learnt = try #require(daemon.info["mixture_lists_scored"].flatMap { Int($0) })
            if daemon.checkpointCount > known { contained = learnt }
            #expect(learnt - contained < 500)
        }
        let made = daemon.checkpointCount
        #expect(made >= 2)
        let before = try Self.outcome(daemon)
        daemon.restart()
        #expect(try Self.outcome(daemon) == before)
        daemon.tick()
        #expect(daemon.checkpointCount == made)
    }

    @Test("waits for a fit that is late, and serves meanwhile")
    func lateFits() throws {
        let expected = try Self.outcome(Self.run(batch: 10))
        let log = Self.log(600)
        let daemon = SoleDaemon()
        daemon.holdsFits = true
        var waits = 0
        for _ in 0..<100 {
            daemon.feed(log, upTo: 600, batch: 10)
            if daemon.store.partitions[0]?.nextOffset == 600 { break }
            waits += 1
            #expect(daemon.heldFits.count == 1)
            _ = try daemon.list("user-1")
            // A checkpoint does not wait.
            daemon.tick()
            daemon.deliverFits()
        }
        daemon.deliverFits()
        #expect(waits >= 5)
        #expect(try Self.outcome(daemon) == expected)
    }

    @Test("off, nothing is learnt and lists are those of the rules")
    func off() throws {
        let log = Self.log(400)
        let daemon = SoleDaemon(enabled: false)
        daemon.feed(log, upTo: 400, batch: 50)
        #expect(try daemon.list("user-1").rung == "cf")
        #expect(daemon.info["mixture_version"] == nil)
    }

    @Test("a combined list is as long as it is asked for, without seen items, and repeats nothing")
    func lengths() throws {
        let daemon = try Self.run(batch: 20)
        for number in 0..<30 {
            let rules = try daemon.list("user-\(number)", mode: .cf, count: 1_000)
            let mixed = try daemon.list("user-\(number)", count: 1_000)
            #expect(mixed.rung.hasPrefix("mix"))
            #expect(Set(mixed.items.map(\.id)) == Set(rules.items.map(\.id)))
            #expect(mixed.items.count == rules.items.count)
            let scores = mixed.items.map(\.score)
            #expect(scores == scores.sorted(by: >))
        }
    }

    @Test("under every fault of the simulator the state is that of a plain fold", arguments: 1...15)
    func simulated(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let logs = Shop.logs(partitions: 1 + random.below(3), events: 500, &random)
        var configuration = Shop.configuration(random: &random)
        configuration.engine.mixture = SoleDaemon(learnInterval: 2).configuration.engine.mixture
        configuration.decodeItem = { id, _ in ItemRecord(id: id, title: id.text) }
        let world = World(
            seed: seed, logs: logs, instances: 1 + random.below(3), configuration: configuration)
        world.catalogue = (0..<25).compactMap { ItemID("item-\($0)") }.map { (id: $0, json: [1]) }
        let problem = world.run(stormySteps: 1_500)
        #expect(problem == nil, "seed \(seed): \(world.summary)")
        let expected = ReferenceFold(logs: logs, configuration: configuration.engine).statistics
        for instance in world.instances {
            #expect(instance.coordinator.engine.statistics.digest == expected.digest)
        }
    }
}
