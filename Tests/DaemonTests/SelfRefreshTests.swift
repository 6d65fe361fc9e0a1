// The daemon refreshes its model by itself: what passes serves without a reload, what does not leaves nothing behind.

import Foundation
import Glibc
import ItemModel
import KafkaIngest
import ModelFolders
import TestKit
import Testing
import WireProtocol

@testable import millrace

/// Most of the time an item is followed by the next one: something that a refresh of a random model learns.
struct WalkingLog {
    private var random: SeededRandom
    private var number = 0

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// `users` histories of `length` events, all walking at the same time; `step` is how far they go.
    mutating func records(users: Int, length: Int, step: Int = 1) -> [BulkRecord] {
        number += 1
        var places = (0..<users).map { _ in random.below(40) }
        let start = Int64(Date().timeIntervalSince1970 * 1_000) - 3_600_000
        return (0..<length).flatMap { place in
            (0..<users).map { user in
                let item = places[user]
                places[user] =
                    random.chance(0.9) ? (item + step) % 40 : random.below(40)
                let name = "w\(number)-\(user)"
                let time = start + Int64(number) * 60_000 + Int64(place) * 1_000
                let json =
                    #"{"user":"\#(name)","item":"item-\#(item)","type":"view","ts":\#(time)}"#
                return BulkRecord(
                    key: Array(name.utf8), payload: Array(json.utf8), timestamp: time)
            }
        }
    }
}

extension DaemonTests {
    @Suite("refreshes its model itself", .serialized)
    struct SelfRefresh {
        /// A daemon with a random model, and a log to learn from.
        final class World {
            let folder: TemporaryDirectory
            let broker: Broker
            let redis: RedisServer
            let base: ItemModelFolder
            let store: AdapterStore
            let daemon: Daemon
            var log = WalkingLog(seed: 7)

            static let quick = [
                "--epochs", "6", "--learning-rate", "0.02", "--negatives", "50", "--batch", "20",
                "--gate-share", "0.3", "--replay", "0",
            ]

            /// Learns for longer than any test waits: what is done in its middle meets its middle on any machine.
            static let long = quick + ["--epochs", "1000", "--batch", "1"]

            init(_ settings: String = "", options: [String] = quick) async throws {
                folder = try TemporaryDirectory()
                broker = try await Broker()
                redis = try await RedisServer()
                base = try Models.writeModel(seed: 1, to: folder.file("model"))
                store = AdapterStore(folder: folder.file("adapters"), base: base)
                var daemonOptions = Daemon.Options()
                daemonOptions.extra = """
                    model:
                      folder: \(folder.file("model"))
                      adapters: \(folder.file("adapters"))
                    refresh:
                      new-events-min: 100
                      options: [\(options.map { "\"\($0)\"" }.joined(separator: ", "))]
                    \(settings)
                    """
                daemon = try Daemon(
                    broker: broker.servers, redis: redis.socketPath, daemonOptions)
                try await broker.produceItems(SimulatedLog.itemRecords(50))
            }

            /// Events that are folded and stored, and a model that serves.
            func start(users: Int = 150) async throws {
                try await broker.produce(log.records(users: users, length: 6))
                try await daemon.start()
                let ready = await holds {
                    try daemon.info("events_applied") == "\(users * 6)"
                        && daemon.info("model_serving") == base.version
                        && daemon.info("model_items") == "50"
                }
                try #require(ready, "\(daemon.lastWords)")
            }

            /// Waits until the daemon says what came of a refresh.
            func ended(_ result: String) async -> Bool {
                await holds(within: .seconds(60)) {
                    try daemon.info("refresh_state") == "idle"
                        && daemon.info("refresh_last_result") == result
                }
            }

            /// The process that learns, when it does.
            func learning() async -> pid_t? {
                var child: pid_t?
                _ = await holds(within: .seconds(60)) {
                    guard try daemon.info("refresh_state") == "learning",
                        let own = daemon.process?.pid
                    else { return false }
                    child = Self.children(of: own).first
                    return child != nil
                }
                return child
            }

