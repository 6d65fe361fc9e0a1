// The combined list in the running daemon: learnt from the log, kept over kill -9, the same in a replay.

import Foundation
import Interactions
import KafkaIngest
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("combines its sources", .serialized)
    struct Mixture {
        private static let itemCount = 50
        private static let eventCount = 900
        /// All of one partition, whose log alone then decides what is learnt.
        private static let users: [String] = (0..<400).map { "user-\($0)" }.filter { name in
            UserID(name).map {
                Partitioner.murmur2.partition(of: $0, count: Broker.partitions) == 0
            } ?? false
        }.prefix(40).map { $0 }

        private static func events() -> [BulkRecord] {
            var random = SeededRandom(seed: 8)
            var last: [String: Int] = [:]
            return (0..<eventCount).map { number in
                let user = users[random.below(users.count)]
                let before = last[user] ?? random.below(itemCount)
                let item =
                    random.chance(0.6) ? (before * 7 + 3) % itemCount : random.below(itemCount)
                last[user] = item
                let time = SimulatedLog.start + Milliseconds(number) * 40_000
                return BulkRecord(
                    key: Array(user.utf8),
                    payload: Array(
                        #"{"user":"\#(user)","item":"item-\#(item)","ts":\#(time),"type":"view"}"#
                            .utf8), timestamp: time)
            }
        }

        private static func options(batch: Int) -> Daemon.Options {
            var options = Daemon.Options()
            options.batchRecords = batch
            options.historyMax = 20
            options.mixture = "{learn-interval: 1, lists-max: 200, refit-interval: 250}"
            return options
        }

        /// Weights, meters and lists.
        private static func outcome(_ daemon: Daemon) throws -> [String] {
            let connection = try daemon.connect()
            let text = try connection.ask("INFO", "mixture").text ?? ""
            var found = text.split(whereSeparator: \.isNewline).map(String.init)
                .filter { $0.hasPrefix("mixture_") }
            for user in users {
                let list = try connection.ask("REC.GET", user, "COUNT", "10")
                found.append((list.elements ?? []).compactMap(\.text).joined(separator: " "))
            }
            return found
        }

        private static func applied(_ count: Int, by daemon: Daemon) async -> Bool {
            await holds(within: .seconds(90)) {
                try daemon.ask("DIGEST")["partitions"]?.elements?.contains {
                    $0["partition"]?.number == 0 && $0["offset"]?.number == Double(count)
                } == true
            }
        }

        private static func started(_ daemon: Daemon, _ broker: Broker) async throws {
            try await broker.produceItems(SimulatedLog.itemRecords(itemCount))
            try await daemon.start()
            // What is learnt of an event depends on which items can be listed.
            let listed = await holds { try daemon.info("items") == "\(itemCount)" }
            try #require(listed, "\(daemon.lastWords)")
        }

        @Test("and learns the same in a replay of other batches, and through kill -9")
        func sameAfterReplay() async throws {
            let events = Self.events()
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(
                broker: broker.servers, redis: redis.socketPath, Self.options(batch: 50))
            defer { withExtendedLifetime((broker, redis)) {} }
            try await Self.started(daemon, broker)
            try await broker.produce(events.prefix(400))
            try await momentOfFault(300)
            await daemon.kill()
            try await daemon.start()
            try await broker.produce(events.dropFirst(400))
            try #require(await Self.applied(events.count, by: daemon), "\(daemon.lastWords)")
            let first = try Self.outcome(daemon)
            #expect(first.contains("mixture_version:2"), "\(first.prefix(5))")
            await daemon.kill()
            try await daemon.start()
            try #require(await Self.applied(events.count, by: daemon), "\(daemon.lastWords)")
            #expect(try Self.outcome(daemon) == first)

            let seen = try daemon.ask("REC.GET", Self.users[0], "WITHSOURCES", "ASOF")
            let rung = try #require(seen.elements?.first?["rung"]?.text)
            #expect(rung.hasPrefix("mix"))
            let item = try #require(first.last?.split(separator: " ").first.map(String.init))
            let user = try #require(Self.users.last)
            let why = try daemon.ask("REC.EXPLAIN", user, item)
            #expect(why["rank"]?.number == 1)
            #expect(why["mixture"]?["rung"]?.text == rung)
            #expect(why["mixture"]?["features"]?.elements?.isEmpty == false)

            let second = try await Broker()
            let secondRedis = try await RedisServer()
            let replay = try Daemon(
                broker: second.servers, redis: secondRedis.socketPath, Self.options(batch: 4_096))
            defer { withExtendedLifetime((second, secondRedis)) {} }
            try await Self.started(replay, second)
            try await second.produce(events)
            try #require(await Self.applied(events.count, by: replay), "\(replay.lastWords)")
            #expect(try Self.outcome(replay) == first)
        }
    }
}
