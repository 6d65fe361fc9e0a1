// The yes/no recommender from end to end: trained by the command, judged by the command, served by the daemon.

import Checkpoints
import Foundation
import Interactions
import LanguageModel
import PreferenceRanking
import Summaries
import TestKit
import Testing
import Transformer
import WireProtocol

extension DaemonTests {
    @Suite("ranks lists by a language model", .serialized)
    struct Rankers {
        /// A log of a few users and items in `folder`.
        private static func writeLog(to folder: TemporaryDirectory) throws {
            var random = SeededRandom(seed: 3)
            let items = (0..<50).map { #"{"id":"item-\#($0)","title":"Title \#($0)"}"# }
            let events = (0..<400).map { index in
                #"{"user":"u\#(random.below(20))","item":"item-\#(random.below(50))","type":"view","#
                    + #""ts":\#(1_700_000_000_000 + index * 60_000)}"#
            }
            for (name, lines) in [("items", items), ("events", events)] {
                try Data((lines.joined(separator: "\n") + "\n").utf8).write(
                    to: URL(filePath: folder.file("\(name).jsonl")))
            }
        }

        @Test("which the command trains and judges, and REC.GET MODE trsr asks")
        func wholeWay() async throws {
            let folder = try TemporaryDirectory()
            let (base, adapter) = (folder.file("base"), folder.file("adapter"))
            try Self.writeLog(to: folder)
            let small = [
                "train-ranker", "--data", folder.path, "--judged", "20", "--recent", "2",
                "--epochs",
                "1", "--examples", "40",
            ]
            let trained = try await ChildProcess.run(
                millrace,
                small + ["--out", base, "--width", "16", "--layers", "1", "--vocabulary", "420"])
            #expect(trained.contains("test, ranker:     R@3"), "\(trained)")
            let tuned = try await ChildProcess.run(
                millrace, small + ["--base", base, "--out", adapter])
            #expect(tuned.contains("kept epoch 1"), "\(tuned)")
            let judged = try await ChildProcess.run(
                millrace,
                [
                    "eval", "--data", folder.path, "--ranker", base, "--adapter", adapter,
                    "--judged", "20", "--recent", "2", "--json",
                ])
            #expect(judged.contains("\"recall_10\""), "\(judged)")

            let broker = try await Broker()
            let redis = try await RedisServer()
            var options = Daemon.Options()
            // Without a combination, the odds alone make the order.
            options.mixture = "{enabled: false}"
            options.extra = """
                ranking:
                  folder: \(base)
                  adapter: \(adapter)
                  recent: 2
                  candidates: 6
                  timeout: 60s
                """
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            try await broker.produceItems(SimulatedLog.itemRecords(50))
            try await daemon.start()
            let listed = await holds { try daemon.info("items") == "50" }
            try #require(listed)
            let connection = try daemon.connect()
            for index in 0..<7 {
                _ = try connection.ask("EVENT.ADD", "ann", "item-\(index)", "view")
            }
            let folded = await holds {
                try connection.ask("USER.GET", "ann")["events"]?.number == 7
            }
            try #require(folded, "\(daemon.lastWords)")
            let plain = try Models.list(connection, "ann", count: 10, mode: "auto").items
            let ranked = try Models.list(connection, "ann", count: 10, mode: "trsr")
            #expect(ranked.rung == "trsr" && ranked.model?.isEmpty == false)

            // The slow way: each question alone, by the folders as they lie there.
            let summary = try connection.ask("SUMMARY.GET", "ann")["text"]?.text ?? ""
            var model = try LanguageModel(folder: base)
            model.decoder.adapter = try DecoderAdapter(
                Adapter(folder: adapter, for: model.configuration), shape: model.decoder.shape)
            let ranker = try PreferenceRanker(
                model, chatProgram: try chatProgram(folder: base), document: base)
            let scored = try plain.prefix(6).map { name in
                let title = "Title \(name.dropFirst("item-".count))"
                let recent = [5, 6].map {
                    SummaryItem(title: "Title \($0)", brand: "b", event: "view")
                }
                let prompt = try ranker.prompt(
                    RankingRequest(
                        summary: summary.isEmpty ? nil : summary, recent: recent,
                        candidate: SummaryItem(title: title, brand: "b", event: "")))
                return (name: name, odd: try ranker.probabilities([prompt])[0])
            }
            let expected = scored.sorted { $0.odd > $1.odd }.map(\.name) + plain.dropFirst(6)
            #expect(ranked.items == expected)
            #expect(try daemon.info("ranking_lists") == "1")
            #expect(await daemon.terminate() == 0)
        }

        @Test("check-config and serve refuse a folder that is none, by its key")
        func refused() async throws {
            let folder = try TemporaryDirectory()
            let path = folder.file("millrace.yaml")
            for (section, key) in [
                ("ranking", "ranking.folder"),
                ("summaries:\n  summariser: local", "summaries.folder"),
            ] {
                let text = section.contains(":") ? section : "\(section):"
                try Data("\(text)\n  folder: \(folder.path)\n".utf8).write(to: URL(filePath: path))
                for command in [["check-config", path], ["serve", "--config", path]] {
                    let process = try ChildProcess(millrace, command)
                    #expect(await process.wait() != 0, "\(command)")
                    let words = process.errors
                    #expect(words.contains(key) && words.contains(folder.path), "\(words)")
                }
            }
        }
    }
}
