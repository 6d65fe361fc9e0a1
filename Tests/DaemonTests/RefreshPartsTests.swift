// The parts of a refresh that the daemon makes: when it is due, what it is given, what it says, and who watches it.

import Alignment
import Evaluation
import Foundation
import Interactions
import ItemModel
import ModelFolders
import Pipeline
import Settings
import TestKit
import Testing

@testable import millrace

@Suite("When a refresh is due")
struct RefreshScheduleTests {
    private func schedule(_ change: (inout RefreshSettings) -> Void) -> RefreshSchedule {
        var settings = RefreshSettings()
        settings.enabled = true
        settings.interval = .seconds(1_000)
        settings.events = 50
        settings.drift = 0.2
        change(&settings)
        return RefreshSchedule(settings: settings, lastEnd: 10_000)
    }

    @Test("by time, by events, by drift, each where it is switched on; not right after the last")
    func reasons() {
        var due = schedule { _ in }
        #expect(due.reason(now: 10_999) == nil && due.reason(now: 11_000) == "interval")
        due.eventCount = 50
        #expect(due.reason(now: 10_059) == nil && due.reason(now: 10_060) == "events")
        due.eventCount = 49
        due.drift = 0.2
        #expect(due.reason(now: 10_500) == nil)
        due.drift = 0.21
        #expect(due.reason(now: 10_500) == "drift")
        // Another instance had the lease: what was due is due again after a pause.
        var waiting = schedule { _ in }
        waiting.waitAgain(now: 11_000)
        #expect(waiting.reason(now: 11_059) == nil && waiting.reason(now: 11_060) == "interval")
        var off = schedule {
            $0.interval = .zero
            $0.events = 0
            $0.drift = 0
        }
        off.eventCount = 1_000
        off.drift = 0.9
        #expect(off.reason(now: 1e9) == nil)
        var disabled = schedule { $0.enabled = false }
        disabled.eventCount = 1_000
        #expect(disabled.reason(now: 1e9) == nil)
    }
}

@Suite("What a refresh is given")
struct RefreshExportTests {
    private static let items = (0..<9).compactMap { ItemID("i\($0)") }

    private static let record = ItemRecord(
        id: items[0], title: "A \"title\"", brand: "B", categories: ["c", "d"], price: 1.25)

    private static func history(_ user: String, _ events: [(Int, UInt32)]) -> UserHistory {
        UserHistory(
            user: UserID(user)!, events: events.map { (item: items[$0.0].key, seconds: $0.1) })
    }

    /// The events as lines `user item time`, and how many there are.
    private func written(
        _ export: inout RefreshExport, names: [ItemID] = items, knownUntil: Milliseconds? = nil
    ) throws -> (lines: [String], counts: RefreshExport.Counts) {
        let folder = try TemporaryDirectory()
        let counts = try export.write(
            to: folder.path, names: Dictionary(uniqueKeysWithValues: names.map { ($0.key, $0) }),
            items: [Self.record], knownUntil: knownUntil)
        let log = try LoadedLog(folder: folder.path, seen: .always)
        #expect(log.records == [Self.record], "all that texts and summaries are made of")
        return (
            log.changes.compactMap { change in
                guard case .interaction(let event) = change else { return String?.none }
                return "\(event.user) \(event.item) \(event.time / 1_000)"
            }, counts
        )
    }

