// Durable state as the pipeline sees it (decisions D1 and D2): claims, loads, fenced commits, statistics.
//
// Calls return at once; completions run on the store's lane. Commits take effect in the order they were issued. The
// store retries transient trouble (connection lost, loading, out of memory, read-only, slow) by itself, with back-off
// and for as long as it takes, because a commit carries a sequence number that makes a repetition harmless.

public import Interactions

/// What taking a partition over yields: a fresh fencing epoch and the state as stored.
public struct PartitionClaim: Sendable, Hashable {
    public var partition: PartitionIndex
    /// Greater than every epoch handed out before, also by a store that has lost writes since (so it follows the
    /// clock, not a counter alone); commits under any other epoch than the newest are refused.
    public var epoch: Int64
    /// Number of commits made so far.
    public var sequence: Int64
    /// Where to go on reading; nil when nothing was ever committed.
    public var nextOffset: Offset?
    /// Sum over the partition's users of the 128-bit digest of their state; see `StateDigest`.
    public var digest: StateDigest
    public var userCount: Int64
    /// Bytes of all user blobs.
    public var userBytes: Int64

    public init(
        partition: PartitionIndex, epoch: Int64, sequence: Int64, nextOffset: Offset?,
        digest: StateDigest, userCount: Int64, userBytes: Int64
    ) {
        self.partition = partition
        self.epoch = epoch
        self.sequence = sequence
        self.nextOffset = nextOffset
        self.digest = digest
        self.userCount = userCount
        self.userBytes = userBytes
    }
}

/// A user's stored state after a batch; nil bytes delete it.
public struct UserWrite: Sendable, Hashable {
    public var user: UserID
    public var blob: [UInt8]?

    public init(user: UserID, blob: [UInt8]?) {
        self.user = user
        self.blob = blob
    }
}

/// One atomic write of one partition: everything a batch changed, with the next offset (promise G1).
public struct PartitionCommit: Sendable {
    public var partition: PartitionIndex
    public var epoch: Int64
    /// The incarnation of the store in which the users were read; empty: any. A commit of an earlier one is refused
    /// as regressed: a store that lost its last writes may have a zombie's epoch again, and that zombie may have read
    /// what was lost.
    public var incarnation: String
    /// One more than the commit before.
    public var sequence: Int64
    public var nextOffset: Offset?
    public var digest: StateDigest
    public var userCount: Int64
    public var userBytes: Int64
    public var writes: [UserWrite]
    /// What the batch changed in the statistics, for peers and for recovery; empty when nothing.
    public var statisticsEdits: [UInt8]
    public var recordCount: Int

    public init(
        partition: PartitionIndex, epoch: Int64, incarnation: String = "", sequence: Int64,
        nextOffset: Offset?, digest: StateDigest, userCount: Int64, userBytes: Int64,
        writes: [UserWrite], statisticsEdits: [UInt8], recordCount: Int
    ) {
        self.partition = partition
        self.epoch = epoch
        self.incarnation = incarnation
        self.sequence = sequence
        self.nextOffset = nextOffset
        self.digest = digest
        self.userCount = userCount
        self.userBytes = userBytes
        self.writes = writes
        self.statisticsEdits = statisticsEdits
        self.recordCount = recordCount
    }
}

public enum CommitOutcome: Sendable, Hashable {
    /// Durable (now, or by an earlier attempt of the same commit).
    case committed
    /// A newer epoch owns the partition: we are a zombie and must let go of it.
    case fenced(epoch: Int64)
    /// The store is behind what we thought durable (it lost writes in a crash): reload everything from it.
    /// Nil: it lives another life than the one the commit was made in, and was not asked.
    case regressed(sequence: Int64?)
}

/// One batch's statistics edits of one partition; `sequence` is that of the commit that carried it.
public struct StatisticsDelta: Sendable, Hashable {
    public var partition: PartitionIndex
    public var sequence: Int64
    public var edits: [UInt8]

    public init(partition: PartitionIndex, sequence: Int64, edits: [UInt8]) {
        self.partition = partition
        self.sequence = sequence
        self.edits = edits
    }
}

/// The answer to "what changed since": deltas in sequence order, or the news that the log of deltas no longer reaches
/// back.
public enum DeltaRead: Sendable {
    case deltas([StatisticsDelta])
    /// These partitions' deltas after the asked position were trimmed: load a checkpoint, or fold the histories
    /// again.
    case gap([PartitionIndex])
}

/// The statistics as of a commit sequence of each partition: makes recovery fast, adds nothing to truth (decision
/// D3).
public struct StatisticsCheckpoint: Sendable {
    /// For each partition that ever committed, the sequence up to which its edits are contained.
    public var sequences: [PartitionIndex: Int64]
    /// Opaque to the store; written and read in this order.
    public var chunks: [[UInt8]]
    /// The incarnation of the store that the statistics were read from; the store refuses a checkpoint of another
    /// one.
    public var incarnation: String

    public init(
        sequences: [PartitionIndex: Int64], chunks: [[UInt8]], incarnation: String = ""
    ) {
        self.sequences = sequences
        self.chunks = chunks
        self.incarnation = incarnation
    }
}

/// The stored catalogue: raw item records and the next offset of each item partition.
public struct StoredCatalogue: Sendable {
    public var items: [(id: ItemID, json: [UInt8])]
    public var nextOffsets: [PartitionIndex: Offset]

    public init(items: [(id: ItemID, json: [UInt8])], nextOffsets: [PartitionIndex: Offset]) {
        self.items = items
        self.nextOffsets = nextOffsets
    }
}

