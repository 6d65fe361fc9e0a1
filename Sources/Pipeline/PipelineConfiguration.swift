// Everything the pipeline must be told, with the bounds it keeps.

public import Filters
public import Interactions
public import Recommender
public import Teachers

/// What to do when the log no longer holds the stored offset.
public enum OffsetGapPolicy: String, Sendable, CaseIterable {
    /// Stop with an error: a person decides.
    case halt
    /// Go on with the oldest record there is; what lies between is lost and counted.
    case skip
    /// The log was made anew: begin at its first record, whatever its offset.
    case rewind
}

public struct PipelineConfiguration: Sendable {
    public var engine: EngineConfiguration
    /// The partition a user's events are in, of this many.
    public var partition: @Sendable (UserID, Int32) -> PartitionIndex
    /// Decodes a stored item record; nil when it is malformed.
    public var decodeItem: @Sendable (ItemID, [UInt8]) -> ItemRecord?
    public var offsetGap = OffsetGapPolicy.halt

    /// Users kept in memory.
    public var usersCachedMax = 200_000
    /// Events folded into one commit at most.
    /// Whether a model is configured, be it loaded or not.
    public var hasModel = false
    /// Users whose model states are kept.
    public var modelUsersCachedMax = 10_000
    public var commitEventsMax = 1_000
    /// Commits of one partition under way at most.
    public var commitsInFlightMax = 4
    /// A user without an event for this long is forgotten; 0 keeps everybody.
    public var userIdleSecondsMax: Int64 = 0
    /// Bytes of user blobs over the owned partitions; above it the longest idle users are forgotten. 0 means no
    /// bound.
    public var userBytesMax: Int64 = 0
    /// Statistics edits that may accumulate before a checkpoint is taken, in bytes.
    public var checkpointEditBytes = 16 << 20
    public var checkpointIntervalMilliseconds: Milliseconds = 60_000
    /// Lists learnt from before a checkpoint is taken: a restart would make them again.
    public var listsLearntAgainMax = 1_000
    /// How often other instances' statistics are fetched.
    public var peerIntervalMilliseconds: Milliseconds = 500
    /// How long to keep away from a partition that a newer epoch took while the group still gives it to us.
    public var fencedRetryMilliseconds: Milliseconds = 10_000
    /// Retry of failed reads.
    public var retryIntervalMilliseconds: Milliseconds = 200

    /// How lists are made, by name.
    public var scenarios: [String: Scenario] = [:]
    /// The scenario of feeds; nil takes the default one.
    public var feedScenario: String?
    /// Memory for lists that have a next page, in bytes; beyond it the longest unused are dropped.
    public var listsBytesMax = 64 << 20
    /// How long a list is kept after its last use.
    public var listTimeToLive: Milliseconds = 1_800_000

    /// Nil keeps none.
    public var summaries: SummaryConfiguration?
    /// Nil ranks no lists by a language model.
    public var ranking: RankingConfiguration?

    /// A request's time, where it does not say.
    public var deadlineMilliseconds = 1_000
    /// Requests under way; further ones are turned away.
    public var requestsMax = 10_000
    /// Milliseconds by a clock that goes on while lists are made, of the same beginning as the coordinator's `now`;
    /// nil: time stands still between two inputs.
    public var stopwatch: (@Sendable () -> Double)?

    /// Score every event before learning from it.
    public var prequential = false

    /// Teachers that are installed beside popularity and rules, with their parameters; nothing learnt.
    public var teachers: [any Teacher] = []
    /// From the end of a solve to the beginning of the next of the same teacher.
    public var solveIntervalMilliseconds: Milliseconds = 600_000
    /// How often the store is asked for models that another instance solved.
    public var modelLookIntervalMilliseconds: Milliseconds = 5_000
    /// How often the store is asked for what another system published.
    public var externalIntervalMilliseconds: Milliseconds = 10_000
    /// Histories collected for a solve may take this much memory, in bytes.
    public var solveHistoryBytesMax = 1 << 30
    /// A model of more bytes is not stored: it serves, and is solved again after a start.
    public var storedModelBytesMax = 256 << 20

    /// Whether some events go to whoever compares models, and their number with them.
    public var samplesEvents = false

    public var feedWatchedMax = 10_000
    /// Entries of a feed that a reader may resume from.
    public var feedEntriesKept = 16
    public var feedListCount = 20
    /// A feed nobody reads any more is watched this much longer.
    public var feedIdleMilliseconds: Milliseconds = 300_000
    /// How long a feed's list may lag behind statistics changed by other users.
    public var feedRefreshMilliseconds: Milliseconds = 2_000
    /// Whether lists of feeds are also produced to the topic for them.
    public var producesFeeds = false
    /// Distinguishes this run's feed positions from those of earlier runs.
    public var feedEpoch: UInt64

    public init(
        engine: EngineConfiguration, feedEpoch: UInt64,
        partition: @escaping @Sendable (UserID, Int32) -> PartitionIndex,
        decodeItem: @escaping @Sendable (ItemID, [UInt8]) -> ItemRecord?
    ) {
        self.engine = engine
        self.feedEpoch = feedEpoch
        self.partition = partition
        self.decodeItem = decodeItem
    }
}
