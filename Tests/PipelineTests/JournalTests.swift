// The journal of what lists were worth: every list that was learnt from is in it, and says what the meters say.

import Combiner
import Interactions
import Pipeline
import Ports
import Recommender
import TestKit
import Testing

extension SoleDaemon {
    fileprivate func journal(from number: UInt64 = 0, count: Int = 10_000) throws -> JournalPage {
        var answer: Result<JournalPage, PortError>?
        tell { $0.journal(from: number, count: count) { answer = $0 } }
        return try #require(answer).get()
    }
}

@Suite("The prequential journal")
struct JournalTests {
    /// A line's word and fields.
    private static func fields(_ line: String) -> (word: String, fields: [String: String]) {
        let words = line.split(separator: " ").map(String.init)
        let pairs = words.dropFirst().compactMap { word -> (String, String)? in
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            return parts.count == 2 ? (parts[0], parts[1]) : nil
        }
        return (words.first ?? "", Dictionary(pairs) { $1 })
    }

    @Test("has every list that was learnt from, with the places that the meters count")
    func complete() throws {
        let daemon = SoleDaemon(change: { $0.prequential = true })
        daemon.feed(MixtureTests.log(600), upTo: 600, batch: 64)
        let page = try daemon.journal()
        #expect(page.droppedCount == 0 && page.next == UInt64(page.lines.count))
        let lines = page.lines.map(Self.fields)
        let lists = lines.filter { $0.word == "list" }.map(\.fields)
        let combiner = try #require(daemon.coordinator.engine.combiner)
        #expect(UInt64(lists.count) == combiner.scoredCount && lists.count > 300)
        let hits = lists.count { $0["served"].flatMap(Double.init).map { $0 < 10 } ?? false }
        #expect(hits == Int(combiner.served.hitCount))
        let ruleHits = lists.count { $0["mix-rules"].flatMap(Double.init).map { $0 < 10 } ?? false }
        #expect(ruleHits == Int(combiner.meter(of: .source(.rules)).hitCount))
        let times = lists.compactMap { $0["time"].flatMap(Int64.init) }
        #expect(times.count == lists.count && times == times.sorted())
        #expect(
            lists.allSatisfy { Int($0["history"] ?? "") != nil && Int($0["target"] ?? "") != nil })
        let weights = lines.filter { $0.word == "weights" }.map(\.fields)
        #expect(weights.last?["version"] == daemon.info["mixture_version"])
        #expect(weights.allSatisfy { Feature.allCases.count == $0.count - 4 })
    }

    @Test("is read in pages, without gap and without repetition")
    func pages() throws {
        let daemon = SoleDaemon(change: { $0.prequential = true })
        daemon.feed(MixtureTests.log(300), upTo: 300, batch: 64)
        let whole = try daemon.journal().lines
        var found: [String] = []
        var next: UInt64 = 0
        while true {
            let page = try daemon.journal(from: next, count: 7)
            if page.lines.isEmpty { break }
            #expect(page.next == next + UInt64(page.lines.count))
            found += page.lines
            next = page.next
        }
        #expect(found == whole)
        #expect(try daemon.journal(from: .max).lines.isEmpty)
    }

    @Test("is refused where nothing is measured, with the way out")
    func refused() throws {
        let daemon = SoleDaemon()
        #expect {
            try daemon.journal()
        } throws: { error in
            "\(error)".contains("serving.prequential")
        }
    }
}
