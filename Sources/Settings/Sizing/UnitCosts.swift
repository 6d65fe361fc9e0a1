// What one event, list, user, item or pair costs: every number that sizing rests on, with where it was measured.

/// One unit cost. The raw value is its name in `millrace plan --cost name=value`.
public enum UnitCost: String, Sendable, CaseIterable {
    case fold
    case foldPlain = "fold-plain"
    case peer
    case peerPlain = "peer-plain"
    case learn
    case fit
    case ownThreads = "own-threads"
    case peerThreads = "peer-threads"
    case listAuto = "list-auto"
    case listCF = "list-cf"
    case listLM = "list-lm"
    case listLMItem = "list-lm-item"
    case reply
    case redisUser = "redis-user"
    case redisEdits = "redis-edits"
    case redisLoad = "redis-load"
    case userKey = "user-key"
    case userBlob = "user-blob"
    case historyEntry = "history-entry"
    case eventID = "event-id"
    case summary
    case item
    case checkpointPair = "checkpoint-pair"
    case learntList = "learnt-list"
    case edits
    case record
    case process
    case cachedUser = "cached-user"
    case cachedEntry = "cached-entry"
    case pair
    case latestPair = "latest-pair"
    case cooccurrence
    case popularity
    case cataloguedItem = "catalogued-item"

    public struct Facts: Sendable {
        public var value: Double
        public var unit: String
        public var what: String
        public var source: String

        init(_ value: Double, _ unit: String, _ what: String, _ source: String) {
            self.value = value
            self.unit = unit
            self.what = what
            self.source = source
        }
    }

    public var facts: Facts {
        switch self {
        case .fold, .foldPlain, .peer, .peerPlain, .learn, .fit, .ownThreads, .peerThreads:
            eventFacts
        case .listAuto, .listCF, .listLM, .listLMItem, .reply: listFacts
        case .redisUser, .redisEdits, .redisLoad, .userKey, .userBlob, .historyEntry, .eventID,
            .summary,
            .item, .checkpointPair, .learntList, .edits, .record:
            storedFacts
        default: memoryFacts
        }
    }
}

extension UnitCost {
    private var eventFacts: Facts {
        switch self {
        case .fold:
            Facts(
                6.9, "us", "an event of an own partition on the engine's lane, not learnt from",
                "P1: 10.3 us of the lane, less a learnt list of 40")
        case .foldPlain:
            Facts(
                5.0, "us", "the same with mixture.enabled: false",
                "combiner.md: mixture.enabled: false")
        case .peer:
            Facts(
                3.5, "us", "an event of another instance on the engine's lane, not learnt from",
                "P12: 18.4 - 9.7 us, less a learnt list of 25")
        case .peerPlain:
            Facts(
                2.2, "us", "the same with mixture.enabled: false",
                "as much of fold-plain as peer is of fold, less latest pairs")
        case .learn:
            Facts(
                136, "us", "a list that is learnt from, on the engine's lane of every instance",
                "profile.md: 33 % of 10.3 us an event, one list of 40")
        case .fit:
            Facts(
                105, "us", "the same on the combiner's lane, fits shared out over lists",
                "P1: 2.6 us an event, one list of 40")
        case .ownThreads:
            Facts(
                3.3, "us", "an event of an own partition on all other threads",
                "P12: checkpoint, kafka-source, librdkafka, redis-writes, NIO")
        default:
            Facts(
                0.5, "us", "an event of another instance on all other threads",
                "P12: the same threads with two instances, less with one: -.2 and .5")
        }
    }

    private var listFacts: Facts {
        switch self {
        case .listAuto:
            Facts(
                230, "us", "a list of MODE auto on the engine's lane, not from the reply cache",
                "4 000 to 4 600 a second, MovieTweetings, no cache")
        case .listCF:
            Facts(36, "us", "the same, MODE cf", "P3: 27 778 a second, no cache")
        case .listLM:
            Facts(
                134, "us", "the same, MODE lm, over 10 506 items", "P4: 7 460 a second")
        case .listLMItem:
            Facts(
                0.03, "us", "each item beyond those in MODE lm",
                "P4's chart: .24 ms at 10 k items, 1.42 at 50 k")
        default:
            Facts(
                21, "us", "a list on the socket's event loop",
                "profile.md, P3: 36 % of samples beside 63 % of the engine")
        }
    }

