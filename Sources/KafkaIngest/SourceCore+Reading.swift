// From messages to batches: the source's hot path.

import Interactions
import Ports
import RecordDecoding

/// What a round counted, reported once at its end.
struct Tally {
    var records = 0
    var bytes = 0
    var itemRecords = 0
    var itemBytes = 0
    var rejected: [Rejection.Reason: Int] = [:]
    var itemsRejected: [Rejection.Reason: Int] = [:]
    var adjusted: [String: Int] = [:]
}

/// A record sent elsewhere, whose run waits for the broker's word.
struct Letter {
    var record: OutgoingRecord
    var run: Int
    var partition: PartitionIndex
    var isItem: Bool
    var nextAttempt = 0.0
}

extension SourceCore {
    /// From this many records in one go the stream counts as busy, and the round may wait for more.
    private static var busyRecordsMin: Int { 16 }
    static var itemRecordsMax: Int { 256 }
    static var itemBytesMax: Int { 4 * 1_024 * 1_024 }

    func readInteractions(waitingAtMost milliseconds: Int32) {
        guard let first = group.nextRecord(waitingAtMost: milliseconds) else { return }
        buffer.put(first)
        var count = 1
        count += buffer.fill(from: count, group.records, within: 0)
        if count >= Self.busyRecordsMin {
            let window = Int32(clamping: configuration.batchWindowMilliseconds)
            count += buffer.fill(from: count, group.records, within: window)
        }
        let now = clock.wallMilliseconds
        for index in 0..<count {
            guard let message = buffer.take(index) else { continue }
            if message.isRecord {
                take(message, now: now)
            } else {
                handle(message)
            }
        }
        let partitions = deliveries.closeRuns { run, firstOffset in
            RecordBatch(
                partition: run.partition, firstOffset: firstOffset, entries: run.elements,
                nextOffset: run.nextOffset, recordCount: run.records, newestTime: run.newestTime)
        }
        for partition in partitions { deliver(partition) }
    }

    func deliver(_ partition: PartitionIndex) {
        guard assignment.reading.contains(partition) else { return }
        while let batch = deliveries.takeReady(partition) { consumer?.received(batch) }
    }

    private func take(_ message: borrowing KafkaMessage, now: Milliseconds) {
        let partition = message.partition
        guard assignment.reading.contains(partition) else { return }
        let recordTime = message.timestamp
        let outcome = message.withContents { key, payload in
            decoder.decode(key: key, payload: payload, recordTime: recordTime, now: now)
        }
        tally.records += 1
        tally.bytes += message.bytes
        let offset = message.offset
        let bytes = message.bytes
        var letter: OutgoingRecord?
        switch outcome {
        case .entry(let entry, let notes):
            if notes.contains(.clamped) { tally.adjusted["future-clamped", default: 0] += 1 }
            let home = configuration.partitioner.partition(of: entry.user, count: partitionCount)
            guard home != partition || notes.contains(.unkeyed) else {
                deliveries.withRun(partition) { run in
                    run.elements.append(RecordBatch.Entry(offset: offset, entry: entry))
                    run.count(offset: offset, bytes: bytes, time: recordTime)
                }
                return
            }
            letter = moved(message, entry.user, home: home, notes: notes)
        case .empty: tally.adjusted["empty", default: 0] += 1
        case .rejected(let rejection): letter = rejected(message, rejection)
        }
        send(letter, of: partition, offset: offset, bytes: bytes, time: recordTime)
    }

    private func moved(
        _ message: borrowing KafkaMessage, _ user: UserID, home: PartitionIndex,
        notes: InteractionNotes
    ) -> OutgoingRecord {
        let copy = message.moved(
            to: home, of: user, in: group.topic, notes: notes,
            eventIDField: configuration.interactionFields.eventID)
        guard let copy else {
            return rejected(
                message,
                Rejection(
                    .partitionMismatch,
                    "the record was moved here before, and user \"\(user)\" belongs to partition "
                        + "\(home) of \(partitionCount): instances disagree on the partitioner"))
        }
        tally.adjusted["rekeyed", default: 0] += 1
        return copy
    }

    private func rejected(
        _ message: borrowing KafkaMessage, _ rejection: Rejection
    ) -> OutgoingRecord {
        tally.rejected[rejection.reason, default: 0] += 1
        return message.deadLetter(
            rejection, from: group.topic, to: configuration.deadLetterTopic,
            group: configuration.groupID)
    }

    /// Counts the record in its run, and holds the run back until its letter has arrived.
    private func send(
        _ letter: OutgoingRecord?, of partition: PartitionIndex, offset: Offset, bytes: Int,
        time: Milliseconds?
    ) {
        var runID = 0
        deliveries.withRun(partition) { run in
            run.count(offset: offset, bytes: bytes, time: time)
            if letter != nil { run.letters += 1 }
            runID = run.id
        }
        guard let letter else { return }
        send(Letter(record: letter, run: runID, partition: partition, isItem: false))
    }

    // MARK: items

