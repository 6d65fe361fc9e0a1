// What the tests share: a broker per test, a consumer that keeps books, a recorder of observations.

import Foundation
import Interactions
import Ports
import Synchronization
import TestKit

@testable import KafkaIngest

struct SystemClock: Ports.Clock {
    var wallMilliseconds: Milliseconds { Milliseconds(Date().timeIntervalSince1970 * 1_000) }
    var monotonicSeconds: Double { ProcessInfo.processInfo.systemUptime }
}

let testTypes = EventTypes([
    EventType(name: "view", weight: 1, seen: .always),
    EventType(name: "purchase", weight: 5, seen: .always),
])

func configuration(_ broker: DevelopmentBroker) -> KafkaConfiguration {
    configuration(servers: broker.bootstrapServers)
}

func configuration(servers: String) -> KafkaConfiguration {
    var configuration = KafkaConfiguration(brokers: servers, eventTypes: testTypes)
    configuration.settings = DevelopmentBroker.clientSettings
    configuration.settings["session.timeout.ms"] = "6000"
    configuration.settings["heartbeat.interval.ms"] = "200"
    configuration.settings["auto.commit.interval.ms"] = "100"
    configuration.settings["reconnect.backoff.max.ms"] = "200"
    return configuration
}

func standardBroker(interactions: Int32 = 4, items: Int32 = 2) throws -> DevelopmentBroker {
    try DevelopmentBroker(topics: [
        ("interactions", interactions), ("items", items), ("millrace-dead-letters", 1),
    ])
}

/// Keeps everything it is told.
final class Recorder: Observer {
    private let all = Mutex<[Observation]>([])

    func observe(_ observation: Observation) { all.withLock { $0.append(observation) } }

    func count(_ matches: (Observation) -> Bool) -> Int {
        all.withLock { $0.filter(matches).count }
    }

    func adjusted(_ reason: String) -> Int {
        sum { if case .recordsAdjusted(reason, let records) = $0 { records } else { 0 } }
    }

    func rejected(_ reason: String) -> Int {
        sum { if case .recordsRejected(_, reason, let records) = $0 { records } else { 0 } }
    }

    func lastLag() -> Int64? {
        all.withLock { all in
            all.reversed().lazy.compactMap {
                if case .lag(_, let records) = $0 { records } else { nil }
            }.first
        }
    }

    private func sum(_ value: (Observation) -> Int) -> Int {
        all.withLock { $0.reduce(0) { $0 + value($1) } }
    }
}

/// Stands for the state store: what instances of one group have made durable.
final class SharedState: Sendable {
    struct Partition {
        var nextOffset: Offset?
        var entries: [RecordBatch.Entry] = []
        /// Batches that did not begin where the state ended.
        var faults: [String] = []
        private var keys: Set<UInt64> = []

        init(nextOffset: Offset? = nil) { self.nextOffset = nextOffset }

        /// An event with an id counts once, as the fold does it.
        mutating func apply(_ batch: RecordBatch) {
            let expected = nextOffset ?? -1
            entries += batch.entries.filter {
                guard case .interaction(let interaction) = $0.entry else { return true }
                return interaction.eventKey == 0 || keys.insert(interaction.eventKey).inserted
            }
            nextOffset = batch.nextOffset
            if batch.firstOffset != expected {
                faults.append(
                    "partition \(batch.partition) begins at \(batch.firstOffset), not \(expected)")
            }
        }
    }

    let partitions = Mutex<[PartitionIndex: Partition]>([:])
    let itemOffsets = Mutex<[PartitionIndex: Offset]>([:])

    var entries: [PartitionIndex: [RecordBatch.Entry]] {
        partitions.withLock { $0.mapValues(\.entries) }
    }
    var count: Int { partitions.withLock { $0.values.reduce(0) { $0 + $1.entries.count } } }
    var faults: [String] { partitions.withLock { $0.values.flatMap(\.faults) } }
    /// Of all partitions.
    var recordsBehind: Offset {
        partitions.withLock { $0.values.reduce(0) { $0 + ($1.nextOffset ?? 0) } }
    }
    func nextOffset(_ partition: PartitionIndex) -> Offset? {
        partitions.withLock { $0[partition]?.nextOffset }
    }
    func interactions() -> [Interaction] {
        entries.values.flatMap { $0 }.compactMap {
            if case .interaction(let interaction) = $0.entry { interaction } else { nil }
        }
    }
}

/// A pipeline reduced to its books.
final class Bookkeeper: LogConsumer {
    struct State {
        var counts: (Int32, Int32)?
        var owned: Set<PartitionIndex> = []
        var lost: Set<PartitionIndex> = []
        var assignments = 0
        var held: [RecordBatch] = []
        var holds = false
        var batches = 0
        var largestOutstanding = 0
        var items: [ItemChange] = []
        var gaps: [(PartitionIndex, Offset, Offset)] = []
        var failure: String?
    }

    let shared: SharedState
    let state = Mutex(State())
    private let source = Mutex<KafkaSource?>(nil)
    /// Leaves revocations unanswered.
    let silent: Bool

