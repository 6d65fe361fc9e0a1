// Several instances in one group: partitions move, zombies wake up late, and every instance answers for every user.

import Foundation
import Glibc
import Interactions
import KafkaIngest
import Simulation
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("shares partitions with its peers", .serialized)
    struct Instances {
        /// With several partitions the order in which their events meet is part of what the combiner learns
        /// (docs/combiner.md); of nothing else.
        private static let mixture = "{enabled: false}"

        @Test("and a zombie that wakes up after its partitions moved changes nothing")
        func zombie() async throws {
            let seed = UInt64.random(in: 1...(.max))
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            var options = Daemon.Options()
            options.mixture = Self.mixture
            let first = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            let second = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            var log = SimulatedLog(seed: seed, users: 400)
            try await broker.produceItems(SimulatedLog.itemRecords(log.itemCount))
            try await first.start()
            try await second.start()
            let shared = await holds(within: .seconds(40)) {
                (try? first.info("partitions_owned")) == "2"
                    && (try? second.info("partitions_owned")) == "2"
            }
            try #require(shared, "\(first.lastWords)\n\(second.lastWords)")

            func produce(_ count: Int) async throws {
                let from = log.records.count
                log.extend(by: count, odd: true)
                try await broker.produce(log.wire[from...])
            }
            for _ in 0..<(isSoak ? 5 : 1) {
                // It falls asleep in the middle of work.
                try await produce(3_000)
                first.process?.signal(SIGSTOP)
                try await produce(2_000)
                let moved = await holds(within: .seconds(60)) {
                    (try? second.info("partitions_owned")) == "4"
                }
                try #require(moved, "\(second.lastWords)")
                try await produce(1_000)
                #expect(
                    await settle([second], on: log.reference().digests) == log.reference().digests)
                first.process?.signal(SIGCONT)
                try await produce(1_000)
                let reference = log.reference()
                let shown = await settle([first, second], on: reference.digests)
                try #require(
                    shown == reference.digests,
                    "seed \(seed): \(reference.digests)\n\(first.lastWords)\n\(second.lastWords)")
            }
            let same = await holds {
                try (0..<40).allSatisfy {
                    try first.list("user-\($0)") == second.list("user-\($0)")
                }
            }
            #expect(same, "lists differ")
            #expect(try !first.list("user-1").isEmpty)
            #expect(await first.terminate() == 0)
            #expect(await second.terminate() == 0)
        }

        @Test(
            "and gives the same digest and lists with other batch sizes, and with one or two of them"
        )
        func replays() async throws {
            var log = SimulatedLog(seed: 5, users: 300)
            log.extend(by: 4_000, odd: true)
            let reference = log.reference()
            let broker = try await Broker()
            try await broker.produceItems(SimulatedLog.itemRecords(log.itemCount))
            try await broker.produce(log.wire)
            // What stands beside the stream must not tell the replays apart: null keys were moved once, the group is
            // new each time.
            var lists: [[[String]]] = []
            for (index, (batch, count, cached)) in [(4_096, 1, 200_000), (7, 1, 16), (300, 2, 64)]
                .enumerated()
            {
                let redis = try await RedisServer()
                var options = Daemon.Options()
                options.batchRecords = batch
                options.usersCachedMax = cached
                options.group = "replay-\(index)"
                options.mixture = Self.mixture
                let daemons = try (0..<count).map { _ in
                    try Daemon(broker: broker.servers, redis: redis.socketPath, options)
                }
                for daemon in daemons { try await daemon.start() }
                let shown = await settle(daemons, on: reference.digests)
                try #require(
                    shown == reference.digests,
                    "\(batch) \(count): \(reference.digests)\n\(daemons[0].lastWords)")
                for daemon in daemons {
                    lists.append(try (0..<60).map { try daemon.list("user-\($0)", count: 20) })
                }
                for daemon in daemons { #expect(await daemon.terminate() == 0) }
            }
            #expect(lists.allSatisfy { $0 == lists[0] })
            #expect(lists[0].contains { $0.count == 20 })
        }

        @Test("and forgetting users leaves the world without them")
        func forget() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            var log = SimulatedLog(seed: 9, users: 100)
            log.extend(by: 3_000, odd: true)
            try await broker.produce(log.wire)
            try await daemon.start()
            let whole = log.reference().digests
            try #require(await settle([daemon], on: whole) == whole, "\(daemon.lastWords)")
            let forgotten = Set((0..<30).compactMap { UserID("user-\($0)") })
            let connection = try daemon.connect()
            for user in forgotten {
                _ = try connection.ask("USER.FORGET", user.text)
                #expect(try connection.ask("USER.GET", user.text) == .null)
            }
            let without = log.reference(without: forgotten).digests
            #expect(without != whole)
            #expect(await settle([daemon], on: without) == without)
            #expect(await daemon.terminate() == 0)
            try await daemon.start()
            #expect(await settle([daemon], on: without) == without)
        }
    }
}
