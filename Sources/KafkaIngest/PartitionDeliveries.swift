// The ledgers of all partitions of a topic with their common bound, and the run that is being read.

import Interactions

/// One partition's share of a round, growing.
struct OpenRun<Element> {
    let id: Int
    let partition: PartitionIndex
    var elements: [Element] = []
    var nextOffset: Offset = 0
    /// The newest record's own timestamp, or 0.
    var newestTime: Milliseconds = 0
    var records = 0
    var bytes = 0
    var letters = 0
}

/// A value; knows no Kafka.
struct PartitionDeliveries<Element, Batch> {
    private(set) var prefetch: Prefetch
    private var ledgers: [PartitionIndex: DeliveryLedger<Batch>] = [:]
    private var runs: [OpenRun<Element>] = []
    private var runIndex: [PartitionIndex: Int] = [:]
    private var nextID = 0
    /// Letters may be settled before their run is closed.
    private var settledEarly: [Int: Int] = [:]

    init(prefetch: Prefetch) { self.prefetch = prefetch }

    func isOpen(_ partition: PartitionIndex) -> Bool { ledgers[partition] != nil }

    /// Where reading goes on; nil is the partition's beginning.
    func position(of partition: PartitionIndex) -> Offset? {
        ledgers[partition].flatMap { $0.position < 0 ? nil : $0.position }
    }

    /// Starts a partition's books afresh; nil is the partition's beginning.
    mutating func open(_ partition: PartitionIndex, at offset: Offset?) {
        close(partition)
        ledgers[partition] = DeliveryLedger(position: offset ?? -1)
    }

    /// Ends a partition's books; what was outstanding is free.
    mutating func close(_ partition: PartitionIndex) {
        guard let ledger = ledgers.removeValue(forKey: partition) else { return }
        prefetch.giveBack((ledger.records, ledger.bytes))
    }

    /// The partition is being taken away: what was not delivered never will be, acknowledgements still count.
    mutating func dropUndelivered(_ partition: PartitionIndex) {
        guard let freed = ledgers[partition]?.dropUndelivered() else { return }
        prefetch.giveBack(freed)
    }

    /// Adds to the partition's run of this round.
    mutating func withRun(_ partition: PartitionIndex, _ body: (inout OpenRun<Element>) -> Void) {
        if let index = runIndex[partition] {
            body(&runs[index])
            return
        }
        nextID += 1
        var run = OpenRun<Element>(id: nextID, partition: partition)
        body(&run)
        runIndex[partition] = runs.count
        runs.append(run)
    }

    /// Ends the round: its runs become batches, each told where it begins. Returns the partitions that got one.
    mutating func closeRuns(_ batch: (OpenRun<Element>, Offset) -> Batch) -> [PartitionIndex] {
        for run in runs {
            guard let first = ledgers[run.partition]?.position else { continue }
            let early = settledEarly[run.id] ?? 0
            ledgers[run.partition]?.append(
                id: run.id, batch(run, first), nextOffset: run.nextOffset, records: run.records,
                bytes: run.bytes, letters: run.letters - early)
            prefetch.take(records: run.records, bytes: run.bytes)
        }
        let partitions = runs.map(\.partition)
        runs.removeAll(keepingCapacity: true)
        runIndex.removeAll(keepingCapacity: true)
        settledEarly.removeAll()
        return partitions
    }

    mutating func settleLetter(of id: Int, _ partition: PartitionIndex) {
        if runs.contains(where: { $0.id == id }) {
            settledEarly[id, default: 0] += 1
        } else {
            ledgers[partition]?.settleLetter(of: id)
        }
    }

    mutating func takeReady(_ partition: PartitionIndex) -> Batch? {
        ledgers[partition]?.takeReady()
    }

    /// Whether anything was waiting for this.
    mutating func acknowledge(_ partition: PartitionIndex, nextOffset: Offset) -> Bool {
        guard let freed = ledgers[partition]?.acknowledge(nextOffset: nextOffset),
            freed.records > 0
        else { return false }
        prefetch.giveBack(freed)
        return true
    }
}
