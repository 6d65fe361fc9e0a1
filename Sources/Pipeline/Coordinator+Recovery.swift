// Start: layout, catalogue, checkpoint, deltas. Then partitions are claimed as the group hands them out.

import DequeModule
import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    /// The source is connected and knows how many partitions there are.
    public func sourceReady(interactionPartitions: Int32, itemPartitions: Int32) {
        partitionCount = interactionPartitions
        engine.partitionCount = Int(interactionPartitions)
        itemPartitionCount = itemPartitions
        startedAt = now
        checkpointedAt = now
        act(.prepare(partitions: interactionPartitions))
    }

    public func prepared(_ result: Result<Void, PortError>) {
        switch result {
        case .success:
            isPrepared = true
            act(.loadCatalogue)
            act(.loadCheckpoint(generation))
        case .failure(let error): act(.fail("the state store cannot be used: \(error.reason)"))
        }
    }

    public func catalogueLoaded(_ result: Result<StoredCatalogue, PortError>) {
        switch result {
        case .failure(let error) where error.isRetriable: retry(.loadCatalogue)
        case .failure(let error): act(.fail("the catalogue cannot be read: \(error.reason)"))
        case .success(let stored):
            var malformed = 0
            for item in stored.items {
                guard let record = configuration.decodeItem(item.id, item.json) else {
                    malformed += 1
                    continue
                }
                _ = engine.change(.set(record, json: item.json))
            }
            if malformed > 0 {
                note(.warning, "stored item records could not be read", [("items", "\(malformed)")])
            }
            itemOffsets = stored.nextOffsets
            hasCatalogue = true
            versions.raiseAll()
            if awaitsCatalogue {
                awaitsCatalogue = false
                readRecoveryDeltas()
            }
            let positions = (0..<itemPartitionCount).map {
                StartPosition(partition: $0, offset: itemOffsets[$0])
            }
            act(.beginItems(positions))
            becomeReadyIfPossible()
        }
    }

    public func checkpointLoaded(
        _ ticket: Ticket, _ result: Result<StatisticsCheckpoint?, PortError>
    ) {
        guard ticket == generation else { return }
        switch result {
        case .failure(let error) where error.isRetriable: retry(.loadCheckpoint(generation))
        case .failure(let error): act(.fail("the checkpoint cannot be read: \(error.reason)"))
        case .success(nil): readRecoveryDeltas()
        case .success(let checkpoint?):
            do throws(MalformedBytes) {
                let mixture = try engine.restore(
                    chunks: checkpoint.chunks, fingerprint: rulesFingerprint)
                if case .refused(let reason) = mixture {
                    note(.warning, "what the combiner had learnt is not used: \(reason)")
                }
                applied = checkpoint.sequences
                checkpointedLearntCount = learntCount
                readRecoveryDeltas()
            } catch {
                note(.warning, "the checkpoint does not fit and is not used: \(error.reason)")
                refoldEverything()
            }
        }
    }

    private func readRecoveryDeltas() {
        // What the combiner learns from depends on which items can be listed.
        guard hasCatalogue || engine.combiner == nil else {
            awaitsCatalogue = true
            return
        }
        act(.readDeltas(.recovery, after: recoveryPositions, generation))
    }

    private var recoveryPositions: [PartitionIndex: Int64] {
        var after: [PartitionIndex: Int64] = [:]
        for partition in 0..<partitionCount { after[partition] = applied[partition] ?? 0 }
        return after
    }

    /// The statistics cannot be had from checkpoint and deltas: each partition's histories are folded again when
    /// claimed.
    private func refoldEverything() {
        engine.replace(
            statistics: Statistics(
                halfLivesSeconds: configuration.engine.halfLivesSeconds,
                pairCountMax: configuration.engine.pairsMax))
        applied = [:]
        checkpointedLearntCount = learntCount
        refolding = Set(0..<partitionCount)
        finishRecovery()
    }

    public func deltasRead(
        _ purpose: DeltaPurpose, _ ticket: Ticket, _ result: Result<DeltaRead, PortError>
    ) {
        if case .claim(let partition) = purpose {
            guard ticket == self.ticket(of: partition) else { return }
        } else {
            guard ticket == generation else { return }
        }
        if purpose == .peers { isPollingPeers = false }
        switch result {
        case .failure(let error) where error.isRetriable || purpose == .peers:
            if purpose == .recovery {
                retry(.readDeltas(purpose, after: recoveryPositions, generation))
            }
            if case .claim(let partition) = purpose {
                retry(
                    owned[partition]?.phase == .folding
                        ? .readDeltas(
                            purpose, after: [partition: applied[partition] ?? 0], ticket)
                        : .claim(partition, ticket))
            }
        case .failure(let error): act(.fail("statistics cannot be read: \(error.reason)"))
        case .success(.gap(let partitions)): deltaGap(purpose, partitions)
        case .success(.deltas(let deltas)):
            if case .claim(let partition) = purpose, owned[partition]?.phase == .folding,
                deltas.contains(where: { $0.sequence > (applied[partition] ?? 0) })
            {
                // Histories changed while we folded them: what we added up is of no moment.
                return restart()
            }
            var progressed = false
            for delta in deltas where delta.sequence > (applied[delta.partition] ?? 0) {
                guard purpose != .peers || owned[delta.partition] == nil else { continue }
                progressed = true
                if apply(delta) { continue }
                switch purpose {
                case .recovery: return refoldEverything()
                case .claim: return restart()
                // Another instance runs under other settings: what it adds cannot be mixed with ours.
                case .peers: applied[delta.partition] = delta.sequence
                }
            }
            switch purpose {
            case .recovery:
                recoveredDeltas += deltas.count
                if progressed { readRecoveryDeltas() } else { finishRecovery() }
            case .claim(let partition):
                tendMixture()
                if progressed {
                    act(.readDeltas(purpose, after: [partition: applied[partition] ?? 0], ticket))
                } else {
                    caughtUp(partition)
                }
            case .peers:
                tendMixture()
                if progressed { peersPolledAt = 0 }
            }
        }
    }

    /// False when the delta was made under other rules (weights of event types): the histories must be folded again.
    private func apply(_ delta: StatisticsDelta) -> Bool {
        do throws(MalformedBytes) {
            let edits = try StatisticsEdits(delta.edits)
            if edits.fingerprint != rulesFingerprint {
                note(.warning, "weights of event types have changed: histories are folded again")
                return false
            }
            try edits.check()
            if let next = edits.nextOffset { peerOffsets[delta.partition] = next }
            try engine.apply(edits: delta.edits)
            uncheckpointedBytes += delta.edits.count
        } catch {
            note(
                .error, "a statistics delta could not be read: \(error.reason)",
                [("partition", "\(delta.partition)"), ("sequence", "\(delta.sequence)")])
        }
        applied[delta.partition] = delta.sequence
        return true
    }

    private func deltaGap(_ purpose: DeltaPurpose, _ partitions: [PartitionIndex]) {
        note(
            .warning, "the log of statistics deltas does not reach back far enough",
            [("partitions", partitions.map(String.init).joined(separator: ","))])
        switch purpose {
        case .claim, .peers: restart()
        case .recovery:
            // Another instance may have checkpointed, and trimmed, since we read the checkpoint: read it again. If
            // that does not help, the histories themselves are what is left.
            let gaps = gapsInRecovery
            if gaps < Self.gapsInRecoveryMax {
                restart()
                gapsInRecovery = gaps + 1
            } else {
                refoldEverything()
            }
        }
    }

    private func finishRecovery() {
        hasCheckpoint = true
        gapsInRecovery = 0
        tendMixture()
        phase = phase == .stopping ? .stopping : .running
        versions.raiseAll()
        act(
            .observe(
                .recovered(
                    pairs: engine.statistics.transitions.pairCount, deltas: recoveredDeltas,
                    refolded: !refolding.isEmpty, seconds: 0)))
        for partition in owned.keys.sorted() where owned[partition]?.phase == .claiming {
            act(.claim(partition, ticket(of: partition)))
        }
        becomeReadyIfPossible()
    }

    /// Checkpoints read again before the histories are folded: others may checkpoint and trim while we read.
    private static let gapsInRecoveryMax = 10

    /// Starts anew from what the store holds: after the store lost writes, or when our statistics cannot be mended.
    func restart() {
        guard isPrepared, phase != .stopping else { return }
        note(.warning, "starting anew from the stored state")
        phase = .recovering
        hasCheckpoint = false
        awaitsCatalogue = false
        applied = [:]
        checkpointedLearntCount = 0
        refolding = []
        recoveredDeltas = 0
        gapsInRecovery = 0
        wantsSnapshot = false
        giveUpModelWork()
        summaries.forgetQueue()
        for partition in owned.keys {
            if owned[partition]?.phase == .draining {
                owned[partition] = nil
                act(.release([partition]))
            } else {
                reset(partition)
            }
        }
        for partition in fenced.keys { owned[partition] = Owned(ticket: newTicket()) }
        generation = newTicket()
        retries = []
        fenced = [:]
        isPollingPeers = false
        failWaiters()
        cache.removeAll()
        failedLoads = []
        engine.replace(
            statistics: Statistics(
                halfLivesSeconds: configuration.engine.halfLivesSeconds,
                pairCountMax: configuration.engine.pairsMax))
        versions.raiseAll()
        act(.loadCatalogue)
        act(.loadCheckpoint(generation))
    }

    private func reset(_ partition: PartitionIndex) {
        guard var entry = owned[partition] else { return }
        entry.phase = .claiming
        entry.ticket = newTicket()
        entry.pendingBase += entry.pending.count
        entry.pending.removeAll()
        entry.flights.removeAll()
        entry.isSweeping = false
        entry.sweepCursor = 0
        entry.refolded = []
        owned[partition] = entry
    }

    func failWaiters() {
        let waiting = waiters
        waiters = [:]
        for list in waiting.values { for waiter in list { _ = waiter(nil) } }
    }

    func becomeReadyIfPossible() {
        // Users of partitions that are still being claimed, or are others', are read from the store: lists can be
        // made.
        guard !isReady, phase == .running, hasCatalogue, refolding.isEmpty else { return }
        isReady = true
        act(.ready)
    }
}
