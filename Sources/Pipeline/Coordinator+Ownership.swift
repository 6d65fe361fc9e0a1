// Partitions come and go: claims with fencing epochs, draining, zombies.

import DequeModule
public import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    public func partitionsAssigned(_ partitions: [PartitionIndex]) {
        for partition in partitions {
            fenced[partition] = nil
            // Given back before we had let go: what is under way belongs to the ownership that ends here.
            abandon(partition)
            owned[partition] = Owned(ticket: newTicket())
            if phase == .running { act(.claim(partition, ticket(of: partition))) }
        }
        act(.observe(.partitionsChanged(owned: owned.keys.sorted())))
    }

    /// Lets go of partitions: at once when they are lost already, else when their commits are through.
    public func partitionsRevoked(_ partitions: [PartitionIndex], lost: Bool) {
        for partition in partitions {
            fenced[partition] = nil
            guard owned[partition] != nil else {
                act(.release([partition]))
                continue
            }
            // What is half folded is not worth finishing: its next owner folds it again.
            if lost || owned[partition]?.phase == .folding {
                abandon(partition)
                act(.release([partition]))
            } else {
                owned[partition]?.phase = .draining
                dropPending(partition)
                releaseIfDrained(partition)
            }
        }
    }

    func reclaimFenced() {
        for (partition, since) in fenced
        where now - since >= configuration.fencedRetryMilliseconds {
            note(
                .warning, "taking back a partition that the group still gives us",
                [("partition", "\(partition)")])
            partitionsAssigned([partition])
        }
    }

    public func claimed(
        _ partition: PartitionIndex, _ ticket: Ticket, _ result: Result<PartitionClaim, PortError>
    ) {
        guard phase == .running, ticket == self.ticket(of: partition), var entry = owned[partition],
            entry.phase == .claiming
        else {
            return
        }
        switch result {
        case .failure(let error) where error.isRetriable: retry(.claim(partition, ticket))
        case .failure(let error):
            act(.fail("partition \(partition) cannot be taken over: \(error.reason)"))
        case .success(let claim):
            entry.epoch = claim.epoch
            entry.sequence = claim.sequence
            entry.nextOffset = claim.nextOffset
            entry.committedOffset = claim.nextOffset
            entry.digest = claim.digest
            entry.userCount = claim.userCount
            entry.userBytes = claim.userBytes
            entry.lastEventAt = now
            if refolding.contains(partition) {
                entry.phase = .folding
                owned[partition] = entry
                act(.scan(partition, cursor: 0, ticket))
            } else {
                owned[partition] = entry
                act(
                    .readDeltas(
                        .claim(partition), after: [partition: applied[partition] ?? 0], ticket))
            }
        }
    }

    /// The statistics hold everything committed to the partition: reading can begin.
    func caughtUp(_ partition: PartitionIndex) {
        guard var entry = owned[partition], entry.phase == .claiming || entry.phase == .folding
        else { return }
        if let known = applied[partition], known > entry.sequence {
            // Somebody claimed the partition after us and has committed: our ownership ended before it began.
            abandon(partition)
            fenced[partition] = now
            return
        }
        refolding.remove(partition)
        applied[partition] = entry.sequence
        entry.phase = .active
        entry.lastEventAt = now
        owned[partition] = entry
        peerOffsets[partition] = nil
        cache.removeAll(of: partition)
        resumeSummaries(of: partition)
        versions.raiseAll()
        act(.begin([StartPosition(partition: partition, offset: entry.nextOffset)]))
        becomeReadyIfPossible()
    }

    /// A page of histories of a partition that is being folded again, or swept.
    public func scanned(
        _ partition: PartitionIndex, _ ticket: Ticket, _ result: Result<UserPage, PortError>
    ) {
        guard let entry = owned[partition], entry.ticket == ticket else { return }
        if entry.phase == .folding {
            refold(partition, result)
        } else {
            sweep(partition, result)
        }
    }

    private func refold(
        _ partition: PartitionIndex, _ result: Result<UserPage, PortError>
    ) {
        switch result {
        case .failure(let error) where error.isRetriable:
            retry(
                .scan(
                    partition, cursor: owned[partition]?.sweepCursor ?? 0, ticket(of: partition)))
        case .failure(let error): act(.fail("histories cannot be read: \(error.reason)"))
        case .success(let page):
            var edits = StatisticsEditsWriter()
            var counted = owned[partition]?.refolded ?? []
            owned[partition]?.refolded = []
            for row in page.users where counted.insert(row.user).inserted {
                do throws(MalformedBytes) {
                    let state = try UserState(decoding: row.blob)
                    engine.configuration.history.addAll(state, edits: &edits)
                } catch {
                    note(
                        .error, "a user's state is damaged: \(error.reason)",
                        [("user", row.user.text)])
                }
            }
            let bytes = edits.finish(nextOffset: nil, fingerprint: rulesFingerprint)
            uncheckpointedBytes += bytes.count
            do throws(MalformedBytes) { try engine.apply(edits: bytes) } catch {
                note(.error, "folding again failed: \(error.reason)")
            }
            owned[partition]?.sweepCursor = page.nextCursor ?? 0
            if let next = page.nextCursor {
                owned[partition]?.refolded = counted
                act(.scan(partition, cursor: next, ticket(of: partition)))
            } else {
                // Whoever claimed the partition after us and committed meanwhile shows in the deltas.
                let sequence = owned[partition]?.sequence ?? 0
                applied[partition] = sequence
                act(
                    .readDeltas(
                        .claim(partition), after: [partition: sequence], ticket(of: partition)))
            }
        }
    }

    func releaseIfDrained(_ partition: PartitionIndex) {
        guard let entry = owned[partition], entry.phase == .draining, entry.flights.isEmpty else {
            return
        }
        drop(partition)
        act(.release([partition]))
        act(.observe(.partitionsChanged(owned: owned.keys.sorted())))
    }

    /// Gives a partition up without finishing: takes back, exactly, what was folded but is not durable.
    func abandon(_ partition: PartitionIndex) {
        guard let entry = owned[partition] else { return }
        for flight in entry.flights.reversed() {
            do throws(MalformedBytes) { try engine.apply(edits: flight.edits, undo: true) } catch {
                note(.error, "edits could not be taken back: \(error.reason)")
            }
        }
        if let first = entry.flights.first { applied[partition] = first.sequence - 1 }
        drop(partition)
        // Half of its histories are in the statistics.
        if entry.phase == .folding { restart() }
        act(.observe(.partitionsChanged(owned: owned.keys.sorted())))
    }

    private func drop(_ partition: PartitionIndex) {
        owned[partition] = nil
        let orphans = waiters.keys.filter { self.partition(of: $0) == partition }
        for user in orphans {
            for waiter in waiters.removeValue(forKey: user) ?? [] { _ = waiter(nil) }
        }
        failedLoads.removeAll { $0.partition == partition }
        cache.removeAll(of: partition)
        versions.raiseAll()
        if wantsSnapshot { takeSnapshotIfQuiet() }
    }

    /// The stored offset is no longer in the log.
    public func offsetGap(_ partition: PartitionIndex, stored: Offset, lowest: Offset) {
        let policy = configuration.offsetGap
        act(
            .observe(
                .offsetGap(
                    partition: partition, stored: stored, lowest: lowest, policy: policy.rawValue)))
        switch policy {
        case .halt:
            act(
                .fail(
                    "partition \(partition): the log begins at offset \(lowest), the stored offset is \(stored); "
                        + "records between are gone. Set kafka.offset-gap to skip (accept the loss)"
                        + " or rewind (the log is new)"
                ))
        case .skip, .rewind:
            dropPending(partition)
            owned[partition]?.nextOffset = lowest
            act(.begin([StartPosition(partition: partition, offset: lowest)]))
        }
    }
}
