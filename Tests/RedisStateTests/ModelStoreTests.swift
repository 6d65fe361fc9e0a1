// Models of teachers in a real Redis, and the scores that another system writes there.

import Interactions
import Ports
import RedisState
import TestKit
import Testing

extension StoreUnderTest {
    fileprivate func save(_ model: StoredModel) async throws {
        try await awaited { self.store.saveModel(model, completion: $0) }
    }

    fileprivate func model(_ name: String, after version: UInt64 = 0) async throws -> StoredModel? {
        try await awaited { self.store.loadModel(name, after: version, completion: $0) }
    }

    fileprivate func external(after version: UInt64 = 0) async throws -> ExternalPublication? {
        try await awaited { self.store.loadExternal(after: version, completion: $0) }
    }

    fileprivate func record(_ user: String, _ version: UInt64) async throws -> [UInt8]? {
        let user = try #require(UserID(user))
        return try await awaited {
            self.store.loadExternalRecord(of: user, version: version, completion: $0)
        }
    }
}

@Suite struct ModelStoreTests {
    @Test(
        "a model comes back chunk by chunk when it is newer than what is known; an older one is not stored"
    )
    func models() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        #expect(try await store.model("ease") == nil)
        let chunks = (0..<20).map { [UInt8](repeating: UInt8($0), count: 1_000) }
        let now: UInt64 = 1_700_000_000_000
        try await store.save(StoredModel(name: "ease", version: now, chunks: chunks))
        try await store.save(StoredModel(name: "ease", version: now - 1, chunks: [[1]]))
        try await store.save(StoredModel(name: "als", version: 3, chunks: []))
        let stored = try #require(try await store.model("ease", after: now - 1))
        #expect(stored.version == now && stored.chunks == chunks)
        #expect(try await store.model("ease", after: now) == nil)
        #expect(try await store.model("als")?.chunks == [])
        try await store.save(StoredModel(name: "ease", version: now + 1, chunks: [[2]]))
        #expect(try await store.model("ease", after: now)?.chunks == [[2]])
        // The chunks of the one before are gone, the checkpoint is none of our business.
        let keys = try await server.command("KEYS", "millrace:{model}:ease*")
        #expect(keys.split(separator: "\n").count == 2)
        #expect(try await store.checkpoint() == nil)
    }

    @Test("a model solved in an earlier life of Redis is refused")
    func staleModel() async throws {
        let server = try await RedisServer(appendOnly: true)
        let store = StoreUnderTest(server)
        _ = try await store.claim()
        let life = store.store.health.incarnation
        let model = StoredModel(name: "ease", version: 5, chunks: [[1]], incarnation: life)
        try await store.save(model)
        try await server.restart()
        var newer = model
        newer.version = 6
        #expect(await eventually { await failure { try await store.claim() } == nil })
        #expect(await failure { try await store.save(newer) }?.code == .unavailable)
        #expect(try await store.model("ease")?.version == 5)
    }

    @Test(
        "in a Redis that is full a model fails at once, and commits behind it go on when there is room"
    )
    func fullRedis() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        try await server.command("CONFIG", "SET", "maxmemory", "1")
        let chunks = [[UInt8]](repeating: [UInt8](repeating: 1, count: 1_000), count: 3)
        let model = StoredModel(name: "ease", version: 5, chunks: chunks)
        #expect(await failure { try await store.save(model) }?.code == .unavailable)
        try await server.command("CONFIG", "SET", "maxmemory", "0")
        #expect(try await store.commit(makeCommit(claim, sequence: 1)) == .committed)
        #expect(try await store.model("ease") == nil)
    }

    @Test(
        "external scores: nothing, then a publication; what breaks the contract is refused by name")
    func external() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let meta = "millrace:{external}:meta"
        #expect(try await store.external() == nil)
        for number in 0..<31 {
            try await server.command(
                "HSET", "millrace:{external}:items:7", "item-\(number)", "record-\(number)")
        }
        try await server.command("HSET", "millrace:{external}:users:7", "ann", "vector")
        try await server.command("HSET", meta, "format", "1", "version", "7", "kind", "vectors")
        let found = try #require(try await store.external(after: 6))
        #expect(found.version == 7 && found.items?.count == 31)
        #expect(
            found.items?.allSatisfy {
                String(decoding: $0.record, as: UTF8.self)
                    == $0.item.text.replacing("item", with: "record")
            } == true)
        #expect(try await store.external(after: 7) == nil)
        #expect(try await store.record("ann", 7) == Array("vector".utf8))
        #expect(try await store.record("bob", 7) == nil)
        try await server.command("HSET", meta, "kind", "lists")
        #expect(try await store.external()?.items == nil)
        for (field, value) in [("kind", "tensors"), ("format", "2"), ("version", "-1")] {
            try await server.command("HSET", meta, "format", "1", "version", "7", "kind", "lists")
            try await server.command("HSET", meta, field, value)
            let refusal = await failure { try await store.external() as Any }
            #expect(refusal?.code == .refused && refusal?.reason.contains(value) == true)
        }
        try await server.command("DEL", meta)
        try await server.command("SET", meta, "text")
        #expect(await failure { try await store.external() as Any }?.code == .corrupt)
        // The lane reads on.
        #expect(try await store.model("ease") == nil)
    }
}
