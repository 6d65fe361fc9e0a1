// What the daemon offers its clients, in the domain's types; the socket server turns bytes into these and back.
//
// Calls return at once; replies come exactly once, on the engine's lane, and must not block it.

public import Filters
public import Interactions

/// Which rung of the ladder may answer (promise G5).
public enum ServingMode: String, Sendable, CaseIterable {
    case auto, lm
    case lmText = "lm-text"
    case cf, popular
    /// The list of `auto`, in the order of a language model that is asked about each item.
    case trsr
}

/// `REC.GET`: the best items for a user now.
public struct RecommendRequest: Sendable, Hashable {
    public var user: UserID
    public var count: Int
    public var mode: ServingMode
    /// The teacher that alone makes the list, by name; nil leaves it to `mode`.
    public var teacher: String?
    /// Items of an anonymous or ongoing session, oldest first, treated as the newest history without being stored.
    public var session: [ItemID]
    /// When not empty, only these are ranked.
    public var candidates: [ItemID]
    /// Never in the list.
    public var exclude: [ItemID]
    /// Only items that match it.
    public var filter: Filter?
    /// The rules to make the list by, of the settings; nil takes the default ones.
    public var scenario: String?
    /// Whether `count` was asked for; if not, the scenario's goes before it.
    public var countIsGiven = true
    /// Whether the list gets an id, under which there is a next page.
    public var isKept = false
    /// The list of which this is the next page; set by who answers `REC.NEXT`.
    public var continues: ListID?
    /// Milliseconds from arrival by which an answer is due; nil means the configured default.
    public var deadlineMilliseconds: Int?
    /// When the request arrived, by the service's monotonic clock; nil: when the service hears of it.
    public var arrivedSeconds: Double?

    public static let countBounds = 1...1_000
    public static let countDefault = 20
    public static let itemsMax = 1_000

    public init(
        user: UserID, count: Int = Self.countDefault, mode: ServingMode = .auto,
        session: [ItemID] = [],
        candidates: [ItemID] = [], exclude: [ItemID] = [], deadlineMilliseconds: Int? = nil
    ) {
        self.user = user
        self.count = count
        self.mode = mode
        self.session = session
        self.candidates = candidates
        self.exclude = exclude
        self.deadlineMilliseconds = deadlineMilliseconds
    }
}

/// One place of a list.
public struct RecommendedItem: Sendable, Hashable {
    public var id: ItemID
    public var score: Double
    /// The source that contributed most: `rules`, `popularity`, ...
    public var source: String
    /// Probability that the item was put here, given the places above; below 1 where lists explore.
    public var propensity: Double

    public init(id: ItemID, score: Double, source: String, propensity: Double = 1) {
        self.id = id
        self.score = score
        self.source = source
        self.propensity = propensity
    }
}

/// What a list is based on (promise G2).
public struct AsOf: Sendable, Hashable {
    public var partition: PartitionIndex
    /// The next offset to be read: every event before it is in the list.
    public var nextOffset: Offset
    /// Time of the newest event of this user, or 0.
    public var userTime: Milliseconds
    /// Milliseconds since the newest event of the partition was applied.
    public var ageMilliseconds: Int64

    public init(
        partition: PartitionIndex, nextOffset: Offset, userTime: Milliseconds,
        ageMilliseconds: Int64
    ) {
        self.partition = partition
        self.nextOffset = nextOffset
        self.userTime = userTime
        self.ageMilliseconds = ageMilliseconds
    }
}

public struct Recommendation: Sendable, Hashable {
    /// For the next page; nil where none was asked for.
    public var id: ListID?
    public var items: [RecommendedItem]
    /// The rung that answered: `lm`, `cf`, `popular`, or the name of a teacher that was asked for.
    public var rung: String
    /// Version of the model that made the list; nil when none did.
    public var model: String?
    /// What should have taken part and did not, and why.
    public var missing: [Omission] = []
    /// What each feature of the combiner adds to each item, in the order of `Feature`; made for lists that are kept,
    /// which can be explained later. Empty where no combiner made the list.
    public var shares: [[Float]] = []
    /// Of the combiner that made the list; nil when none did.
    public var weightsVersion: UInt64?
    public var asOf: AsOf
    /// Changes whenever the same request could be answered differently; see `RecommendationService.version`.
    public var version: UInt64

    public init(
        items: [RecommendedItem], rung: String, model: String? = nil, asOf: AsOf, version: UInt64
    ) {
        self.items = items
        self.rung = rung
        self.model = model
        self.asOf = asOf
        self.version = version
    }
}

extension Recommendation {
    /// Whether the same request may be answered better at once: such a list is not worth keeping.
    public var isHurried: Bool { missing.contains { $0.reason.isOfTheMoment } }
}

/// A part of making a list that was left out.
public struct Omission: Sendable, Hashable, CustomStringConvertible {
    public enum Reason: String, Sendable, CaseIterable {
        /// It is not there (yet), or has nothing to go by.
        case absent
        /// It would not have ended by the deadline.
        case deadline
        /// It was begun, and had not ended when the time was up.
        case slow
        /// The request had waited too long for what is left to be spent on it.
        case overload
        /// It failed.
        case failed

