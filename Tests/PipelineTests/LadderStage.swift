// One coordinator over a shop that has learnt a combination, with a stopwatch that the test turns and a store that
// answers when the test lets it.

import Combiner
import Interactions
import Ports
import Recommender
import Simulation
import Synchronization
import Teachers
import TestKit
import Testing

@testable import Pipeline

/// Milliseconds, as far as the test has turned them; a look may take time itself.
final class TestStopwatch: Sendable {
    private let time = Mutex(1_000.0)
    private let step = Mutex(0.0)

    var now: Double { time.withLock { $0 } }
    /// What passes with each look.
    func setStep(_ milliseconds: Double) { step.withLock { $0 = milliseconds } }
    func pass(_ milliseconds: Double) { time.withLock { $0 += milliseconds } }

    func look() -> Double {
        let step = step.withLock { $0 }
        return time.withLock {
            $0 += step
            return $0
        }
    }
}

final class LadderStage {
    let watch = TestStopwatch()
    let coordinator: Coordinator
    private var store = SimulatedStore()
    private var offset: Offset = 0
    /// Loads and slices wait for the test.
    var holdsLoads = false
    var holdsFeedTurns = false
    private var held: [Action] = []
    var feedTurns = 0
    var produced: [FeedEntry] = []
    var records: [UserID] = []
    var observed: [Observation] = []

    init(
        events: Int = 200, items: Int = 25,
        _ change: (inout PipelineConfiguration) -> Void = { _ in }
    ) throws {
        var engine = EngineConfiguration(
            history: HistoryRules(types: Shop.types, historyMax: 30),
            halfLivesSeconds: MixtureConfiguration.halfLives(beside: [50_000]))
        var mixture = MixtureConfiguration()
        mixture.learnInterval = 1
        mixture.proposalsMax = 8
        mixture.combiner.listsMax = 40
        mixture.combiner.listsMin = 15
        mixture.combiner.refitInterval = 50
        mixture.combiner.fitDelay = 11
        mixture.combiner.passes = 1
        engine.mixture = mixture
        var configuration = PipelineConfiguration(
            engine: engine, feedEpoch: 7, partition: { _, _ in 0 },
            decodeItem: { id, _ in
                ItemRecord(id: id, title: id.text, brand: "b\(id.key % 3)", categories: ["c"])
            })
        configuration.deadlineMilliseconds = 100
        configuration.stopwatch = { [watch] in watch.look() }
        change(&configuration)
        coordinator = Coordinator(configuration)
        for number in 0..<items {
            store.items[try #require(ItemID("item-\(number)"))] = [1]
        }
        tell { $0.storeHealthChanged(StoreHealth(incarnation: "a")) }
        tell { $0.sourceReady(interactionPartitions: 1, itemPartitions: 1) }
        tell { $0.partitionsAssigned([0]) }
        var random = SeededRandom(seed: 3)
        for entry in Shop.logs(partitions: 1, events: events, &random)[0] { receive([entry.entry]) }
        observed = []
    }

    func receive(_ entries: [LogEntry]) {
        let first = offset
        let batch = RecordBatch(
            partition: 0, firstOffset: first == 0 ? -1 : first,
            entries: entries.enumerated().map {
                RecordBatch.Entry(offset: first + Offset($0.offset), entry: $0.element)
            }, nextOffset: first + Offset(entries.count), recordCount: entries.count)
        offset += Offset(entries.count)
        tell { $0.received(batch) }
    }

    static func view(_ user: String, _ item: Int, at time: Milliseconds) throws -> LogEntry {
        .interaction(
            Interaction(
                user: try #require(UserID(user)), item: try #require(ItemID("item-\(item % 25)")),
                type: 1, time: time))
    }

    func pass(_ milliseconds: Double) {
        watch.pass(milliseconds)
        tell {
            $0.now += Milliseconds(milliseconds)
            $0.wall += Milliseconds(milliseconds)
            $0.pulse()
        }
    }

    func tell(_ body: (Coordinator) -> Void) {
        body(coordinator)
        var actions = coordinator.takeActions()
        while !actions.isEmpty {
            for action in actions { perform(action) }
            actions = coordinator.takeActions()
        }
    }

    /// Does what was held.
    func letGo() {
        let actions = held
        held = []
        for action in actions { perform(action, isLetGo: true) }
        tell { _ in }
    }

    private func perform(_ action: Action, isLetGo: Bool = false) {
        switch action {
        case .prepare: coordinator.prepared(.success(()))
        case .loadCatalogue:
            let items = store.items.map { (id: $0.key, json: $0.value) }
            coordinator.catalogueLoaded(
                .success(StoredCatalogue(items: items, nextOffsets: [:])))
        case .loadCheckpoint(let ticket): coordinator.checkpointLoaded(ticket, .success(nil))
        case .readDeltas(let purpose, let after, let ticket):
            coordinator.deltasRead(purpose, ticket, .success(store.deltas(after: after, limit: 9)))
        case .claim(let partition, let ticket):
            coordinator.claimed(partition, ticket, .success(store.claim(partition, clock: 1)))
        case .load(let partition, let users, let ticket):
            guard !holdsLoads || isLetGo else { return held.append(action) }
            let stored = store.partitions[partition]?.users ?? [:]
            coordinator.loaded(partition, users, ticket, .success(users.map { stored[$0] }))
        case .commit(let commit):
            coordinator.committed(
                commit.partition, sequence: commit.sequence, .success(store.commit(commit)))
        case .foldAgain(let partition): coordinator.foldReady(partition)
        case .fitMixture(let fit, let ticket): coordinator.mixtureFitted(ticket, fit.run())
        case .makeFeedsAgain:
            guard !holdsFeedTurns || isLetGo else { return held.append(action) }
            feedTurns += 1
            coordinator.feedTurn()
        case .produceFeed(let entry): produced.append(entry)
        case .loadExternalRecord(let user, _): records.append(user)
        case .observe(let observation): observed.append(observation)
        default: break
        }
    }

    // MARK: - Questions

    /// What comes back, when it does.
    final class Answer {
        var result: Result<Recommendation, PortError>?
        var count = 0
        var list: Recommendation? { try? result?.get() }
        var missing: [String] { list?.missing.map(\.description) ?? [] }
        var error: PortError? {
            if case .failure(let error) = result { error } else { nil }
        }
    }

    /// Asks for a list that has waited so long.
    func ask(
        _ user: String = "user-1", waited: Double = 0,
        _ change: (inout RecommendRequest) -> Void = { _ in }
    ) throws -> Answer {
        var request = RecommendRequest(user: try #require(UserID(user)), count: 5)
        request.arrivedSeconds = (watch.now - waited) / 1_000
        change(&request)
        let answer = Answer()
        tell {
            $0.recommend(request) {
                answer.result = $0
                answer.count += 1
            }
        }
        return answer
    }

    func number(_ name: String) -> Int {
        let lines = coordinator.infoSections().flatMap(\.lines)
        return lines.first { $0.key == name }.flatMap { Int($0.value) } ?? -1
    }
}
