// Business rules, next pages and new items as clients of the running daemon meet them.

import Foundation
import Glibc
import Interactions
import ItemModel
import KafkaIngest
import ModelFolders
import Simulation
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("makes lists by rules", .serialized)
    struct Lists {
        private static let scenarios = """
            lists:
              scenarios:
                cheap: {filter: "price < 10", count: 4}
                mixed: {brand-max: 2, diversity-lambda: 0.6, exploration: 0.2}
            """

        /// 50 items of 5 brands whose price is their number.
        private func populated() async throws -> (Broker, RedisServer, Daemon) {
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            var options = Daemon.Options()
            options.extra = Self.scenarios
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            var log = SimulatedLog(seed: 5, users: 40, items: 50)
            log.extend(by: 1_000, odd: false)
            let records = (0..<50).map { index in
                BulkRecord(
                    key: Array("item-\(index)".utf8),
                    payload: Array(
                        #"{"title":"T\#(index)","brand":"b\#(index % 5)","price":\#(index)}"#.utf8),
                    timestamp: SimulatedLog.start)
            }
            try await broker.produceItems(records)
            try await broker.produce(log.wire)
            try await daemon.start()
            let listed = await holds { try daemon.info("items") == "50" }
            try #require(listed)
            let reference = log.reference()
            try #require(await settle([daemon], on: reference.digests) == reference.digests)
            return (broker, redis, daemon)
        }

        private static func numbers(_ reply: Reply) -> [Int] {
            (reply.elements ?? []).compactMap { $0.text.flatMap { Int($0.dropFirst(5)) } }
        }

        @Test("filters and scenarios hold, a reload changes them, and faults name the character")
        func rules() async throws {
            let stage = try await populated()
            let daemon = stage.2
            defer { withExtendedLifetime(stage) {} }
            let client = try daemon.connect()
            let filtered = Self.numbers(
                try client.ask(
                    "REC.GET", "new", "COUNT", "50", "FILTER", "brand = 'b2' AND price >= 20"))
            #expect(Set(filtered) == Set(stride(from: 22, to: 50, by: 5)))
            let cheap = Self.numbers(try client.ask("REC.GET", "new", "SCENARIO", "cheap"))
            #expect(cheap.count == 4 && cheap.allSatisfy { $0 < 10 })
            let mixed = try client.ask(
                "REC.GET", "new", "SCENARIO", "mixed", "COUNT", "10", "WITHSOURCES")
            let places = mixed.elements ?? []
            let brands = places.compactMap {
                $0.elements?.first?.text.flatMap { Int($0.dropFirst(5)) }
            }
            .map { $0 % 5 }
            #expect(brands.count == 10)
            #expect((0..<5).allSatisfy { brand in brands.count { $0 == brand } == 2 })
            #expect(places.allSatisfy { $0.elements?.last?.text?.contains(" p=0.") == true })
            #expect {
                try client.ask("REC.GET", "new", "FILTER", "price < ")
            } throws: {
                "\($0)".contains(#"ERR FILTER: expected a value at 9: "price < ""#)
            }

            let file = try String(contentsOfFile: daemon.configurationPath, encoding: .utf8)
            try daemon.write(file.replacing("price < 10", with: "price > 40"))
            daemon.process?.signal(SIGHUP)
            let changed = await holds {
                let now = Self.numbers(try daemon.ask("REC.GET", "new", "SCENARIO", "cheap"))
                return now.count == 4 && now.allSatisfy { $0 > 40 }
            }
            #expect(changed, "\(daemon.lastWords)")
            let docs = try client.ask("COMMAND", "DOCS", "rec.next")
            #expect(docs["rec.next"]?["group"]?.text == "recommendation", "\(docs)")
        }

        @Test("REC.NEXT goes on to the end of the catalogue without repeating anything")
        func pages() async throws {
            let stage = try await populated()
            let daemon = stage.2
            defer { withExtendedLifetime(stage) {} }
            let client = try daemon.connect()
            let first = try client.ask("REC.GET", "ann", "COUNT", "8", "ASOF")
            let id = try #require(first.elements?.first?["id"]?.text, "\(first)")
            var shown = Self.numbers(try #require(first.elements?.last))
            var bought: [Int] = []
            while true {
                if bought.count < 3 {
                    // An item not shown yet is bought: no page may have it once the event is applied.
                    let item = try #require(
                        (0..<50).first { !shown.contains($0) && !bought.contains($0) })
                    _ = try client.ask("EVENT.ADD", "ann", "item-\(item)", "purchase")
                    bought.append(item)
                    let applied = await holds {
                        try client.ask("USER.GET", "ann")["events"]?.number == Double(bought.count)
                    }
                    #expect(applied)
                }
                let page = Self.numbers(try client.ask("REC.NEXT", id))
                if page.isEmpty { break }
                #expect(page.count <= 8)
                shown += page
            }
            #expect(Set(shown).count == shown.count)
            #expect(Set(shown).isDisjoint(with: bought))
            #expect(shown.count + bought.count == 50)
            #expect(throws: TestKitError.self) { try client.ask("REC.NEXT", "1-1") }
        }

        @Test(
            "a new user and an item that has nothing but its record are answered at the first request"
        )
        func cold() async throws {
            let stage = try await populated()
            let daemon = stage.2
            defer { withExtendedLifetime(stage) {} }
            let client = try daemon.connect()
            _ = try client.ask(
                "ITEM.SET", "fresh", #"{"title":"never met","brand":"b3","categories":["c"]}"#)
            let began = ContinuousClock.now
            let filter = "categories = 'c'"
            let isListed = await holds {
                try client.ask("REC.GET", "nobody", "FILTER", filter).elements?.first?.text
                    == "fresh"
            }
            #expect(isListed)
            // One second is the promise; the machine of a test may be slow.
            #expect(ContinuousClock.now - began < .seconds(5))
            let similar = try client.ask("REC.SIMILAR", "fresh", "COUNT", "20")
            #expect(Set(Self.numbers(similar)) == Set(stride(from: 3, to: 50, by: 5)))
            let back = try client.ask("REC.SIMILAR", "item-3", "FILTER", filter)
            #expect(back.elements?.first?.text == "fresh")
            let session = try client.ask(
                "REC.GET", "nobody", "SESSION", "2", "item-1", "item-2", "COUNT", "50",
                "WITHSOURCES")
            let sources = (session.elements ?? []).compactMap { $0.elements?.last?.text }
            #expect(sources.contains("rules"))
            #expect(!"\(session)".contains("item-1\""))
        }

        /// The 50 items' cosines to one of them, by the slow way.
        private static func cosines(to item: Int, _ folder: ItemModelFolder) -> [Float] {
            var scorer = ItemScorer(folder.parameters)
            let vectors = scorer.vectors(
                of: (0..<50).map {
                    (number: $0 < 40 ? Int32($0) : .max, tokens: folder.tokens(of: "Title \($0)"))
                })
            let width = folder.parameters.layout.shape.width
            let rows = (0..<50).map { Array(vectors[$0 * width..<($0 + 1) * width]) }
            let product = { (left: [Float], right: [Float]) in
                zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
            }
            return rows.map {
                product($0, rows[item])
                    / (product($0, $0) * product(rows[item], rows[item])).squareRoot()
            }
        }

        @Test(
            "lists of the model are filtered and paged the same way, and its vectors say what is alike"
        )
        func model() async throws {
            let folder = try TemporaryDirectory()
            let path = folder.file("model")
            let model = try Models.writeModel(seed: 3, to: path)
            let broker = try await Broker()
            let redis = try await RedisServer()
            var options = Daemon.Options()
            options.extra = "model:\n  folder: \(path)"
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            defer { withExtendedLifetime((broker, redis)) {} }
            try await broker.produceItems(SimulatedLog.itemRecords(50))
            try await daemon.start()
            let client = try daemon.connect()
            let history = ["item-7", "item-30"]
            for item in history { _ = try client.ask("EVENT.ADD", "ann", item, "view") }
            let isReady = await holds {
                try client.ask("USER.GET", "ann")["events"]?.number == 2
                    && daemon.info("model_items") == "50"
                    && daemon.info("model_items_pending") == "0"
            }
            try #require(isReady, "\(daemon.lastWords)")

            let ranking = Models.best(model, history: history, count: 50)
            let some = (0..<50).filter { $0 % 3 == 1 }.map { "item-\($0)" }
            let filter = "id IN (" + some.map { "'\($0)'" }.joined(separator: ",") + ")"
            let filtered = try client.ask(
                "REC.GET", "ann", "MODE", "lm", "COUNT", "9", "FILTER", filter)
            #expect(
                filtered.elements?.compactMap(\.text)
                    == Array(ranking.filter(some.contains).prefix(9)))
            let first = try client.ask("REC.GET", "ann", "MODE", "lm", "COUNT", "9", "ASOF")
            #expect(
                first.elements?.last?.elements?.compactMap(\.text) == Array(ranking.prefix(9)))
            let id = try #require(first.elements?.first?["id"]?.text)
            let second = try client.ask("REC.NEXT", id, "COUNT", "11")
            #expect(second.elements?.compactMap(\.text) == Array(ranking[9..<20]))

            let cosines = Self.cosines(to: 12, model)
            let alike = (0..<50).filter { $0 != 12 }.sorted { cosines[$0] > cosines[$1] }
            let similar = try client.ask(
                "REC.SIMILAR", "item-12", "COUNT", "8", "WITHSOURCES")
            let places = similar.elements?.compactMap(\.elements) ?? []
            #expect(
                places.map { $0.first?.text } == alike.prefix(8).map { "item-\($0)" })
            #expect(places.allSatisfy { $0.last?.text == "vectors" })

            _ = try client.ask("ITEM.SET", "item-50", #"{"title":"Title 8"}"#)
            let joined = await holds {
                try client.ask("REC.GET", "ann", "MODE", "lm", "FILTER", "id = 'item-50'")
                    .elements?.count == 1
                    && client.ask("REC.SIMILAR", "item-50", "COUNT", "3").elements?.count == 3
            }
            #expect(joined, "\(daemon.lastWords)")
        }
    }
}
