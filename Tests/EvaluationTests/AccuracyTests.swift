// The reference accuracies on real logs, with the serving scorer. They need the data folder (MILLRACE_DATA, or
// shared/data beside the checkout) and are skipped, with these words, where it is absent.

import Evaluation
import Foundation
import Interactions
import Recommender
import Teachers
import Testing

private enum DataFolder {
    static let path: String? = {
        let package = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let candidates: [String?] = [
            ProcessInfo.processInfo.environment["MILLRACE_DATA"],
            package.deletingLastPathComponent().appending(path: "shared/data").path,
        ]
        return candidates.compactMap { $0 }.first {
            FileManager.default.fileExists(atPath: $0 + "/office/item.csv")
        }
    }()

    static func lines(_ name: String) throws -> [[UInt8]] {
        let data = try Data(contentsOf: URL(filePath: (path ?? "") + "/" + name))
        return Array(data).split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
    }

    static func table(_ name: String) throws -> [[String: String]] {
        var records = SeparatedValues()
        var header: [String] = []
        var rows: [[String: String]] = []
        for line in try lines(name) {
            guard let record = try records.take(line: line), record != [[]] else { continue }
            let texts = record.map(\.importedText)
            if header.isEmpty {
                header = texts
            } else {
                rows.append(Dictionary(uniqueKeysWithValues: zip(header, texts)))
            }
        }
        return rows
    }
}

@Suite(
    "Reference accuracies",
    .enabled(if: DataFolder.path != nil, "no data folder: set MILLRACE_DATA to run these"))
struct AccuracyTests {
    private func rows(_ name: String) throws -> [SequenceRow] {
        try DataFolder.table("office/" + name).map { row in
            let user = try #require(UserID(row["uid"] ?? ""))
            let items = try JSONValue(parsing: Array((row["hist_id"] ?? "").utf8)).elements ?? []
            func event(_ text: String?) throws -> Interaction {
                Interaction(
                    user: user, item: try #require(ItemID(text ?? "")), type: 0, time: 0)
            }
            return SequenceRow(
                history: try items.map { try event($0.text) }, target: try event(row["iid"]))
        }
    }

    @Test("Office: raw counts, sequential rules, item-kNN and EASE reach the reference")
    func office() throws {
        let types = EventTypes([EventType(name: "review", weight: 1, seen: .never)])
        let evaluator = Evaluator(
            EvaluatorConfiguration(
                engine: EngineConfiguration(
                    history: HistoryRules(types: types, cooccurrenceReach: 512), rules: .baskets),
                sources: [.rules, .count, .teacher("item-knn"), .teacher("ease")]))
        for row in try DataFolder.table("office/item.csv") where (row["title"] ?? "").count <= 50 {
            let id = try #require(ItemID(row["iid"] ?? ""))
            evaluator.set(ItemRecord(id: id, title: row["title"] ?? ""))
        }
        evaluator.run(
            train: try rows("train_10000.csv"), test: try rows("test_5000.csv"))
        let (rules, count) = (evaluator.outcomes[0], evaluator.outcomes[1])
        #expect(rules.count == 5_000)
        #expect(abs(count.estimate(.hitRate, cutoff: 10).mean - 0.0196) <= 0.001)
        #expect(abs(count.estimate(.gain, cutoff: 10).mean - 0.0106) <= 0.001)
        // .0892 and .0753 with repeats as pairs of their own; not worse than that, less the tolerance.
        #expect(rules.estimate(.hitRate, cutoff: 10).mean >= 0.0892 - 0.001)
        #expect(rules.estimate(.gain, cutoff: 10).mean >= 0.0753 - 0.001)
        for (index, hitRate, gain) in [(2, 0.0722, 0.0575), (3, 0.0756, 0.0570)] {
            let outcomes = evaluator.outcomes[index]
            #expect(abs(outcomes.estimate(.hitRate, cutoff: 10).mean - hitRate) <= 0.001)
            #expect(abs(outcomes.estimate(.gain, cutoff: 10).mean - gain) <= 0.001)
        }
        let cold = Dictionary(grouping: rules, by: Breakdown.coldness.group).mapValues(\.count)
        #expect(cold == [0: 724, 1: 930, 2: 3_346])
        #expect(evaluator.contradictionCount == 0)
    }

    @Test("MovieTweetings: popularity and rules reach the reference on every tenth event")
    func movieTweetings() throws {
        let events = try DataFolder.lines("movietweetings/events.jsonl").filter { !$0.isEmpty }
            .map { try LoggedEvent(parsing: $0) }
        let items = try DataFolder.lines("movietweetings/items.jsonl").filter { !$0.isEmpty }
            .map { try LoggedItem(parsing: $0) }
        let log = changes(of: events, items: items, seen: .always)
        let evaluator = Evaluator(
            EvaluatorConfiguration(
                engine: EngineConfiguration(
                    history: HistoryRules(types: log.types))))
        evaluator.run(.prequential(warmUp: 0.5), over: log.changes, every: 10)
        let (rules, popularity) = (evaluator.outcomes[0], evaluator.outcomes[1])
        #expect(rules.count == 5_000)
        // Half-lives of 2 days; the reference's .2396/.1538 may move by .01 with the sample of events.
        #expect(abs(popularity.estimate(.hitRate, cutoff: 10).mean - 0.2396) <= 0.01)
        #expect(abs(popularity.estimate(.gain, cutoff: 10).mean - 0.1538) <= 0.01)
        #expect(rules.estimate(.hitRate, cutoff: 10).mean >= 0.25)
        #expect(rules.estimate(.gain, cutoff: 10).mean >= 0.155)
        #expect(rules.difference(from: popularity, .hitRate, cutoff: 10).mean > 0.005)
        #expect(evaluator.contradictionCount == 0)
    }
}