            private static func children(of parent: pid_t) -> [pid_t] {
                let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc")
                return (names ?? []).compactMap { pid_t($0) }.filter { pid in
                    let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
                    let fields = stat?.split(separator: ")").last?.split(separator: " ") ?? []
                    return fields.count > 1 && fields[1] == "\(parent)"
                }
            }

            /// The version that lists are made by.
            func serving() throws -> String? {
                try Models.list(daemon.connect(), "w1-0").model
            }

            var debris: [String] {
                let names = try? FileManager.default.contentsOfDirectory(atPath: store.path)
                return (names ?? []).filter { $0.hasSuffix(".partial") }
            }

            var words: String {
                let last = (try? daemon.info("refresh_last_reason")) ?? nil
                return "\(last ?? "")\n\(daemon.lastWords)"
            }
        }

        @Test("by the interval: published, served, listed; rolled back and pinned by command")
        func published() async throws {
            let world = try await World(
                """
                  enabled: true
                  interval: 8s
                """)
            try await world.start()
            try #require(await world.ended("published"), "\(world.words)")
            let current = try #require(world.store.current?.version)
            #expect(current != world.base.version)
            #expect(try world.serving() == current)
            let connection = try world.daemon.connect()
            func serves() throws -> [String] {
                try connection.ask("MODEL.LIST")["versions"]?.elements?.filter {
                    $0["serves"] == .boolean(true)
                }.compactMap { $0["version"]?.text } ?? []
            }
            #expect(try serves() == [current])
            let newest = try connection.ask("MODEL.LIST")["decisions"]?.elements?.first
            #expect(newest?["decision"]?.text == "published")
            #expect(newest?["reason"]?.text?.contains("not worse, decided after") == true)
            #expect(try world.store.ledger().last?.learntUntil != nil)

            #expect(try connection.ask("MODEL.ROLLBACK").text == "base")
            #expect(try serves() == ["base"] && world.serving() == world.base.version)
            #expect(try connection.ask("MODEL.PIN", current).text == current)
            #expect(try serves() == [current] && world.serving() == current)
            for words in [["MODEL.REFRESH"], ["MODEL.ROLLBACK"], ["MODEL.PIN", "nothing"]] {
                #expect(throws: TestKitError.self, "\(words)") { try connection.ask(words) }
            }
            #expect(try connection.ask("MODEL.UNPIN").text == "OK")
            #expect(throws: TestKitError.self) { try connection.ask("MODEL.UNPIN") }
            #expect(world.debris.isEmpty)
        }

        @Test("with shuffled items: refused, the ledger says why, and the model before serves")
        func poisoned() async throws {
            let world = try await World(options: World.quick + ["--shuffle-items"])
            try await world.start()
            #expect(try world.daemon.ask("MODEL.REFRESH").text == "OK")
            try #require(await world.ended("refused"), "\(world.words)")
            #expect(try world.serving() == world.base.version && world.store.current == nil)
            #expect(try world.store.ledger().map(\.decision) == ["refused"])
            #expect(world.store.versions.isEmpty && world.debris.isEmpty)
        }

        @Test("kill -9 of the process, then of the daemon: the version before serves, no debris")
        func killed() async throws {
            let world = try await World(options: World.long)
            try await world.start()
            _ = try world.daemon.ask("MODEL.REFRESH")
            let child = try #require(await world.learning(), "\(world.words)")
            kill(child, SIGKILL)
            try #require(await world.ended("failed"), "\(world.words)")
            #expect(try world.daemon.info("refresh_last_reason")?.contains("signal 9") == true)
            #expect(try world.serving() == world.base.version && world.debris.isEmpty)
            #expect(try world.store.ledger().map(\.decision) == ["failed"])

            _ = try world.daemon.ask("MODEL.REFRESH")
            let second = try #require(await world.learning(), "\(world.words)")
            await world.daemon.kill()
            #expect(world.debris == ["job.partial"])
            // It ends with its parent.
            let gone = await holds { kill(second, 0) != 0 }
            #expect(gone)
            try await world.daemon.start()
            let clean = await holds {
                try world.debris.isEmpty && world.daemon.info("model_items") == "50"
                    && world.serving() == world.base.version
            }
            #expect(clean, "\(world.debris) \(world.daemon.lastWords)")
            #expect(world.store.versions.isEmpty && world.store.current == nil)
        }

