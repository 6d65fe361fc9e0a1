// Users on the move: a topic that got more partitions gives most users another home.
//
// A move is two ordinary commits, first where the user goes, then where the user leaves; so each partition's digest and
// totals hold at every moment, and a daemon that still runs is fenced. Statistics are sums over all partitions and do
// not change. Whatever interrupts a move, running it again ends it: a user met in both places is the same user.

public import Interactions
public import Ports
import Recommender
import Teachers

/// Moves every user of a store to the partition that is theirs among more partitions.
public struct Repartition<Store: MovableStore>: Sendable {
    private let store: Store
    private let partitioner: String
    private let home: @Sendable (UserID, Int32) -> PartitionIndex

    /// `home`: where the configured `partitioner` puts a user among so many partitions.
    public init(
        _ store: Store, partitioner: String,
        home: @escaping @Sendable (UserID, Int32) -> PartitionIndex
    ) {
        self.store = store
        self.partitioner = partitioner
        self.home = home
    }

    public struct Progress: Sendable, Hashable {
        public var seen: Int64 = 0
        public var moved: Int64 = 0
        public var total: Int64 = 0
    }

    /// Returns what was done; nothing moves when the store has `wanted` partitions already. Throws `refused` for fewer
    /// partitions than there are, a store that is empty, or another partitioner.
    public func run(
        to wanted: Int32, progress: @Sendable (Progress) -> Void
    ) async throws(PortError) -> Progress {
        guard let stored = try await ask({ store.readLayout(completion: $0) }) else {
            throw PortError(.refused, "nothing is stored yet: there is nobody to move")
        }
        guard stored.partitioner == partitioner else {
            throw PortError(
                .refused,
                "the state was made with the partitioner \(stored.partitioner), but \(partitioner) is configured"
            )
        }
        if let begun = stored.movingTo, begun != wanted {
            throw PortError(
                .refused,
                "a move from \(stored.partitions) to \(begun) partitions was begun: it must be ended first, "
                    + "but the topic has \(wanted)")
        }
        guard wanted >= stored.partitions else {
            throw PortError(
                .refused,
                "the state is laid out for \(stored.partitions) partitions and the topic has \(wanted): users can be "
                    + "moved to more partitions only")
        }
        var done = Progress()
        guard stored.movingTo != nil || wanted > stored.partitions else { return done }
        var layout = stored
        layout.movingTo = wanted
        try await ask { store.writeLayout(layout, completion: $0) }
        var claims: [PartitionClaim] = []
        for partition in 0..<wanted {
            claims.append(try await ask { store.claim(partition, completion: $0) })
        }
        done.total = claims.reduce(0) { $0 + $1.userCount }
        for partition in 0..<stored.partitions {
            var cursor: UInt64? = 0
            while let from = cursor {
                let page = try await ask {
                    store.scanUsers(of: partition, cursor: from, completion: $0)
                }
                done.moved += try await move(page.users, from: partition, among: wanted, &claims)
                done.seen += Int64(page.users.count)
                progress(done)
                cursor = page.nextCursor
            }
        }
        layout = StoredLayout(partitions: wanted, partitioner: partitioner)
        try await ask { store.writeLayout(layout, completion: $0) }
        return done
    }

    /// Of one page, those that have another home.
    private func move(
        _ users: [(user: UserID, blob: [UInt8])], from partition: PartitionIndex,
        among count: Int32,
        _ claims: inout [PartitionClaim]
    ) async throws(PortError) -> Int64 {
        var leaving: [PartitionIndex: [UserWrite]] = [:]
        var met: Set<UserID> = []
        for row in users where met.insert(row.user).inserted {
            let target = home(row.user, count)
            guard target != partition else { continue }
            leaving[target, default: []].append(UserWrite(user: row.user, blob: row.blob))
        }
        var moved: Int64 = 0
        for (target, writes) in leaving.sorted(by: { $0.key < $1.key }) {
            try await commit(writes, to: target, &claims)
            try await commit(
                writes.map { UserWrite(user: $0.user, blob: nil) }, to: partition, &claims)
            moved += Int64(writes.count)
        }
        return moved
    }

    private func commit(
        _ writes: [UserWrite], to partition: PartitionIndex, _ claims: inout [PartitionClaim]
    ) async throws(PortError) {
        let before = try await ask {
            store.load(writes.map(\.user), of: partition, completion: $0)
        }
        var claim = claims[Int(partition)]
        for (write, old) in zip(writes, before) {
            for (blob, sign) in [(old, -1), (write.blob, 1)] {
                guard let blob else { continue }
                let digest = Coordinator.digest(write.user, blob)
                claim.digest = sign > 0 ? claim.digest + digest : claim.digest - digest
                claim.userCount += Int64(sign)
                claim.userBytes += Int64(sign * blob.count)
            }
        }
        claim.sequence += 1
        let outcome = try await ask {
            store.commit(
                PartitionCommit(
                    partition: partition, epoch: claim.epoch, sequence: claim.sequence,
                    nextOffset: nil, digest: claim.digest, userCount: claim.userCount,
                    userBytes: claim.userBytes, writes: writes, statisticsEdits: [],
                    recordCount: 0), completion: $0)
        }
        guard outcome == .committed else {
            throw PortError(
                .refused,
                "somebody else has taken partition \(partition): stop every instance, then run this again"
            )
        }
        claims[Int(partition)] = claim
    }

    private func ask<Value: Sendable>(
        _ question: (@escaping @Sendable (Result<Value, PortError>) -> Void) -> Void
    ) async throws(PortError) -> Value {
        try await withCheckedContinuation { continuation in
            question { continuation.resume(returning: $0) }
        }.get()
    }
}
