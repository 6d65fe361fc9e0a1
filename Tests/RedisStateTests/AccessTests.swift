// Getting in: Unix socket and TCP, users, passwords, and the words when it fails.

import Interactions
import Ports
import RedisState
import TestKit
import Testing

@Suite struct AccessTests {
    /// Exactly what `RedisSettings` says a user needs.
    private static let rights =
        "+fcall +info +function|load +ping +select +client|setname +hmget +hget +hgetall +hlen +hset +hdel +hscan"
        + " +xadd +xtrim +xrange +xrevrange +xlen +sadd +smembers +memory|usage"
        + " +pexpire +persist +del +unlink +time"

    private func settings(_ server: RedisServer, password: String) throws -> RedisSettings {
        RedisSettings(
            address: .tcp(host: "127.0.0.1", port: try #require(server.port)), user: "app",
            password: password, backoffMaxMilliseconds: 100)
    }

    @Test("an ACL user with just the documented rights does everything over TCP")
    func leastRights() async throws {
        let server = try await RedisServer(
            tcp: true, configuration: ["user app on >secret ~millrace:* \(Self.rights)"])
        let store = StoreUnderTest(try settings(server, password: "secret"))
        try await store.prepare()
        let claim = try await store.claim()
        let commit = makeCommit(claim, sequence: 1, writes: [("u", [1])], edits: [1])
        #expect(try await store.commit(commit) == .committed)
        #expect(
            try await store.commit(makeCommit(claim, sequence: 2, writes: [("u", nil)]))
                == .committed)
        #expect(try await store.allUsers().isEmpty)
        try await store.commitItems(
            ItemCommit(partition: 0, nextOffset: 1, writes: [(ItemID("i")!, [1])]))
        #expect(try await store.catalogue().items.count == 1)
        for sequence in 1...2 {
            try await store.save(
                StatisticsCheckpoint(sequences: [0: Int64(sequence)], chunks: [[1]]))
        }
        #expect(try await store.checkpoint()?.chunks == [[1]])
        #expect(try await store.usage().items.entries == 1)
        #expect(store.healths.allSatisfy { $0.isSound })
    }

    @Test("a wrong password, or none, fails prepare with a clear message")
    func wrongPassword() async throws {
        let server = try await RedisServer(
            tcp: true, configuration: ["user app on >secret ~* +@all", "requirepass other"])
        let wrong = StoreUnderTest(try settings(server, password: "guess"))
        let error = await failure { try await wrong.prepare() }
        #expect(error?.code == .refused)
        #expect(error?.reason.contains("redis.password") == true)
        #expect(await eventually { wrong.toldOfWrites("redis.password") })
        #expect(await failure { try await wrong.load(["u"]) }?.code == .refused)
        let none = StoreUnderTest(server)
        #expect(await failure { try await none.prepare() }?.reason.contains("NOAUTH") == true)
    }

    @Test("missing rights fail prepare; commits wait until the rights are given")
    func missingRights() async throws {
        let server = try await RedisServer(
            tcp: true, configuration: ["user app on >secret ~* +@all -fcall"])
        let store = StoreUnderTest(try settings(server, password: "secret"))
        let error = await failure { try await store.prepare() }
        #expect(error?.code == .refused && error?.reason.contains("ACL") == true)
        let claims = Outcomes<PartitionClaim>()
        store.store.claim(0, completion: claims.add)
        #expect(await eventually { store.toldOfWrites("ACL") })
        #expect(claims.count == 0)
        try await server.command("ACL", "SETUSER", "app", "+fcall")
        #expect(await eventually { claims.count == 1 })
        try await store.prepare()
    }

    private func clusterNode() async throws -> RedisServer {
        let bus = try freePort()
        return try await RedisServer(
            tcp: true, configuration: ["cluster-enabled yes", "cluster-port \(bus)"])
    }

    @Test("a cluster is refused by name")
    func clusterIsRefused() async throws {
        let servers = [try await clusterNode(), try await clusterNode()]
        let ports = try servers.map { try #require($0.port) }
        // All slots belong to the other node: every key is answered MOVED.
        try await servers[1].command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        let bus = try await servers[1].command("CONFIG", "GET", "cluster-port")
            .split(separator: "\n")[1]
        try await servers[0].command(
            "CLUSTER", "MEET", "127.0.0.1", String(ports[1]), String(bus))
        let store = StoreUnderTest(servers[0])
        let known = await eventually {
            let error = await failure { try await store.prepare(1) }
            return error?.code == .refused && error?.reason.contains("Redis Cluster") == true
        }
        #expect(known)
        #expect(store.toldOfWrites("Redis Cluster, which this version does not support"))
    }

    @Test("an address nobody listens on is told in words, and prepare waits for it")
    func nobodyThere() async throws {
        let directory = try TemporaryDirectory()
        let store = StoreUnderTest(RedisSettings(address: .unix(path: directory.file("none"))))
        let prepared = Outcomes<Void>()
        store.store.prepare(interactionPartitions: 1, completion: prepared.add)
        #expect(await eventually { store.toldOfWrites("cannot connect to Redis at unix:") })
        #expect(prepared.count == 0)
        await store.stop(withinMilliseconds: 50)
        #expect(prepared.count == 1)
    }
}
