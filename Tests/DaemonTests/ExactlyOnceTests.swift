// Promises G1, G7 and G9 with the real executable, a real Redis and a broker that speaks the Kafka protocol:
// whatever is
// killed, stopped or cut off on the way, what comes out is what a plain fold of the log gives.

import Foundation
import Glibc
import Interactions
import KafkaIngest
import Simulation
import TestKit
import Testing
import WireProtocol

/// Everything that starts processes, one test after the other: the machine is small.
@Suite("The daemon", .serialized, .timeLimit(.minutes(10)))
enum DaemonTests {}

extension DaemonTests {
    @Suite("comes to the state of a plain fold of the log", .serialized)
    struct ExactlyOnce {
        @Test("with duplicates, tombstones, garbage and the rest of what a log can hold")
        func oddRecords() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            var log = SimulatedLog(seed: 1)
            log.extend(by: 4_000, odd: true)
            let reference = log.reference()
            try await broker.produceItems(SimulatedLog.itemRecords(log.itemCount))
            try await broker.produce(log.wire)
            try await daemon.start()
            let shown = await settle([daemon], on: reference.digests)
            try checkHistories(daemon, reference)
            try checkStored(redis, reference)
            try #require(shown == reference.digests, "\(daemon.lastWords)")
            let metrics = try await ChildProcess.run(
                "curl", ["-s", "--unix-socket", daemon.operationsPath, "http://m/metrics"])
            let dead = metrics.split(separator: "\n").filter {
                $0.hasPrefix("millrace_dead_lettered_total")
                    || $0.hasPrefix("millrace_dead_letters")
            }
            let sum = dead.compactMap { Double($0.split(separator: " ").last ?? "") }.reduce(0, +)
            #expect(Int(sum) == log.rejectedCount, "\(dead)")

            // What is durable says the same: by checkpoint and deltas, and from the histories alone.
            #expect(await daemon.terminate() == 0)
            try await daemon.start()
            #expect(await settle([daemon], on: reference.digests) == reference.digests)
            await daemon.kill()
            for key in try await redis.command("KEYS", "*checkpoint*").split(separator: "\n") {
                try await redis.command("DEL", String(key))
            }
            for key in try await redis.command("KEYS", "*:deltas").split(separator: "\n") {
                try await redis.command("XTRIM", String(key), "MAXLEN", "1")
            }
            try await daemon.start()
            #expect(await settle([daemon], on: reference.digests) == reference.digests)
        }

        @Test("through 30 kills of the daemon during 50 000 events")
        func daemonKills() async throws {
            let seed = UInt64.random(in: 1...(.max))
            var random = SeededRandom(seed: seed)
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            var log = SimulatedLog(seed: seed, users: 2_000, items: 500)
            try await broker.produceItems(SimulatedLog.itemRecords(log.itemCount))
            let rounds = 30
            try await daemon.start()
            for round in 0..<rounds {
                let first = log.records.count
                log.extend(by: 50_000 / rounds + 1, odd: true)
                let chunk = log.wire[first...]
                if round % 3 == 0 {
                    // In the middle of recovery, or of the group's rebalance.
                    try await broker.produce(chunk)
                    try daemon.spawnIfDead()
                } else {
                    try await broker.produce(chunk)
                }
                try await momentOfFault(random.below(400))
                await daemon.kill()
                try daemon.spawn()
            }
            let reference = log.reference()
            let shown = await settle([daemon], on: reference.digests)
            try #require(
                shown == reference.digests,
                "seed \(seed): \(reference.digests)\n\(daemon.lastWords)")
            try checkHistories(daemon, reference)
        }

        @Test(
            "through kills of Redis and a broker that is away", arguments: ["everysec", "always"])
        func redisKills(fsync: String) async throws {
            let seed = UInt64.random(in: 1...(.max))
            var random = SeededRandom(seed: seed)
            let broker = try await Broker()
            let redis = try await RedisServer(
                appendOnly: true, configuration: ["appendfsync \(fsync)"])
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            var log = SimulatedLog(seed: seed, users: 500)
            try await daemon.start()
            for round in 0..<6 {
                let first = log.records.count
                log.extend(by: 2_000, odd: true)
                try await broker.produce(log.wire[first...])
                try await momentOfFault(random.below(300))
                await redis.kill()
                try await momentOfFault(random.below(500))
                try await redis.start()
                if round == 3 { try broker.command("down 5000") }
            }
            let reference = log.reference()
            let shown = await settle([daemon], on: reference.digests)
            try #require(
                shown == reference.digests,
                "seed \(seed): \(reference.digests)\n\(daemon.lastWords)")
            #expect(daemon.process?.isRunning == true)
        }

        /// What Redis holds is, byte for byte, what the fold makes.
        private func checkStored(_ redis: RedisServer, _ reference: Reference) throws {
            let connection = try SocketConnection(redis.socketPath)
            var stored = 0
            for partition in 0..<Broker.partitions {
                let users = try connection.ask("HGETALL", "millrace:{p\(partition)}:users")
                guard case .map(let pairs) = users else { continue }
                stored += pairs.count
                for pair in pairs {
                    guard case .bulk(let blob) = pair.value, let user = UserID(pair.key.text ?? "")
                    else { continue }
                    let expected = reference.fold.users[user]
                    // Summaries are beside what the log alone decides.
                    let decided = Array(blob.prefix(UserState.digestedCount(of: blob)))
                    #expect(try UserState(decoding: decided) == expected, "\(user)")
                    #expect(decided == expected?.encoded(), "\(user)")
                }
            }
            #expect(stored == reference.fold.users.count)
        }

        private func checkHistories(_ daemon: Daemon, _ reference: Reference) throws {
            let connection = try daemon.connect()
            for (user, state) in reference.fold.users.sorted(by: { $0.key < $1.key }).prefix(200) {
                let view = try connection.ask("USER.GET", user.text)
                #expect(view["events"]?.number == Double(state.eventCount), "\(user)")
                let shown = view["history"]?.elements?.map { row in
                    row.elements?.compactMap(\.text) ?? []
                }
                #expect(shown == reference.history(of: user), "\(user)")
            }
        }
    }
}
