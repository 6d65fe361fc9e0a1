// What stands around one coordinator in a test: a store that answers at once, one partition, a clock of its own.

import Combiner
import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Testing

extension MixtureConfiguration {
    /// Learns from every event, and soon.
    static func quick() -> MixtureConfiguration {
        var mixture = MixtureConfiguration()
        mixture.learnInterval = 1
        mixture.proposalsMax = 6
        mixture.combiner.listsMax = 40
        mixture.combiner.listsMin = 15
        mixture.combiner.refitInterval = 50
        mixture.combiner.fitDelay = 11
        mixture.combiner.shortListCount = 5
        mixture.combiner.passes = 1
        return mixture
    }
}

class CoordinatorStage {
    let configuration: PipelineConfiguration
    private(set) var coordinator: Coordinator
    var store = SimulatedStore()
    private let owns: Bool

    /// `items` are in the catalogue from the beginning, by number.
    init(_ configuration: PipelineConfiguration, items: Int, owns: Bool = true) {
        self.configuration = configuration
        self.owns = owns
        coordinator = Coordinator(configuration)
        for id in (0..<items).compactMap({ ItemID("item-\($0)") }) { store.items[id] = [1] }
    }

    func begin() {
        tell { $0.storeHealthChanged(StoreHealth(incarnation: "a")) }
        tell { $0.sourceReady(interactionPartitions: 1, itemPartitions: 1) }
        if owns { tell { $0.partitionsAssigned([0]) } }
    }

    /// `kill -9` and another start with what the store has.
    func restart() {
        coordinator = Coordinator(configuration)
        begin()
    }

    /// What the coordinator wants done is done, and what comes of that, until it wants nothing.
    func tell(_ message: (Coordinator) -> Void) {
        message(coordinator)
        var actions = coordinator.takeActions()
        while !actions.isEmpty {
            for action in actions { perform(action) }
            actions = coordinator.takeActions()
        }
    }

    /// Time passes, and the clock ticks once.
    func pass(_ milliseconds: Milliseconds) {
        coordinator.now += milliseconds
        coordinator.wall += milliseconds
        tell { $0.tick() }
    }

    /// Entries follow those before.
    func receive(_ entries: some Sequence<LogEntry>) {
        let next = store.partitions[0]?.nextOffset ?? 0
        let run = entries.enumerated().map {
            RecordBatch.Entry(offset: next + Offset($0.offset), entry: $0.element)
        }
        let batch = RecordBatch(
            partition: 0, firstOffset: next == 0 ? -1 : next, entries: run,
            nextOffset: next + Offset(run.count), recordCount: run.count)
        tell { $0.received(batch) }
    }

    func perform(_ action: Action) {
        switch action {
        case .prepare: coordinator.prepared(.success(()))
        case .loadCatalogue:
            let items = store.items.map { (id: $0.key, json: $0.value) }
            coordinator.catalogueLoaded(
                .success(StoredCatalogue(items: items, nextOffsets: [:])))
        case .loadCheckpoint(let ticket):
            coordinator.checkpointLoaded(ticket, .success(store.checkpoint))
        case .readDeltas(let purpose, let after, let ticket):
            coordinator.deltasRead(purpose, ticket, .success(store.deltas(after: after, limit: 9)))
        case .claim(let partition, let ticket):
            coordinator.claimed(partition, ticket, .success(store.claim(partition, clock: 1)))
        case .load(let partition, let users, let ticket):
            let stored = store.partitions[partition]?.users ?? [:]
            coordinator.loaded(partition, users, ticket, .success(users.map { stored[$0] }))
        case .commit(let commit):
            let outcome = store.commit(commit)
            coordinator.committed(
                commit.partition, sequence: commit.sequence, .success(outcome))
        case .fold: coordinator.foldTurn()
        case .fail(let reason): Issue.record("\(reason)")
        default: break
        }
    }

    // MARK: - Questions

    func list(_ request: RecommendRequest) throws -> Result<Recommendation, PortError> {
        var answer: Result<Recommendation, PortError>?
        tell { $0.recommend(request) { answer = $0 } }
        return try #require(answer)
    }

    /// All lines of `INFO`.
    var info: [String: String] {
        let lines = coordinator.infoSections().flatMap(\.lines)
        return Dictionary(lines.map { ($0.key, $0.value) }) { $1 }
    }
}
