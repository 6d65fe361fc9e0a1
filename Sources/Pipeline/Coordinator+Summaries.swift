// Summaries as state of the stream: blocks close in the fold, and what holds them is written by the same commits.
//
// The template folds a block where it closes: a few microseconds, nothing to wait for. A writer (a language model) is
// asked beside the event path; its answer comes back as an entry in the partition's line, like an event, and is taken
// if it still is of the block that comes next. What waits is in the user's stored open block and nowhere else, so a
// restart goes on where it was; the desk only remembers whom to ask about.

import DequeModule
public import Interactions
public import Ports
import Recommender
public import Summaries
import Teachers

extension Coordinator {
    // MARK: - In the fold

    /// An event was applied to the user.
    func noteForSummary(_ event: Interaction, _ slot: UserCache.Slot) {
        guard let summary = configuration.summaries else { return }
        let entry = HistoryEntry(
            item: event.item.key, seconds: cache[slot].state.history.last?.seconds ?? 0,
            type: event.type)
        switch summary.maker {
        case .template(let template):
            let closed = template.note(entry, in: &cache[slot].state, rules: summary.blocks) {
                templateEvent($0)
            }
            summaries.counts.blocks += UInt64(closed)
        case .writer(let writer):
            guard summary.blocks.note(entry, in: &cache[slot].state) else { return }
            let lost = summary.blocks.dropIfFull(&cache[slot].state, version: writer.version)
            summaries.counts.eventsLost += UInt64(lost)
            queueSummary(of: cache[slot].user)
        }
    }

    private func templateEvent(_ entry: HistoryEntry) -> TemplateSummariser.Event {
        TemplateSummariser.Event(
            traits: traits(of: entry.item),
            weight: configuration.engine.history.types.weight(of: entry.type))
    }

    private func traits(of item: ItemKey) -> ItemTraits? {
        if let known = summaries.traits[item] { return known }
        guard let entry = engine.catalogue[item] else { return nil }
        let traits = Self.traits(entry)
        if summaries.traits.count >= SummaryDesk.traitsMax { summaries.traits = [:] }
        summaries.traits[item] = traits
        return traits
    }

    private static func traits(_ item: CatalogueEntry) -> ItemTraits {
        ItemTraits(
            title: item.title, brand: item.brand, categories: item.categories, price: item.price)
    }

    /// Takes a writer's answer in; false when it comes too late or for somebody else.
    func foldSummary(_ written: WrittenSummary, _ slot: UserCache.Slot) -> Bool {
        guard let summary = configuration.summaries else { return false }
        let outcome = summary.blocks.apply(
            body: written.body, block: written.due.number, count: written.due.count,
            fingerprint: written.due.fingerprint, regained: written.regained,
            version: written.version, to: &cache[slot].state)
        if summary.blocks.isDue(cache[slot].state) { queueSummary(of: cache[slot].user) }
        switch outcome {
        case .applied: summaries.counts.blocks += UInt64(written.due.count)
        case .stale: summaries.counts.stale += 1
        }
        return outcome == .applied
    }

    // MARK: - Asking a writer

    private func queueSummary(of user: UserID) {
        guard let summary = configuration.summaries else { return }
        _ = summaries.add(user, isWatched: feeds.isWatched(user), queueMax: summary.queueMax)
    }

    /// A user has come from the store: blocks may have been waiting since before a restart.
    func noteLoaded(_ state: UserState, _ user: UserID) {
        guard let summary = configuration.summaries, case .writer = summary.maker,
            summary.blocks.isDue(state), isOwned(partition(of: user))
        else { return }
        queueSummary(of: user)
    }

    /// What is due: pages of users to look through, late jobs, new jobs.
    func tendSummaries() {
        guard let summary = configuration.summaries, case .writer = summary.maker else { return }
        resumeSummaries(summary)
        let late = summaries.running.filter {
            now - $0.value.startedAt >= summary.jobMillisecondsMax
        }
        for id in late.keys.sorted() where summaries.running[id] != nil {
            summaries.counts.timedOut += 1
            summarised(id, .failure(.timeout))
        }
        summaries.wake(now: now) { feeds.isWatched($0) }
        startSummaries()
    }

    private func startSummaries() {
        guard let summary = configuration.summaries, phase == .running else { return }
        startParts(summary)
        var steps = 0
        while summaries.running.count < summary.jobsInFlightMax, steps < summary.jobsInFlightMax,
            let next = summaries.next(now: now, perMinuteMax: summary.jobsPerMinuteMax)
        {
            steps += 1
            let partition = partition(of: next.user)
            guard owned[partition]?.phase == .active else {
                summaries.leave(next.user)
                continue
            }
            withUser(next.user) { [unowned self] state, _ in
                startSummary(of: next.user, attempt: next.attempt, state, partition)
            }
        }
    }