    @Test("all histories in the order of time, a user's own second in the order of the history")
    func order() throws {
        var export = RefreshExport(since: 0, until: 100, eventsMax: 100)
        export.add([Self.history("ann", [(3, 10), (1, 20), (2, 20)])])
        // A page read again holds what came since.
        export.add([Self.history("bob", [(4, 15)])])
        export.add([Self.history("bob", [(4, 15), (5, 30), (6, 101)])])
        let (lines, counts) = try written(&export, knownUntil: 15_000)
        #expect(
            lines.map { $0.drop { $0 != " " } } == [
                " i3 10", " i4 15", " i1 20", " i2 20", " i5 30",
            ])
        // Nobody is named.
        #expect(Set(lines.map { $0.prefix(1) }) == ["0", "1"])
        #expect(counts.events == 5 && counts.new == 3)
    }

    @Test("users of the window only, whole; the latest of them when they are too many")
    func bounds() throws {
        var export = RefreshExport(since: 50, until: 1_000, eventsMax: 10)
        export.add([Self.history("old", [(1, 10), (2, 49)])])
        export.add([Self.history("new", [(1, 10), (2, 50)])])
        #expect(export.eventCount == 2)
        for user in 0..<40 {
            export.add([Self.history("u\(user)", [(1, 60), (2, UInt32(100 + user))])])
            #expect(export.eventCount <= 20)
        }
        let (lines, counts) = try written(&export)
        #expect(counts.events == 10)
        #expect(lines.suffix(5).map { $0.suffix(3) } == ["135", "136", "137", "138", "139"])
    }

    @Test("an item that nobody can name is left out")
    func unnamed() throws {
        var export = RefreshExport(since: 0, until: 100, eventsMax: 100)
        export.add([Self.history("ann", [(0, 1), (1, 2), (2, 3)])])
        let (lines, counts) = try written(&export, names: [Self.items[0], Self.items[2]])
        #expect(lines == ["0 i0 1", "0 i2 3"] && counts.events == 2)
    }

    @Test("what is known ends with a time, what judges is a share of the rest")
    func borders() {
        let times: [Milliseconds] = [1, 2, 2, 3, 4, 5, 6, 7]
        let shares = RefreshData.Shares(known: 0.5, judging: 0.25, all: 1, knownUntil: 2)
        #expect(shares.borders(times) == (new: 3, judging: 6))
        var all = shares
        all.knownUntil = nil
        #expect(all.borders(times) == (new: 4, judging: 6))
        all.knownUntil = 9
        #expect(all.borders(times) == (new: 8, judging: 8))
        all.knownUntil = 0
        #expect(all.borders(times) == (new: 0, judging: 6))
    }
}

@Suite("What a refresh is taught by")
struct StreamedTeacherTests {
    private static func write(_ events: [(user: Int, item: Int)], to folder: TemporaryDirectory)
        throws
    {
        let lines = events.enumerated().map { index, event in
            #"{"user":"u\#(event.user)","item":"i\#(event.item)","type":"view","ts":\#(1_000_000 + 1_000 * index)}"#
        }
        try (lines.joined(separator: "\n") + "\n").write(
            toFile: folder.file("events.jsonl"), atomically: true, encoding: .utf8)
    }

    private static func data(
        _ events: [(user: Int, item: Int)], teacher: String
    ) throws -> RefreshData {
        let folder = try TemporaryDirectory()
        try write(events, to: folder)
        return try RefreshData(
            log: folder.path, base: (0..<6).compactMap { ItemID("i\($0)") },
            shares: .init(known: 0.4, judging: 0.2, all: 1),
            examples: RefreshExamples(historyMax: 4, isTaught: true), teacher: teacher)
    }

    @Test("no teacher's word on the past changes with the future", arguments: StreamedTeacher.names)
    func future(_ name: String) throws {
        var random = TestKit.SeededRandom(seed: 3)
        let events = (0..<120).map { _ in (user: random.below(9), item: random.below(6)) }
        // Known are the first 48, new those up to 96; what judges comes after them.
        let whole = try Self.data(events, teacher: name)
        var later = Array(events[96...])
        later.shuffle(using: &random)
        let shuffled = try Self.data(events[..<96] + later, teacher: name)
        #expect(shuffled.known == whole.known && shuffled.new == whole.new)
        let words = (whole.known + whole.new).flatMap(\.teacher)
        #expect(words.count { !$0.items.isEmpty } > words.count / 4, "\(name) is silent")
        for word in words where !word.items.isEmpty {
            #expect(abs(word.shares.reduce(0, +) - 1) < 1e-5 && word.evidence > 0)
            #expect(word.items.count <= StreamedTeacher.keptMax)
        }
        // Of the first new events only the past is known: another future of theirs says the same of the known.
        var moved = events
        moved[48...].shuffle(using: &random)
        #expect(try Self.data(moved, teacher: name).known == whole.known)
    }

    @Test("popularity's word is what came before, by share")
    func popularity() throws {
        let data = try Self.data(
            [(0, 1), (1, 1), (2, 2), (0, 3), (1, 2)].map { (user: $0.0, item: $0.1) },
            teacher: "popularity")
        // The fourth event is new: item 1 came twice, item 2 once, within seconds.
        let word = try #require(data.new.first?.teacher.first)
        #expect(word.items == [1, 2] && word.evidence == 3)
        #expect(abs(word.shares[0] - 2.0 / 3) < 0.01)
    }
}

