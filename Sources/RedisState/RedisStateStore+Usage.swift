// Bytes per key family (promise G4), sampled by Redis itself.

public import Interactions
public import Ports
import Synchronization

/// What one family of keys holds.
public struct FamilyUsage: Sendable, Hashable {
    public var entries: Int64
    public var bytes: Int64

    public init(entries: Int64 = 0, bytes: Int64 = 0) {
        self.entries = entries
        self.bytes = bytes
    }

    public var bytesPerEntry: Double { entries == 0 ? 0 : Double(bytes) / Double(entries) }

    fileprivate mutating func add(entries: Reply, bytes: Reply) throws(PortError) -> Int64 {
        let count = try entries.integer("number of entries")
        self.entries += count
        self.bytes += try bytes.integerOrNil("memory usage") ?? 0
        return count
    }
}

public struct StoreUsage: Sendable, Hashable {
    public var users = FamilyUsage()
    public var deltas = FamilyUsage()
    public var items = FamilyUsage()
    public var checkpoint = FamilyUsage()
    /// Deltas kept for each partition, so that whoever makes checkpoints can bound them.
    public var deltaCounts: [PartitionIndex: Int64] = [:]

    public init() {}
}

extension RedisStateStore {
    /// Entries of a key that MEMORY USAGE looks at.
    private static let samples = "50"

    /// Measures all partitions of the layout; needs `prepare` first. Costs a few samples per key, not a walk.
    public func familyUsage(completion: @escaping Completion<StoreUsage>) {
        read(
            Step(
                encode: { [keys] buffer in
                    buffer.command("SMEMBERS", keys.itemPartitions)
                    buffer.command("HGET", keys.checkpoint, "version")
                },
                accept: { [self] replies throws(PortError) in
                    var items: [PartitionIndex] = []
                    for member in try replies[0].elements("item partitions") {
                        items.append(
                            PartitionIndex(clamping: try member.integer("item partition")))
                    }
                    let version = try replies[1].textOrNil("checkpoint version")
                    measure(items: items, version: version, completion: completion)
                },
                fail: { completion(.failure($0)) }))
    }

    private func measure(
        items: [PartitionIndex], version: String?, completion: @escaping Completion<StoreUsage>
    ) {
        let partitions =
            0..<PartitionIndex(
                clamping: layout.withLock { max(0, $0?.partitions ?? 0) })
        read(
            Step(
                encode: { [keys] buffer in
                    func measure(_ counter: String, _ key: String) {
                        buffer.command(counter, key)
                        buffer.command("MEMORY", "USAGE", key, "SAMPLES", Self.samples)
                    }
                    // A checkpoint that is not there is measured as an absent key.
                    measure("HLEN", KeyNames.chunks(of: keys.checkpoint, version ?? "none"))
                    for partition in partitions {
                        measure("HLEN", keys.users(partition))
                        measure("XLEN", keys.deltas(partition))
                    }
                    for partition in items { measure("HLEN", keys.items(partition)) }
                },
                accept: { replies throws(PortError) in
                    var usage = StoreUsage()
                    _ = try usage.checkpoint.add(entries: replies[0], bytes: replies[1])
                    var at = 2
                    for partition in partitions {
                        _ = try usage.users.add(entries: replies[at], bytes: replies[at + 1])
                        usage.deltaCounts[partition] = try usage.deltas.add(
                            entries: replies[at + 2], bytes: replies[at + 3])
                        at += 4
                    }
                    for _ in items {
                        _ = try usage.items.add(entries: replies[at], bytes: replies[at + 1])
                        at += 2
                    }
                    completion(.success(usage))
                },
                fail: { completion(.failure($0)) }))
    }
}
