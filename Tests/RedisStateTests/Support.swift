// The store's completions as async calls, and small things the tests share.

import Interactions
import Ports
import RedisState
import Synchronization
import TestKit

/// A store on a server's Unix socket, stopped when the test ends.
final class StoreUnderTest: Sendable {
    let store: RedisStateStore
    private let seen = Mutex<[StoreHealth]>([])

    init(_ settings: RedisSettings) {
        store = RedisStateStore(settings)
        store.observeHealth { [weak self] health in self?.seen.withLock { $0.append(health) } }
    }

    convenience init(_ server: RedisServer, commandTimeoutMilliseconds: Int = 5_000) {
        self.init(
            RedisSettings(
                address: .unix(path: server.socketPath),
                commandTimeoutMilliseconds: commandTimeoutMilliseconds, backoffMaxMilliseconds: 100)
        )
    }

    deinit { store.stop(withinMilliseconds: 0, done: {}) }

    var healths: [StoreHealth] { seen.withLock { $0 } }

    /// Whether a write trouble with these words was told.
    func toldOfWrites(_ words: String) -> Bool {
        healths.contains { $0.writeTrouble?.contains(words) == true }
    }

    func prepare(_ partitions: Int32 = 4) async throws {
        try await awaited { self.store.prepare(interactionPartitions: partitions, completion: $0) }
    }

    func claim(_ partition: PartitionIndex = 0) async throws -> PartitionClaim {
        try await awaited { self.store.claim(partition, completion: $0) }
    }

    func commit(_ commit: PartitionCommit) async throws -> CommitOutcome {
        try await awaited { self.store.commit(commit, completion: $0) }
    }

    func load(_ users: [String], of partition: PartitionIndex = 0) async throws -> [[UInt8]?] {
        try await awaited {
            self.store.load(users.map { UserID($0)! }, of: partition, completion: $0)
        }
    }

    func deltas(after: [PartitionIndex: Int64], limit: Int = 100) async throws -> DeltaRead {
        try await awaited { self.store.readDeltas(after: after, limit: limit, completion: $0) }
    }

    func save(_ checkpoint: StatisticsCheckpoint) async throws {
        try await awaited { self.store.saveCheckpoint(checkpoint, completion: $0) }
    }

    func checkpoint() async throws -> StatisticsCheckpoint? {
        try await awaited { self.store.loadCheckpoint(completion: $0) }
    }

    func allUsers(of partition: PartitionIndex = 0) async throws -> [String: [UInt8]] {
        var all: [String: [UInt8]] = [:]
        var cursor: UInt64? = 0
        while let from = cursor {
            let page: UserPage = try await awaited {
                self.store.scanUsers(of: partition, cursor: from, completion: $0)
            }
            for (user, blob) in page.users { all[user.text] = blob }
            cursor = page.nextCursor
        }
        return all
    }

    func commitItems(_ commit: ItemCommit) async throws {
        try await awaited { self.store.commitItems(commit, completion: $0) }
    }

    func catalogue() async throws -> StoredCatalogue {
        try await awaited { self.store.loadCatalogue(completion: $0) }
    }

    func usage() async throws -> StoreUsage {
        try await awaited { self.store.familyUsage(completion: $0) }
    }

    func stop(withinMilliseconds: Int = 1_000) async {
        await withCheckedContinuation { continuation in
            store.stop(withinMilliseconds: withinMilliseconds) { continuation.resume() }
        }
    }
}

/// Turns one completion into a result.
func awaited<Value: Sendable>(
    _ call: (@escaping @Sendable (Result<Value, PortError>) -> Void) -> Void
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        call { continuation.resume(with: $0) }
    }
}

/// Completions in the order they came.
final class Outcomes<Value: Sendable>: Sendable {
    private let list = Mutex<[Result<Value, PortError>]>([])

    var all: [Result<Value, PortError>] { list.withLock { $0 } }
    var count: Int { list.withLock { $0.count } }
    var add: @Sendable (Result<Value, PortError>) -> Void {
        { result in self.list.withLock { $0.append(result) } }
    }
}

func makeCommit(
    _ claim: PartitionClaim, sequence: Int64, writes: [(String, [UInt8]?)] = [("u", [1])],
    edits: [UInt8] = []
) -> PartitionCommit {
    PartitionCommit(
        partition: claim.partition, epoch: claim.epoch, sequence: sequence,
        nextOffset: sequence * 10, digest: StateDigest(low: UInt64(sequence), high: 7),
        userCount: sequence, userBytes: sequence * 2,
        writes: writes.map { UserWrite(user: UserID($0.0)!, blob: $0.1) },
        statisticsEdits: edits, recordCount: 10)
}

/// The error's code and reason, or what came instead.
func failure(_ body: () async throws -> some Any) async -> PortError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? PortError
    }
}