    /// Reads what is there of the items topic and returns how many records that was.
    func readItems() -> Int {
        var count = 0
        var bytes = 0
        while itemDeliveries.prefetch.isOpen, count < Self.itemRecordsMax,
            bytes < Self.itemBytesMax, let message = nextItem()
        {
            count += 1
            bytes += message.bytes
            if message.isRecord {
                takeItem(message)
            } else {
                handleItem(message)
            }
        }
        for event in items.handle.events.take() {
            if case .trouble(let error) = event { report(error) }
        }
        guard count > 0 else { return 0 }
        let partitions = itemDeliveries.closeRuns { run, firstOffset in
            ItemBatch(
                partition: run.partition, firstOffset: firstOffset, changes: run.elements,
                nextOffset: run.nextOffset, recordCount: run.records)
        }
        for partition in partitions { deliverItems(partition) }
        return count
    }

    private func nextItem() -> KafkaMessage? {
        if let message = items.poll(waitingAtMost: 0) { return message }
        return items.nextRecord(waitingAtMost: 0)
    }

    func deliverItems(_ partition: PartitionIndex) {
        while let batch = itemDeliveries.takeReady(partition) { consumer?.received(batch) }
    }

    private func handleItem(_ message: borrowing KafkaMessage) {
        report(message.error)
    }

    private func takeItem(_ message: borrowing KafkaMessage) {
        let partition = message.partition
        guard itemDeliveries.isOpen(partition) else { return }
        let outcome = message.withContents { key, payload in
            itemDecoder.decode(key: key, payload: payload)
        }
        let offset = message.offset
        let bytes = message.bytes
        tally.itemRecords += 1
        tally.itemBytes += bytes
        itemPositions[partition]?.offset = offset + 1
        var letter: OutgoingRecord?
        if case .rejected(let rejection) = outcome {
            tally.itemsRejected[rejection.reason, default: 0] += 1
            letter = message.deadLetter(
                rejection, from: items.topic, to: configuration.deadLetterTopic,
                group: configuration.groupID)
        }
        var runID = 0
        itemDeliveries.withRun(partition) { run in
            if case .change(let change) = outcome { run.elements.append(change) }
            if letter != nil { run.letters += 1 }
            run.count(offset: offset, bytes: bytes, time: nil)
            runID = run.id
        }
        guard let letter else { return }
        send(Letter(record: letter, run: runID, partition: partition, isItem: true))
    }

    // MARK: letters

    private func send(_ letter: Letter) {
        sink.send(letter.record) { [self] result in
            post { $0.sent(letter, result) }
        }
    }

    private func sent(_ letter: Letter, _ result: Result<LogPosition, KafkaError>) {
        switch result {
        case .success: settle(letter)
        case .failure(let error) where error.code == .tooLarge:
            guard let shorter = letter.record.truncated() else {
                fail("a record for `\(letter.record.topic)` is too large for the broker")
                return
            }
            var letter = letter
            letter.record = shorter
            send(letter)
        case .failure(let error) where error.isRetriable:
            var letter = letter
            letter.nextAttempt = clock.monotonicSeconds + Self.connectIntervalSeconds
            resends.append(letter)
            report(error)
        case .failure(let error):
            fail("a record could not be kept in `\(letter.record.topic)`: \(error.reason)")
        }
    }

    private func settle(_ letter: Letter) {
        if letter.isItem {
            itemDeliveries.settleLetter(of: letter.run, letter.partition)
            deliverItems(letter.partition)
        } else {
            deliveries.settleLetter(of: letter.run, letter.partition)
            deliver(letter.partition)
        }
    }

    func resendLetters(now: Double) {
        guard resends.contains(where: { $0.nextAttempt <= now }) else { return }
        let due = resends.filter { $0.nextAttempt <= now }
        resends.removeAll { $0.nextAttempt <= now }
        for letter in due { send(letter) }
    }

    func observeTally() {
        guard tally.records > 0 || tally.itemRecords > 0 else { return }
        if tally.records > 0 {
            observer.observe(
                .recordsConsumed(topic: group.topic, records: tally.records, bytes: tally.bytes))
        }
        if tally.itemRecords > 0 {
            observer.observe(
                .recordsConsumed(
                    topic: items.topic, records: tally.itemRecords, bytes: tally.itemBytes))
        }
        for (topic, counts) in [
            (group.topic, tally.rejected), (items.topic, tally.itemsRejected),
        ] {
            for (reason, count) in counts {
                let reason = reason.rawValue
                observer.observe(.recordsRejected(topic: topic, reason: reason, records: count))
                observer.observe(.deadLettered(reason: reason, records: count))
            }
        }
        for (reason, count) in tally.adjusted {
            observer.observe(.recordsAdjusted(reason: reason, records: count))
        }
        tally = Tally()
    }
}

extension OpenRun {
    mutating func count(offset: Offset, bytes: Int, time: Milliseconds?) {
        nextOffset = offset + 1
        newestTime = max(newestTime, time ?? 0)
        records += 1
        self.bytes += bytes
    }
}
