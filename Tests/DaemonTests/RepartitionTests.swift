// A topic grows: the daemon refuses to start, one command moves the users, and it goes on.

import Foundation
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("keeps its users when the topic gets more partitions", .serialized)
    struct Growing {
        private static let users = (0..<40).map { "user-\($0)" }

        private static func add(_ daemon: Daemon, rounds: Range<Int>) throws {
            let connection = try daemon.connect()
            for round in rounds {
                for (place, user) in users.enumerated() {
                    _ = try connection.ask(
                        ["EVENT.ADD", user, "item-\((place * 3 + round * 7) % 20)", "view"])
                }
            }
        }

        private static func histories(_ daemon: Daemon) throws -> [String: [String]] {
            let connection = try daemon.connect()
            var found: [String: [String]] = [:]
            for user in users {
                let reply = try connection.ask(["USER.GET", user])
                found[user] = reply["history"]?.elements?.compactMap { $0.elements?.first?.text }
            }
            return found
        }

        private static func repartition(_ daemon: Daemon) async throws -> String {
            try await ChildProcess.run(
                millrace, ["repartition", "--config", daemon.configurationPath],
                within: .seconds(60))
        }

        @Test("by one command, which says when there is nothing to do")
        func grows() async throws {
            let redis = try await RedisServer()
            let small = try await Broker(partitions: 2)
            let first = try Daemon(broker: small.servers, redis: redis.socketPath)
            try await small.produceItems(SimulatedLog.itemRecords(20))
            try await first.start()
            try Self.add(first, rounds: 0..<4)
            let all = await holds { try first.info("events_applied") == "160" }
            try #require(all, "\(first.lastWords)")
            let before = (try first.digests(), try Self.histories(first))
            #expect(await first.terminate() == 0)

            // A development broker cannot add partitions: another one, whose log is new.
            let large = try await Broker(partitions: 4)
            try await large.produceItems(SimulatedLog.itemRecords(20))
            let second = try Daemon(broker: large.servers, redis: redis.socketPath)
            try second.write(
                Daemon.configuration(
                    large.servers, redis.socketPath, second.directory.path, Daemon.Options()
                ).replacingOccurrences(of: "  group:", with: "  offset-gap: rewind\n  group:"))
            try second.spawn()
            #expect(await second.process?.wait(within: .seconds(40)) == 1)
            #expect(second.errors.contains("millrace repartition"), "\(second.lastWords)")

            #expect(try await Self.repartition(second).contains("users were moved"))
            #expect(try await Self.repartition(second).contains("nobody has to move"))
            try await second.start()
            let owns = await holds(within: .seconds(40)) {
                try second.digests().partitions.count == 4
            }
            try #require(owns, "\(second.lastWords)")
            let after = try second.digests()
            #expect(after.statistics == before.0.statistics)
            #expect(after.partitions.values.reduce(0) { $0 + $1.users } == Self.users.count)
            #expect(after.partitions.values.allSatisfy { $0.users > 0 })
            #expect(try Self.histories(second) == before.1)

            try Self.add(second, rounds: 4..<5)
            let went = await holds {
                try Self.histories(second).allSatisfy { $0.value != before.1[$0.key] }
            }
            #expect(went, "\(second.lastWords)")
            for (user, history) in try Self.histories(second) {
                let old = before.1[user] ?? []
                #expect(history.count >= old.count && Set(history).isSuperset(of: old))
            }
            #expect(await second.terminate() == 0)
        }
    }
}
