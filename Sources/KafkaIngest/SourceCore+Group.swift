// The source's dealings with the group: rebalances, trouble, gaps.

import CRdKafka
import Interactions
import Ports

/// A partition whose stored offset is no longer in the log.
struct Gap {
    var stored: Offset
    var nextAttempt: Double
}

extension SourceCore {
    var releaseWaitSeconds: Double { Double(configuration.releaseWaitMilliseconds) / 1_000 }

    func handle(_ event: HandleEvents.Event) {
        if case .settling = phase, case .assigned = event { return }
        switch event {
        case .assigned(let partitions): assigned(partitions)
        case .revoked(let partitions, let lost): revoked(partitions, lost: lost)
        case .trouble(let error): report(error)
        }
    }

    /// An error event from the consumer's queue, or about one partition.
    func handle(_ message: borrowing KafkaMessage) {
        switch message.code {
        case RD_KAFKA_RESP_ERR__PARTITION_EOF: return
        case RD_KAFKA_RESP_ERR_NO_ERROR: strayed(message.partition)
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            gaps[message.partition] = Gap(stored: message.offset, nextAttempt: 0)
        default: report(message.error)
        }
    }

    /// A record came through the consumer's own queue, past those in front of it: the partition is read again from
    /// where its last run ended.
    private func strayed(_ partition: PartitionIndex) {
        guard assignment.reading.contains(partition) else { return }
        let offset = deliveries.position(of: partition)
        perform([.move([StartPosition(partition: partition, offset: offset)])])
    }

    private func assigned(_ partitions: [PartitionIndex]) {
        if let stranger = partitions.first(where: { $0 >= partitionCount }) {
            fail(
                "topic `\(group.topic)` had \(partitionCount) partitions at the start and now has "
                    + "partition \(stranger): users would change their home; stop and repartition")
            return
        }
        perform(assignment.assigned(partitions))
        observer.observe(.partitionsChanged(owned: assignment.owned))
        if !partitions.isEmpty { consumer?.partitionsAssigned(partitions) }
    }

    private func revoked(_ partitions: [PartitionIndex], lost: Bool) {
        for partition in partitions {
            deliveries.dropUndelivered(partition)
            gaps[partition] = nil
            if lost { deliveries.close(partition) }
        }
        let actions = assignment.revoked(
            partitions, lost: lost, deadline: clock.monotonicSeconds + releaseWaitSeconds)
        observer.observe(.partitionsChanged(owned: assignment.owned))
        if !partitions.isEmpty { consumer?.partitionsRevoked(partitions, lost: lost) }
        perform(actions)
    }

    func perform(_ actions: [Assignment.Action]) {
        for action in actions {
            attempt { () throws(KafkaError) in try perform(action) }
        }
    }

    private func perform(_ action: Assignment.Action) throws(KafkaError) {
        let cooperative = group.isCooperative
        switch action {
        case .assign(let positions):
            for position in positions { open(position) }
            forwardingUntil = clock.monotonicSeconds + Self.forwardingSeconds
            try group.assign(positions, incremental: cooperative)
        case .unassign(let partitions):
            if case .settling = phase { return }
            storeBeforeGivingUp(partitions)
            try group.unassign(partitions, incremental: cooperative)
        case .move(let positions):
            for position in positions { open(position) }
            forwardingUntil = clock.monotonicSeconds + Self.forwardingSeconds
            try move(positions, cooperative: cooperative)
        }
    }

    /// The library's seek does nothing for a partition that stopped at a gap, so partitions are taken anew; where the
    /// protocol knows only whole assignments, the others with them, where they are.
    private func move(_ positions: [StartPosition], cooperative: Bool) throws(KafkaError) {
        if cooperative {
            try group.unassign(positions.map(\.partition), incremental: true)
            try group.assign(positions, incremental: true)
            return
        }
        let all = assignment.reading.sorted().map { partition in
            StartPosition(partition: partition, offset: deliveries.position(of: partition))
        }
        try group.assign(all, incremental: false)
    }

    private func open(_ position: StartPosition) {
        deliveries.open(position.partition, at: position.offset)
        gaps[position.partition] = nil
        applied[position.partition] = position.offset
        durable[position.partition] = nil
    }

    /// What the library commits when the partitions go.
    private func storeBeforeGivingUp(_ partitions: [PartitionIndex]) {
        let positions = partitions.compactMap { partition in
            durable.removeValue(forKey: partition).map {
                StartPosition(partition: partition, offset: $0)
            }
        }
        if !positions.isEmpty { group.storeOffsets(positions) }
        for partition in partitions {
            deliveries.close(partition)
            applied[partition] = nil
        }
    }

    /// Tells of partitions whose stored offset is gone, once the broker has said what it still has.
    func closeGaps(now: Double) {
        for (partition, gap) in gaps.sorted(by: { $0.key < $1.key }) where now >= gap.nextAttempt {
            do throws(KafkaError) {
                let offsets = try group.handle.watermarks(
                    topic: group.topic, partition, waitingAtMost: Self.connectWaitMilliseconds)
                gaps[partition] = nil
                deliveries.dropUndelivered(partition)
                consumer?.offsetGap(partition, stored: gap.stored, lowest: offsets.lowerBound)
            } catch {
                gaps[partition]?.nextAttempt = now + Self.connectIntervalSeconds
                report(error)
            }
        }
    }

    func attempt(_ body: () throws(KafkaError) -> Void) {
        do throws(KafkaError) { try body() } catch { report(error) }
    }

    /// Trouble that waiting cannot cure ends the source; the rest is told, not too often.
    func report(_ error: KafkaError) {
        if error.isFatal {
            fail("\(error.reason) (\(error.code.name))")
            return
        }
        guard let suppressed = limiter.admit(error.code.name, now: clock.monotonicSeconds)
        else { return }
        observer.observe(
            .note(
                .warning, "Kafka: \(error.reason)",
                [("code", error.code.name), ("suppressed", String(suppressed))]))
    }

    /// The first reason counts; the step that is under way still ends.
    func fail(_ reason: String) { failure = failure ?? reason }
}
