// `millrace replay --report`: a log through the real daemon, and a page that says what its lists were worth.

import Foundation
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("replays a log")
    struct Replay {
        @Test(
            "and writes one page: accuracy by source, weights, throughput, users; from the code that serves"
        )
        func report() async throws {
            let folder = try TemporaryDirectory()
            let log = folder.file("shop")
            _ = try await ChildProcess.run(
                millrace,
                [
                    "simulate", "--events", "4000", "--users", "150", "--items", "80", "--out", log,
                ])
            let broker = try await Broker()
            let redis = try await RedisServer()
            var options = Daemon.Options()
            options.mixture = "{learn-interval: 3, lists-max: 200, refit-interval: 150}"
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
            let plain = try String(contentsOfFile: daemon.configurationPath, encoding: .utf8)
            try daemon.write(
                plain.replacingOccurrences(
                    of: "serving:\n", with: "serving:\n  prequential: true\n"))
            try await daemon.start()
            let page = folder.file("page.html")
            let output = try await ChildProcess.run(
                millrace,
                [
                    "replay", log, "--config", daemon.configurationPath, "--report", page,
                    "--probe", "prober",
                ],
                within: .seconds(240))
            #expect(output.contains("events produced in"), "\(output)")
            #expect(output.contains("The combiner and its sources"), "\(output)")
            let html = try String(contentsOfFile: page, encoding: .utf8)
            for part in [
                "combined list", "recent rules", "popularity", "By history of the user",
                "By earlier events of the target", "What the combiner goes by",
                "HR@10 of all events",
                "Users at the end of the log", "list now (",
                "events, one at a time",
            ] { #expect(html.contains(part), "\(part)") }
            // Self-contained: nothing is loaded from anywhere, and nothing runs.
            #expect(!html.contains("<script") && !html.contains("src="))
            let count = try daemon.info("mixture_lists_scored").flatMap { Int($0) } ?? 0
            let journal = try daemon.ask("PREQUENTIAL", "COUNT", "10000")["lines"]?.elements ?? []
            #expect(count > 400)
            #expect(journal.count { $0.text?.hasPrefix("list ") == true } == count)
        }
    }
}
