// From batches to commits: load the users, fold in order, write once.

import DequeModule
public import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    public func received(_ batch: RecordBatch) {
        guard phase != .stopping, let entry = owned[batch.partition], entry.phase == .active
        else { return }
        let expected =
            entry.pending.last(where: { $0.nextOffset != nil })?.nextOffset
            ?? entry.nextOffset ?? -1
        // Read before we sent the source back: it will come again.
        guard batch.firstOffset <= expected else { return }
        guard batch.nextOffset > expected else {
            act(
                .acknowledge(
                    batch.partition, nextOffset: batch.nextOffset, recordCount: batch.recordCount))
            return
        }
        let fresh = batch.entries.drop { $0.offset < expected }
        enqueue(
            fresh.map { Pending.Entry.log($0) }, nextOffset: batch.nextOffset,
            recordCount: batch.recordCount, newestTime: batch.newestTime,
            partition: batch.partition)
        foldReady(batch.partition)
    }

    /// Puts entries in line and asks the store for the users among them that are not in memory.
    func enqueue(
        _ entries: [Pending.Entry], nextOffset: Offset?, recordCount: Int,
        newestTime: Milliseconds, partition: PartitionIndex
    ) {
        var pending = Pending(
            entries: entries, nextOffset: nextOffset, recordCount: recordCount,
            newestTime: newestTime, missing: 0)
        let place = (owned[partition]?.pendingBase ?? 0) + (owned[partition]?.pending.count ?? 0)
        var wanted: [UserID] = []
        enqueueNumber &+= 1
        for entry in entries {
            let user = Self.user(of: entry)
            let slot: UserCache.Slot
            if let known = cache.slot(of: user) {
                slot = known
                cache[slot].pins += 1
                guard cache[slot].isLoading else { continue }
            } else {
                slot = cache.insert(user, partition: partition)
                cache[slot].pins += 1
                wanted.append(user)
            }
            guard cache[slot].awaitedBy != enqueueNumber else { continue }
            cache[slot].awaitedBy = enqueueNumber
            pending.missing += 1
            waiters[user, default: []].append { [unowned self] loaded in
                if loaded != nil { arrived(partition, place) }
                return true
            }
        }
        owned[partition]?.pending.append(pending)
        if !wanted.isEmpty { act(.load(partition, wanted, ticket(of: partition))) }
    }

    static func user(of entry: Pending.Entry) -> UserID {
        switch entry {
        case .log(let record): record.entry.user
        case .expire(let user, _), .summary(let user, _): user
        }
    }

    /// One of the users that the pending run at `place` waits for is there.
    private func arrived(_ partition: PartitionIndex, _ place: Int) {
        guard let base = owned[partition]?.pendingBase, place >= base,
            place - base < owned[partition]?.pending.count ?? 0
        else { return }
        owned[partition]?.pending[place - base].missing -= 1
    }

    public func loaded(
        _ partition: PartitionIndex, _ users: [UserID], _ ticket: Ticket,
        _ result: Result<[[UInt8]?], PortError>
    ) {
        if !foreignReads.isEmpty { foreignLoaded(users, result) }
        guard isOwned(partition), ticket == self.ticket(of: partition) else { return }
        switch result {
        case .failure(let error):
            guard error.isRetriable else {
                act(.fail("users of partition \(partition) cannot be read: \(error.reason)"))
                return
            }
            failedLoads.append((partition: partition, users: users, at: now))
            // Requests do not wait for a store in trouble; batches do.
            answerWithoutState(users)
        case .success(let blobs):
            for (user, blob) in zip(users, blobs) { admit(user, blob) }
            foldReady(partition)
        }
    }

    private func admit(_ user: UserID, _ blob: [UInt8]?) {
        guard let slot = cache.slot(of: user), cache[slot].isLoading else { return }
        if let blob {
            do throws(MalformedBytes) {
                cache[slot].state = try UserState(decoding: blob)
                cache[slot].digest = Self.digest(user, blob)
                cache[slot].blobBytes = blob.count
            } catch {
                act(
                    .fail(
                        "the stored state of user \(user) \(error.reason); upgrade, or delete it with USER.FORGET"
                    ))
                return
            }
        }
        cache[slot].isLoading = false
        noteLoaded(cache[slot].state, user)
        let loaded = cache[slot]
        for waiter in waiters.removeValue(forKey: user) ?? [] { _ = waiter(loaded) }
    }

    /// Puts the partition in the line for a turn of folding, when it has something to fold.
    ///
    /// One turn at a time is in the lane's queue, whatever the number of partitions and batches, and it makes one
    /// commit: so a request waits for the turn under way and the next one at most.
    func foldReady(_ partition: PartitionIndex) {
        guard canFold(partition), !foldLine.contains(partition) else { return }
        foldLine.append(partition)
        askForFoldTurn()
    }

    private func askForFoldTurn() {
        guard !foldLine.isEmpty, !isFoldTurnAsked else { return }
        isFoldTurnAsked = true
        act(.fold)
    }

    /// Folds what is complete and may go into one commit, and sends it off: of the partition that has waited longest.
    public func foldTurn() {
        isFoldTurnAsked = false
        while let partition = foldLine.popFirst() {
            // One that waits for weights comes back when they are there.
            guard canFold(partition), foldOnce(partition) else { continue }
            foldReady(partition)
            break
        }
        askForFoldTurn()
    }

    /// False when the next events wait for weights.
    private func foldOnce(_ partition: PartitionIndex) -> Bool {
        var runs: [Pending] = []
        var count = 0
        while let next = owned[partition]?.pending.first, next.missing == 0,
            runs.isEmpty || count + next.entries.count <= configuration.commitEventsMax,
            isBeforeFit(runs, next)
        {
            count += next.entries.count
            runs.append(next)
            owned[partition]?.pending.removeFirst()
            owned[partition]?.pendingBase += 1
        }
        guard !runs.isEmpty else {
            // Nothing waits for weights that nobody was told to make.
            tendMixture()
            return false
        }
        fold(runs, of: partition)
        tendMixture()
        return true
    }

    private func canFold(_ partition: PartitionIndex) -> Bool {
        guard let entry = owned[partition], entry.phase == .active, !wantsSnapshot else {
            return false
        }
        return entry.flights.count < configuration.commitsInFlightMax
            && entry.pending.first?.missing == 0
    }

    private func fold(_ runs: [Pending], of partition: PartitionIndex) {
        guard var entry = owned.removeValue(forKey: partition) else { return }
        batchNumber &+= 1
        var edits = StatisticsEditsWriter()
        var changed: [UserCache.Slot] = []
        var events = 0
        for run in runs {
            for item in run.entries {
                if case .summary = item {} else { events += 1 }
                foldOne(item, edits: &edits, changed: &changed)
            }
            if let next = run.nextOffset { entry.nextOffset = next }
        }
        let writes = changed.map { write($0, of: &entry) }
        let bytes = edits.finish(
            nextOffset: entry.nextOffset, fingerprint: rulesFingerprint)
        if !configuration.prequential { applyOwn(bytes) }
        rankings.lessons.remembered = nil
        entry.sequence += 1
        entry.lastEventAt = now
        applied[partition] = entry.sequence
        uncheckpointedBytes += bytes.count
        eventCount &+= UInt64(events)
        let records = runs.reduce(0) { $0 + $1.recordCount }
        let commit = PartitionCommit(
            partition: partition, epoch: entry.epoch, incarnation: storeHealth.incarnation,
            sequence: entry.sequence, nextOffset: entry.nextOffset, digest: entry.digest,
            userCount: entry.userCount,
            userBytes: entry.userBytes, writes: writes, statisticsEdits: bytes,
            recordCount: records)
        entry.flights.append(
            Flight(
                sequence: entry.sequence, nextOffset: entry.nextOffset, edits: bytes,
                users: changed.map { cache[$0].user }, recordCount: records, eventCount: events,
                startedAt: now, newestTime: runs.map(\.newestTime).max() ?? 0,
                bytes: bytes.count + writes.reduce(0) { $0 + ($1.blob?.count ?? 0) }))
        owned[partition] = entry
        act(.commit(commit))
    }

    private func foldOne(
        _ item: Pending.Entry, edits: inout StatisticsEditsWriter, changed: inout [UserCache.Slot]
    ) {
        guard let slot = cache.slot(of: Self.user(of: item)) else {
            preconditionFailure("a user of a complete batch is not in memory")
        }
        cache[slot].pins -= 1
        let outcome: FoldOutcome
        switch item {
        case .log(let record):
            sample(record.entry, given: cache[slot].state)
            rememberForRanker(record, given: cache[slot].state)
            if configuration.prequential {
                score(record.entry, given: cache[slot].state)
                outcome = foldAtOnce(record, slot, edits: &edits)
            } else {
                outcome = engine.fold(
                    record.entry, at: record.offset, into: &cache[slot].state, edits: &edits)
            }
            if outcome == .applied {
                switch record.entry {
                case .forget: forgottenCount += 1
                case .interaction(let event): noteForSummary(event, slot)
                }
            }
        case .expire(let user, let before):
            guard cache[slot].state.history.last?.seconds ?? .max < before else { return }
            outcome = engine.fold(.forget(user), into: &cache[slot].state, edits: &edits)
            expiredCount += 1
        case .summary(_, let written):
            guard foldSummary(written, slot) else { return }
            outcome = .applied
        }
        if outcome == .duplicate { duplicateCount += 1 }
        if outcome == .applied, cache[slot].changedInBatch != batchNumber {
            cache[slot].changedInBatch = batchNumber
            cache[slot].pins += 1
            changed.append(slot)
        }
    }

    private func applyOwn(_ edits: [UInt8]) {
        do throws(MalformedBytes) { try engine.apply(edits: edits) } catch {
            preconditionFailure("our own edits cannot be read: \(error.reason)")
        }
    }

    /// Folds one event and applies its edits at once, so that the next event of the batch is scored by what this one
    /// taught.
    private func foldAtOnce(
        _ record: RecordBatch.Entry, _ slot: UserCache.Slot, edits: inout StatisticsEditsWriter
    ) -> FoldOutcome {
        var own = StatisticsEditsWriter()
        let outcome = engine.fold(
            record.entry, at: record.offset, into: &cache[slot].state, edits: &own)
        let bytes = own.finish(nextOffset: nil, fingerprint: rulesFingerprint)
        applyOwn(bytes)
        guard !bytes.isEmpty else { return outcome }
        do throws(MalformedBytes) {
            var operations = try StatisticsEdits(bytes)
            while let operation = try operations.next() { edits.append(operation) }
        } catch {
            preconditionFailure("our own edits cannot be read: \(error.reason)")
        }
        return outcome
    }

    /// Where the lists that would have been served have the event's item.
    private func score(_ entry: LogEntry, given state: UserState) {
        guard case .interaction(let event) = entry else { return }
        let types = configuration.engine.history.types
        guard types.weight(of: event.type) > 0,
            !engine.hidden(state, now: event.time).contains(event.item.key)
        else { return meter.note(time: event.time, wall: wall, places: nil) }
        let places = [Rung.cf, .popular].map { rung in
            engine.recommend(
                state, count: PrequentialMeter.listCount, rung: rung, now: event.time
            ).firstIndex { $0.item == event.item.key }
        }
        meter.note(
            time: event.time, wall: wall,
            places: (rules: places[0], popularity: places[1]))
    }

    /// A changed user's new blob, and what it does to the partition's totals.
    private func write(_ slot: UserCache.Slot, of entry: inout Owned) -> UserWrite {
        let user = cache[slot].user
        let blob = cache[slot].state.isEmpty ? nil : cache[slot].state.encoded()
        let digest = blob.map { Self.digest(user, $0) } ?? StateDigest()
        entry.digest = entry.digest - cache[slot].digest + digest
        entry.userBytes += Int64(blob?.count ?? 0) - Int64(cache[slot].blobBytes)
        entry.userCount += (blob == nil ? 0 : 1) - (cache[slot].blobBytes == 0 ? 0 : 1)
        cache[slot].digest = digest
        cache[slot].blobBytes = blob?.count ?? 0
        versions.raise(user.key)
        return UserWrite(user: user, blob: blob)
    }

    public func committed(
        _ partition: PartitionIndex, sequence: Int64, _ result: Result<CommitOutcome, PortError>
    ) {
        guard owned[partition]?.flights.first?.sequence == sequence else { return }
        switch result {
        case .failure(let error):
            act(.fail("partition \(partition) cannot be written: \(error.reason)"))
        case .success(.committed): confirm(partition)
        case .success(.fenced(let epoch)):
            act(.observe(.fenced(partition: partition, epoch: epoch)))
            let isLeaving = owned[partition]?.phase == .draining
            abandon(partition)
            if isLeaving { act(.release([partition])) } else { fenced[partition] = now }
        case .success(.regressed(let stored)):
            note(
                .error, "the store lost writes that it had confirmed",
                [
                    ("partition", "\(partition)"),
                    ("stored", stored.map { "\($0)" } ?? "another life"),
                    ("confirmed", "\(sequence - 1)"),
                ])
            restart()
        }
    }

    private func confirm(_ partition: PartitionIndex) {
        guard let flight = owned[partition]?.flights.popFirst() else { return }
        commitCount += 1
        owned[partition]?.committedOffset = flight.nextOffset
        for user in flight.users {
            if let slot = cache.slot(of: user), cache[slot].pins > 0 { cache[slot].pins -= 1 }
        }
        if let next = flight.nextOffset, flight.recordCount > 0 {
            act(.acknowledge(partition, nextOffset: next, recordCount: flight.recordCount))
        }
        act(
            .observe(
                .batchCommitted(
                    partition: partition, events: flight.eventCount, users: flight.users.count,
                    bytes: flight.bytes, seconds: Double(now - flight.startedAt) / 1_000)))
        answerForgetting(partition)
        publish(flight.users, partition: partition, newestTime: flight.newestTime)
        releaseIfDrained(partition)
        takeSnapshotIfQuiet()
        foldReady(partition)
    }

    private func answerForgetting(_ partition: PartitionIndex) {
        guard let committed = owned[partition]?.committedOffset,
            owned[partition]?.forgetting.isEmpty == false
        else { return }
        let waiting = owned[partition]?.forgetting ?? []
        owned[partition]?.forgetting = waiting.filter { $0.offset >= committed }
        for call in waiting where call.offset < committed {
            call.reply(LogPosition(partition: partition, offset: call.offset))
        }
    }

    /// Forgets the runs that wait: they will come again, or never.
    func dropPending(_ partition: PartitionIndex) {
        guard let pending = owned[partition]?.pending else { return }
        for run in pending {
            for entry in run.entries {
                if let slot = cache.slot(of: Self.user(of: entry)), cache[slot].pins > 0 {
                    cache[slot].pins -= 1
                }
            }
        }
        owned[partition]?.pendingBase += pending.count
        owned[partition]?.pending.removeAll()
    }

    // MARK: - Items

    public func received(_ batch: ItemBatch) {
        guard batch.firstOffset <= itemOffsets[batch.partition] ?? -1 else { return }
        var writes: [(id: ItemID, json: [UInt8]?)] = []
        for change in batch.changes {
            switch engine.change(change) {
            case .stored, .withdrawn:
                switch change {
                case .set(let record, let json): writes.append((id: record.id, json: json))
                case .withdraw(let id): writes.append((id: id, json: nil))
                }
            case .keyTaken(let other):
                note(
                    .error, "an item is refused: its key belongs to another", [("item", other.text)]
                )
            case .full:
                act(
                    .observe(.recordsRejected(topic: "items", reason: "catalogue-full", records: 1))
                )
            }
        }
        versions.raiseAll()
        summaries.traits = [:]
        itemOffsets[batch.partition] = max(batch.nextOffset, itemOffsets[batch.partition] ?? 0)
        act(
            .commitItems(
                ItemCommit(
                    partition: batch.partition, nextOffset: batch.nextOffset, writes: writes),
                recordCount: batch.recordCount))
    }

    public func itemsCommitted(
        _ partition: PartitionIndex, nextOffset: Offset, recordCount: Int,
        _ result: Result<Void, PortError>
    ) {
        switch result {
        case .success:
            act(.acknowledgeItems(partition, nextOffset: nextOffset, recordCount: recordCount))
        case .failure(let error) where error.code == .refused:
            // The store is behind what we had written: its catalogue and its offsets decide.
            note(.warning, "reading the catalogue again: \(error.reason)")
            act(.loadCatalogue)
        case .failure(let error): act(.fail("items cannot be written: \(error.reason)"))
        }
    }
}
