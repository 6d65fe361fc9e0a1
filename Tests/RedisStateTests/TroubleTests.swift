// What Redis does on bad days: nothing is lost, reads fail instead of hanging, and health says why.

import Foundation
import Interactions
import Ports
import RedisState
import TestKit
import Testing

@Suite struct TroubleTests {
    @Test("writes lost in a crash are noticed: the commit after them is told it regressed")
    func lostWritesAreNoticed() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        for sequence in 1...3 {
            _ = try await store.commit(makeCommit(claim, sequence: Int64(sequence)))
        }
        try await server.restart()
        #expect(try await store.commit(makeCommit(claim, sequence: 4)) == .regressed(sequence: 0))
        let again = try await store.claim()
        #expect(again.epoch > claim.epoch && again.sequence == 0 && again.nextOffset == nil)
        #expect(try await store.commit(makeCommit(again, sequence: 1)) == .committed)
        #expect(
            try await store.commit(makeCommit(claim, sequence: 2)) == .fenced(epoch: again.epoch))
    }

    @Test("a commit of an earlier life of Redis is refused, even where its epoch rules again")
    func commitOfAnEarlierLife() async throws {
        let server = try await RedisServer(appendOnly: true)
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        var commit = makeCommit(claim, sequence: 1)
        let life = store.store.health.incarnation
        #expect(!life.isEmpty)
        commit.incarnation = life
        #expect(try await store.commit(commit) == .committed)
        try await server.restart()
        // Nothing was lost: epoch and sequence fit.
        commit = makeCommit(claim, sequence: 2)
        commit.incarnation = life
        #expect(try await store.commit(commit) == .regressed(sequence: nil))
        #expect(store.store.health.incarnation != life)
        commit.incarnation = store.store.health.incarnation
        #expect(try await store.commit(commit) == .committed)
    }

    @Test("FLUSHALL is noticed, and the next claim writes the layout again")
    func flushIsNoticed() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        try await store.prepare(4)
        let claim = try await store.claim()
        _ = try await store.commit(makeCommit(claim, sequence: 1, edits: [1]))
        try await server.command("FLUSHALL")
        try await server.command("FUNCTION", "FLUSH")
        #expect(try await store.commit(makeCommit(claim, sequence: 2)) == .regressed(sequence: 0))
        #expect(try await store.claim().sequence == 0)
        #expect(await failure { try await StoreUnderTest(server).prepare(5) }?.code == .refused)
        guard case .gap([0]) = try await store.deltas(after: [0: 1]) else {
            Issue.record("deltas that are gone were not reported")
            return
        }
    }

    @Test("kill -9 of Redis in a stream of commits: each counts exactly once", arguments: 1...3)
    func killedInThePipeline(round: Int) async throws {
        let server = try await RedisServer(appendOnly: true)
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let outcomes = Outcomes<CommitOutcome>()
        let total = 600
        for sequence in 1...total {
            let edits = [UInt8(truncatingIfNeeded: sequence)]
            store.store.commit(
                makeCommit(
                    claim, sequence: Int64(sequence), writes: [("u\(sequence)", edits)],
                    edits: edits), completion: outcomes.add)
        }
        #expect(await eventually { outcomes.count >= round * 100 })
        await server.kill()
        try await server.start()
        #expect(await eventually { outcomes.count == total })
        #expect(outcomes.all.allSatisfy { $0 == .success(.committed) })
        #expect(try await store.claim().sequence == Int64(total))
        #expect(try await store.allUsers().count == total)
        let deltas = try await server.command("XLEN", "millrace:{p0}:deltas")
        #expect(deltas == "\(total)")
        #expect(await eventually { store.store.health.isSound })
    }

    @Test("while Redis is away reads fail at once and writes wait")
    func awayAndBack() async throws {
        let server = try await RedisServer(appendOnly: true)
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        await server.kill()
        #expect(await eventually { store.store.health.readTrouble != nil })
        let clock = ContinuousClock()
        let begin = clock.now
        #expect(await failure { try await store.load(["u"]) }?.code == .unavailable)
        #expect(clock.now - begin < .seconds(1))
        let outcomes = Outcomes<CommitOutcome>()
        store.store.commit(makeCommit(claim, sequence: 1), completion: outcomes.add)
        #expect(await eventually { store.toldOfWrites("Redis at unix:") })
        #expect(outcomes.count == 0 && store.store.writeDepth == 1)
        try await server.start()
        #expect(await eventually { outcomes.all == [.success(.committed)] })
        #expect(await eventually { store.store.health.isSound })
        #expect(try await store.load(["u"]) == [[1]])
        #expect(store.healths.last?.isSound == true)
        #expect(await eventually { store.store.connectionCount >= 4 })
        #expect(store.store.retryCount > 0)
    }

    @Test("a full Redis holds commits back, says so, and loses none")
    func outOfMemory() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        _ = try await store.commit(makeCommit(claim, sequence: 1))
        try await server.command("CONFIG", "SET", "maxmemory", "1")
        let outcomes = Outcomes<CommitOutcome>()
        for sequence in 2...40 {
            store.store.commit(
                makeCommit(claim, sequence: Int64(sequence)), completion: outcomes.add)
        }
        #expect(await eventually { store.toldOfWrites("is full") })
        #expect(outcomes.count == 0)
        #expect(try await store.load(["u"]) == [[1]])
        try await server.command("CONFIG", "SET", "maxmemory", "0")
        #expect(await eventually { outcomes.count == 39 })
        #expect(outcomes.all.allSatisfy { $0 == .success(.committed) })
        #expect(await eventually { store.healths.last?.isSound == true })
    }

    @Test("a replica takes no writes: they wait until it is a master")
    func readOnlyReplica() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        try await server.command("REPLICAOF", "127.0.0.1", "1")
        let outcomes = Outcomes<CommitOutcome>()
        store.store.commit(makeCommit(claim, sequence: 1), completion: outcomes.add)
        #expect(await eventually { store.toldOfWrites("read-only replica") })
        #expect(outcomes.count == 0)
        try await server.command("REPLICAOF", "NO", "ONE")
        #expect(await eventually { outcomes.all == [.success(.committed)] })
    }

    @Test("while Redis loads its data, reads fail and writes wait")
    func loading() async throws {
        let server = try await RedisServer(appendOnly: true)
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        // Redis looks at its clients after every 1024 commands of the log; a commit is five of them.
        let outcomes = Outcomes<CommitOutcome>()
        for sequence in 1...600 {
            store.store.commit(
                makeCommit(claim, sequence: Int64(sequence)), completion: outcomes.add)
        }
        #expect(await eventually { outcomes.count == 600 })
        try await server.command("CONFIG", "SET", "key-load-delay", "1000")
        try await server.command("CONFIG", "REWRITE")
        await server.kill()
        try await server.start(untilLoaded: false)
        #expect(await eventually { store.toldOfWrites("is loading") })
        #expect(await failure { try await store.load(["u"]) }?.code == .unavailable)
        #expect(try await store.commit(makeCommit(claim, sequence: 601)) == .committed)
        #expect(try await store.claim().sequence == 601)
    }

    @Test("a Redis that falls silent: reads time out, commits are repeated after it, each once")
    func silence() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server, commandTimeoutMilliseconds: 200)
        let claim = try await store.claim()
        _ = try await store.load(["u"])
        server.freeze()
        let outcomes = Outcomes<CommitOutcome>()
        for sequence in 1...5 {
            store.store.commit(
                makeCommit(claim, sequence: Int64(sequence), edits: [1]), completion: outcomes.add)
        }
        let error = await failure { try await store.load(["u"]) }
        #expect(error?.code == .timeout || error?.code == .unavailable)
        #expect(await eventually { store.toldOfWrites("in time") })
        server.resume()
        #expect(await eventually { outcomes.count == 5 })
        #expect(outcomes.all.allSatisfy { $0 == .success(.committed) })
        #expect(try await server.command("XLEN", "millrace:{p0}:deltas") == "5")
        #expect(await eventually { store.store.health.isSound })
        #expect(try await store.load(["u"]) == [[1]])
    }

    @Test("CLIENT PAUSE of writes holds commits and not reads")
    func pausedWrites() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server, commandTimeoutMilliseconds: 150)
        let claim = try await store.claim()
        _ = try await store.commit(makeCommit(claim, sequence: 1))
        try await server.command("CLIENT", "PAUSE", "800", "WRITE")
        let outcomes = Outcomes<CommitOutcome>()
        store.store.commit(makeCommit(claim, sequence: 2), completion: outcomes.add)
        #expect(await eventually { store.toldOfWrites("in time") })
        #expect(try await store.load(["u"]) == [[1]])
        #expect(await eventually { outcomes.all == [.success(.committed)] })
    }

    @Test("a key of the wrong type is corrupt for reads and commits, and changes nothing")
    func wrongType() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        try await server.command("SET", "millrace:{p0}:users", "x")
        let commit = makeCommit(claim, sequence: 1, edits: [1])
        #expect(await failure { try await store.commit(commit) }?.code == .corrupt)
        #expect(await failure { try await store.load(["u"]) }?.code == .corrupt)
        #expect(await failure { try await store.allUsers() }?.code == .corrupt)
        #expect(try await server.command("EXISTS", "millrace:{p0}:deltas") == "0")
        try await server.command("DEL", "millrace:{p0}:users")
        try await server.command("SET", "millrace:{p0}:deltas", "x")
        #expect(await failure { try await store.commit(commit) }?.code == .corrupt)
        #expect(try await server.command("EXISTS", "millrace:{p0}:users") == "0")
        try await server.command("HSET", "millrace:{p1}:meta", "sequence", "many")
        #expect(await failure { try await store.claim(1) }?.code == .corrupt)
        try await server.command("HSET", "millrace:{p2}:meta", "epoch", "old")
        #expect(await failure { try await store.claim(2) }?.code == .corrupt)
        try await server.command("SET", "millrace:{p3}:meta", "x")
        #expect(await failure { try await store.claim(3) }?.code == .corrupt)
        // The connection is in step all the same.
        try await server.command("DEL", "millrace:{p0}:deltas")
        #expect(try await store.commit(commit) == .committed)
    }

    @Test("a newer daemon's functions are left alone")
    func newerFunctionsStay() async throws {
        let server = try await RedisServer()
        let first = StoreUnderTest(server)
        let claim = try await first.claim()
        var code = try await server.command("FUNCTION", "LIST", "WITHCODE")
        code = String(code[code.range(of: "#!lua")!.lowerBound...])
        code = code.replacing("return 2 end", with: "return 7 end")
        try await server.command("FUNCTION", "LOAD", "REPLACE", code)
        let second = StoreUnderTest(server)
        _ = try await second.claim(1)
        #expect(try await server.command("FCALL", "millrace_version", "0") == "7")
        #expect(try await first.commit(makeCommit(claim, sequence: 1)) == .committed)
    }
}
