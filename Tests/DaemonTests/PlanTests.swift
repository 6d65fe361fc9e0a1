// `millrace plan` as it is typed: its answers are those of docs/scaling.md, and nonsense is refused.

import Foundation
import TestKit
import Testing

extension DaemonTests {
    @Suite("millrace plan")
    struct Plans {
        static let root = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../..").standardizedFileURL.path
        /// The defaults, whatever this machine has in /etc.
        static let settings = ["MILLRACE_CONFIG": root + "/Config/millrace.yaml"]
        static let load = [
            "plan", "--users", "1e6", "--items", "1e5", "--events-per-second", "1e3",
        ]

        /// Commands of a document with what it says they print: code blocks that begin with `$ millrace`.
        static func examples(_ path: String) throws -> [(arguments: [String], output: String)] {
            let text = try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
            return text.matches(of: #/```\n\$ millrace ((?:[^\n]*\\\n)*[^\n]*)\n((?s:.*?))```/#).map
            {
                let words = $0.1.split { $0 == " " || $0 == "\n" || $0 == "\\" }
                return (words.map(String.init), String($0.2))
            }
        }

        @Test("prints what docs/scaling.md says")
        func document() async throws {
            let examples = try Self.examples("docs/scaling.md")
            #expect(examples.count >= 4)
            for (arguments, output) in examples {
                let process = try ChildProcess(millrace, arguments, environment: Self.settings)
                #expect(await process.wait() == 0, "\(process.errors)")
                #expect(
                    process.output == output,
                    "docs/scaling.md, millrace \(arguments.joined(separator: " "))")
            }
        }

        @Test("prints the same as JSON, and takes costs and an interval of one's own")
        func json() async throws {
            func plan(_ more: [String]) async throws -> [String: Any] {
                let process = try ChildProcess(
                    millrace, Self.load + ["--json"] + more, environment: Self.settings)
                #expect(await process.wait() == 0, "\(process.errors)")
                let object = try JSONSerialization.jsonObject(with: Data(process.output.utf8))
                return try #require(object as? [String: Any])
            }
            let plain = try await plan([])
            #expect(plain["instances"] as? Int == 1)
            let slow = try await plan(["--cost", "fold=2000"])
            #expect(try #require(slow["instances"] as? Int) > 1)
            let most = try #require(plain["eventsPerSecondMax"] as? Double)
            let seldom = try await plan(["--learn-interval", "1024"])
            #expect(try #require(seldom["eventsPerSecondMax"] as? Double) > most)
        }

        @Test("refuses a load that makes no sense, with the option's name")
        func refusals() async throws {
            for (arguments, words) in [
                (["plan"], "--users, --items and --events-per-second"),
                (Self.load + ["--users", "0"], "--users 0 is not in"),
                (Self.load + ["--history", "5000"], "--history 5000 is not in"),
                (Self.load + ["--mode", "cs"], "--mode 'cs' is not auto, cf or lm"),
                (Self.load + ["--partitions", "0"], "--partitions 0"),
                (Self.load + ["--learn-interval", "0"], "--learn-interval 0"),
                (Self.load + ["--cost", "folds=1"], "no unit cost 'folds'"),
            ] {
                let process = try ChildProcess(millrace, arguments, environment: Self.settings)
                #expect(await process.wait() == 64)
                #expect(process.errors.contains(words), "\(process.errors)")
            }
            let process = try ChildProcess(millrace, Self.load + ["--config", "/nowhere.yaml"])
            #expect(await process.wait() == 78)
        }
    }
}
