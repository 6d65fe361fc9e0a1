// Fills a topic from a recorded log, as fast as the broker and its consumers allow or at the log's own pace.
//
// A broker that keeps little (the development broker keeps 5 MiB a partition) would forget records before anyone has
// read them, so the producer can be held to a distance from what has been consumed.

public import Interactions
public import Ports
import Synchronization

/// One record of a log to be produced.
public struct BulkRecord: Sendable, Hashable {
    public var key: [UInt8]?
    /// Nil is a tombstone.
    public var payload: [UInt8]?
    public var timestamp: Milliseconds?

    public init(key: [UInt8]?, payload: [UInt8]?, timestamp: Milliseconds?) {
        self.key = key
        self.payload = payload
        self.timestamp = timestamp
    }

    /// What the broker keeps besides key and payload, roughly.
    static let overheadBytes = 32
    var bytes: Int { (key?.count ?? 0) + (payload?.count ?? 0) + Self.overheadBytes }
}

public struct BulkProgress: Sendable, Hashable {
    public var produced = 0
    public var acknowledged = 0
    public var bytes = 0
    public var elapsedSeconds = 0.0
    /// The consumers are behind and the producer waits for them.
    public var isWaiting = false
}

/// When records are produced.
public enum BulkPace: Sendable, Hashable {
    case asFastAsPossible
    /// As their timestamps say, this many times faster.
    case recorded(factor: Double)
}

/// Keeps the producer close to the consumers.
public struct AheadLimit: Sendable {
    public var bytesPerPartitionMax: Int
    /// The next offset to be consumed of each partition; partitions without one have not been read at all.
    public var consumed: @Sendable () -> [PartitionIndex: Offset]

    public init(
        bytesPerPartitionMax: Int = DevelopmentBroker.partitionBytesMax / 2,
        consumed: @escaping @Sendable () -> [PartitionIndex: Offset]
    ) {
        self.bytesPerPartitionMax = bytesPerPartitionMax
        self.consumed = consumed
    }
}

/// Produces a whole log into one topic. Calls block: use it on a thread that may.
public final class BulkProducer: Sendable {
    private struct State {
        var acknowledged = 0
        var failure: KafkaError?
        var windows: [FlowWindow]
    }

    private let configuration: KafkaConfiguration
    private let topic: String
    private let clock: any Clock
    private let producer: ProducerHandle
    private let state: Mutex<State>
    public let partitionCount: Int32

    /// Asks the broker for the topic's partitions, so it has to be there.
    public init(
        configuration: KafkaConfiguration, topic: String, clock: any Clock,
        observer: any Observer = NullObserver()
    ) throws(KafkaError) {
        self.configuration = configuration
        self.topic = topic
        self.clock = clock
        var configuration = configuration
        let defaults = [
            "linger.ms": "5", "message.timeout.ms": "300000", "batch.num.messages": "10000",
        ]
        configuration.settings.merge(defaults) { operators, _ in operators }
        producer = try ProducerHandle(
            settings: configuration.producerSettings, observer: observer)
        partitionCount = try producer.handle.partitionCount(of: topic, waitingAtMost: 10_000)
        state = Mutex(
            State(windows: Array(repeating: FlowWindow(), count: Int(partitionCount))))
    }

    /// Produces every record and waits until the broker has them all. `progress` is called about ten times a second
    /// and at the end; when `isCancelled` says so, the rest is left out.
    public func run(
        _ records: some Sequence<BulkRecord>, pace: BulkPace = .asFastAsPossible,
        ahead: AheadLimit? = nil, isCancelled: () -> Bool = { false },
        progress: (BulkProgress) -> Void = { _ in }
    ) throws(KafkaError) -> BulkProgress {
        var meter = Meter(clock: clock)
        var firstTimestamp: Milliseconds?
        for record in records {
            if case .recorded(let factor) = pace, let timestamp = record.timestamp, factor > 0 {
                let first = firstTimestamp ?? timestamp
                firstTimestamp = first
                let due = Double(timestamp - first) / 1_000 / factor
                while meter.elapsedSeconds < due, !isCancelled() {
                    producer.poll(
                        waitingAtMost: Int32(min(100, (due - meter.elapsedSeconds) * 1_000) + 1))
                    report(&meter, progress)
                }
            }
            if isCancelled() { break }
            let partition = home(of: record)
            if let ahead {
                try wait(for: partition, record, ahead, &meter, isCancelled, progress)
            }
            try send(record, partition)
            meter.progress.produced += 1
            meter.progress.bytes += record.bytes
            if meter.progress.produced % 256 == 0 {
                producer.poll(waitingAtMost: 0)
                try check()
                report(&meter, progress)
            }
        }
        return try finish(&meter, progress)
    }