        @Test(
            "while another holds the lease nothing begins; overtaken by another, nothing is published"
        )
        func lease() async throws {
            let world = try await World(options: World.long)
            try await world.start()
            let key = "millrace:{lease}:refresh"
            let later = Int64(Date().timeIntervalSince1970 * 1_000) + 600_000
            try await world.redis.command(
                "HSET", key, "token", "\(later)", "until", "\(later)", "owner", "other")
            _ = try world.daemon.ask("MODEL.REFRESH")
            try #require(await world.ended("waiting"), "\(world.words)")
            // The other is gone without a word, and comes back in the middle of our refresh.
            try await world.redis.command("HSET", key, "until", "0")
            _ = try world.daemon.ask("MODEL.REFRESH")
            _ = try #require(await world.learning(), "\(world.words)")
            try await world.redis.command("HSET", key, "token", "\(later + 1_000)")
            try #require(await world.ended("failed"), "\(world.words)")
            let reason = try world.daemon.info("refresh_last_reason") ?? ""
            #expect(reason.contains("the lease was taken"), "\(reason)")
            #expect(world.store.current == nil && world.store.versions.isEmpty)
            #expect(try world.serving() == world.base.version && world.debris.isEmpty)
        }

        @Test("longer than its time, or larger than its memory: ended, and what serves stays")
        func limits() async throws {
            let world = try await World(
                """
                  time-max: 1s
                """, options: World.long)
            try await world.start()
            _ = try world.daemon.ask("MODEL.REFRESH")
            try #require(await world.ended("failed"), "\(world.words)")
            let reason = try world.daemon.info("refresh_last_reason") ?? ""
            #expect(reason.contains("time-max"), "\(reason)")

            let path = world.daemon.configurationPath
            let before = try String(contentsOfFile: path, encoding: .utf8)
            try world.daemon.write(
                before.replacingOccurrences(of: "time-max: 1s", with: "memory-max: 64MiB"))
            world.daemon.process?.signal(SIGHUP)
            let reloaded = await holds { world.daemon.errors.contains("refresh.memory-max") }
            #expect(reloaded, "\(world.daemon.lastWords)")
            _ = try world.daemon.ask("MODEL.REFRESH")
            let failed = await holds(within: .seconds(60)) {
                try world.daemon.info("refreshes_failed") == "2"
            }
            #expect(failed, "\(world.words)")
            #expect(try world.serving() == world.base.version && world.debris.isEmpty)
        }

        @Test("an adapter that does worse on the stream is taken back by the daemon itself")
        func drift() async throws {
            let world = try await World()
            try await world.start()
            _ = try world.daemon.ask("MODEL.REFRESH")
            try #require(await world.ended("published"), "\(world.words)")
            let good = try #require(world.store.current?.version)
            // As if one had been published by another instance that shares the folder.
            let bad = randomAdapter(of: world.base, seed: 3)
            let version = try world.base.applying(bad).version
            try world.store.publish(bad, version: version, reason: "test")
            let swapped = await holds { try world.daemon.info("model_serving") == version }
            try #require(swapped, "\(world.daemon.lastWords)")
            #expect(try world.serving() == version)
            let back = await holds(within: .seconds(60)) {
                try await world.broker.produce(world.log.records(users: 20, length: 5))
                return try world.daemon.info("model_serving") == good
            }
            #expect(back, "\(world.daemon.lastWords)")
            #expect(try world.serving() == good && world.store.current?.version == good)
            let last = try #require(try world.store.ledger().last)
            #expect(last.decision == "rolled back" && last.version == good)
            #expect(last.reason.contains("worse than before"), "\(last.reason)")
            #expect(try world.daemon.info("refreshes_rolled_back") == "1")
        }
    }
}