/// Item records of one item partition; written once whoever comes first, because the log decides what they say.
public struct ItemCommit: Sendable {
    public var partition: PartitionIndex
    public var nextOffset: Offset
    /// nil json withdraws the item.
    public var writes: [(id: ItemID, json: [UInt8]?)]

    public init(
        partition: PartitionIndex, nextOffset: Offset, writes: [(id: ItemID, json: [UInt8]?)]
    ) {
        self.partition = partition
        self.nextOffset = nextOffset
        self.writes = writes
    }
}

/// A page of a partition's users, for re-folding, sweeping and checking.
public struct UserPage: Sendable {
    public var users: [(user: UserID, blob: [UInt8])]
    /// Hand back to get the next page; nil after the last. A user may appear on two pages.
    public var nextCursor: UInt64?

    public init(users: [(user: UserID, blob: [UInt8])], nextCursor: UInt64?) {
        self.users = users
        self.nextCursor = nextCursor
    }
}

public struct StoreHealth: Sendable, Hashable {
    /// What keeps writes from going through, in words; nil when they do.
    public var writeTrouble: String?
    public var readTrouble: String?
    /// Which life of the store this is (Redis: `run_id`). A store that was restarted may have lost its last writes,
    /// so whoever sees this change starts anew from what is stored. Empty before the first connection.
    public var incarnation: String

    public init(
        writeTrouble: String? = nil, readTrouble: String? = nil, incarnation: String = ""
    ) {
        self.writeTrouble = writeTrouble
        self.readTrouble = readTrouble
        self.incarnation = incarnation
    }
}

public protocol StateStore: ModelStore {
    typealias Completion<Value> = @Sendable (Result<Value, PortError>) -> Void

    /// Checks that the stored layout is for this many partitions (decision D1), or records it when the store is new.
    func prepare(
        interactionPartitions: Int32, completion: @escaping Completion<Void>)
    /// Takes a partition over under a new epoch.
    func claim(_ partition: PartitionIndex, completion: @escaping Completion<PartitionClaim>)
    /// Blobs of these users of one partition, in order; nil for unknown ones. Fails when reads are in trouble.
    func load(
        _ users: [UserID], of partition: PartitionIndex,
        completion: @escaping Completion<[[UInt8]?]>)
    func commit(_ commit: PartitionCommit, completion: @escaping Completion<CommitOutcome>)

    /// Deltas after the given sequences (0 = from the first) of the given partitions, at most about `limit` of them.
    func readDeltas(
        after: [PartitionIndex: Int64], limit: Int, completion: @escaping Completion<DeltaRead>)
    func loadCheckpoint(completion: @escaping Completion<StatisticsCheckpoint?>)
    /// Stores a checkpoint, makes it current if it is newer in no partition older than the current one, then trims
    /// the deltas it contains.
    func saveCheckpoint(
        _ checkpoint: StatisticsCheckpoint, completion: @escaping Completion<Void>)
    func scanUsers(
        of partition: PartitionIndex, cursor: UInt64, completion: @escaping Completion<UserPage>)

    func loadCatalogue(completion: @escaping Completion<StoredCatalogue>)
    func commitItems(_ commit: ItemCommit, completion: @escaping Completion<Void>)

    /// Called on the store's lane whenever health changes.
    func observeHealth(_ observer: @escaping @Sendable (StoreHealth) -> Void)
    /// Finishes queued commits if it can within the limit, then closes.
    func stop(withinMilliseconds: Int, done: @escaping @Sendable () -> Void)
}

/// A 128-bit sum, modulo 2^128, of hashes of (user, blob): equal state, equal digest, whatever the order of users.
public struct StateDigest: Sendable, Hashable, CustomStringConvertible {
    public var low: UInt64
    public var high: UInt64

    public init(low: UInt64 = 0, high: UInt64 = 0) {
        self.low = low
        self.high = high
    }

    public static func + (left: StateDigest, right: StateDigest) -> StateDigest {
        let low = left.low.addingReportingOverflow(right.low)
        return StateDigest(
            low: low.partialValue, high: left.high &+ right.high &+ (low.overflow ? 1 : 0))
    }

    public static func - (left: StateDigest, right: StateDigest) -> StateDigest {
        let low = left.low.subtractingReportingOverflow(right.low)
        return StateDigest(
            low: low.partialValue, high: left.high &- right.high &- (low.overflow ? 1 : 0))
    }

    /// 32 lower-case hexadecimal digits, high half first.
    public var description: String { Self.digits(high) + Self.digits(low) }

    /// Reads `description` back.
    public init?(_ text: String) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(low: low, high: high)
    }

    private static func digits(_ word: UInt64) -> String {
        let text = String(word, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}

/// What a store's keys were made for (decision D1).
public struct StoredLayout: Sendable, Hashable {
    public var partitions: Int32
    public var partitioner: String
    /// The number of partitions that users are being moved to; nil when none are.
    public var movingTo: Int32?

    public init(partitions: Int32, partitioner: String, movingTo: Int32? = nil) {
        self.partitions = partitions
        self.partitioner = partitioner
        self.movingTo = movingTo
    }
}

/// A store whose users can be moved to more partitions while no instance runs.
public protocol MovableStore: StateStore {
    /// Nil when nothing was ever stored.
    func readLayout(completion: @escaping Completion<StoredLayout?>)
    /// Whatever was stored before; with `movingTo`, `prepare` refuses until it is written without.
    func writeLayout(_ layout: StoredLayout, completion: @escaping Completion<Void>)
}