        var isOfTheMoment: Bool { self != .absent }
    }

    /// `model`, `mixture`, `cf`, `trsr`, the name of a teacher; `state`: the user's; `catalogue`: items beyond the
    /// most popular ones that a filter was not asked about.
    public var source: String
    public var reason: Reason

    public init(_ source: String, _ reason: Reason) {
        self.source = source
        self.reason = reason
    }

    public var description: String { "\(source): \(reason.rawValue)" }
}

/// `USER.GET`: what is known of a user.
public struct UserView: Sendable, Hashable {
    public struct Event: Sendable, Hashable {
        /// The item's identifier, or its key in hexadecimal when the catalogue does not have it.
        public var item: String
        public var type: String
        public var time: Milliseconds

        public init(item: String, type: String, time: Milliseconds) {
            self.item = item
            self.type = type
            self.time = time
        }
    }

    /// Oldest first.
    public var history: [Event]
    /// Events ever applied, repeats and evicted ones included.
    public var eventCount: UInt64
    /// Size of the stored blob.
    public var bytes: Int
    public var asOf: AsOf
    /// Nil where none are kept.
    public var summary: SummaryView?

    public init(
        history: [Event], eventCount: UInt64, bytes: Int, asOf: AsOf, summary: SummaryView? = nil
    ) {
        self.summary = summary
        self.history = history
        self.eventCount = eventCount
        self.bytes = bytes
        self.asOf = asOf
    }
}

/// `SUMMARY.GET`: what stands for a user's older events.
public struct SummaryView: Sendable, Hashable {
    /// Empty before the first block closes.
    public var text: String
    public var summariser: String
    public var version: UInt64
    /// Blocks it was made of.
    public var blockCount: UInt64
    /// Events it holds.
    public var heldCount: UInt64
    /// Events before that nothing holds.
    public var lostCount: UInt64
    /// Events since.
    public var openCount: Int

    public init(
        text: String, summariser: String, version: UInt64, blockCount: UInt64, heldCount: UInt64,
        lostCount: UInt64, openCount: Int
    ) {
        self.text = text
        self.summariser = summariser
        self.version = version
        self.blockCount = blockCount
        self.heldCount = heldCount
        self.lostCount = lostCount
        self.openCount = openCount
    }
}

/// `ITEM.GET`: the stored record and what the stream says of it.
public struct ItemView: Sendable, Hashable {
    /// As the record came; nil for an item that was only ever seen in events.
    public var json: [UInt8]?
    public var available: Bool
    /// How many histories hold it.
    public var count: Int64
    /// Share of the decayed popularity of all items, 0...1.
    public var popularity: Double

    public init(json: [UInt8]?, available: Bool, count: Int64, popularity: Double) {
        self.json = json
        self.available = available
        self.count = count
        self.popularity = popularity
    }
}

/// One entry of a feed: the list after a change.
public struct FeedEntry: Sendable, Hashable {
    public var user: UserID
    public var id: FeedID
    public var recommendation: Recommendation
    /// How many newer lists replaced each other before this one could be handed over.
    public var skipped: Int
    /// Against the list before it; nil for the first list of a feed.
    public var change: FeedChange?
    /// Time of the oldest event of the user that this list is the first to contain; 0 where others changed it, or
    /// nobody's event of late did.
    public var causedAt: Milliseconds = 0

    public init(user: UserID, id: FeedID, recommendation: Recommendation, skipped: Int) {
        self.user = user
        self.id = id
        self.recommendation = recommendation
        self.skipped = skipped
    }
}

/// What is different since the entry before: for who keeps a list on a screen and not on a server.
public struct FeedChange: Sendable, Hashable {
    /// The entry before; a reader who holds another takes the whole list.
    public var since: FeedID
    /// In the order of the new list.
    public var added: [ItemID]
    /// In the order of the old one.
    public var removed: [ItemID]

    public init(from old: [ItemID], since: FeedID, to new: [ItemID]) {
        let (before, after) = (Set(old), Set(new))
        self.since = since
        added = new.filter { !before.contains($0) }
        removed = old.filter { !after.contains($0) }
    }
}

/// Position in a feed, written `<epoch>-<sequence>`: the epoch changes with every start of the daemon.
public struct FeedID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var epoch: UInt64
    public var sequence: UInt64

    public init(epoch: UInt64, sequence: UInt64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard let epoch = parts.first.flatMap({ UInt64($0) }), parts.count <= 2,
            let sequence = parts.count == 2 ? UInt64(parts[1]) : 0
        else { return nil }
        self.init(epoch: epoch, sequence: sequence)
    }

    public static func < (left: FeedID, right: FeedID) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }

    public var description: String { "\(epoch)-\(sequence)" }
}

/// Reading a feed after a position; nil means "only what comes from now on" (`$`).
public struct FeedCursor: Sendable, Hashable {
    public var user: UserID
    public var after: FeedID?

    public init(user: UserID, after: FeedID?) {
        self.user = user
        self.after = after
    }
}

