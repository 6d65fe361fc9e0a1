// The coordinator among the real things: runs it on its lane, does what it asks for, brings back the answers.

import Combiner
public import Interactions
import Lanes
public import Ports
import Recommender
import Summaries
import Synchronization
import Teachers

public final class Pipeline: Sendable {
    /// What the process around the pipeline wants to know.
    public struct Events: Sendable {
        public var ready: @Sendable () -> Void
        /// The process must stop, with this reason.
        public var failed: @Sendable (String) -> Void
        /// About every second, on the engine's lane, where events are sampled.
        public var pulse: @Sendable (RefreshPulse) -> Void

        public init(
            ready: @escaping @Sendable () -> Void, failed: @escaping @Sendable (String) -> Void,
            pulse: @escaping @Sendable (RefreshPulse) -> Void = { _ in }
        ) {
            self.ready = ready
            self.failed = failed
            self.pulse = pulse
        }
    }

    let lane: Lane
    private let snapshotLane: Lane
    /// Where the combiner is fitted; nil where sources are not combined.
    private let mixtureLane: Lane?
    let models: ModelLane
    /// Who is asked for summaries, if anybody is.
    let writer: (any TextSummariser)?
    /// Who is asked to rank lists, if anybody is.
    let ranker: (any CandidateRanker)?
    private let core: LaneBound<Coordinator>
    /// Before the engine's lane, for whoever asks.
    let gate: AdmissionGate
    let deadlineMilliseconds: Int
    private let versions: VersionTable
    private let rulesFingerprint: UInt64
    let history: HistoryRules
    let solveHistoryBytesMax: Int
    let storedModelBytesMax: Int
    let source: any RecordSource
    let sink: any RecordSink
    let store: any StateStore
    let observer: any Observer
    let clock: any Clock
    private let events: Events
    private let ticker: Ticker
    private let isPulseInLine = Atomic(false)

    /// Nothing happens before `start`.
    public init(
        _ configuration: PipelineConfiguration, source: any RecordSource, sink: any RecordSink,
        store: any StateStore, observer: any Observer, clock: any Clock, events: Events
    ) {
        lane = Lane(name: "engine")
        snapshotLane = Lane(name: "checkpoint")
        mixtureLane = configuration.engine.mixture.map { _ in
            Lane(name: "combiner", niceness: Self.mixtureNiceness)
        }
        var configuration = configuration
        configuration.stopwatch = { clock.monotonicSeconds * 1_000 }
        gate = AdmissionGate(heldMax: configuration.requestsMax)
        deadlineMilliseconds = configuration.deadlineMilliseconds
        let coordinator = Coordinator(configuration)
        versions = coordinator.versions
        rulesFingerprint = coordinator.rulesFingerprint
        history = configuration.engine.history
        solveHistoryBytesMax = configuration.solveHistoryBytesMax
        storedModelBytesMax = configuration.storedModelBytesMax
        models = ModelLane()
        if case .writer(let writer) = configuration.summaries?.maker {
            self.writer = writer
        } else {
            writer = nil
        }
        ranker = configuration.ranking?.ranker
        core = LaneBound(coordinator, on: lane)
        self.source = source
        self.sink = sink
        self.store = store
        self.observer = observer
        self.clock = clock
        self.events = events
        ticker = Ticker()
    }

    var now: Milliseconds { Milliseconds(clock.monotonicSeconds * 1_000) }
    var wall: Milliseconds { clock.wallMilliseconds }

    public func start() {
        store.observeHealth { [self] health in perform { $0.storeHealthChanged(health) } }
        source.start(consumer: self)
        ticker.start(everyMilliseconds: 10) { [self] in
            // One at a time: where lists take longer than that, pulses would wait in a line without end, and everything
            // else behind them.
            guard !isPulseInLine.exchange(true, ordering: .acquiringAndReleasing) else { return }
            perform { [self] in
                isPulseInLine.store(false, ordering: .releasing)
                $0.pulse()
            }
        }
    }

    /// Stops taking records, finishes commits under way within the limit, closes everything; blocks the caller.
    public func stop(withinMilliseconds limit: Int) {
        ticker.stop()
        models.cancel(upTo: .max)
        writer?.stop()
        ranker?.stop()
        perform { $0.beginStopping() }
        waitUntilSettled(deadline: now + Milliseconds(limit))
        let closed = Semaphore()
        source.stop { closed.signal() }
        _ = closed.wait(milliseconds: max(limit, 1_000))
        store.stop(withinMilliseconds: limit) { closed.signal() }
        _ = closed.wait(milliseconds: max(limit, 1_000))
        lane.stop()
        snapshotLane.stop()
        mixtureLane?.stop()
        models.stop(withinMilliseconds: max(limit, 1_000))
    }

    /// Asks the coordinator until nothing is under way or the time is up.
    private func waitUntilSettled(deadline: Milliseconds) {
        while now < deadline {
            let answer = Answer()
            lane.run { [self] in
                answer.isSettled.store(core.value.isSettled, ordering: .releasing)
                answer.given.signal()
            }
            answer.given.wait()
            if answer.isSettled.load(ordering: .acquiring) { return }
            _ = Semaphore().wait(milliseconds: 5)
        }
    }

    /// Runs `body` on the engine's lane, then does what the coordinator asks for.
    func perform(_ body: @escaping @Sendable (Coordinator) -> Void) {
        lane.run { [self] in
            let coordinator = core.value
            coordinator.now = now
            coordinator.wall = wall
            body(coordinator)
            execute(coordinator.takeActions())
        }
    }