    private var storedFacts: Facts {
        switch self {
        case .redisUser:
            Facts(
                1.4, "us", "a user written or read, on Redis' one thread",
                "P1: SET -P 64, 712 251 a second; in bulk a commit took 1.2 an event")
        case .redisEdits:
            Facts(
                0.1, "us", "an event's edits read by one other instance, on the same",
                "scaling.md: XRANGE took 0.055, and as much for sending")
        case .redisLoad:
            Facts(84, "MiB/s", "a starting Redis reading its file", "P10: 59 MiB in 0.70 s")
        case .userKey:
            Facts(64, "B", "a user in Redis beside the state", "P11: 113 - 49 B")
        case .userBlob:
            Facts(20, "B", "a user's state without history", "P11: 49 B with 2.8 entries")
        case .historyEntry:
            Facts(12, "B", "an item of a history in it", "state.md: 10 to 14, by its time")
        case .eventID:
            Facts(8, "B", "a remembered event id in it", "state.md")
        case .summary:
            Facts(471, "B", "a full summary in it", "summaries.md: mean of 50 users")
        case .item:
            Facts(196, "B", "an item in Redis", "P11, records of the simulated shop")
        case .checkpointPair:
            Facts(10, "B", "a pair of the rules in a checkpoint", "operations.md")
        case .learntList:
            Facts(8_192, "B", "a kept list of the combiner", "combiner.md: 5 to 8 KB")
        case .edits:
            Facts(
                41, "B", "the edits of an event that is not learnt from",
                "scaling.md; batches of 1 000 share item keys, smaller ones share fewer")
        default:
            Facts(
                96, "B", "an interaction in Kafka, one copy, not compressed",
                "P1: 86 B of key and value; 10 of Kafka's")
        }
    }

    private var memoryFacts: Facts {
        switch self {
        case .process:
            Facts(
                80 * 1_048_576, "B", "the daemon with nothing in it",
                "P11: 119 MiB at 100 000 users, less what stands below")
        case .cachedUser:
            Facts(
                400, "B", "a user in memory without history", "layout of the cache; not measured")
        case .cachedEntry:
            Facts(16, "B", "an item of a history in memory", "operations.md")
        case .pair:
            Facts(
                96, "B", "a pair of the rules, resident",
                "P11: 394 - 242 MiB for 1 656 016 pairs; tables alone 16 to 24")
        case .latestPair:
            Facts(12, "B", "a latest pair, up to 256 an item", "Sources/Teachers/RecentPairs.swift")
        case .cooccurrence:
            Facts(36, "B", "a directed pair of item-knn and ease", "operations.md: 16 to 36")
        case .popularity:
            Facts(160, "B", "an item and half-life of popularity", "operations.md")
        default:
            Facts(
                400, "B", "an item's record in memory", "twice what it is in Redis; not measured")
        }
    }
}

/// The costs that a plan is made with: those measured here, or an operator's own.
public struct UnitCosts: Sendable {
    /// Bounds of a cost that is given; 0 leaves its term out.
    public static let bounds = 0.0...1e12

    private var own: [UnitCost: Double] = [:]

    public init() {}

    public subscript(_ cost: UnitCost) -> Double { own[cost] ?? cost.facts.value }

    /// Takes `name=value`.
    public mutating func set(_ text: String) throws(SizingProblem) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, let cost = UnitCost(rawValue: String(name)) else {
            throw SizingProblem(
                "there is no unit cost '\(parts.first ?? "")': millrace plan --costs lists them")
        }
        guard parts.count == 2, let value = Double(String(parts[1])), Self.bounds.contains(value)
        else {
            throw SizingProblem(
                "unit cost '\(text)' is not \(name)=NUMBER, 0 to 1e12, in \(cost.facts.unit)")
        }
        guard cost != .redisLoad || value > 0 else {
            throw SizingProblem("unit cost '\(text)': at 0 MiB/s no Redis ever starts")
        }
        own[cost] = value
    }
}
