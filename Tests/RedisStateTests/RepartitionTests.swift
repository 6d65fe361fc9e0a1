// Users moved to more partitions, against a real server.

import Interactions
import Pipeline
import Ports
import RedisState
import TestKit
import Testing

@Suite struct RepartitionTests {
    private static let home: @Sendable (UserID, Int32) -> PartitionIndex = {
        Partitioner.murmur2.partition(of: $0, count: $1)
    }

    /// Users in `partitions` partitions, as commits leave them.
    private static func fill(
        _ store: StoreUnderTest, users: Int, partitions: Int32
    ) async throws -> [String: [UInt8]] {
        try await store.prepare(partitions)
        let all = try (0..<users).map { number in
            (user: try #require(UserID("user-\(number)")), blob: [1, 0, UInt8(number % 200)])
        }
        for partition in 0..<partitions {
            let own = all.filter { home($0.user, partitions) == partition }
            let claim = try await store.claim(partition)
            var commit = makeCommit(claim, sequence: 1, edits: [9])
            commit.writes = own.map { UserWrite(user: $0.user, blob: $0.blob) }
            (commit.digest, commit.userCount, commit.userBytes) = totals(own)
            #expect(try await store.commit(commit) == .committed)
        }
        return Dictionary(uniqueKeysWithValues: all.map { ($0.user.text, $0.blob) })
    }

    private static func totals(
        _ users: [(user: UserID, blob: [UInt8])]
    ) -> (StateDigest, Int64, Int64) {
        (
            users.reduce(StateDigest()) { $0 + Coordinator.digest($1.user, $1.blob) },
            Int64(users.count), Int64(users.reduce(0) { $0 + $1.blob.count })
        )
    }

    private static func run(
        _ store: StoreUnderTest, to count: Int32, partitioner: String = "murmur2",
        progress: @Sendable (Int64) -> Void = { _ in }
    ) async throws -> Int64 {
        try await Repartition(store.store, partitioner: partitioner, home: home)
            .run(to: count) { progress($0.moved) }.moved
    }

    /// Everybody is at home, once, and every partition's totals are those of its users.
    private static func expectAtHome(
        _ store: StoreUnderTest, _ expected: [String: [UInt8]], partitions: Int32
    ) async throws {
        try await store.prepare(partitions)
        var found: [String: [UInt8]] = [:]
        for partition in 0..<partitions {
            let users = try await store.allUsers(of: partition)
            let rows = try users.map { (user: try #require(UserID($0.key)), blob: $0.value) }
            #expect(rows.allSatisfy { home($0.user, partitions) == partition })
            let claim = try await store.claim(partition)
            let (digest, count, bytes) = totals(rows)
            #expect(claim.digest == digest && claim.userCount == count && claim.userBytes == bytes)
            found.merge(users) { _, _ in
                Issue.record("a user in two places")
                return []
            }
        }
        #expect(found == expected)
    }

    @Test(
        "takes every user home, keeps offsets and deltas, and has nothing to do when it is run again"
    )
    func moves() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let users = try await Self.fill(store, users: 2_500, partitions: 2)
        let moved = try await Self.run(store, to: 5)
        #expect(moved > 1_000 && moved < 2_500)
        try await Self.expectAtHome(store, users, partitions: 5)
        #expect(try await store.claim(0).nextOffset == 10)
        #expect(try await store.claim(4).nextOffset == nil)
        guard case .deltas(let deltas) = try await store.deltas(after: [0: 0, 1: 0, 4: 0]) else {
            return #expect(Bool(false), "a gap")
        }
        #expect(deltas.map(\.edits) == [[9], [9]])
        #expect(try await Self.run(store, to: 5) == 0)
        let refusal = await failure { try await store.prepare(2) }
        #expect(refusal?.reason.contains("5 partitions") == true)
    }

    @Test("interrupted, refuses a start until it is run again, and then all are at home")
    func interrupted() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let users = try await Self.fill(StoreUnderTest(server), users: 3_000, partitions: 2)
        let dying = StoreUnderTest(server)
        let error = await failure {
            try await Self.run(dying, to: 3) { _ in
                dying.store.stop(withinMilliseconds: 0, done: {})
            }
        }
        #expect(error != nil)
        for partitions in [2, 3] as [Int32] {
            let refusal = await failure { try await store.prepare(partitions) }
            #expect(refusal?.reason.contains("millrace repartition") == true, "\(partitions)")
        }
        let other = await failure { try await Self.run(store, to: 4) }
        #expect(other?.reason.contains("from 2 to 3") == true)
        // Killed between the two commits of a move: a user is in both places.
        let user = try #require(
            users.keys.sorted().compactMap { UserID($0) }.first {
                Self.home($0, 2) == 1 && Self.home($0, 3) == 2
            })
        let there = try await store.load([user.text], of: 2)
        if there == [nil] {
            let claim = try await store.claim(2)
            let blob = try #require(users[user.text])
            var commit = makeCommit(claim, sequence: claim.sequence + 1)
            commit.nextOffset = nil
            commit.writes = [UserWrite(user: user, blob: blob)]
            commit.digest = claim.digest + Coordinator.digest(user, blob)
            commit.userCount = claim.userCount + 1
            commit.userBytes = claim.userBytes + Int64(blob.count)
            #expect(try await store.commit(commit) == .committed)
        }
        #expect(try await Self.run(store, to: 3) > 0)
        try await Self.expectAtHome(store, users, partitions: 3)
    }

    @Test("refuses fewer partitions, another partitioner, an empty store, and company")
    func refused() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        #expect(
            await failure { try await Self.run(store, to: 4) }?.reason.contains("nothing") == true)
        _ = try await Self.fill(store, users: 1_500, partitions: 3)
        #expect(
            await failure { try await Self.run(store, to: 2) }?.reason.contains("more partitions")
                == true)
        #expect(
            await failure { try await Self.run(store, to: 4, partitioner: "crc32") }?.reason
                .contains("crc32") == true)
        // A daemon that was not stopped, and a start in between: whoever claims last owns.
        let claim = try await store.claim(1)
        #expect(try await Self.run(store, to: 4) > 0)
        let late = makeCommit(claim, sequence: claim.sequence + 1)
        guard case .fenced = try await store.commit(late) else {
            return #expect(Bool(false), "a zombie's commit was taken")
        }
    }
}
