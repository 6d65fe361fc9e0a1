// What of a plan goes beyond a limit, and the key that moves it.

extension Sizing {
    func warnings(of whole: SizingLoad, _ unit: Units) -> [String] {
        engineWarnings(unit) + stateWarnings(of: whole, unit) + memoryWarnings(of: whole, unit)
    }

    private func engineWarnings(_ unit: Units) -> [String] {
        var warnings: [String] = []
        let shared = unit.load.eventsPerSecond * unit.shared
        if groups > 1 {
            warnings.append(
                """
                No number of instances up to \(Self.instancesMax) bears this in one group: part the users into \
                \(Self.short(Double(groups))) groups, each with topics, kafka.group and redis.prefix of \
                its own. They share no counts: each learns from its own users only.
                """)
        }
        if groups > 1 || shared > Self.plannedUse / 2,
            let interval = [0.25, 0.5, 0.8].lazy.compactMap({
                unit.quieterInterval($0 * Self.plannedUse)
            }).first,
            interval > unit.settings.mixture.learnInterval
        {
            var settings = unit.settings
            settings.mixture.learnInterval = interval
            let quieter = Units(unit.load, settings, unit.costs)
            let instances =
                quieter.instances(unit.load).map { "it is \($0) instances" }
                ?? "it is fewer groups"
            let perSecond = Self.short(unit.load.eventsPerSecond / Double(interval))
            warnings.append(
                """
                What every instance does for all events takes \
                \(Self.percent(shared / Self.plannedUse)) of its engine's planned time. With \
                mixture.learn-interval: \(interval), which still learns from \(perSecond) lists a \
                second, \(instances).
                """)
        }
        if feedRoundSeconds > unit.settings.feeds.refreshInterval.inSeconds {
            warnings.append(
                """
                Feeds of users who did nothing hear of what others changed every \
                \(Self.text(seconds: feedRoundSeconds)), not every feeds.refresh-interval. Those of \
                users who did something come first anyway.
                """)
        }
        let watched = load.feeds / Double(instances)
        if watched > Double(unit.settings.feeds.watchedMax) {
            warnings.append(
                """
                \(Self.short(watched)) feeds an instance, feeds.watched-max is \
                \(Self.short(Double(unit.settings.feeds.watchedMax))): further ones are refused. \
                Raise it.
                """)
        }
        return warnings
    }

    private func stateWarnings(of whole: SizingLoad, _ unit: Units) -> [String] {
        var warnings: [String] = []
        let settings = unit.settings
        if whole.history > Double(settings.engine.historyMax) {
            warnings.append(
                """
                Histories are cut at engine.history-max: \(settings.engine.historyMax); planned so.
                """)
        }
        if stateBytes > Double(settings.redis.usersBytesMax) {
            warnings.append(
                """
                States of users take \(Self.text(bytes: stateBytes)), redis.users-bytes-max is \
                \(Self.text(bytes: Double(settings.redis.usersBytesMax))): the longest idle are \
                forgotten. Raise it, or lower engine.history-max or redis.user-ttl.
                """)
        }
        if redisLoadSeconds > Self.redisLoadSecondsMax {
            warnings.append(
                """
                One Redis server holds all of a group (a cluster is refused), and reads \
                \(Self.text(bytes: redisMemory.total)) for \(Self.text(seconds: redisLoadSeconds)) \
                when it starts. \(Self.short((redisLoadSeconds / Self.redisLoadSecondsMax).rounded(.up))) \
                groups of users would be back in 10 minutes; a replica takes over sooner.
                """)
        }
        if redisThread.total > Self.plannedUse {
            warnings.append(
                """
                Redis' one thread is busy \(Self.percent(redisThread.total)) of the time: more users in \
                memory (engine.users-cached-max), or more groups of users.
                """)
        }
        return warnings
    }

    private func memoryWarnings(of whole: SizingLoad, _ unit: Units) -> [String] {
        var warnings: [String] = []
        let settings = unit.settings
        let pairsMax = Double(settings.rules.pairsMax)
        if pairsPossible > pairsMax {
            let more = min(pairsPossible, 2e9) * unit.costs[.pair]
            warnings.append(
                """
                Up to \(Self.short(pairsPossible)) pairs of items, were items chosen at random; \
                rules.pairs-max is \(Self.short(pairsMax)), further pairs are not counted. Watch \
                rule_pairs_refused; room for \(pairsPossible > 2e9 ? "2 G, the most there is," : "all") \
                is \(Self.text(bytes: more)) an instance.
                """)
        }
        if whole.items > Double(settings.catalogue.itemsMax) {
            warnings.append(
                """
                catalogue.items-max is \(Self.short(Double(settings.catalogue.itemsMax))): further \
                items are refused. Raise it.
                """)
        }
        if cachedShare < 1 {
            warnings.append(
                """
                \(Self.percent(cachedShare)) of the users fit into memory \
                (engine.users-cached-max: \(settings.engine.usersCachedMax), each instance); the \
                others are read from Redis when they come.
                """)
        }
        if !settings.teachers.enabled.isEmpty {
            warnings.append(
                """
                Solves of the teachers enabled, and their models, are not in the plan: \
                docs/teachers.md.
                """)
        }
        return warnings
    }
}

extension Sizing.Units {
    /// The smallest power-of-two multiple of `mixture.learn-interval` with which what every instance does for all
    /// events takes `use` of its engine; nil when none does, or nothing is learnt anyway.
    func quieterInterval(_ use: Double) -> Int? {
        guard settings.mixture.enabled else { return nil }
        let left = use - load.eventsPerSecond * peer
        var interval = settings.mixture.learnInterval
        while interval <= Sizing.learnIntervalMax {
            let learning = load.eventsPerSecond * costs[.learn] / Double(interval) / 1e6
            if learning <= left { return interval }
            interval *= 2
        }
        return nil
    }
}
