// The event log as the pipeline sees it: partitions come and go, batches arrive, positions are acknowledged.
//
// Calls on a source return at once and take effect on the source's own lane, in the order they were made. A source
// calls its `LogConsumer` on that lane; the consumer must not block it.

public import Interactions

/// A run of records of one partition of the interactions topic, decoded. Records that could not be decoded have
/// been dead-lettered, and the broker has acknowledged that, before the batch is delivered.
public struct RecordBatch: Sendable {
    public struct Entry: Sendable {
        public var offset: Offset
        public var entry: LogEntry

        public init(offset: Offset, entry: LogEntry) {
            self.offset = offset
            self.entry = entry
        }
    }

    public var partition: PartitionIndex
    /// Where the run begins: the position given to `begin` (-1 for the partition's beginning), then the `nextOffset`
    /// of the run before. The consumer drops a run that begins after what it expects: it was read before the source
    /// was sent back.
    public var firstOffset: Offset
    /// In offset order; may be empty when every record of the run was skipped.
    public var entries: [Entry]
    /// The offset after the last record of the run, skipped ones included.
    public var nextOffset: Offset
    /// How many records the run took from the log, for flow control and counters.
    public var recordCount: Int
    /// The record timestamp of the newest record of the run, for freshness; 0 when it has none.
    public var newestTime: Milliseconds

    public init(
        partition: PartitionIndex, firstOffset: Offset, entries: [Entry], nextOffset: Offset,
        recordCount: Int, newestTime: Milliseconds = 0
    ) {
        self.partition = partition
        self.firstOffset = firstOffset
        self.newestTime = newestTime
        self.entries = entries
        self.nextOffset = nextOffset
        self.recordCount = recordCount
    }
}

/// A run of records of one partition of the items topic, decoded.
public struct ItemBatch: Sendable {
    public var partition: PartitionIndex
    /// As in `RecordBatch`.
    public var firstOffset: Offset
    public var changes: [ItemChange]
    public var nextOffset: Offset
    public var recordCount: Int

    public init(
        partition: PartitionIndex, firstOffset: Offset, changes: [ItemChange], nextOffset: Offset,
        recordCount: Int
    ) {
        self.partition = partition
        self.firstOffset = firstOffset
        self.changes = changes
        self.nextOffset = nextOffset
        self.recordCount = recordCount
    }
}

/// Where to go on reading a partition.
public struct StartPosition: Sendable, Hashable {
    public var partition: PartitionIndex
    /// The next offset to read; nil means the partition's beginning.
    public var offset: Offset?

    public init(partition: PartitionIndex, offset: Offset?) {
        self.partition = partition
        self.offset = offset
    }
}

/// Who receives what the source reads.
public protocol LogConsumer: Sendable {
    /// The source is connected: `partitionCount` of the interactions topic and of the items topic are known. Called
    /// once.
    func sourceReady(interactionPartitions: Int32, itemPartitions: Int32)
    /// The group gave us these partitions. Reading begins when `begin` is called with our stored offsets.
    func partitionsAssigned(_ partitions: [PartitionIndex])
    /// The group takes these partitions. The consumer calls `release` once it has settled what it holds; the source
    /// waits for that, at most its configured time. `lost` means that they are already somebody else's.
    func partitionsRevoked(_ partitions: [PartitionIndex], lost: Bool)
    /// Decoded records, in order within a partition. Each batch is answered by `acknowledge`.
    func received(_ batch: RecordBatch)
    /// Decoded items, in order within a partition. Each batch is answered by `acknowledgeItems`.
    func received(_ batch: ItemBatch)
    /// The stored offset is no longer in the log (retention passed it): `lowest` is what the broker still has.
    func offsetGap(_ partition: PartitionIndex, stored: Offset, lowest: Offset)
    /// The source cannot go on (authorisation, fatal broker error): the process should stop with this reason.
    func sourceFailed(_ reason: String)
}

/// An ordered, partitioned, replayable log of interactions, and the log of items beside it.
public protocol RecordSource: Sendable {
    /// Joins the group and starts reading items from `items` (every instance reads all item partitions).
    func start(consumer: any LogConsumer)
    /// Starts reading assigned partitions at these positions.
    func begin(_ positions: [StartPosition])
    /// Starts or moves reading of item partitions.
    func beginItems(_ positions: [StartPosition])
    /// What was revoked is settled; the source may give it up.
    func release(_ partitions: [PartitionIndex])
    /// The batch of `recordCount` records that ended at `nextOffset` is durable: frees its share of the bounded
    /// prefetch and tells the broker (advisory, for lag tools).
    func acknowledge(_ partition: PartitionIndex, nextOffset: Offset, recordCount: Int)
    func acknowledgeItems(_ partition: PartitionIndex, nextOffset: Offset, recordCount: Int)
    /// Stops fetching (or resumes) without leaving the group: back-pressure.
    func setPaused(_ paused: Bool)
    /// Leaves the group and closes; `done` is called when everything is closed.
    func stop(done: @escaping @Sendable () -> Void)
}

/// Where produced records went.
public struct LogPosition: Sendable, Hashable, CustomStringConvertible {
    public var partition: PartitionIndex
    public var offset: Offset

    public init(partition: PartitionIndex, offset: Offset) {
        self.partition = partition
        self.offset = offset
    }

    public var description: String { "\(partition):\(offset)" }
}

/// Writes to the log, so that it stays the only truth. Completions run on the sink's lane.
public protocol RecordSink: Sendable {
    /// Appends one interaction (JSON made by the sink) keyed by its user; completes when the broker has it.
    func produce(
        _ interaction: ProducedInteraction,
        completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void)
    /// Appends a tombstone for the user: asks the owner to forget (promise G9).
    func produceForget(
        _ user: UserID, completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void)
    /// Appends an item record (`json`) or, with nil, its tombstone.
    func produceItem(
        _ id: ItemID, json: [UInt8]?,
        completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void)
    /// Appends a feed's new list to the topic for them, keyed by its user, with its id; completes when the broker has
    /// it.
    func produce(
        _ entry: FeedEntry,
        completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void)
}

extension RecordSink {
    public func produce(
        _ entry: FeedEntry,
        completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void
    ) { completion(.failure(PortError(.refused, "lists are not produced (feeds.topic)"))) }
}

/// An interaction to append to the log.
public struct ProducedInteraction: Sendable, Hashable {
    public var user: UserID
    public var item: ItemID
    public var type: String
    public var time: Milliseconds
    public var eventID: String?
    public var value: Double?

    public init(
        user: UserID, item: ItemID, type: String, time: Milliseconds, eventID: String? = nil,
        value: Double? = nil
    ) {
        self.user = user
        self.item = item
        self.type = type
        self.time = time
        self.eventID = eventID
        self.value = value
    }
}

/// Why a port could not do what was asked.
public struct PortError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The other side is away, loading, full or slow: the same call may work later.
        case unavailable
        /// The other side refused: the same call will be refused again.
        case refused
        /// There is more to do than can be done in time: later, or with more time, it may work.
        case busy
        /// The call took longer than it may.
        case timeout
        /// What came back cannot be read: a newer version wrote it, or it is damaged.
        case corrupt
    }

    public var code: Code
    /// Names the thing, the value and the way out.
    public var reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var isRetriable: Bool { code != .refused && code != .corrupt }
    public var description: String { "\(code.rawValue): \(reason)" }
}
