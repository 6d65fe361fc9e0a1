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

    /// The largest part; nil of nothing.
    public var dominating: Part? { parts.max { $0.value < $1.value } }
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
    public static let plannedUse = 0.6
    /// More are not planned in one group: each would count for all the others.
    public static let instancesMax = 1_000
    /// Partitions an instance, at least, so that instances can be added and lost.
    public static let partitionsPerInstance = 2
    /// A Redis that takes longer to read its file is too large.
    public static let redisLoadSecondsMax = 600.0
    /// Of the engine's lane, what going round all feeds may take: 2 ms of every 10.
    static let feedRoundUse = 0.2
    /// The bound of `mixture.learn-interval`.
    static let learnIntervalMax = 1_000_000
    /// Edits in Redis while a checkpoint is written, and versions of a checkpoint meanwhile.
    private static let versionsMeanwhile = 2.0
    /// Positions within which two items are a pair of the rules.
    static let ruleReach = 10.0
    /// Latest pairs kept an item.
    static let latestPairsMax = 256.0
    /// Half-lives that are counted where sources are combined.
    private static let mixtureHalfLives = 5
    /// A template closes no summary before.
    private static let eventsBeforeSummary = 20.0
    /// The catalogue that a list of the model was measured on.
    private static let modelItems = 10_506.0

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
    public private(set) var room: [SizingRoom]
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
        ])
        pairsPossible = unit.pairsPossible(part)
        redisMemory = unit.redisMemory(part)
        daemonMemory = unit.daemonMemory(part)
        stateBytes = part.users * unit.blob(part)
        redisIn = SizingSum([
            "states of users": part.eventsPerSecond * unit.blob(part),
            "edits": part.eventsPerSecond * unit.edits(part),
            "checkpoints": unit.checkpoint(part)
                / max(1, settings.redis.checkpointInterval.inSeconds),
        ])
        redisOut = SizingSum([
            "edits, to the other instances": part.eventsPerSecond * unit.edits(part) * (count - 1),
            "states of users": (missed + foreign) * unit.blob(part),
        ])
        kafkaPerDay = part.eventsPerSecond * costs[.record] * 86_400
        redisLoadSeconds = redisMemory.total / (costs[.redisLoad] * 1_048_576)
        eventsPerSecondMax = Self.rate(unit.shared)
        eventsPerSecondAlone = Self.rate(unit.fold + unit.learn)
        room = [
            SizingRoom(
                name: "every instance counts and learns from all events",
                factor: Self.plannedUse / (unit.shared * part.eventsPerSecond)),
            SizingRoom(name: "Redis' thread", factor: Self.plannedUse / redisThread.total),
            SizingRoom(
                name: "Redis reads its file within 10 minutes",
                factor: Self.redisLoadSecondsMax / redisLoadSeconds),
        ].filter(\.factor.isFinite).sorted { $0.factor < $1.factor }
        warnings = warnings(of: whole, unit)
        if let there = partitionsThere, there < instances {
            warnings.append(
                """
                With \(there) partitions \(instances - there) of the instances would have nothing to do: add \
                partitions, then millrace repartition.
                """)
        }
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

extension Sizing {
    /// Costs with the settings applied; times in seconds.
    struct Units {
        let load: SizingLoad
        let settings: MillraceSettings
        let costs: UnitCosts
        /// An own event, one of another instance, and what every event adds for learning.
        let fold: Double
        let peer: Double
        let learn: Double
        let fit: Double
        let list: Double
        let feed: Double

        init(_ load: SizingLoad, _ settings: MillraceSettings, _ costs: UnitCosts) {
            (self.load, self.settings, self.costs) = (load, settings, costs)
            let mixes = settings.mixture.enabled
            let interval = Double(settings.mixture.learnInterval)
            fold = costs[mixes ? .fold : .foldPlain] / 1e6
            peer = costs[mixes ? .peer : .peerPlain] / 1e6
            learn = mixes ? costs[.learn] / interval / 1e6 : 0
            fit = mixes ? costs[.fit] / interval / 1e6 : 0
            let beyond = max(0, load.items - Sizing.modelItems)
            let auto = costs[mixes ? .listAuto : .listCF]
            let lists: [SizingLoad.Mode: Double] = [
                .auto: auto, .cf: costs[.listCF],
                .lm: costs[.listLM] + beyond * costs[.listLMItem],
            ]
            list = (lists[load.mode] ?? auto) / 1e6
            feed = auto / 1e6
        }

        /// What an event costs every instance, whosever it is.
        var shared: Double { peer + learn }

        func changedFeeds(_ load: SizingLoad) -> Double {
            load.feeds * load.eventsPerSecond / load.users
        }

