// Claims and commits against a real server: one writer, in order, each batch once.

import Interactions
import Ports
import RedisState
import TestKit
import Testing

@Suite struct CommitTests {
    @Test("a claim of a new partition is empty; commits show in the next claim")
    func commitsAccumulate() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        try await store.prepare()
        let first = try await store.claim()
        #expect(first.sequence == 0 && first.nextOffset == nil && first.digest == StateDigest())
        #expect(try await store.commit(makeCommit(first, sequence: 1)) == .committed)
        #expect(
            try await store.commit(makeCommit(first, sequence: 2, writes: [("v", [2, 0, 13, 10])]))
                == .committed)
        let second = try await store.claim()
        #expect(second.epoch > first.epoch)
        #expect(second.sequence == 2 && second.nextOffset == 20 && second.userBytes == 4)
        #expect(second.digest == StateDigest(low: 2, high: 7))
        #expect(try await store.load(["u", "absent", "v"]) == [[1], nil, [2, 0, 13, 10]])
        #expect(try await store.load([]) == [])
    }

    @Test("a zombie's commit is refused and names the newer epoch")
    func zombieIsFenced() async throws {
        let server = try await RedisServer()
        let (zombie, owner) = (StoreUnderTest(server), StoreUnderTest(server))
        let old = try await zombie.claim()
        #expect(try await zombie.commit(makeCommit(old, sequence: 1)) == .committed)
        let new = try await owner.claim()
        #expect(try await owner.commit(makeCommit(new, sequence: 2)) == .committed)
        let late = makeCommit(old, sequence: 2, writes: [("u", [66])])
        #expect(try await zombie.commit(late) == .fenced(epoch: new.epoch))
        #expect(try await owner.load(["u"]) == [[1]])
    }

    @Test(
        "a commit repeated changes nothing and is committed; one that skips ahead is told where the store is"
    )
    func repetitionIsHarmless() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let commit = makeCommit(claim, sequence: 1, edits: [5])
        #expect(try await store.commit(commit) == .committed)
        #expect(try await store.commit(commit) == .committed)
        #expect(try await store.commit(makeCommit(claim, sequence: 3)) == .regressed(sequence: 1))
        guard case .deltas(let deltas) = try await store.deltas(after: [0: 0]) else {
            Issue.record("a gap where there is none")
            return
        }
        #expect(deltas == [StatisticsDelta(partition: 0, sequence: 1, edits: [5])])
    }

    @Test("deletions and 5000 users go through in one commit, with ids and blobs of any bytes")
    func largeCommit() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let odd = ["a b", "é\u{0}x", "\r\n$5", "{p1}", String(repeating: "z", count: 256), "👩‍🚀"]
        let names = odd + (0..<5_000).map { "user-\($0)" }
        let blobs = names.indices.map { index in
            (0..<150).map { UInt8(truncatingIfNeeded: index &* 31 &+ $0 &* 7) }
        }
        let writes = zip(names, blobs).map { ($0, Optional($1)) }
        #expect(
            try await store.commit(makeCommit(claim, sequence: 1, writes: writes)) == .committed)
        #expect(try await store.load(names) == blobs)
        #expect(try await store.allUsers() == Dictionary(uniqueKeysWithValues: zip(names, blobs)))
        let gone = names.dropFirst().map { ($0, nil as [UInt8]?) }
        let second = makeCommit(claim, sequence: 2, writes: gone + [("new", [])])
        #expect(try await store.commit(second) == .committed)
        #expect(try await store.allUsers() == [names[0]: blobs[0], "new": []])
    }

    @Test("canonically equal ids of different bytes stay two users")
    func idsAreBytes() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let writes: [(String, [UInt8]?)] = [("\u{e9}", [1]), ("e\u{301}", [2])]
        _ = try await store.commit(makeCommit(claim, sequence: 1, writes: writes))
        #expect(try await store.load(["\u{e9}", "e\u{301}"]) == [[1], [2]])
    }

    @Test("a pipeline of commits completes in order")
    func pipelineKeepsOrder() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let outcomes = Outcomes<CommitOutcome>()
        for sequence in 1...500 {
            store.store.commit(
                makeCommit(claim, sequence: Int64(sequence)), completion: outcomes.add)
        }
        #expect(await eventually { outcomes.count == 500 })
        #expect(outcomes.all.allSatisfy { $0 == .success(.committed) })
        #expect(try await store.claim().sequence == 500)
        #expect(await eventually { store.store.writeDepth == 0 })
    }

    @Test(
        "a layout for another partition count or partitioner is refused with both values and a way out"
    )
    func layoutMismatch() async throws {
        let server = try await RedisServer()
        try await StoreUnderTest(server).prepare(8)
        try await StoreUnderTest(server).prepare(8)
        let error = await failure { try await StoreUnderTest(server).prepare(12) }
        #expect(error?.code == .refused)
        #expect(error?.reason.contains("8 partitions") == true)
        #expect(error?.reason.contains("12") == true)
        #expect(error?.reason.contains("redis.prefix") == true)
        let other = RedisSettings(address: .unix(path: server.socketPath), partitioner: "crc32")
        let second = await failure { try await StoreUnderTest(other).prepare(8) }
        #expect(second?.reason.contains("murmur2") == true)
        #expect(second?.reason.contains("crc32") == true)
        try await server.command("HSET", "millrace:{layout}", "format", "9")
        let third = await failure { try await StoreUnderTest(server).prepare(8) }
        #expect(third?.reason.contains("format 9") == true)
        try await server.command("HSET", "millrace:{layout}", "format", "x")
        #expect(await failure { try await StoreUnderTest(server).prepare(8) }?.code == .corrupt)
    }

    @Test("two prefixes on one server do not meet")
    func prefixesAreApart() async throws {
        let server = try await RedisServer()
        let address = RedisSettings.Address.unix(path: server.socketPath)
        let one = StoreUnderTest(RedisSettings(address: address, prefix: "one"))
        let two = StoreUnderTest(RedisSettings(address: address, database: 3, prefix: "two"))
        let claim = try await one.claim()
        _ = try await one.commit(makeCommit(claim, sequence: 1))
        #expect(try await two.load(["u"]) == [nil])
        #expect(try await two.claim().sequence == 0)
    }

    @Test("after stop, queued commits are done and further calls fail at once")
    func stopDrains() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let outcomes = Outcomes<CommitOutcome>()
        for sequence in 1...50 {
            store.store.commit(
                makeCommit(claim, sequence: Int64(sequence)), completion: outcomes.add)
        }
        await store.stop()
        #expect(outcomes.all.count { $0 == .success(.committed) } == 50)
        #expect(await failure { try await store.claim() }?.code == .unavailable)
        #expect(await failure { try await store.load(["u"]) }?.code == .unavailable)
    }
}
