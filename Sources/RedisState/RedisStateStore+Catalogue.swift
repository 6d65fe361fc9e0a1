// The catalogue: raw item records and the offset up to which the items topic is contained.

import Interactions
public import Ports
import Synchronization

extension RedisStateStore {
    /// Fields asked of one HSCAN of items, which are larger than users.
    private static let scanCount = 500

    public func commitItems(_ commit: ItemCommit, completion: @escaping Completion<Void>) {
        let known = itemOffsets.withLock { $0[commit.partition] }
        write(
            Step(
                encode: { [keys] in commit.encode(keys, known: known, into: &$0) },
                accept: { [self] replies throws(PortError) in
                    let parts = try replies[1].elements("items outcome", count: 2)
                    let stored = try parts[1].integer("items offset")
                    if try parts[0].text("items outcome") == "REGRESSED" {
                        itemOffsets.withLock { $0[commit.partition] = nil }
                        throw PortError(
                            .refused,
                            "Redis lost item records: partition \(commit.partition) of the items topic is"
                                + " stored up to offset \(stored), was \(known ?? 0): read it again from there"
                        )
                    }
                    itemOffsets.withLock { $0[commit.partition] = stored }
                    completion(.success(()))
                },
                fail: { completion(.failure($0)) }))
    }

    public func loadCatalogue(completion: @escaping Completion<StoredCatalogue>) {
        read(
            Step(
                encode: { [keys] in $0.command("SMEMBERS", keys.itemPartitions) },
                accept: { [self] replies throws(PortError) in
                    var partitions: [PartitionIndex] = []
                    for member in try replies[0].elements("item partitions") {
                        let number = try member.integer("item partition")
                        guard let partition = PartitionIndex(exactly: number), partition >= 0 else {
                            throw PortError(.corrupt, "stored item partition \(number)")
                        }
                        partitions.append(partition)
                    }
                    loadNext(
                        CatalogueReading(partitions: partitions.sorted()), completion: completion)
                },
                fail: { completion(.failure($0)) }))
    }

    /// Reads page after page; other reads get their turn in between.
    private func loadNext(
        _ reading: CatalogueReading, completion: @escaping Completion<StoredCatalogue>
    ) {
        guard let partition = reading.partitions.last else {
            return completion(.success(reading.result))
        }
        read(
            Step(
                encode: { [keys] buffer in
                    // The offset first: items newer than it are read twice, none is missed.
                    buffer.command("HGET", keys.itemsMeta(partition), "offset")
                    buffer.command(
                        "HSCAN", keys.items(partition), String(reading.cursor), "COUNT",
                        String(Self.scanCount))
                },
                accept: { [self] replies throws(PortError) in
                    var reading = reading
                    try reading.add(partition, offset: replies[0], page: ScanPage(replies[1]))
                    loadNext(reading, completion: completion)
                },
                fail: { completion(.failure($0)) }))
    }
}

/// A catalogue being read.
private struct CatalogueReading: Sendable {
    /// Not yet read to the end; the last one is being read.
    var partitions: [PartitionIndex]
    var cursor: UInt64 = 0
    private var jsonByItem: [ItemID: [UInt8]] = [:]
    private var nextOffsets: [PartitionIndex: Offset] = [:]

    init(partitions: [PartitionIndex]) { self.partitions = partitions }

    var result: StoredCatalogue {
        StoredCatalogue(
            items: jsonByItem.map { (id: $0.key, json: $0.value) }, nextOffsets: nextOffsets)
    }

    mutating func add(_ partition: PartitionIndex, offset: Reply, page: ScanPage) throws(PortError)
    {
        if cursor == 0 { nextOffsets[partition] = try offset.integerOrNil("items offset") }
        for (field, value) in page.pairs {
            let text = try field.text("item id")
            guard let item = ItemID(text) else {
                throw PortError(.corrupt, "a stored item id has \(text.utf8.count) bytes")
            }
            // A scan may show a record twice.
            jsonByItem[item] = try value.bytes("item record")
        }
        cursor = page.next ?? 0
        if page.next == nil { partitions.removeLast() }
    }
}

extension ItemCommit {
    fileprivate func encode(_ keys: KeyNames, known: Int64?, into buffer: inout CommandBuffer) {
        buffer.command("SADD", keys.itemPartitions, String(partition))
        let deleted = writes.count { $0.json == nil }
        let kept = writes.count - deleted
        buffer.begin(5 + 3 + 2 * kept + deleted)
        buffer.add("FCALL")
        buffer.add(FunctionLibrary.commitItems)
        buffer.add("2")
        buffer.add(keys.itemsMeta(partition))
        buffer.add(keys.items(partition))
        buffer.add(nextOffset)
        buffer.add(known.map { String($0) } ?? "")
        buffer.add(kept)
        for write in writes {
            guard let json = write.json else { continue }
            buffer.add(write.id.text)
            buffer.add(json)
        }
        for write in writes where write.json == nil { buffer.add(write.id.text) }
    }
}