/// Who wants to know of changes. Called on the engine's lane after the change is durable; must return at once.
public protocol FeedObserver: AnyObject, Sendable {
    func feedChanged(_ entry: FeedEntry)
    /// A user outside the watched set changed (`PSUBSCRIBE feed:*`): no list was computed.
    func userChanged(_ user: UserID, asOf: AsOf)
}

public struct DigestView: Sendable, Hashable {
    /// Owned partitions, ascending.
    public var partitions: [PartitionDigest]
    /// Digest of the statistics of all partitions together.
    public var statistics: String

    public init(partitions: [PartitionDigest], statistics: String) {
        self.partitions = partitions
        self.statistics = statistics
    }
}

public struct PartitionDigest: Sendable, Hashable {
    public var partition: PartitionIndex
    public var nextOffset: Offset?
    public var digest: StateDigest
    public var userCount: Int64

    public init(
        partition: PartitionIndex, nextOffset: Offset?, digest: StateDigest, userCount: Int64
    ) {
        self.partition = partition
        self.nextOffset = nextOffset
        self.digest = digest
        self.userCount = userCount
    }
}

/// One section of `INFO`: a title and `key:value` lines, in order.
public struct InfoSection: Sendable, Hashable {
    public var title: String
    public var lines: [InfoLine]

    public init(title: String, lines: [InfoLine]) {
        self.title = title
        self.lines = lines
    }
}

public struct InfoLine: Sendable, Hashable {
    public var key: String
    public var value: String

    public init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}

/// A part of the journal of what the daemon measured of itself (`serving.prequential`).
public struct JournalPage: Sendable, Hashable {
    /// Number of the entry behind the last one here.
    public var next: UInt64
    /// Entries that are not kept any more: the first that is has this number.
    public var droppedCount: UInt64
    /// A word, then `name=value`; see docs/protocol.md.
    public var lines: [String]

    public init(next: UInt64, droppedCount: UInt64, lines: [String]) {
        self.next = next
        self.droppedCount = droppedCount
        self.lines = lines
    }
}

public protocol RecommendationService: Sendable {
    typealias Reply<Value> = @Sendable (Result<Value, PortError>) -> Void

    func recommend(_ request: RecommendRequest, reply: @escaping Reply<Recommendation>)
    /// The next page of a list: nothing that its pages showed; `refused` when the list is not kept (any more).
    func next(_ list: ListID, count: Int?, reply: @escaping Reply<Recommendation>)
    /// Items that go with an item, best first; `refused` when the item is unknown.
    func similar(_ request: SimilarRequest, reply: @escaping Reply<[RecommendedItem]>)
    func explain(_ request: ExplainRequest, reply: @escaping Reply<Explanation>)
    func user(_ user: UserID, reply: @escaping Reply<UserView?>)
    /// Nil for an unknown user; `refused` where no summaries are kept.
    func summary(of user: UserID, reply: @escaping Reply<SummaryView?>)
    func item(_ id: ItemID, reply: @escaping Reply<ItemView?>)

    /// Produces to the log; the reply comes when the broker has the record.
    func addEvent(
        _ interaction: ProducedInteraction, reply: @escaping Reply<LogPosition>)
    /// Produces a tombstone and replies when it has been applied and committed.
    func forget(_ user: UserID, reply: @escaping Reply<LogPosition>)
    func setItem(
        _ id: ItemID, json: [UInt8]?, reply: @escaping Reply<LogPosition>)

    /// A number that changes whenever lists of this user may have changed: a reply computed under an equal number is
    /// still right, within the configured staleness of global statistics. Callable on any thread, takes no lock.
    func version(of user: UserID) -> UInt64

    /// Entries after each cursor, at most `count` a user; a position of another epoch or older than what is kept
    /// yields one full, newest entry. Users whose feed has nothing newer are left out. Reading a feed keeps it
    /// watched for a while.
    func readFeeds(
        _ cursors: [FeedCursor], count: Int, reply: @escaping Reply<[FeedEntry]>)
    /// From now on `observer` hears of these users' feeds. Watches are counted per observer and user.
    func watch(_ users: [UserID], observer: any FeedObserver)
    func unwatch(_ users: [UserID], observer: any FeedObserver)
    /// From now on `observer` hears of every user (`true`), or no longer.
    func watchAll(_ on: Bool, observer: any FeedObserver)

    func digest(_ partition: PartitionIndex?, reply: @escaping Reply<DigestView>)
    /// Entries of the journal from a number on; `refused` when none is kept.
    func journal(from number: UInt64, count: Int, reply: @escaping Reply<JournalPage>)
    /// The service's own `INFO` sections; the socket server adds those of the server and its clients.
    func info(reply: @escaping Reply<[InfoSection]>)
}

extension RecommendationService {
    public func journal(from number: UInt64, count: Int, reply: @escaping Reply<JournalPage>) {
        reply(.failure(PortError(.refused, "no journal is kept")))
    }

    public func summary(of user: UserID, reply: @escaping Reply<SummaryView?>) {
        reply(.failure(PortError(.refused, "no summaries are kept")))
    }
}
