// The pipeline as a pure state machine: what comes in from the log, the store and the clients becomes actions.
//
// Everything runs on one lane, synchronously, in the order of arrival. The law that everything here serves: users'
// states, statistics and next offset in the store are always those of one prefix of each partition's log (promise
// G1).

import DequeModule
import Filters
public import Interactions
public import Ports
public import Recommender
import Summaries
import Teachers

public final class Coordinator {
    enum Phase: Equatable {
        /// Waiting for the source, then for layout, catalogue, checkpoint and deltas.
        case recovering
        case running
        /// No new work; what is under way is finished.
        case stopping
    }

    /// A run of entries waiting to be folded.
    struct Pending {
        enum Entry {
            case log(RecordBatch.Entry)
            /// Forget the user if nothing happened since this time, in seconds.
            case expire(UserID, before: UInt32)
            /// A writer's answer.
            case summary(UserID, WrittenSummary)
        }

        var entries: [Entry]
        /// Nil leaves the offset where it is.
        var nextOffset: Offset?
        var recordCount: Int
        var newestTime: Milliseconds
        /// Users whose state the store still owes.
        var missing: Int
    }

    /// A commit under way.
    struct Flight {
        var sequence: Int64
        var nextOffset: Offset?
        var edits: [UInt8]
        var users: [UserID]
        var recordCount: Int
        var eventCount: Int
        var startedAt: Milliseconds
        var newestTime: Milliseconds
        var bytes: Int
    }

    /// A partition the group gave us.
    struct Owned {
        enum Phase: Equatable { case claiming, folding, active, draining }

        var phase = Phase.claiming
        /// Names this ownership: see `Ticket`.
        var ticket: Ticket
        var epoch: Int64 = 0
        var sequence: Int64 = 0
        /// After the last folded record.
        var nextOffset: Offset?
        var committedOffset: Offset?
        var digest = StateDigest()
        var userCount: Int64 = 0
        var userBytes: Int64 = 0
        var pending = Deque<Pending>()
        /// Running number of the first pending run.
        var pendingBase = 0
        var flights = Deque<Flight>()
        var sweepCursor: UInt64 = 0
        var isSweeping = false
        /// Users already counted while the partition is folded again: a scan may show a user twice.
        var refolded: Set<UserID> = []
        var lastEventAt: Milliseconds = 0
        /// `USER.FORGET` calls to be answered when this offset is durable.
        var forgetting: [(offset: Offset, reply: (LogPosition) -> Void)] = []
    }

    public let configuration: PipelineConfiguration
    public let engine: Engine
    let rulesFingerprint: UInt64
    let cache: UserCache
    let versions: VersionTable
    var feeds: FeedHub
    var shelf: ListShelf
    var scenarios: [String: Scenario]
    var exploredLists: UInt64 = 0
    var exploredItems: UInt64 = 0
    /// Monotonic time, for intervals; handed in with every input, as is the wall clock.
    public var now: Milliseconds = 0
    public var wall: Milliseconds = 0
    var phase = Phase.recovering
    var partitionCount: Int32 = 0
    var itemPartitionCount: Int32 = 0
    var owned: [PartitionIndex: Owned] = [:]
    /// Partitions the group gave us but a newer epoch took, and since when. Either we are the zombie, and the group
    /// will tell us; or a zombie took what is ours, and after a while we take it back.
    var fenced: [PartitionIndex: Milliseconds] = [:]
    /// For every partition, the commit up to which its edits are in the statistics.
    var applied: [PartitionIndex: Int64] = [:]
    /// The next offset of partitions others own, as their deltas tell.
    var peerOffsets: [PartitionIndex: Offset] = [:]
    /// Partitions whose deltas no longer reach back to the checkpoint: their histories are folded again when claimed.
    var refolding: Set<PartitionIndex> = []
    var itemOffsets: [PartitionIndex: Offset] = [:]
    var waiters: [UserID: [Waiter]] = [:]
    /// Reads of users whose partition another instance owns.
    var foreignReads: [UserID: [(UserState?, Int) -> Void]] = [:]
    /// Loads to repeat because the store could not answer.
    var failedLoads: [(partition: PartitionIndex, users: [UserID], at: Milliseconds)] = []
    var batchNumber: UInt64 = 0
    var enqueueNumber: UInt64 = 0
    var startedAt: Milliseconds = 0
    var isReady = false
    var recoveredDeltas = 0
    /// Gaps met by the recovery under way.
    var gapsInRecovery = 0
    /// The store's layout is checked: from here on there is something to start anew from.
    var isPrepared = false
    var hasCatalogue = false
    /// The checkpoint is there, and deltas after it may be applied when the catalogue is.
    var awaitsCatalogue = false
    var hasCheckpoint = false
    var storeHealth = StoreHealth()
    // Checkpoints.
    var uncheckpointedBytes = 0
    /// When the latest checkpoint was begun, and how long it took.
    var checkpointedAt: Milliseconds = 0
    var checkpointMilliseconds: Milliseconds = 0
    /// Lists that it contains what was learnt from.
    var checkpointedLearntCount: UInt64 = 0
    var wantsSnapshot = false
    var isCheckpointing = false
    /// Partitions that have something to fold, and whether the lane was asked for a turn of it.
    var foldLine: Deque<PartitionIndex> = []
    var isFoldTurnAsked = false
    var gaugedAt: Milliseconds = 0
    var sweptAt: Milliseconds = 0
    // Polls.
    var peersPolledAt: Milliseconds = 0
    var isPollingPeers = false
    var meter = PrequentialMeter()
    var journal = PrequentialJournal()
    /// Of the combiner's weights, as lists were last made with them.
    var mixtureVersion: UInt64 = 0
    var models = ModelDesk()
    var summaries = SummaryDesk()
    var rankings = RankingDesk()
    var room = WaitingRoom()
    var costs = ListCosts()
    var queueDelays = DelayHistogram()
    /// From commit to making, and from event to entry.
    var feedDelays = DelayHistogram()
    var feedReadable = DelayHistogram()
    /// Who waits for the first list of a feed.
    var feedReaders: [UserID: [() -> Void]] = [:]
    /// A further slice for feeds waits for its turn on the lane.
    var hasFeedTurn = false
    var feedTopic = FeedTopic()
    var tickedAt: Milliseconds = .min
    var refusedCount: UInt64 = 0
    var leftOutCount: UInt64 = 0
    var sampler = EventSampler()
    // Counters for INFO.
    var eventCount: UInt64 = 0
    var duplicateCount: UInt64 = 0
    var commitCount: UInt64 = 0
    var forgottenCount: UInt64 = 0
    var expiredCount: UInt64 = 0

