// What the documents promise exists: commands, files, targets.

import Foundation
import TestKit
import Testing

@Suite("documents")
struct DocumentTests {
    @Test("every make command of a document is a target of the Makefile")
    func makeTargets() throws {
        let targets = Set(
            try Repository.file("Makefile").text.matches(of: #/(?m)^([a-z-]+):/#)
                .map { String($0.1) })
        for file in Repository.documents {
            for match in try file.text.matches(of: #/(?:`|\n|sudo )make ([a-z-]+)/#) {
                #expect(targets.contains(String(match.1)), "\(file.path): make \(match.1)")
            }
        }
        #expect(targets.isSuperset(of: ["demo", "test", "setup", "build", "install"]))
    }

    @Test("every millrace command of a document is one of the executable")
    func commands() throws {
        let sources = Repository.sources.filter { $0.module == "millrace" }
        let named = try sources.flatMap { file in
            try file.text.matches(of: #/commandName: "([a-z-]+)"/#).map { String($0.1) }
        }
        for file in Repository.documents {
            for match in try file.text.matches(of: #/(?:`|\n    |\n|\$ )millrace ([a-z-]+)/#) {
                #expect(named.contains(String(match.1)), "\(file.path): millrace \(match.1)")
            }
        }
    }

    @Test("every file a document names exists")
    func files() throws {
        let name = #/[`(]((?:Tests|Sources|Config|docs|systemd|\.ci)\/[\w\/.+-]*)/#
        for file in Repository.documents {
            for match in try file.text.matches(of: name) {
                #expect(Repository.exists(String(match.1)), "\(file.path): \(match.1)")
            }
        }
    }

    @Test("every test a document names exists")
    func tests() throws {
        for file in Repository.documents {
            for line in try file.lines {
                // `Tests/XTests`: "name", "name"
                for match in line.matches(of: #/`Tests\/(\w+)`: ((?:"[^"]+"(?:, )?)+)/#) {
                    let folder = Repository.files.filter { $0.isIn("Tests/\(match.1)") }
                    let text = try folder.map { try $0.text }.joined()
                    for name in match.2.split(separator: "\"").filter({ $0 != ", " }) {
                        #expect(text.contains("\"\(name)"), "\(file.path): \(match.1) \(name)")
                    }
                }
            }
        }
    }

    @Test("every setting a document names is a key of Config/millrace.yaml")
    func settings() throws {
        let keys = Set(
            try Repository.file("Config/millrace.yaml").text
                .matches(of: #/(?m)^ *([a-z-]+):/#).map { String($0.1) })
        let sections =
            "kafka|events|redis|engine|rules|popularity|catalogue|serving|feeds|socket"
            + "|operations|telemetry|shutdown"
        let name = try Regex("`((?:\(sections))(?:\\.[a-z-]+)+)`")
        for file in Repository.documents {
            for match in try file.text.matches(of: name) {
                let path = match[1].substring ?? ""
                if path.hasSuffix(".jsonl") { continue }
                for part in path.split(separator: ".") {
                    #expect(keys.contains(String(part)), "\(file.path): \(path)")
                }
            }
        }
    }

    @Test("every file of the tests that is not code says where it comes from")
    func fixtures() throws {
        let fixtures = Repository.files.filter { $0.isIn("Tests") && !$0.isSwift }.map(\.path)
        let manifest = try Repository.file("Tests/fixtures.txt").lines
            .filter { !$0.hasPrefix("#") && !$0.isEmpty }
        let named = manifest.map { String($0.prefix { $0 != " " }) }
        #expect(Set(named) == Set(fixtures), "Tests/fixtures.txt names other files than there are")
        #expect(manifest.allSatisfy { $0.contains(" ") }, "each with its origin behind the path")
    }

    @Test("swift format has nothing to say")
    func formatting() async throws {
        let paths = ["Sources", "Tests", "Package.swift"]
        let swift = ProcessInfo.processInfo.environment["SWIFT"] ?? "swift"
        let lint = try ChildProcess(
            swift, ["format", "lint", "-s", "-r"] + paths, workingDirectory: Repository.root.path)
        let status = await lint.wait(within: .seconds(300))
        if lint.errors.contains("unable to invoke subcommand") {
            return  // A toolchain without a formatter: `make lint` elsewhere will tell.
        }
        #expect(status == 0, "make format mends most of it:\n\(lint.errors)")
    }
}
