// The item-aware model in the running daemon: its lists, its reload under load, what it refuses.

import Foundation
import Glibc
import Interactions
import ItemModel
import JSONDocuments
import KafkaIngest
import ModelFolders
import Simulation
import TestKit
import Testing
import Tokenization
import WireProtocol

extension DaemonTests {
    @Suite("serves lists of a model", .serialized)
    struct Models {
        /// A random model of the 50 items; the seed makes it answer differently.
        static func writeModel(
            seed: UInt64, to path: String, summaries: SummaryReading? = nil,
            older: OlderReading? = nil
        ) throws -> ItemModelFolder {
            let titles = (0..<50).map { "Title \($0)" }
            var training = BPETraining()
            training.vocabularyCount = 300
            let document = training.train(titles)
            let vocabulary = try Tokenizer(
                reading: JSONNode(document, document: "tokenizer.json")
            ).vocabularyCount
            var shape = ItemModelShape(vocabulary: vocabulary)
            shape.width = 16
            shape.feedForward = 32
            shape.historyMax = 5
            shape.summaries = summaries
            shape.older = older
            var parameters = ItemModelParameters(ItemModelLayout(shape), seed: seed)
            parameters.identity.grow(to: 40, seed: seed)
            parameters.identity.counts = (0..<40).map { Int32($0) }
            let folder = try ItemModelFolder(
                parameters: parameters, tokenizerDocument: document,
                items: (0..<40).map { ItemID("item-\($0)")! })
            try? FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
            try folder.write(to: path)
            return folder
        }

        /// What the model itself says, by the slow way.
        static func best(
            _ folder: ItemModelFolder, history: [String], summary: String = "", count: Int
        ) -> [String] {
            let items = (0..<50).map { ItemID("item-\($0)")! }
            var scorer = ItemScorer(folder.parameters)
            let table = scorer.vectors(
                of: (0..<50).map {
                    (number: $0 < 40 ? Int32($0) : .max, tokens: folder.tokens(of: "Title \($0)"))
                })
            let numbers = history.map { name in
                Int32(items.firstIndex { $0.text == name }!)
            }
            let logits = scorer.logits(
                states: scorer.states(
                    of: [numbers], summaries: [folder.summaryTokens(of: summary)], table: table),
                table: table)
            return logits.indices.filter { !history.contains(items[$0].text) }
                .sorted { logits[$0] > logits[$1] }.prefix(count).map { items[$0].text }
        }

        /// The items in the order of the token head's likelihoods, the seen ones left out.
        private static func mostLikely(
            _ folder: ItemModelFolder, history: [String]
        ) throws -> [String] {
            let tokens = (0..<50).map { folder.tokens(of: "Title \($0)") }
            let table = try AnswerTable(
                items: tokens, listed: [UInt8](repeating: 1, count: 50),
                vocabulary: folder.parameters.layout.shape.vocabulary, endToken: folder.endToken)
            var head = TokenHead(
                folder.parameters, trie: table.trie, beginToken: folder.beginToken)
            var scorer = ItemScorer(folder.parameters)
            let vectors = scorer.vectors(
                of: (0..<50).map { (number: $0 < 40 ? Int32($0) : .max, tokens: tokens[$0]) })
            let width = folder.parameters.layout.shape.width
            var states = HistoryStateCache(folder.parameters, capacity: 1)
            let numbers = history.map { Int32($0.dropFirst("item-".count))! }
            let known = states.state(of: 1, history: numbers) { number in
                Array(vectors[Int(number) * width..<(Int(number) + 1) * width])
            }
            let state = try #require(known)
            let scores = try head.logLikelihoods(of: Array(0..<50), after: state)
            let unseen = scores.indices.filter { !numbers.contains(Int32($0)) }
            return unseen.sorted { scores[$0] > scores[$1] }.map { "item-\($0)" }
        }

