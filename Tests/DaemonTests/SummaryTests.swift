// Summaries with the real executable: what a kill and a replay leave of them.

import Foundation
import Interactions
import Simulation
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("keeps a summary of each user", .serialized)
    struct Summaries {
        private func summaries(
            _ daemon: Daemon, _ users: [UserID]
        ) throws -> [UserID: String] {
            let connection = try daemon.connect()
            var found: [UserID: String] = [:]
            for user in users {
                let reply = try connection.ask("SUMMARY.GET", user.text)
                let text = try #require(reply["text"]?.text)
                let numbers = ["blocks", "held", "lost", "open"].map {
                    "\(Int(reply[$0]?.number ?? -1))"
                }
                found[user] = text + " " + numbers.joined(separator: "/")
            }
            return found
        }

        @Test("which kill -9 does not change, a replay makes again, and forgetting removes")
        func sameAfterReplay() async throws {
            let broker = try await Broker()
            var log = SimulatedLog(seed: 5, users: 40, items: 60)
            log.extend(by: 2_000, odd: false)
            let reference = log.reference()
            let users = reference.fold.users.keys.sorted()
            try await broker.produceItems(SimulatedLog.itemRecords(log.itemCount))

            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            try await daemon.start()
            // A summary tells of items as they were known: the catalogue comes first.
            let listed = await holds { try daemon.info("items") == "\(log.itemCount)" }
            try #require(listed)
            try await broker.produce(log.wire.prefix(1_000))
            try await momentOfFault(200)
            await daemon.kill()
            try await broker.produce(log.wire.dropFirst(1_000))
            try await daemon.start()
            try #require(await settle([daemon], on: reference.digests) == reference.digests)
            let first = try summaries(daemon, users)
            let long = try #require(users.first { reference.fold.users[$0]?.eventCount ?? 0 > 30 })
            #expect(first[long]?.contains("Titles often say") == true, "\(first[long] ?? "")")
            #expect(first.values.allSatisfy { $0.contains("/0/") }, "nothing is lost")
            await daemon.kill()
            try await daemon.start()
            try #require(await settle([daemon], on: reference.digests) == reference.digests)
            #expect(try summaries(daemon, users) == first)

            // Another store, the same log from its beginning.
            let secondRedis = try await RedisServer(appendOnly: true)
            let second = try Daemon(broker: broker.servers, redis: secondRedis.socketPath)
            _ = await daemon.terminate()
            try await second.start()
            try #require(await settle([second], on: reference.digests) == reference.digests)
            let again = try summaries(second, users)
            let differing = users.filter { again[$0] != first[$0] }
            #expect(differing.isEmpty, "\(differing)")

            let connection = try second.connect()
            #expect(try connection.ask("USER.GET", long.text)["summary"]?["text"]?.text != nil)
            _ = try connection.ask("USER.FORGET", long.text)
            let gone = await holds { try connection.ask("USER.GET", long.text).text == nil }
            #expect(gone)
            #expect(try connection.ask("SUMMARY.GET", long.text)["text"] == nil)
        }
    }
}