    private func startSummary(
        of user: UserID, attempt: Int, _ state: UserState?, _ partition: PartitionIndex
    ) {
        guard let summary = configuration.summaries, let state else {
            return summaries.leave(user)
        }
        let record = summary.blocks.recordOrNew(of: state, version: summary.version)
        guard
            let plan = summary.blocks.plan(
                of: state, record,
                mayMerge: attempt < min(Self.mergeAttemptsMax, summary.attemptsMax - 1))
        else { return summaries.leave(user) }
        let job = SummaryDesk.Running(
            user: user, partition: partition, ticket: ticket(of: partition), plan: plan,
            attempt: attempt, startedAt: now)
        let previous = record.body.isEmpty ? nil : String(decoding: record.body, as: UTF8.self)
        guard plan.isHierarchical else {
            return ask(
                job, SummaryRequest(previous: previous, block: plan.due.events.map(described)))
        }
        let parts = plan.parts.map {
            SummaryRequest(previous: nil, block: $0.map(described))
        }
        summaries.begin(
            SummaryDesk.Merge(job, previous: plan.keepsPrevious ? previous : nil, parts))
        startParts(summary)
    }

    /// A merge that has failed so often gives way to steps one after the other: they ask for less.
    private static let mergeAttemptsMax = 2

    private func startParts(_ summary: SummaryConfiguration) {
        while summaries.running.count < summary.jobsInFlightMax,
            let next = summaries.nextPart(now: now, perMinuteMax: summary.jobsPerMinuteMax)
        { ask(next.job, next.request) }
    }

    private func ask(_ job: SummaryDesk.Running, _ request: SummaryRequest) {
        act(.summarise(SummaryJob(id: summaries.start(job), request: request)))
    }

    func described(_ entry: HistoryEntry) -> SummaryItem {
        described(entry.item, event: configuration.engine.history.types[entry.type].name)
    }

    func described(_ key: ItemKey, event: String) -> SummaryItem {
        guard let item = engine.catalogue[key] else {
            return SummaryItem(title: name(of: key), event: event)
        }
        return SummaryItem(
            title: item.title, brand: item.brand, categories: item.categories, price: item.price,
            event: event)
    }

    /// A writer has answered, or is not waited for any more.
    public func summarised(_ id: UInt64, _ result: Result<String, SummaryFailure>) {
        guard let summary = configuration.summaries,
            let job = summaries.running.removeValue(forKey: id)
        else {
            summaries.counts.stale += 1
            return
        }
        guard ticket(of: job.partition) == job.ticket, owned[job.partition]?.phase == .active
        else {
            summaries.counts.stale += 1
            if let part = job.part { summaries.giveUp(part.merge) }
            return summaries.leave(job.user)
        }
        do throws(SummaryFailure) {
            let body = try usableSummary(try result.get())
            summaries.failure = nil
            if let part = job.part {
                took(String(decoding: body, as: UTF8.self), of: part)
                return startSummaries()
            }
            summaries.leave(job.user)
            let written = WrittenSummary(
                body: body, due: job.plan.due, regained: job.plan.regained,
                version: summary.version)
            enqueue(
                [.summary(job.user, written)], nextOffset: nil, recordCount: 0, newestTime: 0,
                partition: job.partition)
            foldReady(job.partition)
        } catch {
            if let part = job.part {
                if summaries.retry(part) {
                    summaries.counts.failed += 1
                    return startSummaries()
                }
                summaries.giveUp(part.merge)
            }
            failed(job, error, summary)
        }
        startSummaries()
    }

    /// A part is written; after the last of them the writer is asked to make them one.
    private func took(_ text: String, of part: SummaryDesk.Part) {
        guard let merge = summaries.take(text, for: part) else { return }
        summaries.counts.merges += 1
        var job = merge.job
        job.startedAt = now
        let texts = [merge.previous].compactMap(\.self) + merge.texts.compactMap(\.self)
        ask(job, SummaryRequest(merging: texts))
    }

    private func failed(
        _ job: SummaryDesk.Running, _ failure: SummaryFailure, _ summary: SummaryConfiguration
    ) {
        summaries.counts.failed += 1
        if summaries.failure != failure.reason {
            summaries.failure = failure.reason
            note(.warning, "a summary was not written: \(failure.reason)")
        }
        let attempt = job.attempt + 1
        guard attempt < summary.attemptsMax else {
            summaries.counts.givenUp += 1
            return summaries.leave(job.user)
        }
        let wait = min(
            summary.retryMilliseconds << min(Milliseconds(job.attempt), 20),
            summary.retryMillisecondsMax)
        summaries.delay(job.user, attempt: attempt, until: now + wait)
    }

    // MARK: - After a start

    /// The partition's users are to be looked through, page by page.
    func resumeSummaries(of partition: PartitionIndex) {
        guard case .writer = configuration.summaries?.maker else { return }
        summaries.resuming.insert(partition)
    }

    private func resumeSummaries(_ summary: SummaryConfiguration) {
        for partition in summaries.resuming.sorted() {
            guard let entry = owned[partition] else {
                summaries.resuming.remove(partition)
                continue
            }
            guard entry.phase == .active, !entry.isSweeping,
                summaries.waitingCount < summary.queueMax / 2 + 1
            else { continue }
            owned[partition]?.isSweeping = true
            act(.scan(partition, cursor: entry.sweepCursor, entry.ticket))
        }
    }