        @Test("lists are the model's own, a new text joins at once, a reload mixes no two models")
        func lists() async throws {
            let folder = try TemporaryDirectory()
            let path = folder.file("model")
            let first = try Self.writeModel(seed: 1, to: path)
            let broker = try await Broker()
            let redis = try await RedisServer()
            var options = Daemon.Options()
            options.extra = """
                model:
                  folder: \(path)
                  cache-folder: \(folder.path)
                """
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            try await broker.produceItems(SimulatedLog.itemRecords(50))
            try await daemon.start()
            let listed = await holds { try daemon.info("items") == "50" }
            try #require(listed)
            let connection = try daemon.connect()
            let history = (0..<7).map { "item-\($0 * 7)" }
            for item in history { _ = try connection.ask("EVENT.ADD", "ann", item, "view") }
            let folded = await holds {
                try connection.ask("USER.GET", "ann")["events"]?.number == 7
                    && daemon.info("model_version") == first.version
                    && daemon.info("model_items_pending") == "0"
                    && daemon.info("model_items") == "50"
            }
            try #require(folded, "\(daemon.lastWords)")
            let expected = Self.best(first, history: history, count: 10)
            #expect(try Self.list(connection, "ann").items == expected)
            #expect(try Self.list(connection, "ann").model == first.version)
            let written = try Self.mostLikely(first, history: history)
            let byText = try Self.list(connection, "ann", count: 10, mode: "lm-text")
            #expect(byText.items == Array(written.prefix(10)))
            #expect(byText.rung == "lm-text" && byText.model == first.version)
            // Nobody known: the next rung answers, and says so.
            let stranger = try Self.list(connection, "stranger", count: 3)
            #expect(stranger.rung == "cf" && stranger.model == nil && stranger.items.count == 3)

            _ = try connection.ask("ITEM.SET", "item-50", #"{"title":"Title 8"}"#)
            let joined = await holds {
                try Self.list(connection, "ann", count: 51).items.contains("item-50")
            }
            #expect(joined, "a text that was never trained is listed within moments")
            // One text, one likelihood; withdrawn, it is none of the choices any more.
            let twins = try Self.list(connection, "ann", count: 51, mode: "lm-text").items
            let twin = twins.firstIndex(of: "item-50") ?? -9
            #expect(abs((twins.firstIndex(of: "item-8") ?? -1) - twin) == 1)
            _ = try connection.ask("ITEM.DEL", "item-50")
            let left = await holds {
                try !Self.list(connection, "ann", count: 51).items.contains("item-50")
            }
            #expect(left)
            #expect(
                try Self.list(connection, "ann", count: 51, mode: "lm-text").items == written)
            #expect(try daemon.info("model_texts") == "50")

            try await reload(daemon, connection, path, first, history)
            #expect(!daemon.errors.contains("item cache is damaged"))
        }

        /// Another model in the same folder: every list is wholly the one's or the other's.
        private func reload(
            _ daemon: Daemon, _ connection: SocketConnection, _ path: String,
            _ first: ItemModelFolder, _ history: [String]
        ) async throws {
            let before = Self.best(first, history: history, count: 10)
            let second = try Self.writeModel(seed: 2, to: path)
            let after = Self.best(second, history: history, count: 10)
            #expect(before != after && first.version != second.version)
            daemon.process?.signal(SIGHUP)
            var sawSecond = false
            let swapped = await holds {
                for _ in 0..<200 {
                    let list = try Self.list(connection, "ann")
                    if list.model == first.version {
                        #expect(list.items == before && !sawSecond)
                    } else {
                        #expect(list.model == second.version && list.items == after)
                        sawSecond = true
                    }
                }
                return sawSecond
            }
            #expect(swapped, "\(daemon.lastWords)")
        }

        static func list(
            _ connection: SocketConnection, _ user: String, count: Int = 10, mode: String = "lm"
        ) throws -> (items: [String], rung: String?, model: String?) {
            let reply = try connection.ask(
                "REC.GET", user, "COUNT", "\(count)", "MODE", mode, "ASOF")
            guard case .array(let parts) = reply, parts.count == 2,
                case .array(let items) = parts[1]
            else {
                Issue.record("no list: \(reply)")
                return ([], nil, nil)
            }
            return (
                items.compactMap(\.text), parts[0]["rung"]?.text, parts[0]["model"]?.text
            )
        }

        @Test("a model that is not whole, or does not fit, is refused at start with the reason")
        func refused() async throws {
            let folder = try TemporaryDirectory()
            let path = folder.file("model")
            _ = try Self.writeModel(seed: 1, to: path)
            let broker = try await Broker()
            let redis = try await RedisServer()
            var options = Daemon.Options()
            options.extra = """
                model:
                  folder: \(path)
                  users-cached-max: 10000000
                  memory-max: 2MiB
                """
            let small = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            try small.spawn()
            let summed = await holds {
                small.errors.contains("does not fit model.memory-max (2 MiB)")
                    && small.errors.contains("model.users-cached-max 10000000 x")
            }
            #expect(summed, "\(small.lastWords)")
            try FileManager.default.removeItem(atPath: "\(path)/tokenizer.json")
            options.extra = "model: {folder: \(path)}"
            let broken = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            try broken.spawn()
            let named = await holds { broken.errors.contains("tokenizer.json") }
            #expect(named, "\(broken.lastWords)")
        }
    }
}