        /// Work that is shared out over instances, beyond what each has of every event.
        private func divisible(_ load: SizingLoad) -> Double {
            load.eventsPerSecond * max(0, fold - peer) + load.listsPerSecond * list
                + changedFeeds(load) * feed
        }

        /// The fewest that keep the engine's lane within its planned use; nil when no number does.
        func instances(_ load: SizingLoad) -> Int? {
            let left = Sizing.plannedUse - load.eventsPerSecond * shared
            guard left > 0 else { return nil }
            let count = max(1, (divisible(load) / left - 1e-9).rounded(.up))
            return count <= Double(Sizing.instancesMax) ? Int(count) : nil
        }

        /// Groups of users such that what cannot be shared out takes half of what is planned, where one will not do.
        var groups: Int {
            if instances(load) != nil { return 1 }
            let half = Sizing.plannedUse / 2
            let byRate = load.eventsPerSecond * shared / half
            let byWork = divisible(load) / half / Double(Sizing.instancesMax)
            return Int(min(max(byRate, byWork).rounded(.up), 1e15))
        }
    }
}

extension Sizing.Units {
    private func summary(_ load: SizingLoad) -> Double {
        guard settings.summaries.summariser != .none else { return 0 }
        return load.history >= Sizing.eventsBeforeSummary ? costs[.summary] : load.history
    }

    private func eventIDs(_ load: SizingLoad) -> Double {
        min(load.history, Double(settings.engine.eventIDsMax)) * costs[.eventID]
    }

    /// A user's stored state.
    func blob(_ load: SizingLoad) -> Double {
        costs[.userBlob] + load.history * costs[.historyEntry] + eventIDs(load) + summary(load)
    }

    /// An event's edits, with its share of a learnt list: 9 bytes an item of the history.
    func edits(_ load: SizingLoad) -> Double {
        guard settings.mixture.enabled else { return costs[.edits] }
        return costs[.edits]
            + 9 * min(load.history, 1_024) / Double(settings.mixture.learnInterval)
    }

    func pairsPossible(_ load: SizingLoad) -> Double {
        let (length, reach) = (load.history, Sizing.ruleReach)
        let perUser =
            length < reach
            ? max(0, length * (length - 1) / 2) : reach * length - reach * (reach + 1) / 2
        return min(load.users * perUser, load.items * load.items)
    }

    private func pairs(_ load: SizingLoad) -> Double {
        min(pairsPossible(load), Double(settings.rules.pairsMax))
    }

    private var lists: Double {
        settings.mixture.enabled ? Double(settings.mixture.listsMax) * costs[.learntList] : 0
    }

    func checkpoint(_ load: SizingLoad) -> Double {
        pairs(load) * costs[.checkpointPair] + lists
    }

    func redisMemory(_ load: SizingLoad) -> SizingSum {
        SizingSum([
            "users: histories":
                load.users * (costs[.userBlob] + load.history * costs[.historyEntry]),
            "users: event ids": load.users * eventIDs(load),
            "users: summaries": load.users * summary(load),
            "users: Redis' own": load.users * costs[.userKey],
            "items": load.items * costs[.item],
            "checkpoint, twice while it is replaced":
                Sizing.versionsMeanwhile * checkpoint(load),
            "edits not in a checkpoint":
                Sizing.versionsMeanwhile * Double(settings.redis.checkpointEditBytesMax),
        ])
    }

    func daemonMemory(_ load: SizingLoad) -> SizingSum {
        let mixes = settings.mixture.enabled
        let given = settings.popularity.halfLives.count
        let halfLives = Double(mixes ? max(given, Sizing.mixtureHalfLives) : given)
        let latest = min(load.items * Sizing.latestPairsMax, 2 * pairsPossible(load))
        let cached = min(load.users, Double(settings.engine.usersCachedMax))
        let together = settings.teachers.enabled.contains {
            $0.hasPrefix("item-knn") || $0.hasPrefix("ease")
        }
        let bound = Double(settings.rules.pairsMax)
        let model = settings.model.folder == nil ? 0 : Double(settings.model.memoryBytesMax)
        return SizingSum([
            "the process": costs[.process],
            "users in memory":
                cached
                * (costs[.cachedUser] + load.history * costs[.cachedEntry] + eventIDs(load)
                    + summary(load)),
            "pairs of the rules": pairs(load) * costs[.pair],
            "latest pairs": mixes ? min(latest, bound) * costs[.latestPair] : 0,
            "co-occurrence":
                together ? min(load.items * load.items, bound) * costs[.cooccurrence] : 0,
            "popularity": load.items * halfLives * costs[.popularity],
            "catalogue": load.items * costs[.cataloguedItem],
            "lists that are learnt from": lists,
            "model, at most": model,
        ])
    }
}
