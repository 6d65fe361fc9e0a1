// Adapters of a model: which serves is one link, and the daemon looks at it at a reload.

import Foundation
import Interactions
import ItemModel
import KafkaIngest
import ModelFolders
import Simulation
import Synchronization
import TestKit
import Testing
import Transformer
import WireProtocol

@testable import millrace

/// Changes every item's identity vector and the inter blocks; the seed makes it answer differently.
func randomAdapter(of base: ItemModelFolder, seed: UInt64) -> ItemAdapterFolder {
    var random = TestKit.SeededRandom(seed: seed)
    var adapter = ItemAdapter(base.parameters.layout, rank: 2, alpha: 4, seed: seed)
    for index in adapter.pairs.parameters.indices {
        adapter.pairs.parameters[index] += Float.random(in: -0.2..<0.2, using: &random)
    }
    let width = base.parameters.layout.shape.width
    let count = base.items.count
    adapter.rows = IdentityRows(
        width: width, items: (0..<Int32(count)).map { $0 },
        vectors: (0..<count * width).map { _ in Float.random(in: -1..<1, using: &random) },
        counts: Array(repeating: 9, count: count))
    return ItemAdapterFolder(adapter, items: base.items, of: base)
}

/// What tells several clients to stop, and counts those that have seen enough.
private final class Flag: Sendable {
    let isUp = Atomic(false)
    let doneCount = Atomic(0)
}

@Suite("Adapters of a model")
struct AdapterStoreTests {
    private struct Shelf {
        let folder: TemporaryDirectory
        let base: ItemModelFolder
        let store: AdapterStore

        init() throws {
            folder = try TemporaryDirectory()
            base = try DaemonTests.Models.writeModel(seed: 1, to: folder.file("model"))
            store = AdapterStore(folder: folder.file("adapters"), base: base)
        }

        @discardableResult
        func publish(_ seed: UInt64) throws -> String {
            let turn = try store.takeTurn()
            defer { turn.end() }
            let one = randomAdapter(of: base, seed: seed)
            let version = try base.applying(one).version
            try store.publish(one, version: version, reason: "test")
            return version
        }
    }

