// Summaries with the real executable: what a kill and a replay leave of them.

import Foundation
import Interactions
import KafkaIngest
import ModelServer
import NIOHTTP1
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

        @Test("which a language model writes over HTTP, whatever the server and a kill -9 do")
        func overHTTP() async throws {
            let folder = try TemporaryDirectory()
            let address = folder.file("llm.sock")
            let server = try await ModelServer(
                unix: address,
                [.status(.serviceUnavailable), .content("Likes the first titles."), .hangUp]
                    + Array(repeating: .content("Likes titles, and more of them."), count: 2))
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            var options = Daemon.Options()
            options.extra = """
                summaries:
                  summariser: http
                  http:
                    address: "unix:\(address)"
                """
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            try await broker.produceItems(SimulatedLog.itemRecords(20))
            try await daemon.start()
            let listed = await holds { try daemon.info("items") == "20" }
            try #require(listed)
            for index in 0..<7 { _ = try daemon.ask("EVENT.ADD", "ann", "item-\(index)", "view") }
            let first = await holds {
                try daemon.ask("SUMMARY.GET", "ann")["text"]?.text == "Likes the first titles."
            }
            #expect(first, "\(daemon.lastWords)")
            #expect(try daemon.ask("SUMMARY.GET", "ann")["held"]?.number == 5)
            await daemon.kill()
            try await daemon.start()
            for index in 7..<12 { _ = try daemon.ask("EVENT.ADD", "ann", "item-\(index)", "view") }
            let second = await holds {
                try daemon.ask("SUMMARY.GET", "ann")["blocks"]?.number == 2
            }
            #expect(second, "\(daemon.lastWords)")
            let summary = try daemon.ask("SUMMARY.GET", "ann")
            #expect(summary["text"]?.text == "Likes titles, and more of them.")
            #expect(summary["held"]?.number == 10 && summary["lost"]?.number == 0)
            #expect(summary["open"]?.number == 2 && summary["summariser"]?.text == "http")
            let asked = server.requests.map { String(decoding: $0.body, as: UTF8.self) }
            #expect(asked.first?.contains("Title 4") == true)
            #expect(asked.last?.contains("Likes the first titles.") == true)
            #expect(asked.last?.contains("Title 9") == true)
            #expect(await daemon.terminate() == 0)
            try await server.stop()
        }

        @Test(
            "a history that came at once is summarised in parts and merged, a failure in its middle or not"
        )
        func merged() async throws {
            let server = try await ModelServer(
                Array(repeating: .content("A part."), count: 2) + [.status(.serviceUnavailable)]
                    + [.content("Likes all titles.")])
            let broker = try await Broker()
            let redis = try await RedisServer()
            var options = Daemon.Options()
            options.extra = """
                summaries:
                  summariser: http
                  jobs-max: 1
                  http:
                    address: "127.0.0.1:\(server.port)"
                """
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            try await broker.produceItems(SimulatedLog.itemRecords(40))
            let history = (0..<32).map { index in
                BulkRecord(
                    key: Array("ann".utf8),
                    payload: Array(
                        #"{"user":"ann","item":"item-\#(index)","type":"view"}"#.utf8),
                    timestamp: SimulatedLog.start + Milliseconds(index))
            }
            try await broker.produce(history)
            try await daemon.start()
            let merged = await holds {
                try daemon.ask("SUMMARY.GET", "ann")["held"]?.number == 30
            }
            #expect(merged, "\(daemon.lastWords)")
            let summary = try daemon.ask("SUMMARY.GET", "ann")
            #expect(summary["text"]?.text == "Likes all titles.")
            #expect(summary["blocks"]?.number == 6 && summary["lost"]?.number == 0)
            #expect(summary["open"]?.number == 2)
            let asked = server.requests.map { String(decoding: $0.body, as: UTF8.self) }
            #expect(asked.contains { $0.contains("<description-4>") })
            #expect(try daemon.info("summary_merges") != "0")
            #expect(try daemon.info("summary_jobs_failed") == "1")
            #expect(await daemon.terminate() == 0)
            try await server.stop()
        }
    }
}
