// How many instances a load takes, and how much memory: arithmetic over unit costs, nothing else.
//
// Engines fold on one thread each. Instances share out partitions, so folding and lists shrink with their number; but
// every instance counts the events of all partitions and learns from the same lists, and that does not. So there is a
// rate that no number of instances reaches; beyond it users have to be parted into groups that share nothing.

/// A quantity with the parts it is the sum of.
public struct SizingSum: Sendable, Hashable, Encodable {
    public struct Part: Sendable, Hashable, Encodable {
        public var name: String
        public var value: Double
    }

    public private(set) var parts: [Part]
    public private(set) var total: Double

    init(_ parts: KeyValuePairs<String, Double>) {
        self.parts = parts.filter { $0.value > 0 }.map { Part(name: $0.key, value: $0.value) }
        total = self.parts.reduce(0) { $0 + $1.value }
    }
}

/// How far the load can grow before something gives out.
public struct SizingRoom: Sendable, Hashable, Encodable {
    /// What gives out.
    public var name: String
    /// Times the load; below 1 it has given out already.
    public var factor: Double
}

/// The plan for a load: of one group of instances, of which there are `groups`.
public struct Sizing: Sendable, Encodable {
    /// Of a thread that must keep up: the rest is for bursts, rebalances and what was not measured.
    static let plannedUse = 0.6
    /// More are not planned in one group: each would count for all the others.
    static let instancesMax = 1_000
    /// Partitions an instance, at least, so that instances can be added and lost.
    static let partitionsPerInstance = 2
    /// A Redis that takes longer to read its file is too large.
    static let redisLoadSecondsMax = 600.0
    /// Of the engine's lane, what going round all feeds may take: 2 ms of every 10.
    static let feedRoundUse = 0.2
    /// The bound of `mixture.learn-interval`.
    static let learnIntervalMax = 1_000_000
    /// Positions within which two items are a pair of the rules.
    static let ruleReach = 10.0
    /// Latest pairs kept an item.
    static let latestPairsMax = 256.0

    /// What each group bears.
    public private(set) var load: SizingLoad
    /// Parts of the users that have topics, `kafka.group` and `redis.prefix` of their own: 1, unless no number of
    /// instances would do.
    public private(set) var groups: Int
    public private(set) var instances: Int
    /// Processor cores for each.
    public private(set) var coresPerInstance: Int
    public private(set) var partitions: Int
    /// Seconds a second of the thread that limits an instance.
    public private(set) var engineLane: SizingSum
    /// Seconds a second of all threads of an instance.
    public private(set) var processor: SizingSum
    /// Seconds a second of Redis' thread.
    public private(set) var redisThread: SizingSum
    /// Bytes.
    public private(set) var redisMemory: SizingSum
    /// Bytes of an instance.
    public private(set) var daemonMemory: SizingSum
    /// Bytes a second into Redis and out of it.
    public private(set) var redisIn: SizingSum
    public private(set) var redisOut: SizingSum
    /// Bytes of interactions a day at this rate, one copy.
    public private(set) var kafkaPerDay: Double
    /// After a restart.
    public private(set) var redisLoadSeconds: Double
    /// Of the users, those who fit into the memory of all instances.
    public private(set) var cachedShare: Double
    /// Bytes of users' states alone, which `redis.users-bytes-max` bounds.
    public private(set) var stateBytes: Double
    /// Distinct pairs of items, were items chosen at random: skewed logs have fewer.
    public private(set) var pairsPossible: Double
    /// From one list of a watched user who did nothing to the next, for what others changed: not planned for, done in
    /// the lane's free time.
    public private(set) var feedRoundSeconds: Double
    /// Events a second that a group of any size bears, and one instance without lists; nil: without limit.
    public private(set) var eventsPerSecondMax: Double?
    public private(set) var eventsPerSecondAlone: Double?
    /// What gives out first stands first.
    public private(set) var room: [SizingRoom] = []
    public internal(set) var warnings: [String] = []