    private func execute(_ actions: [Action]) {
        for action in actions {
            switch action {
            case .prepare, .loadCatalogue, .loadCheckpoint, .readDeltas, .claim, .load, .scan:
                read(action)
            case .commit, .commitItems, .saveCheckpoint: write(action)
            case .loadModel, .saveModel, .loadExternal, .loadExternalRecord, .solve,
                .cancelSolves, .mergeTrie:
                executeOnModels(action)
            case .summarise(let job): summarise(job)
            case .fitMixture(let fit, let ticket): make(fit, ticket)
            case .rank(let job): rank(job)
            case .begin(let positions): source.begin(positions)
            case .beginItems(let positions): source.beginItems(positions)
            case .release(let partitions): source.release(partitions)
            case .acknowledge(let partition, let next, let count):
                source.acknowledge(partition, nextOffset: next, recordCount: count)
            case .acknowledgeItems(let partition, let next, let count):
                source.acknowledgeItems(partition, nextOffset: next, recordCount: count)
            case .fold: perform { $0.foldTurn() }
            case .makeFeedsAgain: perform { $0.feedTurn() }
            case .produceFeed(let entry):
                sink.produce(entry) { [self] result in perform { $0.feedProduced(entry, result) } }
            case .pulse(let pulse): events.pulse(pulse)
            case .observe(let observation): observer.observe(observation)
            case .ready: events.ready()
            case .fail(let reason): events.failed(reason)
            }
        }
    }

    /// Less than what is folded and served, more than a solve: events wait for it when it is late.
    private static let mixtureNiceness: Int32 = 5

    private func make(_ fit: CombinerFit, _ ticket: Ticket) {
        mixtureLane?.run { [self] in
            let weights = fit.run()
            perform { $0.mixtureFitted(ticket, weights) }
        }
    }

    private func read(_ action: Action) {
        switch action {
        case .prepare(let partitions):
            store.prepare(interactionPartitions: partitions) { [self] result in
                perform { $0.prepared(result) }
            }
        case .loadCatalogue:
            store.loadCatalogue { [self] result in perform { $0.catalogueLoaded(result) } }
        case .loadCheckpoint(let ticket):
            store.loadCheckpoint { [self] result in
                perform { $0.checkpointLoaded(ticket, result) }
            }
        case .readDeltas(let purpose, let after, let ticket):
            store.readDeltas(after: after, limit: 1_000) { [self] result in
                perform { $0.deltasRead(purpose, ticket, result) }
            }
        case .claim(let partition, let ticket):
            store.claim(partition) { [self] result in
                perform { $0.claimed(partition, ticket, result) }
            }
        case .load(let partition, let users, let ticket):
            store.load(users, of: partition) { [self] result in
                perform { $0.loaded(partition, users, ticket, result) }
            }
        case .scan(let partition, let cursor, let ticket):
            store.scanUsers(of: partition, cursor: cursor) { [self] result in
                perform { $0.scanned(partition, ticket, result) }
            }
        default: preconditionFailure("not a read")
        }
    }

    private func write(_ action: Action) {
        switch action {
        case .commit(let commit):
            store.commit(commit) { [self] result in
                perform {
                    $0.committed(
                        commit.partition, sequence: commit.sequence, result)
                }
            }
        case .commitItems(let commit, let count):
            store.commitItems(commit) { [self] result in
                perform {
                    $0.itemsCommitted(
                        commit.partition, nextOffset: commit.nextOffset, recordCount: count, result)
                }
            }
        case .saveCheckpoint(let snapshot, let sequences, let incarnation):
            save(snapshot, sequences, incarnation)
        default: preconditionFailure("not a write")
        }
    }

    /// The snapshot is a value: it is encoded beside the engine, which goes on.
    private func save(
        _ snapshot: EngineSnapshot, _ sequences: [PartitionIndex: Int64], _ incarnation: String
    ) {
        let started = clock.monotonicSeconds
        snapshotLane.run { [self] in
            let chunks = snapshot.chunks(fingerprint: rulesFingerprint)
            let bytes = chunks.reduce(0) { $0 + $1.count }
            let checkpoint = StatisticsCheckpoint(
                sequences: sequences, chunks: chunks, incarnation: incarnation)
            store.saveCheckpoint(checkpoint) { [self] result in
                let seconds = clock.monotonicSeconds - started
                perform { $0.checkpointSaved(result.map { bytes }, seconds: seconds) }
            }
        }
    }

    func versionFromAnyThread(of user: UserID) -> UInt64 { versions.version(user.key) }
}

/// What the engine's lane says about being settled.
private final class Answer: Sendable {
    let isSettled = Atomic(false)
    let given = Semaphore()
}

extension Pipeline: LogConsumer {
    public func sourceReady(interactionPartitions: Int32, itemPartitions: Int32) {
        perform {
            $0.sourceReady(
                interactionPartitions: interactionPartitions, itemPartitions: itemPartitions)
        }
    }

    public func partitionsAssigned(_ partitions: [PartitionIndex]) {
        perform { $0.partitionsAssigned(partitions) }
    }

    public func partitionsRevoked(_ partitions: [PartitionIndex], lost: Bool) {
        perform { $0.partitionsRevoked(partitions, lost: lost) }
    }

    public func received(_ batch: RecordBatch) {
        perform { $0.received(batch) }
    }

    public func received(_ batch: ItemBatch) { perform { $0.received(batch) } }

    public func offsetGap(_ partition: PartitionIndex, stored: Offset, lowest: Offset) {
        perform { $0.offsetGap(partition, stored: stored, lowest: lowest) }
    }

    public func sourceFailed(_ reason: String) { events.failed(reason) }
}

extension Pipeline {
    /// Whether the engine takes a turn within the time: what a watchdog wants to know. Blocks the caller.
    public func isResponsive(withinMilliseconds limit: Int) -> Bool {
        let answered = Semaphore()
        lane.run { answered.signal() }
        return answered.wait(milliseconds: limit)
    }
}