    private func home(of record: BulkRecord) -> PartitionIndex {
        guard let key = record.key, !key.isEmpty else { return 0 }
        return configuration.partitioner.partition(of: key.span, count: partitionCount)
    }

    /// Holds the producer back while this partition is too far ahead of its consumers.
    private func wait(
        for partition: PartitionIndex, _ record: BulkRecord, _ ahead: AheadLimit,
        _ meter: inout Meter, _ isCancelled: () -> Bool, _ progress: (BulkProgress) -> Void
    ) throws(KafkaError) {
        while isTooFar(partition, record, ahead), !isCancelled() {
            producer.poll(waitingAtMost: 5)
            let consumed = ahead.consumed()
            state.withLock { state in
                for (partition, offset) in consumed where partition < partitionCount {
                    state.windows[Int(partition)].consumed(upTo: offset)
                }
            }
            try check()
            meter.progress.isWaiting = true
            report(&meter, progress)
        }
        meter.progress.isWaiting = false
    }

    private func isTooFar(
        _ partition: PartitionIndex, _ record: BulkRecord, _ ahead: AheadLimit
    ) -> Bool {
        let bytes = state.withLock { $0.windows[Int(partition)].aheadBytes }
        return bytes > 0 && bytes + record.bytes > ahead.bytesPerPartitionMax
    }

    private func send(_ record: BulkRecord, _ partition: PartitionIndex) throws(KafkaError) {
        let mark = state.withLock { $0.windows[Int(partition)].add(bytes: record.bytes) }
        let outgoing = OutgoingRecord(
            topic: topic, partition: partition, key: record.key, payload: record.payload,
            timestamp: record.timestamp)
        while true {
            do throws(KafkaError) {
                try producer.produce(outgoing) { [self] result in delivered(result, mark) }
                return
            } catch {
                guard error.code == .queueFull else { throw error }
                producer.poll(waitingAtMost: 10)
            }
        }
    }

    private func delivered(_ result: Result<LogPosition, KafkaError>, _ mark: Int) {
        state.withLock { state in
            switch result {
            case .success(let position):
                state.acknowledged += 1
                state.windows[Int(position.partition)].delivered(
                    mark: mark, offset: position.offset)
            case .failure(let error): state.failure = state.failure ?? error
            }
        }
    }

    private func check() throws(KafkaError) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    private func finish(
        _ meter: inout Meter, _ progress: (BulkProgress) -> Void
    ) throws(KafkaError) -> BulkProgress {
        while producer.outstanding > 0 {
            producer.poll(waitingAtMost: 100)
            try check()
            report(&meter, progress)
        }
        producer.poll(waitingAtMost: 0)
        try check()
        meter.nextReport = 0
        report(&meter, progress)
        return meter.progress
    }

    private func report(_ meter: inout Meter, _ progress: (BulkProgress) -> Void) {
        let elapsed = meter.elapsedSeconds
        guard elapsed >= meter.nextReport else { return }
        meter.nextReport = elapsed + 0.1
        meter.progress.elapsedSeconds = elapsed
        meter.progress.acknowledged = state.withLock { $0.acknowledged }
        progress(meter.progress)
    }

    private struct Meter {
        let clock: any Clock
        let start: Double
        var nextReport = 0.0
        var progress = BulkProgress()

        init(clock: any Clock) {
            self.clock = clock
            start = clock.monotonicSeconds
        }

        var elapsedSeconds: Double { clock.monotonicSeconds - start }
    }
}

/// The offsets a consumer group has committed for a topic. Calls block.
public final class GroupOffsets: Sendable {
    private let reader: ConsumerHandle
    private let partitions: [PartitionIndex]

    public init(
        configuration: KafkaConfiguration, topic: String, observer: any Observer = NullObserver()
    ) throws(KafkaError) {
        reader = try ConsumerHandle(
            topic: topic, settings: configuration.consumerSettings, observer: observer)
        let count = try reader.handle.partitionCount(of: topic, waitingAtMost: 10_000)
        partitions = Array(0..<count)
    }

    /// Partitions without a committed offset are left out; empty when the group's coordinator does not answer in
    /// time.
    public func committed() -> [PartitionIndex: Offset] {
        (try? reader.committed(partitions, waitingAtMost: 2_000)) ?? [:]
    }
}