    public init(
        _ whole: SizingLoad, _ settings: MillraceSettings, _ costs: UnitCosts = UnitCosts(),
        partitionsThere: Int? = nil
    ) {
        let unit = Units(whole.cut(to: settings.engine.historyMax), settings, costs)
        groups = unit.groups
        let part = unit.load.shared(by: Double(groups))
        load = part
        instances = unit.instances(part) ?? Self.instancesMax
        partitions = Self.partitions(for: instances)
        let count = Double(instances)
        let own = part.eventsPerSecond / count
        let others = part.eventsPerSecond - own
        engineLane = SizingSum([
            "folding its own events": own * unit.fold,
            "counting the others' events": others * unit.peer,
            "learning from all events": part.eventsPerSecond * unit.learn,
            "lists": part.listsPerSecond * unit.list / count,
            "feeds of users who did something": unit.changedFeeds(part) * unit.feed / count,
        ])
        let lists = part.listsPerSecond + unit.changedFeeds(part)
        let interval = max(0.001, settings.feeds.refreshInterval.inSeconds)
        let round = part.feeds / count * unit.feed
        feedRoundSeconds = max(interval, round / Self.feedRoundUse)
        processor = SizingSum([
            "engine": engineLane.total,
            "engine, going round all feeds": round / feedRoundSeconds,
            "combiner": part.eventsPerSecond * unit.fit,
            "socket": lists / count * costs[.reply] / 1e6,
            "all others":
                (own * costs[.ownThreads] + others * costs[.peerThreads]) / 1e6,
        ])
        coresPerInstance = max(2, Int((processor.total / Self.plannedUse).rounded(.up)))
        cachedShare = min(1, Double(settings.engine.usersCachedMax) * count / part.users)
        let missed = part.eventsPerSecond * (1 - cachedShare)
        let foreign = part.listsPerSecond * (1 - 1 / count)
        redisThread = SizingSum([
            "users written": part.eventsPerSecond * costs[.redisUser] / 1e6,
            "users read for events": missed * costs[.redisUser] / 1e6,
            "users of other instances read for lists": foreign * costs[.redisUser] / 1e6,
            "edits read by the other instances":
                part.eventsPerSecond * (count - 1) * costs[.redisEdits] / 1e6,
        ])
        pairsPossible = unit.pairsPossible(part)
        redisMemory = unit.redisMemory(part)
        daemonMemory = unit.daemonMemory(part)
        stateBytes = part.users * unit.blob(part)
        redisIn = unit.redisIn(part)
        redisOut = SizingSum([
            "edits, to the other instances": part.eventsPerSecond * unit.edits(part) * (count - 1),
            "states of users": (missed + foreign) * unit.blob(part),
        ])
        kafkaPerDay = part.eventsPerSecond * costs[.record] * 86_400
        redisLoadSeconds = redisMemory.total / (costs[.redisLoad] * 1_048_576)
        eventsPerSecondMax = Self.rate(unit.shared)
        eventsPerSecondAlone = Self.rate(unit.fold + unit.learn)
        room = roomLeft(unit.shared)
        warnings = warnings(of: whole, unit)
        if let there = partitionsThere, there < instances {
            warnings.append(
                """
                With \(there) partitions \(instances - there) of the instances would have nothing to do: add \
                partitions, then millrace repartition.
                """)
        }
    }

    private func roomLeft(_ shared: Double) -> [SizingRoom] {
        [
            SizingRoom(
                name: "every instance counts and learns from all events",
                factor: Self.plannedUse / (shared * load.eventsPerSecond)),
            SizingRoom(name: "Redis' thread", factor: Self.plannedUse / redisThread.total),
            SizingRoom(
                name: "Redis reads its file within 10 minutes",
                factor: Self.redisLoadSecondsMax / redisLoadSeconds),
        ].filter(\.factor.isFinite).sorted { $0.factor < $1.factor }
    }

    /// How often a second a planned thread does what takes so long.
    private static func rate(_ seconds: Double) -> Double? {
        seconds > 0 ? plannedUse / seconds : nil
    }

    /// A power of two: it can be doubled for long without every user moving twice.
    static func partitions(for instances: Int) -> Int {
        var count = 4
        while count < instances * partitionsPerInstance { count *= 2 }
        return count
    }
}