    @Test("Published, it serves; rolled back, what was before serves, down to the base")
    func rollBack() throws {
        let shelf = try Shelf()
        #expect(shelf.store.current == nil && shelf.store.versions.isEmpty)
        let (first, second) = (try shelf.publish(1), try shelf.publish(2))
        #expect(shelf.store.versions == [first, second].sorted())
        let current = try #require(shelf.store.current)
        #expect(current.version == second)
        let read = try ItemAdapterFolder(path: current.path, for: shelf.base)
        #expect(try shelf.base.applying(read).version == second)
        #expect(try shelf.store.rollBack(to: nil) == first)
        #expect(shelf.store.current?.version == first)
        #expect(try shelf.store.rollBack(to: nil) == nil)
        #expect(shelf.store.current == nil)
        #expect(throws: CommandFailure.self) { try shelf.store.rollBack(to: nil) }
        #expect(
            try shelf.store.ledger().map(\.decision)
                == ["published", "published", "rolled back", "rolled back"])
        #expect(try shelf.store.ledger().map(\.version) == [first, second, first, "base"])
    }

    @Test("A pinned version stays: refreshes are refused until it is let go")
    func pinned() throws {
        let shelf = try Shelf()
        let first = try shelf.publish(1)
        try shelf.store.pin(nil)
        #expect(shelf.store.pinned == first)
        #expect(throws: CommandFailure.self) { try shelf.publish(2) }
        #expect(throws: CommandFailure.self) { try shelf.store.pin("0123456789abcdef") }
        try shelf.store.unpin()
        let second = try shelf.publish(2)
        #expect(shelf.store.current?.version == second)
        try shelf.store.pin(first)
        #expect(shelf.store.current?.version == first)
    }

    @Test("One refresh at a time; what a killed one left goes, and what serves stays")
    func turns() throws {
        let shelf = try Shelf()
        let first = try shelf.publish(1)
        let turn = try shelf.store.takeTurn()
        #expect(throws: CommandFailure.self) { try shelf.store.takeTurn() }
        // Killed between its files.
        let partial = "\(shelf.store.path)/00000000000000ff.partial"
        try FileManager.default.createDirectory(
            atPath: partial, withIntermediateDirectories: false)
        turn.end()
        #expect(shelf.store.current?.version == first && shelf.store.versions == [first])
        try shelf.store.takeTurn().end()
        #expect(!FileManager.default.fileExists(atPath: partial))
    }

    @Test("A token lower than one that has been here publishes nothing")
    func staleToken() throws {
        let shelf = try Shelf()
        let one = randomAdapter(of: shelf.base, seed: 1)
        let version = try shelf.base.applying(one).version
        // An owner of the lease that slept while another came and went.
        let slept = try shelf.store.takeTurn(token: 7)
        slept.end()
        try shelf.store.takeTurn(token: 8).end()
        #expect(throws: CommandFailure.self) {
            try shelf.store.publish(one, version: version, reason: "", token: 7)
        }
        #expect(throws: CommandFailure.self) { try shelf.store.takeTurn(token: 7) }
        #expect(shelf.store.current == nil && shelf.store.versions.isEmpty)
        let turn = try shelf.store.takeTurn(token: 8)
        try shelf.store.publish(
            one, version: version, reason: "", learntUntil: 1_234, token: 8)
        turn.end()
        #expect(shelf.store.current?.version == version)
        #expect(shelf.store.learntUntil(version) == 1_234)
    }

    @Test("Old adapters go, but not what serves, what served before it, or what is pinned")
    func prune() throws {
        let shelf = try Shelf()
        let all = try (1...5).map { try shelf.publish(UInt64($0)) }
        try shelf.store.pin(all[0])
        try shelf.store.unpin()
        try shelf.store.pin(all[1])
        shelf.store.prune(keeping: 2)
        // The second serves and is pinned, the first served before it; the newest two are within the number.
        #expect(shelf.store.versions == [all[0], all[1], all[3], all[4]].sorted())
        #expect(shelf.store.current?.version == all[1])
    }

    @Test("A link to what is no version of the folder is none")
    func strange() throws {
        let shelf = try Shelf()
        try shelf.publish(1)
        for target in ["..", "/etc", "0123456789abcdef", "turn"] {
            let link = "\(shelf.store.path)/current"
            try FileManager.default.removeItem(atPath: link)
            try FileManager.default.createSymbolicLink(
                atPath: link, withDestinationPath: target)
            #expect(shelf.store.current == nil)
        }
    }

    @Test("The ledger keeps its newest lines")
    func ledger() throws {
        let shelf = try Shelf()
        try shelf.publish(1)
        let line = try String(contentsOfFile: "\(shelf.store.path)/ledger.jsonl", encoding: .utf8)
        try String(repeating: line, count: AdapterStore.ledgerLinesMax + 5)
            .write(toFile: "\(shelf.store.path)/ledger.jsonl", atomically: true, encoding: .utf8)
        try shelf.store.note("refused", version: nil, "last")
        let lines = try shelf.store.ledger()
        #expect(lines.count == AdapterStore.ledgerLinesMax && lines.last?.reason == "last")
    }
}

extension DaemonTests {
    @Suite("serves a model with its adapter", .serialized)
    struct Adapters {
        /// A daemon that serves `ann` by the newest of the published adapters, of two that answer differently.
        private final class World {
            static let history = (0..<5).map { "item-\($0 * 7)" }
            let base: ItemModelFolder
            let models: [ItemModelFolder]
            let daemon: Daemon
            let connection: SocketConnection
            private let folder: TemporaryDirectory
            private let store: AdapterStore
            private let broker: Broker
            private let redis: RedisServer

