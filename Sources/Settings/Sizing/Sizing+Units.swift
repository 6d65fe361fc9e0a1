// What a load costs, term by term: unit costs with the settings applied.

extension Sizing {
    /// Costs with the settings applied; times in seconds.
    struct Units {
        /// Edits in Redis while a checkpoint is written, and versions of a checkpoint meanwhile.
        private static let versionsMeanwhile = 2.0
        /// Half-lives that are counted where sources are combined.
        private static let mixtureHalfLives = 5
        /// A template closes no summary before.
        private static let eventsBeforeSummary = 20.0
        /// The catalogue that a list of the model was measured on.
        private static let modelItems = 10_506.0

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
            let beyond = max(0, load.items - Self.modelItems)
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
        return load.history >= Self.eventsBeforeSummary ? costs[.summary] : load.history
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

    func redisIn(_ load: SizingLoad) -> SizingSum {
        SizingSum([
            "states of users": load.eventsPerSecond * blob(load),
            "edits": load.eventsPerSecond * edits(load),
            "checkpoints": checkpoint(load) / max(1, settings.redis.checkpointInterval.inSeconds),
        ])
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
                Self.versionsMeanwhile * checkpoint(load),
            "edits not in a checkpoint":
                Self.versionsMeanwhile * Double(settings.redis.checkpointEditBytesMax),
        ])
    }

    func daemonMemory(_ load: SizingLoad) -> SizingSum {
        let mixes = settings.mixture.enabled
        let given = settings.popularity.halfLives.count
        let halfLives = Double(mixes ? max(given, Self.mixtureHalfLives) : given)
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
