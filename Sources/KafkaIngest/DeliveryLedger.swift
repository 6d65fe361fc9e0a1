// What one partition has been read up to, handed over and got back: order, bounds and the wait for dead letters.
//
// A batch may be delivered only when the dead letters and moved records of its run are with the broker, and never
// before the batch in front of it. It counts against the prefetch until it is acknowledged.

import Interactions

/// The books of one partition. A value; knows no Kafka.
struct DeliveryLedger<Batch> {
    private struct Entry {
        var id: Int
        var batch: Batch?
        var nextOffset: Offset
        var records: Int
        var bytes: Int
        /// Records sent elsewhere and not yet acknowledged by the broker.
        var lettersOpen: Int
    }

    private var entries: [Entry] = []
    /// Entries before this index are delivered.
    private var delivered = 0
    /// Where the next run begins: -1 is the partition's beginning.
    private(set) var position: Offset
    private(set) var records = 0
    private(set) var bytes = 0

    init(position: Offset) { self.position = position }

    mutating func append(
        id: Int, _ batch: Batch, nextOffset: Offset, records: Int, bytes: Int, letters: Int
    ) {
        entries.append(
            Entry(
                id: id, batch: batch, nextOffset: nextOffset, records: records, bytes: bytes,
                lettersOpen: letters))
        position = nextOffset
        self.records += records
        self.bytes += bytes
    }

    /// One letter of that batch is with the broker. Unknown batches were dropped in between.
    mutating func settleLetter(of id: Int) {
        guard let index = entries.firstIndex(where: { $0.id == id }) else { return }
        entries[index].lettersOpen -= 1
    }

    /// The next batch that may be delivered.
    mutating func takeReady() -> Batch? {
        guard delivered < entries.count, entries[delivered].lettersOpen == 0 else { return nil }
        defer { delivered += 1 }
        return entries[delivered].batch.take()
    }

    /// Everything before `nextOffset` is durable; says how much that frees.
    mutating func acknowledge(nextOffset: Offset) -> (records: Int, bytes: Int) {
        let count = entries[..<delivered].prefix { $0.nextOffset <= nextOffset }.count
        return drop(0..<count)
    }

    /// Forgets what was not delivered; says how much that frees.
    mutating func dropUndelivered() -> (records: Int, bytes: Int) {
        drop(delivered..<entries.count)
    }

    private mutating func drop(_ range: Range<Int>) -> (records: Int, bytes: Int) {
        let freed = entries[range].reduce((records: 0, bytes: 0)) {
            ($0.records + $1.records, $0.bytes + $1.bytes)
        }
        entries.removeSubrange(range)
        if range.lowerBound < delivered { delivered -= range.count }
        records -= freed.records
        bytes -= freed.bytes
        return freed
    }
}

/// The bound on what is outstanding over all partitions: closed at the bound, open again at half of it.
struct Prefetch {
    let recordsMax: Int
    let bytesMax: Int
    private(set) var records = 0
    private(set) var bytes = 0
    private(set) var isOpen = true

    init(recordsMax: Int, bytesMax: Int) {
        self.recordsMax = recordsMax
        self.bytesMax = bytesMax
    }

    mutating func take(records: Int, bytes: Int) {
        self.records += records
        self.bytes += bytes
        if self.records >= recordsMax || self.bytes >= bytesMax { isOpen = false }
    }

    mutating func giveBack(_ freed: (records: Int, bytes: Int)) {
        records -= freed.records
        bytes -= freed.bytes
        if records <= recordsMax / 2 && bytes <= bytesMax / 2 { isOpen = true }
    }
}
