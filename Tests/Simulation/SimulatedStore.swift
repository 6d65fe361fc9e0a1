// The state store as the simulator plays it: the contract of `StateStore`, in memory, with faults on request.

public import Interactions
public import Ports

/// One store that every simulated instance shares. A value, so that "the store lost its last writes" is an
/// assignment.
public struct SimulatedStore: Sendable {
    public struct Partition: Sendable {
        public var epoch: Int64 = 0
        public var sequence: Int64 = 0
        public var nextOffset: Offset?
        public var digest = StateDigest()
        public var userCount: Int64 = 0
        public var userBytes: Int64 = 0
        public var users: [UserID: [UInt8]] = [:]
        public var deltas: [StatisticsDelta] = []
        public var trimmed: Int64 = 0
    }

    public var partitions: [PartitionIndex: Partition] = [:]
    public var checkpoint: StatisticsCheckpoint?
    public var items: [ItemID: [UInt8]] = [:]
    public var itemOffsets: [PartitionIndex: Offset] = [:]
    public var models: [String: StoredModel] = [:]

    public init() {}

    /// `clock` plays the store's clock, which goes on when writes are lost.
    public mutating func claim(_ index: PartitionIndex, clock: Int64) -> PartitionClaim {
        let old = partitions[index]?.epoch ?? 0
        partitions[index, default: Partition()].epoch = max(old + 1, clock)
        let entry = partitions[index] ?? Partition()
        return PartitionClaim(
            partition: index, epoch: entry.epoch, sequence: entry.sequence,
            nextOffset: entry.nextOffset, digest: entry.digest, userCount: entry.userCount,
            userBytes: entry.userBytes)
    }

    public mutating func commit(_ commit: PartitionCommit) -> CommitOutcome {
        var entry = partitions[commit.partition] ?? Partition()
        if entry.epoch != commit.epoch { return .fenced(epoch: entry.epoch) }
        if entry.sequence >= commit.sequence { return .committed }
        if entry.sequence != commit.sequence - 1 { return .regressed(sequence: entry.sequence) }
        entry.sequence = commit.sequence
        entry.nextOffset = commit.nextOffset
        entry.digest = commit.digest
        entry.userCount = commit.userCount
        entry.userBytes = commit.userBytes
        for write in commit.writes { entry.users[write.user] = write.blob }
        if !commit.statisticsEdits.isEmpty {
            entry.deltas.append(
                StatisticsDelta(
                    partition: commit.partition, sequence: commit.sequence,
                    edits: commit.statisticsEdits))
        }
        partitions[commit.partition] = entry
        return .committed
    }

    public func deltas(after: [PartitionIndex: Int64], limit: Int) -> DeltaRead {
        var found: [StatisticsDelta] = []
        var gaps: [PartitionIndex] = []
        for (index, sequence) in after {
            let entry = partitions[index] ?? Partition()
            if sequence < entry.trimmed { gaps.append(index) }
            found += entry.deltas.filter { $0.sequence > sequence }.prefix(limit)
        }
        return gaps.isEmpty ? .deltas(found) : .gap(gaps.sorted())
    }

    public mutating func save(_ new: StatisticsCheckpoint) {
        for (index, sequence) in checkpoint?.sequences ?? [:] {
            guard new.sequences[index] ?? 0 >= sequence else { return }
        }
        checkpoint = new
        for (index, sequence) in new.sequences {
            partitions[index]?.deltas.removeAll { $0.sequence <= sequence }
            let trimmed = partitions[index]?.trimmed ?? 0
            partitions[index]?.trimmed = max(trimmed, sequence)
        }
    }

    public mutating func save(_ model: StoredModel) {
        if model.version > models[model.name]?.version ?? 0 { models[model.name] = model }
    }

    public func page(of index: PartitionIndex, cursor: UInt64) -> UserPage {
        let all = (partitions[index]?.users ?? [:]).sorted { $0.key < $1.key }
        let rows = all.dropFirst(Int(cursor)).prefix(7).map { (user: $0.key, blob: $0.value) }
        let next = Int(cursor) + rows.count
        return UserPage(users: rows, nextCursor: next < all.count ? UInt64(next) : nil)
    }
}
