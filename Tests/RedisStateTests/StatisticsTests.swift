// Deltas, checkpoints, catalogue and sizes.

import Interactions
import Ports
import RedisState
import TestKit
import Testing

@Suite struct StatisticsTests {
    private func sequences(_ read: DeltaRead) -> [Int64]? {
        if case .deltas(let deltas) = read { deltas.map(\.sequence) } else { nil }
    }

    private func gaps(_ read: DeltaRead) -> [PartitionIndex]? {
        if case .gap(let partitions) = read { partitions } else { nil }
    }

    @Test("deltas are read in order, after a sequence, and commits without edits are no gap")
    func deltas() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claims = [try await store.claim(0), try await store.claim(1)]
        for sequence in 1...12 {
            for claim in claims {
                let edits: [UInt8] = sequence.isMultiple(of: 3) ? [] : [UInt8(sequence), 0]
                _ = try await store.commit(
                    makeCommit(claim, sequence: Int64(sequence), edits: edits))
            }
        }
        #expect(
            sequences(try await store.deltas(after: [0: 2, 1: 10])) == [4, 5, 7, 8, 10, 11, 11])
        #expect(sequences(try await store.deltas(after: [0: 0, 1: 0], limit: 4)) == [1, 2, 1, 2])
        #expect(sequences(try await store.deltas(after: [0: 12, 3: 0])) == [])
        #expect(sequences(try await store.deltas(after: [:])) == [])
    }

    @Test(
        "a checkpoint trims the deltas it contains: who missed one is told, who missed none is not")
    func trimAndGap() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        for sequence in 1...9 {
            let edits: [UInt8] = sequence == 6 || sequence == 7 ? [] : [1]
            _ = try await store.commit(makeCommit(claim, sequence: Int64(sequence), edits: edits))
        }
        try await store.save(StatisticsCheckpoint(sequences: [0: 7], chunks: [[1], [2]]))
        #expect(gaps(try await store.deltas(after: [0: 0])) == [0])
        #expect(gaps(try await store.deltas(after: [0: 4])) == [0])
        // Commits 6 and 7 had no edits: nothing after 5 is missing.
        #expect(sequences(try await store.deltas(after: [0: 5])) == [8, 9])
        #expect(sequences(try await store.deltas(after: [0: 7])) == [8, 9])
        // A store that knows less than the reader has lost writes.
        #expect(gaps(try await store.deltas(after: [0: 10])) == [0])
    }

    @Test("the newest checkpoint wins, an older one is dropped, and one version is kept")
    func checkpointFlip() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        #expect(try await store.checkpoint() == nil)
        let chunks = (0..<20).map { [UInt8](repeating: UInt8($0), count: 1_000) }
        try await store.save(StatisticsCheckpoint(sequences: [0: 5, 1: 5], chunks: chunks))
        try await store.save(StatisticsCheckpoint(sequences: [0: 6, 1: 4], chunks: [[66]]))
        try await store.save(StatisticsCheckpoint(sequences: [0: 9], chunks: [[66]]))
        var stored = try #require(try await store.checkpoint())
        #expect(stored.sequences == [0: 5, 1: 5] && stored.chunks == chunks)
        try await store.save(StatisticsCheckpoint(sequences: [0: 5, 1: 6, 2: 1], chunks: [[7]]))
        stored = try #require(try await store.checkpoint())
        #expect(stored.sequences == [0: 5, 1: 6, 2: 1] && stored.chunks == [[7]])
        let keys = try await server.command("KEYS", "millrace:{stats}:checkpoint*")
        #expect(keys.split(separator: "\n").count == 2)
        try await store.save(StatisticsCheckpoint(sequences: [0: 9, 1: 9, 2: 9], chunks: []))
        #expect(try await store.checkpoint()?.chunks == [])
    }

    @Test(
        "a writer that dies between chunks leaves the old checkpoint current and no litter for good"
    )
    func dyingWriter() async throws {
        let server = try await RedisServer(appendOnly: true)
        let store = StoreUnderTest(server)
        try await store.save(StatisticsCheckpoint(sequences: [0: 1], chunks: [[1]]))
        let dying = StoreUnderTest(server)
        let outcomes = Outcomes<Void>()
        let big = [UInt8](repeating: 1, count: 1 << 20)
        dying.store.saveCheckpoint(
            StatisticsCheckpoint(sequences: [0: 2], chunks: Array(repeating: big, count: 64)),
            completion: outcomes.add)
        _ = await eventually {
            (try? await server.command("KEYS", "millrace:{stats}:checkpoint:*"))?
                .split(separator: "\n").count == 2
        }
        await dying.stop(withinMilliseconds: 0)
        #expect(outcomes.count == 1)
        try #require(
            outcomes.all.first.map { if case .failure = $0 { true } else { false } } == true)
        try await server.restart()
        #expect(await eventually { await failure { try await store.checkpoint() } == nil })
        #expect(try await store.checkpoint()?.chunks == [[1]])
        let version = try await server.command("HGET", "millrace:{stats}:checkpoint", "version")
        let keys = try await server.command("KEYS", "millrace:{stats}:checkpoint:*")
        for key in keys.split(separator: "\n") where !key.hasSuffix(version) {
            #expect(Int(try await server.command("PTTL", String(key))) ?? 0 > 0)
        }
    }

    @Test("kill -9 of Redis while a checkpoint is saved: it is saved in the end")
    func checkpointSurvivesKill() async throws {
        let server = try await RedisServer(appendOnly: true)
        let store = StoreUnderTest(server)
        let outcomes = Outcomes<Void>()
        let chunks = (0..<200).map { [UInt8](repeating: UInt8($0), count: 20_000) }
        store.store.saveCheckpoint(
            StatisticsCheckpoint(sequences: [0: 0], chunks: chunks), completion: outcomes.add)
        await server.kill()
        try await server.start()
        #expect(await eventually { outcomes.count == 1 })
        #expect(await eventually { store.store.health.isSound })
        #expect(try await store.checkpoint()?.chunks == chunks)
    }

    @Test(
        "the catalogue comes back with its offsets; withdrawn items are gone; who comes late changes nothing"
    )
    func catalogue() async throws {
        let server = try await RedisServer()
        let (one, two) = (StoreUnderTest(server), StoreUnderTest(server))
        let ids = (0..<3_000).map { ItemID("item-\($0)")! }
        let json = Array(#"{"title":"x"}"#.utf8)
        try await one.commitItems(
            ItemCommit(partition: 0, nextOffset: 3_000, writes: ids.map { ($0, json) }))
        try await one.commitItems(
            ItemCommit(partition: 2, nextOffset: 7, writes: [(ItemID("other")!, [1])]))
        try await one.commitItems(
            ItemCommit(partition: 0, nextOffset: 3_002, writes: [(ids[0], nil), (ids[1], [9])]))
        try await two.commitItems(
            ItemCommit(partition: 0, nextOffset: 3_000, writes: [(ids[0], json), (ids[1], json)]))
        let stored = try await two.catalogue()
        #expect(stored.nextOffsets == [0: 3_002, 2: 7])
        let byItem = Dictionary(uniqueKeysWithValues: stored.items.map { ($0.id, $0.json) })
        #expect(byItem.count == 3_000 && byItem[ids[0]] == nil)
        #expect(byItem[ids[1]] == [9] && byItem[ids[2]] == json)
    }

    @Test("item records lost by Redis are noticed at the next commit")
    func lostItems() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let write = [(id: ItemID("a")!, json: Optional([UInt8(1)]))]
        try await store.commitItems(ItemCommit(partition: 0, nextOffset: 10, writes: write))
        try await server.command("FLUSHALL")
        let late = ItemCommit(partition: 0, nextOffset: 20, writes: write)
        let error = await failure { try await store.commitItems(late) }
        #expect(error?.code == .refused && error?.reason.contains("offset 0") == true)
        #expect(try await store.catalogue().items.isEmpty)
        try await store.commitItems(ItemCommit(partition: 0, nextOffset: 20, writes: write))
        #expect(try await store.catalogue().nextOffsets == [0: 20])
    }

    @Test("damaged checkpoints, scans and catalogues are corrupt, never a trap")
    func damage() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let pointer = "millrace:{stats}:checkpoint"
        try await server.command("HSET", pointer, "version", "a")
        #expect(await failure { try await store.checkpoint() }?.code == .corrupt)
        try await server.command("HSET", pointer, "chunks", "-3")
        #expect(await failure { try await store.checkpoint() }?.code == .corrupt)
        try await server.command("HSET", pointer, "chunks", "9223372036854775807")
        #expect(await failure { try await store.checkpoint() }?.code == .unavailable)
        try await server.command("HSET", pointer, "pX", "1")
        #expect(await failure { try await store.checkpoint() }?.code == .corrupt)
        try await server.command("SADD", "millrace:{layout}:items", "99999999999")
        #expect(await failure { try await store.catalogue() }?.code == .corrupt)
        try await server.command("HSET", "millrace:{p0}:users", "", "x")
        #expect(await failure { try await store.allUsers() }?.code == .corrupt)
        try await server.command("XADD", "millrace:{p0}:deltas", "1-0", "e", "1", "f", "2")
        try await server.command("HSET", "millrace:{p0}:meta", "sequence", "1")
        #expect(await failure { try await store.deltas(after: [0: 0]) }?.code == .corrupt)
    }

    @Test("sizes are reported for each family")
    func usage() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        try await store.prepare(2)
        let claim = try await store.claim(1)
        let writes = (0..<1_000).map { ("user-\($0)", Optional([UInt8](repeating: 1, count: 120))) }
        _ = try await store.commit(makeCommit(claim, sequence: 1, writes: writes, edits: [1]))
        try await store.commitItems(
            ItemCommit(partition: 0, nextOffset: 1, writes: [(ItemID("i")!, [1])]))
        try await store.save(StatisticsCheckpoint(sequences: [1: 0], chunks: [[1], [2]]))
        let usage = try await store.usage()
        #expect(usage.users.entries == 1_000 && usage.users.bytesPerEntry > 120)
        #expect(usage.users.bytesPerEntry < 400)
        #expect(usage.deltaCounts == [0: 0, 1: 1] && usage.deltas.bytes > 0)
        #expect(usage.items.entries == 1 && usage.checkpoint.entries == 2)
    }
}

extension StoreHealth {
    /// Whether everything works; which life of Redis it is does not matter.
    var isSound: Bool { writeTrouble == nil && readTrouble == nil }
}