@Suite("What a refresh says of itself")
struct RefreshStatusTests {
    @Test("every status reads back, and what is no status is none")
    func roundTrip() throws {
        let folder = try TemporaryDirectory()
        let path = folder.file("status")
        #expect(RefreshStatus(path: path) == nil)
        let all: [RefreshStatus] = [
            .learning(step: 3, steps: 9), .judging(event: 4, events: 5), .refused(reason: "a\nb"),
            .passed(version: "0f", reason: "r", learntUntil: 12_345),
            .passed(version: "0f", reason: "r", learntUntil: nil), .reading,
        ]
        for status in all {
            RefreshStatus.Writer(path: path).write(status)
            #expect(RefreshStatus(path: path) == status)
        }
        for text in [
            "", "{}", #"{"stage":"asleep"}"#, #"{"stage":"learning","done":-1,"total":2}"#,
        ] {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            #expect(RefreshStatus(path: path) == nil, "\(text)")
        }
        RefreshStatus.Writer(path: nil).write(.refused(reason: ""))
    }
}

@Suite("Who watches what was published")
struct ShadowJudgeTests {
    /// Events whose target is what `favoured` likes best, or any.
    private func samples(
        _ count: Int, _ random: inout TestKit.SeededRandom, target: ([Int]) -> Int
    ) -> [EventSample] {
        (0..<count).map { _ in
            let history = (0..<4).map { _ in random.below(40) }
            let items = history.map { ItemID("item-\($0)")!.key }
            return EventSample(history: items, target: ItemID("item-\(target(history))")!.key)
        }
    }

    @Test("worse than before is found, the same and better are kept until the probation ends")
    func findings() throws {
        let folder = try TemporaryDirectory()
        let base = try DaemonTests.Models.writeModel(seed: 1, to: folder.file("model"))
        let other = try base.applying(randomAdapter(of: base, seed: 2))
        let titles = (0..<50).map { ItemRecord(id: ItemID("item-\($0)")!, title: "Title \($0)") }
        func best(_ history: [Int]) -> Int {
            let names = history.map { "item-\($0)" }
            let list = DaemonTests.Models.best(base, history: names, count: 1)
            return Int(list[0].dropFirst("item-".count))!
        }
        func judge() -> ShadowJudge {
            ShadowJudge(serving: other, base: base, items: titles)
        }
        var random = TestKit.SeededRandom(seed: 1)
        // The base knows what comes.
        var worse = judge()
        worse.begin("x", against: base, samples: 500, error: 0.01)
        var finding: ShadowJudge.Finding?
        var rounds = 0
        while finding == nil, rounds < 20 {
            finding = worse.judge(samples(20, &random, target: best))
            rounds += 1
        }
        guard case .worse(let reason)? = finding else {
            Issue.record("\(String(describing: finding))")
            return
        }
        #expect(reason.contains("worse than before") && worse.probation == nil)
        #expect(worse.judge(samples(20, &random, target: best)) == nil)
        // Nobody knows what comes.
        var chance = TestKit.SeededRandom(seed: 2)
        var same = judge()
        same.begin("x", against: base, samples: 300, error: 0.01)
        for round in 1...15 {
            let found = same.judge(samples(20, &random) { _ in chance.below(50) })
            #expect(found == (round == 15 ? .kept : nil))
        }
        // Items that it does not know say nothing, and nothing is no trouble.
        #expect(same.judge([]) == nil)
        let stranger = ItemID("stranger")!.key
        #expect(same.judge([EventSample(history: [stranger], target: stranger)]) == nil)
        #expect(same.sampleCount == 300)
    }

    @Test("drift is how far a later window fell below the first")
    func drift() throws {
        let folder = try TemporaryDirectory()
        let base = try DaemonTests.Models.writeModel(seed: 1, to: folder.file("model"))
        let titles = (0..<50).map { ItemRecord(id: ItemID("item-\($0)")!, title: "Title \($0)") }
        var judge = ShadowJudge(serving: base, base: base, items: titles)
        let history = ["item-1", "item-2", "item-3"]
        let order = DaemonTests.Models.best(base, history: history, count: 50)
        func sample(_ place: Int) -> EventSample {
            EventSample(
                history: history.map { ItemID($0)!.key }, target: ItemID(order[place])!.key)
        }
        func window(_ place: Int) {
            for _ in 0..<ShadowJudge.windowCount / 100 {
                _ = judge.judge(Array(repeating: sample(place), count: 100))
            }
        }
        window(0)
        #expect(judge.drift == 0)
        window(46)
        #expect(judge.drift == 1)
    }
}
