// A recorded log into Kafka: items first, then events, no faster than the consumers when the broker keeps little.

import Evaluation
import Glibc
import Interactions
import KafkaIngest
import RecordDecoding

struct LogReplay {
    let configuration: KafkaConfiguration
    /// Folder with `events.jsonl` and, perhaps, `items.jsonl`.
    let folder: String

    /// Produces the catalogue; returns how many records.
    func produceItems() throws -> Int {
        let path = folder + "/items.jsonl"
        guard unsafe access(path, R_OK) == 0 else { return 0 }
        let producer = try BulkProducer(
            configuration: configuration, topic: configuration.itemsTopic, clock: SystemClock())
        var decoder = ItemDecoder(fields: configuration.itemFields, limits: configuration.limits)
        var records: [BulkRecord] = []
        var refused = 0
        let lines = try LineReader(path)
        while let line = try lines.next() {
            let outcome = unsafe decoder.decode(key: nil, payload: line.span.bytes)
            guard case .change(.set(let record, _)) = outcome else {
                refused += 1
                continue
            }
            records.append(
                BulkRecord(key: Array(record.id.text.utf8), payload: line, timestamp: nil))
        }
        if refused > 0 { writeError("\(path): \(refused) lines are no items and were left out\n") }
        return try producer.run(records).acknowledged
    }

    /// Produces the events and shows progress; returns how many.
    func produceEvents(
        pace: BulkPace, isCancelled: () -> Bool = { false }
    ) throws -> Int {
        let path = folder + "/events.jsonl"
        let counter = try LineReader(path)
        while try counter.next() != nil {}
        let total = counter.lineNumber
        let log = try EventLog(path: path, configuration: configuration)
        let producer = try BulkProducer(
            configuration: configuration, topic: configuration.interactionsTopic,
            clock: SystemClock())
        let offsets = try GroupOffsets(
            configuration: configuration, topic: configuration.interactionsTopic)
        let progress = ProgressLine("replaying", total: total)
        let done = try producer.run(
            log, pace: pace, ahead: AheadLimit { offsets.committed() }, isCancelled: isCancelled
        ) { progress.update($0.acknowledged) }
        progress.finish()
        if log.rejectedLines > 0 {
            writeError(
                "\(path): \(log.rejectedLines) lines are no events and were left out; the first: "
                    + "\(log.firstRejection ?? "")\n")
        }
        return done.acknowledged
    }
}

/// A progress bar that closures can share.
final class ProgressLine {
    private var bar: ProgressBar
    init(_ label: String, total: Int?) { bar = ProgressBar(label, total: total) }
    func update(_ done: Int) { bar.update(done) }
    func finish() { bar.finish() }
}