    /// A page of a scan: blocks that wait are asked about again.
    func noteScanned(_ page: UserPage, of partition: PartitionIndex) {
        guard summaries.resuming.contains(partition), let summary = configuration.summaries else {
            return
        }
        for row in page.users {
            guard let state = try? UserState(decoding: row.blob), summary.blocks.isDue(state) else {
                continue
            }
            queueSummary(of: row.user)
        }
        if page.nextCursor == nil { summaries.resuming.remove(partition) }
    }
}

// MARK: - Shown

extension Coordinator {
    /// What of the user's summary the model that serves has read.
    func summaryRead(of state: UserState) -> SummaryRead? {
        guard engine.modelReads(summary: state.summary),
            let record = try? SummaryRecord(decoding: state.summary)
        else { return nil }
        return SummaryRead(version: record.version, blockCount: record.blockCount)
    }

    /// Titles of the history that stand for the profile are looked for among so many of the newest.
    private static let anchorCandidatesMax = 64

    func summaryView(of state: UserState) -> SummaryView? {
        guard let summary = configuration.summaries, !state.isEmpty else { return nil }
        var state = state
        // Blocks that are whole but not yet folded.
        if case .template(let template) = summary.maker {
            _ = template.closeBlocks(of: &state, rules: summary.blocks) { templateEvent($0) }
        }
        let record = summary.blocks.record(of: state, version: summary.version)
        let body = record?.body ?? []
        let text: String =
            switch summary.maker {
            case .template(let template): template.text(of: body, anchors: anchors(state, body))
            case .writer: String(decoding: body, as: UTF8.self)
            }
        let lost = record?.lostCount ?? 0
        return SummaryView(
            text: text, summariser: summary.name, version: summary.version,
            blockCount: record?.blockCount ?? 0, heldCount: (record?.eventCount ?? 0) &- lost,
            lostCount: lost, openCount: state.openBlock.count)
    }

    private func anchors(_ state: UserState, _ body: [UInt8]) -> [String] {
        guard case .template(let template) = configuration.summaries?.maker, !body.isEmpty else {
            return []
        }
        let types = configuration.engine.history.types
        var found: [(title: String, fit: Int)] = []
        for entry in state.history.suffix(Self.anchorCandidatesMax).reversed()
        where types.weight(of: entry.type) > 0 {
            guard let item = engine.catalogue[entry.item] else { continue }
            found.append((title: item.title, fit: template.fit(Self.traits(item), to: body)))
        }
        // Stable: of equals the newest.
        let best = found.enumerated().sorted {
            $0.element.fit == $1.element.fit
                ? $0.offset < $1.offset : $0.element.fit > $1.element.fit
        }
        return best.prefix(3).filter { $0.element.fit > 0 }.map(\.element.title)
    }

    public func summary(
        of user: UserID, reply: @escaping (Result<SummaryView?, PortError>) -> Void
    ) {
        guard configuration.summaries != nil else {
            return reply(
                .failure(
                    PortError(
                        .refused, "no summaries are kept (summaries.summariser: none)")))
        }
        withUser(user) { [unowned self] state, _ in
            guard let state else { return reply(.failure(Self.noState)) }
            reply(.success(summaryView(of: state)))
        }
    }

    var summaryNumbers: [(name: String, value: UInt64)] {
        guard let summary = configuration.summaries else { return [] }
        let counts = summaries.counts
        var numbers: [(name: String, value: UInt64)] = [("summary_blocks", counts.blocks)]
        guard case .writer = summary.maker else { return numbers }
        numbers += [
            ("summary_events_lost", counts.eventsLost), ("summary_merges", counts.merges),
            ("summary_waiting", UInt64(summaries.waitingCount)),
            ("summary_jobs_running", UInt64(summaries.running.count)),
            ("summary_jobs_started", counts.started), ("summary_jobs_failed", counts.failed),
            ("summary_jobs_timed_out", counts.timedOut), ("summary_jobs_stale", counts.stale),
            ("summary_jobs_given_up", counts.givenUp), ("summary_users_deferred", counts.deferred),
        ]
        return numbers
    }

    var summarySection: [InfoSection] {
        guard let summary = configuration.summaries else { return rankingSection }
        let version = String(summary.version, radix: 16)
        return [
            InfoSection(
                title: "Summaries",
                lines: [
                    InfoLine("summariser", summary.name), InfoLine("summary_version", version),
                    InfoLine("summary_block_size", "\(summary.blocks.blockSize)"),
                ] + summaryNumbers.map { InfoLine($0.name, "\($0.value)") }
                    + [InfoLine("summary_trouble", summaries.failure ?? "none")])
        ] + rankingSection
    }

    private var rankingSection: [InfoSection] {
        guard let ranking = configuration.ranking else { return [] }
        return [
            InfoSection(
                title: "Ranking",
                lines: [InfoLine("ranking_version", ranking.ranker.version)]
                    + rankingNumbers.map { InfoLine($0.name, "\($0.value)") })
        ]
    }
}