            init(published count: Int) async throws {
                let folder = try TemporaryDirectory()
                let base = try Models.writeModel(seed: 1, to: folder.file("model"))
                models = try (1...2).map { seed in
                    try base.applying(randomAdapter(of: base, seed: UInt64(seed)))
                }
                store = AdapterStore(folder: folder.file("adapters"), base: base)
                self.base = base
                self.folder = folder
                broker = try await Broker()
                redis = try await RedisServer()
                var options = Daemon.Options()
                options.extra = """
                    model:
                      folder: \(folder.file("model"))
                      adapters: \(folder.file("adapters"))
                    """
                daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
                try await broker.produceItems(SimulatedLog.itemRecords(50))
                connection = try await Self.start(daemon)
                for seed in 1...count { try publish(UInt64(seed)) }
                daemon.process?.signal(SIGHUP)
                let ready = await holds {
                    try connection.ask("USER.GET", "ann")["events"]?.number == 5
                        && daemon.info("model_serving") == models[count - 1].version
                        && daemon.info("model_items_pending") == "0"
                        && daemon.info("model_items") == "50"
                }
                try #require(ready, "\(daemon.lastWords)")
            }

            private static func start(_ daemon: Daemon) async throws -> SocketConnection {
                try await daemon.start()
                let connection = try daemon.connect()
                for item in history { _ = try connection.ask("EVENT.ADD", "ann", item, "view") }
                return connection
            }

            func publish(_ seed: UInt64) throws {
                let turn = try store.takeTurn()
                try store.publish(
                    randomAdapter(of: base, seed: seed), version: models[Int(seed) - 1].version,
                    reason: "")
                turn.end()
            }
        }

        @Test("a reload swaps adapters, and every list is wholly one version's")
        func swap() async throws {
            let world = try await World(published: 1)
            let (daemon, connection, models) = (world.daemon, world.connection, world.models)
            let history = World.history
            let lists = models.map { Models.best($0, history: history, count: 10) }
            #expect(lists[0] != lists[1])
            #expect(lists[0] != Models.best(world.base, history: history, count: 10))
            #expect(try Models.list(connection, "ann").items == lists[0])
            try world.publish(2)
            daemon.process?.signal(SIGHUP)
            var served: [String?] = []
            let swapped = await holds {
                for _ in 0..<200 {
                    let list = try Models.list(connection, "ann")
                    let index = try #require(models.firstIndex { $0.version == list.model })
                    #expect(list.items == lists[index])
                    served.append(list.model)
                }
                return served.last == models[1].version
            }
            #expect(swapped, "\(daemon.lastWords)")
            let first = served.prefix { $0 == models[0].version }
            #expect(served.dropFirst(first.count).allSatisfy { $0 == models[1].version })
        }

        @Test(
            "MODEL.PIN swaps under load: no request fails, no list is of two, the latest is served")
        func swapUnderLoad() async throws {
            let world = try await World(published: 2)
            let (daemon, connection, models) = (world.daemon, world.connection, world.models)
            let history = World.history
            let lists = Dictionary(
                uniqueKeysWithValues: models.map {
                    ($0.version, Models.best($0, history: history, count: 10))
                })
            let stop = Flag()
            let socket = daemon.socketPath
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        try await blocking {
                            let client = try SocketConnection(socket)
                            var swaps = 0
                            var last: String?
                            while !stop.isUp.load(ordering: .relaxed) {
                                let list = try Models.list(client, "ann")
                                let version = try #require(list.model)
                                #expect(list.items == lists[version])
                                guard version != last else { continue }
                                last = version
                                swaps += 1
                                if swaps == 4 { stop.doneCount.add(1, ordering: .relaxed) }
                            }
                            return swaps
                        }
                    }
                }
                // Until all of them have seen several.
                for round in 0..<500 where round < 10 || stop.doneCount.load(ordering: .relaxed) < 3
                {
                    let version = models[round % 2].version
                    #expect(try connection.ask("MODEL.PIN", version).text == version)
                    // From the answer on, nobody gets another.
                    #expect(try Models.list(connection, "ann").model == version)
                }
                stop.isUp.store(true, ordering: .relaxed)
                for try await swaps in group { #expect(swaps >= 4) }
            }
            #expect(try daemon.info("total_error_replies") == "0")
        }
    }
}