    init(_ shared: SharedState = SharedState(), holding: Bool = false, silent: Bool = false) {
        self.shared = shared
        self.silent = silent
        state.withLock { $0.holds = holding }
    }

    func start(_ source: KafkaSource) {
        self.source.withLock { $0 = source }
        source.start(consumer: self)
    }

    private var current: KafkaSource? { source.withLock { $0 } }

    func sourceReady(interactionPartitions: Int32, itemPartitions: Int32) {
        state.withLock { $0.counts = (interactionPartitions, itemPartitions) }
        current?.beginItems(
            (0..<itemPartitions).map { partition in
                StartPosition(
                    partition: partition, offset: shared.itemOffsets.withLock { $0[partition] })
            })
    }

    func partitionsAssigned(_ partitions: [PartitionIndex]) {
        state.withLock {
            $0.owned.formUnion(partitions)
            $0.assignments += 1
        }
        current?.begin(
            partitions.map {
                StartPosition(partition: $0, offset: shared.nextOffset($0))
            })
    }

    func partitionsRevoked(_ partitions: [PartitionIndex], lost: Bool) {
        state.withLock {
            $0.owned.subtract(partitions)
            if lost { $0.lost.formUnion(partitions) }
            $0.held.removeAll { partitions.contains($0.partition) }
        }
        if !silent { current?.release(partitions) }
    }

    func received(_ batch: RecordBatch) {
        let hold = state.withLock { state in
            state.batches += 1
            if state.holds {
                state.held.append(batch)
                let outstanding = state.held.reduce(0) { $0 + $1.recordCount }
                state.largestOutstanding = max(state.largestOutstanding, outstanding)
            }
            return state.holds
        }
        if !hold { apply(batch) }
    }

    private func apply(_ batch: RecordBatch) {
        shared.partitions.withLock {
            $0[batch.partition, default: SharedState.Partition()].apply(batch)
        }
        current?.acknowledge(
            batch.partition, nextOffset: batch.nextOffset, recordCount: batch.recordCount)
    }

    /// Applies what was held and holds nothing any more. What arrives meanwhile is held too: it comes after what was.
    func letGo() {
        while true {
            let held = state.withLock { state in
                state.holds = !state.held.isEmpty
                defer { state.held = [] }
                return state.held
            }
            guard !held.isEmpty else { return }
            for batch in held { apply(batch) }
        }
    }

    func received(_ batch: ItemBatch) {
        state.withLock { $0.items += batch.changes }
        shared.itemOffsets.withLock { $0[batch.partition] = batch.nextOffset }
        current?.acknowledgeItems(
            batch.partition, nextOffset: batch.nextOffset, recordCount: batch.recordCount)
    }

    func offsetGap(_ partition: PartitionIndex, stored: Offset, lowest: Offset) {
        state.withLock { $0.gaps.append((partition, stored, lowest)) }
        shared.partitions.withLock { $0[partition, default: .init()].nextOffset = lowest }
        current?.begin([StartPosition(partition: partition, offset: lowest)])
    }

    func sourceFailed(_ reason: String) { state.withLock { $0.failure = reason } }
}

/// One member of the group with all it needs.
final class Member {
    let keeper: Bookkeeper
    let recorder = Recorder()
    let sink: KafkaSink
    let source: KafkaSource

    init(
        _ configuration: KafkaConfiguration, _ shared: SharedState = SharedState(),
        holding: Bool = false, silent: Bool = false
    ) throws {
        keeper = Bookkeeper(shared, holding: holding, silent: silent)
        sink = try KafkaSink(configuration: configuration, observer: recorder)
        source = try KafkaSource(
            configuration: configuration, sink: sink, clock: SystemClock(), observer: recorder)
        keeper.start(source)
    }

    func stop() async {
        await withCheckedContinuation { continuation in
            source.stop { continuation.resume() }
        }
        sink.close()
    }
}

/// Produces raw records and waits for the broker.
func produce(_ records: [OutgoingRecord], _ configuration: KafkaConfiguration) throws {
    let producer = try ProducerHandle(
        settings: configuration.producerSettings, observer: NullObserver())
    let failures = Mutex<[String]>([])
    for record in records {
        try producer.produce(record) { result in
            if case .failure(let error) = result {
                failures.withLock { $0.append(error.reason) }
            }
        }
    }
    while producer.outstanding > 0 { producer.poll(waitingAtMost: 50) }
    let reasons = failures.withLock { $0 }
    guard reasons.isEmpty else { throw TestKitError(reasons.joined(separator: "; ")) }
}

func event(_ user: String, _ item: String, id: String? = nil, extra: String = "") -> [UInt8] {
    let id = id.map { #","id":"\#($0)""# } ?? ""
    return Array(#"{"user":"\#(user)","item":"\#(item)","type":"view"\#(id)\#(extra)}"#.utf8)
}

/// Events keyed by their user, left to the partitioner.
func keyed(_ user: String, _ item: String, id: String? = nil) -> OutgoingRecord {
    OutgoingRecord(
        topic: "interactions", key: Array(user.utf8), payload: event(user, item, id: id))
}
