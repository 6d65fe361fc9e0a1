// What clients see of the stream: lists that follow events, filters that hold at once, feeds that wake.

import Foundation
import Glibc
import Interactions
import KafkaIngest
import Simulation
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("serves what the stream says", .serialized)
    struct Serving {
        /// A daemon that knows 50 items and some users.
        private func populated() async throws -> (Broker, RedisServer, Daemon) {
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            var log = SimulatedLog(seed: 3, users: 60, items: 50)
            log.extend(by: 1_500, odd: false)
            try await broker.produceItems(SimulatedLog.itemRecords(50))
            try await broker.produce(log.wire)
            try await daemon.start()
            let reference = log.reference()
            try #require(await settle([daemon], on: reference.digests) == reference.digests)
            let listed = await holds { try daemon.info("items") == "50" }
            try #require(listed)
            return (broker, redis, daemon)
        }

        @Test(
            "an event changes the very next list once it is applied, and seen items stay away, also after kill -9"
        )
        func seenItems() async throws {
            let stage = try await populated()
            let daemon = stage.2
            // Broker and Redis live as long as somebody holds them.
            defer { withExtendedLifetime(stage) {} }
            let connection = try daemon.connect()
            var seen: [String] = []
            for _ in 0..<10 {
                let list = try daemon.list("newcomer", count: 50)
                let best = try #require(list.first)
                #expect(Set(list).isDisjoint(with: seen))
                let position = try #require(
                    connection.ask("EVENT.ADD", "newcomer", best, "view").text)
                #expect(position.wholeMatch(of: /[0-9]+:[0-9]+/) != nil)
                seen.append(best)
                let applied = await holds {
                    try connection.ask("USER.GET", "newcomer")["events"]?.number
                        == Double(seen.count)
                }
                #expect(applied)
                #expect(try !daemon.list("newcomer", count: 50).contains(best))
            }
            // What is applied is shown before it is durable: only what is committed has to survive.
            try await commitAll(daemon)
            for _ in 0..<3 {
                await daemon.kill()
                try daemon.spawn()
                let answered = await holds(within: .seconds(40)) {
                    guard let list = try? daemon.list("newcomer", count: 50) else { return false }
                    #expect(Set(list).isDisjoint(with: seen))
                    return !list.isEmpty
                }
                #expect(answered, "\(daemon.lastWords)")
            }
        }

        /// Waits until nothing is in flight: the stop of a daemon that drains would tell the same, later.
        private func commitAll(_ daemon: Daemon) async throws {
            var last = ""
            let quiet = await holds {
                let now = try daemon.info("commits") ?? ""
                defer { last = now }
                return now == last
            }
            #expect(quiet)
        }

        @Test("a withdrawn item is gone from the next list, and a new one can be in it")
        func items() async throws {
            let stage = try await populated()
            let daemon = stage.2
            // Broker and Redis live as long as somebody holds them.
            defer { withExtendedLifetime(stage) {} }
            let connection = try daemon.connect()
            let best = try #require(daemon.list("somebody", count: 50).first)
            _ = try connection.ask("ITEM.DEL", best)
            let gone = await holds(within: .seconds(5)) {
                try !daemon.list("somebody", count: 50).contains(best)
            }
            #expect(gone)
            #expect(try connection.ask("ITEM.GET", best) == .null)
            _ = try connection.ask("ITEM.SET", best, #"{"title":"back again"}"#)
            let back = await holds(within: .seconds(5)) {
                try daemon.list("somebody", count: 50).contains(best)
            }
            #expect(back)
            #expect(throws: TestKitError.self) {
                try connection.ask("ITEM.SET", best, #"{"brand":"no title"}"#)
            }
            // It is also so after a restart.
            _ = try connection.ask("ITEM.DEL", best)
            let goneAgain = await holds(within: .seconds(5)) {
                try !daemon.list("somebody", count: 50).contains(best)
            }
            #expect(goneAgain)
            #expect(await daemon.terminate() == 0)
            try await daemon.start()
            let still = await holds { try !daemon.list("somebody", count: 50).isEmpty }
            #expect(still)
            #expect(try !daemon.list("somebody", count: 50).contains(best))
        }

        @Test("a reader of a feed wakes when the user does something")
        func feeds() async throws {
            let stage = try await populated()
            let daemon = stage.2
            // Broker and Redis live as long as somebody holds them.
            defer { withExtendedLifetime(stage) {} }
            let reader = try daemon.connect()
            let full = try reader.ask("XREAD", "COUNT", "1", "STREAMS", "feed:watcher", "0")
            let entry = full["feed:watcher"]?.elements?.first
            let id = try #require(entry?.elements?.first?.text, "\(full)")
            let subscriber = try daemon.connect()
            _ = try subscriber.ask("SUBSCRIBE", "feed:watcher")
            try reader.send(["XREAD", "BLOCK", "8000", "STREAMS", "feed:watcher", id])
            let best = try #require(daemon.list("watcher").first)
            _ = try daemon.ask("EVENT.ADD", "watcher", best, "purchase")
            let woken = try reader.receive()
            let changed = try #require(woken["feed:watcher"]?.elements?.first?.elements, "\(woken)")
            let texts = changed[1].elements?.compactMap(\.text) ?? []
            func field(_ name: String) -> String? {
                texts.firstIndex(of: name).map { texts[$0 + 1] }
            }
            #expect(field("items")?.contains("\"\(best)\"") == false, "\(texts)")
            #expect(field("removed")?.contains("\"\(best)\"") == true, "\(texts)")
            #expect(field("since") == id && field("added") != nil, "\(texts)")
            let hint = try subscriber.receive()
            #expect(hint.elements?.first?.text == "message", "\(hint)")
        }
    }
}