    /// Actions to repeat at the next retry.
    var retries: [Action] = []
    var retriedAt: Milliseconds = 0
    private var tickets: Ticket = 0
    /// The ticket of reads that concern no single partition: a new one with every restart.
    var generation: Ticket = 0
    private var actions: [Action] = []

    public init(_ configuration: PipelineConfiguration) {
        self.configuration = configuration
        engine = Engine(configuration.engine)
        rulesFingerprint = configuration.engine.history.fingerprint
        cache = UserCache(capacity: configuration.usersCachedMax)
        versions = VersionTable()
        feeds = FeedHub(configuration)
        shelf = ListShelf(
            epoch: configuration.feedEpoch, bytesMax: configuration.listsBytesMax,
            timeToLive: configuration.listTimeToLive)
        scenarios = configuration.scenarios
        installTeachers()
        if configuration.prequential {
            engine.onLearnt = { [unowned self] in enter(.list($0)) }
        }
        if configuration.ranking != nil {
            engine.onList = { [unowned self] in askRanker($0, $1) }
        }
    }

    /// What is to be done; the caller does it, in order.
    public func takeActions() -> [Action] {
        defer { actions.removeAll(keepingCapacity: true) }
        return actions
    }

    func act(_ action: Action) { actions.append(action) }

    func newTicket() -> Ticket {
        tickets += 1
        return tickets
    }

    /// The ticket of an ownership; 0 where there is none.
    func ticket(of partition: PartitionIndex) -> Ticket { owned[partition]?.ticket ?? 0 }

    /// Repeats an action after a while: the store could not answer now.
    func retry(_ action: Action) { retries.append(action) }

    func note(
        _ severity: Observation.Severity, _ text: String, _ fields: [(String, String)] = []
    ) { act(.observe(.note(severity, text, fields))) }

    /// The partition of a user; 0 before the log is known.
    func partition(of user: UserID) -> PartitionIndex {
        partitionCount > 0 ? configuration.partition(user, partitionCount) : 0
    }

    func isOwned(_ partition: PartitionIndex) -> Bool {
        switch owned[partition]?.phase {
        case .active, .draining: true
        case .claiming, .folding, nil: false
        }
    }

    var hasFlights: Bool { owned.values.contains { !$0.flights.isEmpty } }
}

extension Coordinator {
    /// The digest of one user's stored state: two seeds of XXH64 over the blob, mixed with the user's key. Without the
    /// summary, which the log alone does not decide.
    public static func digest(_ user: UserID, _ blob: [UInt8]) -> StateDigest {
        let bytes = blob.span.extracting(0..<UserState.digestedCount(of: blob))
        return StateDigest(
            low: xxh64(bytes, seed: user.key), high: xxh64(bytes, seed: ~user.key &* 0x9E37_79B9))
    }
}

extension Coordinator {
    /// The commit of a partition up to which its edits are in our statistics; for checkers.
    public func appliedSequence(of partition: PartitionIndex) -> Int64 { applied[partition] ?? 0 }
}
