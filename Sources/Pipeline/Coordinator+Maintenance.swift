// What happens by the clock: checkpoints, peers' statistics, retries, sweeping of idle users, feed rounds.

import Combiner
import DequeModule
import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    /// Called several times a second.
    public func tick() {
        tickedAt = now
        if !retries.isEmpty, now - retriedAt >= configuration.retryIntervalMilliseconds {
            retriedAt = now
            for action in retries { act(action) }
            retries = []
        }
        guard phase == .running else { return }
        tendSoon()
        retryLoads()
        reclaimFenced()
        if engine.encodeItems(atMost: Self.itemsEncodedATick) { versions.raiseAll() }
        tendTrie()
        pollPeers()
        startCheckpointIfDue()
        startSweepIfDue()
        tendModels()
        shelf.clear(now: now)
        tendSummaries()
        tellPulse()
        observeGauges()
    }

    /// What cannot wait for a tick: answers whose time is up, feeds, their topic. Every few milliseconds; ticks when
    /// one is due.
    public func pulse() {
        if now - Self.tickMilliseconds >= tickedAt { return tick() }
        if phase == .running { tendSoon() }
    }

    private static let tickMilliseconds: Milliseconds = 50

    private func tendSoon() {
        tendWaiting()
        tendRankings()
        makeFeeds(withRound: true)
        produceFeeds()
    }

    /// A few milliseconds of work: ingest does not wait for a big catalogue.
    private static let itemsEncodedATick = 64

    /// What the status page and the metrics show of the state.
    private func observeGauges() {
        guard now - gaugedAt >= 1_000 else { return }
        gaugedAt = now
        let users = owned.values.reduce(0) { $0 + $1.userCount }
        let bytes = owned.values.reduce(0) { $0 + $1.userBytes }
        let gauges: [(String, Double)] = [
            ("users", Double(users)), ("user_bytes", Double(bytes)),
            ("users_cached", Double(cache.count)), ("items", Double(engine.statistics.items.count)),
            ("items_listed", Double(engine.catalogue.count)),
            ("item_bytes", Double(engine.catalogue.bytes)),
            ("rule_pairs", Double(engine.statistics.transitions.pairCount)),
            ("rule_pairs_refused", Double(engine.statistics.transitions.refusedCount)),
            ("feeds_watched", Double(feeds.feeds.count)),
            ("feeds_in_line", Double(feeds.inLineCount)),
            ("edits_not_checkpointed_bytes", Double(uncheckpointedBytes)),
        ]
        for (name, value) in gauges + modelGauges + mixtureGauges {
            act(.observe(.gauge(name, value)))
        }
        for (name, value) in engine.modelCounters { act(.observe(.gauge(name, Double(value)))) }
        for (name, value) in summaryNumbers + rankingNumbers + listNumbers + ladderNumbers
            + feedTopicNumbers
        {
            act(.observe(.gauge(name, Double(value))))
        }
    }

    private func retryLoads() {
        let due = failedLoads.filter {
            now - $0.at >= configuration.retryIntervalMilliseconds
        }
        guard !due.isEmpty else { return }
        failedLoads.removeAll { now - $0.at >= configuration.retryIntervalMilliseconds }
        for load in due { act(.load(load.partition, load.users, ticket(of: load.partition))) }
    }

    private func pollPeers() {
        guard owned.count < Int(partitionCount), !isPollingPeers, engine.listsBeforeFitDue == nil,
            now - peersPolledAt >= configuration.peerIntervalMilliseconds
        else { return }
        var after: [PartitionIndex: Int64] = [:]
        // What must be folded again from histories cannot be had from deltas.
        for partition in 0..<partitionCount
        where owned[partition] == nil && !refolding.contains(partition) {
            after[partition] = applied[partition] ?? 0
        }
        guard !after.isEmpty else { return }
        isPollingPeers = true
        peersPolledAt = now
        act(.readDeltas(.peers, after: after, generation))
    }

    // MARK: - Checkpoints

    /// One instance checkpoints for all: the one that owns partition 0.
    private func startCheckpointIfDue() {
        guard !isCheckpointing, !wantsSnapshot, uncheckpointedBytes > 0, refolding.isEmpty,
            owned[0]?.phase == .active,
            uncheckpointedBytes >= configuration.checkpointEditBytes
                || now - checkpointedAt >= configuration.checkpointIntervalMilliseconds
                || isLearntLongAgo
        else { return }
        checkpointedAt = now
        wantsSnapshot = true
        takeSnapshotIfQuiet()
    }

    /// Lists that a restart would make and learn from again, ten a millisecond. Where they come quickly, the
    /// making of checkpoints takes a fifth of the time at most.
    private var isLearntLongAgo: Bool {
        learntCount >= checkpointedLearntCount + UInt64(configuration.listsLearntAgainMax)
            && now - checkpointedAt >= 5 * checkpointMilliseconds
    }

    var learntCount: UInt64 { engine.combiner?.scoredCount ?? 0 }

    /// A checkpoint may hold only what is durable: folding pauses until the commits under way are through (about a
    /// millisecond), the statistics are copied (a value: cheap), and folding goes on.
    func takeSnapshotIfQuiet() {
        guard wantsSnapshot, !hasFlights else { return }
        wantsSnapshot = false
        isCheckpointing = true
        uncheckpointedBytes = 0
        checkpointedLearntCount = learntCount
        act(
            .saveCheckpoint(
                engine.snapshot, sequences: applied, incarnation: storeHealth.incarnation))
        for partition in owned.keys { foldReady(partition) }
    }

    public func checkpointSaved(_ result: Result<Int, PortError>, seconds: Double) {
        isCheckpointing = false
        checkpointMilliseconds = now - checkpointedAt
        switch result {
        case .success(let bytes):
            act(.observe(.checkpointSaved(bytes: bytes, seconds: seconds)))
        case .failure(let error):
            uncheckpointedBytes += 1
            note(.warning, "the checkpoint was not saved: \(error.reason)")
        }
    }

    // MARK: - Idle users

    /// A page of each partition now and then while users may be idle; page after page above the bound on bytes.
    private func startSweepIfDue() {
        let isAbove = isAboveBytesMax
        let isDue = now - sweptAt >= Self.sweepIntervalMilliseconds
        guard isAbove || configuration.userIdleSecondsMax > 0 && isDue else { return }
        sweptAt = now
        for (partition, entry) in owned
        where entry.phase == .active && !entry.isSweeping && entry.pending.isEmpty {
            owned[partition]?.isSweeping = true
            act(.scan(partition, cursor: entry.sweepCursor, entry.ticket))
        }
    }

    private static let sweepIntervalMilliseconds: Milliseconds = 1_000

    private var isAboveBytesMax: Bool {
        let total = owned.values.reduce(0) { $0 + $1.userBytes }
        return configuration.userBytesMax > 0 && total > configuration.userBytesMax
    }

    func sweep(
        _ partition: PartitionIndex, _ result: Result<UserPage, PortError>
    ) {
        owned[partition]?.isSweeping = false
        guard case .success(let page) = result, owned[partition]?.phase == .active else { return }
        owned[partition]?.sweepCursor = page.nextCursor ?? 0
        noteScanned(page, of: partition)
        var times: [(user: UserID, seconds: UInt32)] = []
        for row in page.users {
            guard let state = try? UserState(decoding: row.blob) else { continue }
            times.append((user: row.user, seconds: state.history.last?.seconds ?? 0))
        }
        guard let before = cutoff(times.map(\.seconds)) else { return }
        let idle = times.filter { $0.seconds < before }
        guard !idle.isEmpty else { return }
        enqueue(
            idle.map { Pending.Entry.expire($0.user, before: before) }, nextOffset: nil,
            recordCount: 0, newestTime: 0, partition: partition)
        act(.observe(.usersEvicted(count: idle.count, from: "store")))
        foldReady(partition)
    }

    /// The time before which a user of the scanned page counts as idle. Event time, not the wall clock: a log
    /// replayed later is swept alike. Above the bound on bytes, the older half of each page goes.
    private func cutoff(_ seconds: [UInt32]) -> UInt32? {
        var cutoff: UInt32 = 0
        if configuration.userIdleSecondsMax > 0 {
            let newest = engine.statistics.popularity.newest ?? 0
            let clock = (newest + 1) * engine.statistics.popularity.halfLife
            cutoff = UInt32(clamping: clock - configuration.userIdleSecondsMax)
        }
        if isAboveBytesMax, seconds.count > 1 {
            cutoff = max(cutoff, seconds.sorted()[seconds.count / 2])
        }
        return cutoff > 0 ? cutoff : nil
    }

    // MARK: - Stopping

    /// Takes no more work; true when nothing is under way.
    public func beginStopping() {
        phase = .stopping
        giveUpModelWork()
        for partition in owned.keys { dropPending(partition) }
        failWaiters()
    }

    public var isSettled: Bool { !hasFlights }

    public func storeHealthChanged(_ health: StoreHealth) {
        let before = storeHealth.incarnation
        storeHealth = health
        // Another life of the store: what we hold may be ahead of it, or beside it.
        if !before.isEmpty, !health.incarnation.isEmpty, before != health.incarnation { restart() }
        act(.observe(.storeTrouble(health.writeTrouble ?? health.readTrouble)))
    }

    public func infoSections() -> [InfoSection] {
        let statistics = engine.statistics
        let partitions = owned.keys.sorted().map { partition in
            InfoLine(
                "partition_\(partition)",
                "offset=\(owned[partition]?.nextOffset ?? 0),committed=\(owned[partition]?.committedOffset ?? 0),"
                    + "users=\(owned[partition]?.userCount ?? 0),bytes=\(owned[partition]?.userBytes ?? 0),"
                    + "epoch=\(owned[partition]?.epoch ?? 0),in_flight=\(owned[partition]?.flights.count ?? 0)"
            )
        }
        return [
            InfoSection(
                title: "Stream",
                lines: [
                    InfoLine("state", isReady ? "ready" : "recovering"),
                    InfoLine("events_applied", "\(eventCount)"),
                    InfoLine("events_duplicate", "\(duplicateCount)"),
                    InfoLine("commits", "\(commitCount)"),
                    InfoLine("users_forgotten", "\(forgottenCount)"),
                    InfoLine("users_expired", "\(expiredCount)"),
                    InfoLine("partitions_total", "\(partitionCount)"),
                    InfoLine("partitions_owned", "\(owned.count)"),
                ] + partitions),
            InfoSection(
                title: "State",
                lines: [
                    InfoLine("store_write_trouble", storeHealth.writeTrouble ?? "none"),
                    InfoLine("store_read_trouble", storeHealth.readTrouble ?? "none"),
                    InfoLine("users_cached", "\(cache.count)"),
                    InfoLine("users_cached_max", "\(cache.capacity)"),
                    InfoLine("users_evicted_from_cache", "\(cache.evictedCount)"),
                    InfoLine("items", "\(engine.catalogue.count)"),
                    InfoLine("items_counted", "\(statistics.items.count)"),
                    InfoLine("item_bytes", "\(engine.catalogue.bytes)"),
                    InfoLine("rule_pairs", "\(statistics.transitions.pairCount)"),
                    InfoLine("rule_pairs_refused", "\(statistics.transitions.refusedCount)"),
                    InfoLine("uncheckpointed_bytes", "\(uncheckpointedBytes)"),
                ]),
            feedSection, ladderSection,
            listSection,
        ] + modelSection + modelInfo + mixtureInfo + summarySection
            + (configuration.prequential ? [meter.info] : [])
    }
}
