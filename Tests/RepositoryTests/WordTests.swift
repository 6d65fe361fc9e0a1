// Words that must not be in the code, and the count of those that may but are watched.

import Foundation
import TestKit
import Testing

@Suite("words")
struct WordTests {
    struct Ban: Sendable {
        var word: String
        var why: String
        var applies: @Sendable (RepositoryFile) -> Bool
    }

    static let bans = [
        Ban(
            word: "fatal" + "Error",
            why: "nothing received may trap; our own faults are preconditions"
        ) {
            $0.isIn("Sources")
        },
        Ban(word: "try" + "!", why: "throw on, or handle it") { _ in true },
        Ban(word: "as" + "!", why: "decide what happens otherwise") { $0.isIn("Sources") },
        Ban(word: "Task.sl" + "eep", why: "poll a condition with a deadline: `eventually`") {
            $0.isIn("Tests")
        },
        Ban(
            word: "utf8.s" + "pan",
            why: "a short text's bytes may be gone when it is read: `withBytes` (Hashing.swift)"
        ) {
            $0.isIn("Sources")
        },
        Ban(word: "-Ounch" + "ecked", why: "preconditions stay in the release") { _ in true },
    ]

    @Test("banned words are not in the code", arguments: bans.map(\.word))
    func banned(word: String) throws {
        let ban = try #require(Self.bans.first { $0.word == word })
        for file in Repository.swift where ban.applies(file) {
            // Strings count where the word is one.
            let lines =
                word.hasPrefix("-")
                ? try file.lines.map(String.init) : SwiftCode(try file.text).lines
            for (index, line) in lines.enumerated() where line.contains(word) {
                Issue.record("\(file.path):\(index + 1) says \(word): \(ban.why)")
            }
        }
    }

    @Test("only the executable prints")
    func printing() throws {
        for file in Repository.sources where file.module != "millrace" {
            for (index, line) in SwiftCode(try file.text).lines.enumerated()
            where line.contains(#/(^|[^.\w])print\(/#) {
                Issue.record("\(file.path):\(index + 1) prints: report an observation instead")
            }
        }
    }

    @Test("nothing is left for later in a comment")
    func promises() throws {
        let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
        for file in Repository.files where file.isSwift || file.isIn("Sources") {
            for (index, line) in try file.lines.enumerated()
            where words.contains(where: { line.contains($0) }) {
                // mkstemp templates end in a run of the letter.
                if line.contains(String(repeating: "X", count: 6)) { continue }
                Issue.record("\(file.path):\(index + 1): \(line)")
            }
        }
    }

    @Test("no tracked file names a path of the machine it was written on")
    func paths() throws {
        let places = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"]
        for file in Repository.files {
            for (index, line) in try file.lines.enumerated()
            where places.contains(where: { line.contains($0) }) {
                Issue.record("\(file.path):\(index + 1): \(line)")
            }
        }
    }

    @Test("an unchecked claim gives its reason in the next line")
    func reasons() throws {
        for file in Repository.sources {
            let lines = try file.lines
            let code = SwiftCode(try file.text).lines
            for (index, line) in code.enumerated() where line.contains("@unchecked") {
                let next =
                    lines.dropFirst(index + 1).first?.trimmingCharacters(in: .whitespaces) ?? ""
                #expect(next.hasPrefix("//"), "\(file.path):\(index + 1): why is it safe?")
            }
        }
    }
}

@Suite("the census of unsafe places")
struct CensusTests {
    static let path = "Tests/census.txt"

    @Test("unsafe and unchecked places are as many as recorded")
    func census() throws {
        let found = try Self.count()
        if ProcessInfo.processInfo.environment["MILLRACE_RECORD_CENSUS"] != nil {
            try Data(found.utf8).write(to: Repository.root.appending(path: Self.path))
        }
        let recorded = try Repository.file(Self.path).text
        #expect(
            recorded == found,
            "read what changed, then record it: make census (writes \(Self.path))")
    }

    static let columns = ["unsafe", "@unchecked", "nonisolated(unsafe)", "@safe", "@unsafe"]

    private static func count() throws -> String {
        var counts: [String: [Int]] = [:]
        for file in Repository.sources {
            let code = String(decoding: SwiftCode(try file.text).bytes, as: UTF8.self)
            let row = [
                code.matches(of: #/(?:^|[^@(\w])unsafe\b/#).count,
                code.matches(of: #/@unchecked\b/#).count,
                code.matches(of: #/nonisolated\(unsafe\)/#).count,
                code.matches(of: #/@safe\b/#).count, code.matches(of: #/@unsafe\b/#).count,
            ]
            counts[file.module, default: [0, 0, 0, 0, 0]] = zip(
                counts[file.module] ?? [0, 0, 0, 0, 0], row
            ).map { $0 + $1 }
        }
        let rows = counts.sorted { $0.key < $1.key }
            .map { "\($0.key) \($0.value.map(String.init).joined(separator: " "))" }
        return (["module \(columns.joined(separator: " "))"] + rows).joined(separator: "\n") + "\n"
    }
}
