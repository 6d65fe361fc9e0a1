// Lists of feeds on a topic, among real parts: what a consumer of the topic reads is what a reader of the feed reads.

import Foundation
import Interactions
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("produces the lists of feeds", .serialized)
    struct FeedTopics {
        @Test(
            "kcat reads a watched user's new lists under the feed's ids; after a kill a reader begins anew"
        )
        func topic() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            try daemon.write(
                String(contentsOfFile: daemon.configurationPath, encoding: .utf8)
                    .replacing("refresh-interval: 1s", with: "refresh-interval: 1s\n  topic: lists")
            )
            var log = SimulatedLog(seed: 3, users: 60, items: 50)
            log.extend(by: 500, odd: false)
            try await broker.produceItems(SimulatedLog.itemRecords(50))
            try await broker.produce(log.wire)
            try await daemon.start()
            let isListed = await holds { try daemon.info("items") == "50" }
            try #require(isListed, "\(daemon.lastWords)")
            let watcher = try daemon.connect()
            _ = try watcher.ask("SUBSCRIBE", "feed:watcher")
            for count in 1...4 {
                let best = try #require(daemon.list("watcher").first)
                _ = try daemon.ask("EVENT.ADD", "watcher", best, "purchase")
                let isApplied = await holds {
                    try daemon.ask("USER.GET", "watcher")["events"]?.number == Double(count)
                }
                #expect(isApplied)
            }
            let reader = try daemon.connect()
            var ids: [String] = []
            let isComplete = await holds {
                ids = try await self.ids(broker)
                let newest = try reader.ask("XREAD", "STREAMS", "feed:watcher", "0")
                let entries = newest["feed:watcher"]?.elements ?? []
                let id = entries.last?.elements?.first?.text
                return ids.count > 3 && ids.last == id
            }
            #expect(isComplete, "\(ids) \(daemon.lastWords)")
            // At least once, and in the feed's order.
            let order = ids.compactMap { $0.split(separator: "-").last.flatMap { Int($0) } }
            #expect(order == order.sorted(), "\(ids)")
            let produced = try daemon.info("feed_topic_produced").flatMap { Int($0) } ?? 0
            #expect(produced >= Set(ids).count)

            let last = try #require(ids.last)
            await daemon.kill()
            try await daemon.start()
            let again = try daemon.connect()
            var epochs: [String] = []
            let isAnew = await holds {
                let full = try again.ask("XREAD", "COUNT", "9", "STREAMS", "feed:watcher", last)
                let entries = full["feed:watcher"]?.elements ?? []
                epochs = entries.compactMap {
                    $0.elements?.first?.text?.split(separator: "-").first.map(String.init)
                }
                return !epochs.isEmpty
            }
            #expect(isAnew && epochs.count == 1 && !last.hasPrefix(epochs[0]), "\(epochs)")
        }

        /// Of the watcher's records on the topic, in order.
        private func ids(_ broker: Broker) async throws -> [String] {
            let text = try await ChildProcess.run(
                "kcat",
                [
                    "-C", "-q", "-b", broker.servers, "-t", "lists", "-o", "beginning", "-e", "-f",
                    "%k %s\n",
                ])
            return text.split(separator: "\n").compactMap { line in
                guard line.hasPrefix("watcher {"),
                    let match = line.firstMatch(of: /"id":"([0-9]+-[0-9]+)","items":\[/)
                else { return nil }
                return String(match.1)
            }
        }
    }
}
