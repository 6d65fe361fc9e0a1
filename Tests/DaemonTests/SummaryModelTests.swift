// The template's summary in the item-aware model: what a training is given of it, and what serving reads of it.

import Foundation
import Interactions
import ItemModel
import ModelFolders
import Summaries
import TestKit
import Testing
import WireProtocol

@testable import millrace

extension DaemonTests.Models {
    private static func event(_ item: Int) -> TemplateSummariser.Event {
        .init(
            traits: ItemTraits(title: "Title \(item)", brand: "b", categories: [], price: nil),
            weight: 1)
    }

    /// The text of the summary of whole blocks of five.
    private static func text(_ items: some Sequence<Int>, event: (Int) -> TemplateSummariser.Event)
        -> String
    {
        let template = TemplateSummariser()
        var body: [UInt8] = []
        for (block, items) in Array(items).chunks(of: 5).enumerated() where items.count == 5 {
            body = template.body(after: body, block: UInt64(block), items.map(event))
        }
        return body.isEmpty ? "" : template.text(of: body)
    }

    @Test("a model that reads summaries is given the stored one, EXPLAIN says which")
    func readsSummary() async throws {
        let folder = try TemporaryDirectory()
        let (path, plainPath) = (folder.file("model"), folder.file("plain"))
        let template = TemplateSummariser()
        let model = try Self.writeModel(
            seed: 1, to: path, summaries: SummaryReading(summariserVersion: template.version))
        let plain = try Self.writeModel(seed: 1, to: plainPath)
        #expect(model.version != plain.version)
        let broker = try await Broker()
        let redis = try await RedisServer()
        var options = Daemon.Options()
        options.extra = "model:\n  folder: \(path)"
        let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
        try await broker.produceItems(SimulatedLog.itemRecords(50))
        try await daemon.start()
        let listed = await holds {
            try daemon.info("items") == "50" && daemon.info("model_version") == model.version
                && daemon.info("model_items") == "50"
                && daemon.info("model_items_pending") == "0"
        }
        try #require(listed, "\(daemon.lastWords)")
        let connection = try daemon.connect()
        func add(_ range: Range<Int>) async throws {
            for item in range { _ = try connection.ask("EVENT.ADD", "ann", "item-\(item)", "view") }
            let folded = await holds {
                try connection.ask("USER.GET", "ann")["events"]?.number == Double(range.upperBound)
            }
            try #require(folded, "\(daemon.lastWords)")
        }
        func expect(_ folder: ItemModelFolder, events: Int, summary: String) throws {
            let best = Self.best(
                folder, history: (0..<events).map { "item-\($0)" }, summary: summary, count: 10)
            #expect(try Self.list(connection, "ann").items == best, "after \(events)")
        }
        try await add(0..<19)
        try expect(plain, events: 19, summary: "")
        var why = try connection.ask("REC.EXPLAIN", "ann", "item-40")
        #expect(why["summary"] == nil)
        try await add(19..<20)
        let text = Self.text(0..<20, event: Self.event)
        #expect(!text.isEmpty)
        try expect(model, events: 20, summary: text)
        let rebuilds = try daemon.info("model_user_rebuilds")
        try await add(20..<23)
        try expect(model, events: 23, summary: text)
        why = try connection.ask("REC.EXPLAIN", "ann", "item-40")
        #expect(why["summary"]?["blocks"]?.number == 4)
        #expect(why["summary"]?["version"]?.text == String(template.version, radix: 16))
        #expect(try daemon.info("model_user_rebuilds") == rebuilds, "events are appended")
    }

    @Test(
        "a model that reads older items is given all that a history holds, in any state of its cache"
    )
    func readsOlder() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.file("model")
        let template = TemplateSummariser()
        let model = try Self.writeModel(
            seed: 1, to: path, summaries: SummaryReading(summariserVersion: template.version),
            older: .mean)
        let broker = try await Broker()
        let redis = try await RedisServer()
        var options = Daemon.Options()
        options.extra = "model:\n  folder: \(path)"
        let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
        try await broker.produceItems(SimulatedLog.itemRecords(50))
        try await daemon.start()
        let listed = await holds {
            try daemon.info("items") == "50" && daemon.info("model_version") == model.version
                && daemon.info("model_items") == "50"
                && daemon.info("model_items_pending") == "0"
        }
        try #require(listed, "\(daemon.lastWords)")
        let connection = try daemon.connect()
        var events: [Int] = []
        // Within the window, beyond it, met again from before it and within it, and with a summary.
        for more in [0..<4, 4..<9, 1..<2, 7..<8, 9..<21, 21..<22] {
            for item in more {
                _ = try connection.ask("EVENT.ADD", "ann", "item-\(item)", "view")
                events.append(item)
            }
            let folded = await holds {
                try connection.ask("USER.GET", "ann")["events"]?.number == Double(events.count)
            }
            try #require(folded, "\(daemon.lastWords)")
            let history = events.indices.filter { !events[($0 + 1)...].contains(events[$0]) }
                .map { "item-\(events[$0])" }
            let summary = Self.text(events.prefix(events.count / 20 * 20), event: Self.event)
            let best = Self.best(model, history: history, summary: summary, count: 10)
            #expect(try Self.list(connection, "ann").items == best, "after \(events.count)")
        }
        #expect(events.count > 20)
    }

    @Test("a model of other summaries than are kept is served without them, and told so")
    func otherSummaries() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.file("model")
        let model = try Self.writeModel(
            seed: 1, to: path, summaries: SummaryReading(summariserVersion: 7))
        let broker = try await Broker()
        let redis = try await RedisServer()
        var options = Daemon.Options()
        options.extra = "model:\n  folder: \(path)"
        let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath, options)
        try await broker.produceItems(SimulatedLog.itemRecords(50))
        try await daemon.start()
        let connection = try daemon.connect()
        let history = (0..<21).map { "item-\($0)" }
        for item in history { _ = try connection.ask("EVENT.ADD", "ann", item, "view") }
        let ready = await holds {
            try daemon.info("model_items") == "50" && daemon.info("model_items_pending") == "0"
                && connection.ask("USER.GET", "ann")["events"]?.number == 21
        }
        try #require(ready, "\(daemon.lastWords)")
        #expect(
            try Self.list(connection, "ann").items
                == Self.best(model, history: history, count: 10))
        #expect(daemon.errors.contains("summaries that are not kept here"))
    }

    // MARK: - What a training is given

    /// Users who touch items of a few categories; `future` decides what comes after the first `fixed` events.
    private static func writeLog(
        to folder: TemporaryDirectory, count: Int, fixed: Int, future: UInt64
    ) throws -> [(user: Int, item: Int)] {
        let items = (0..<300).map {
            #"{"id":"item-\#($0)","title":"Word\#($0) toy","categories":["c\#($0 % 7)"]}"#
        }
        var random = SeededRandom(seed: 11)
        var events: [(user: Int, item: Int)] = []
        for index in 0..<count {
            if index == fixed { random = SeededRandom(seed: future) }
            events.append((user: random.below(4), item: random.below(300)))
        }
        let lines = events.enumerated().map { index, event in
            #"{"user":"u\#(event.user)","item":"item-\#(event.item)","type":"view","#
                + #""ts":\#(1_700_000_000_000 + index * 60_000)}"#
        }
        for (name, lines) in [("items", items), ("events", lines)] {
            try Data((lines.joined(separator: "\n") + "\n").utf8).write(
                to: URL(filePath: folder.file("\(name).jsonl")))
        }
        return events
    }

    private static func dataset(
        count: Int = 600, fixed: Int, future: UInt64
    ) throws -> (set: ItemDataset, events: [(user: Int, item: Int)]) {
        let folder = try TemporaryDirectory()
        let events = try writeLog(to: folder, count: count, fixed: fixed, future: future)
        let set = try ItemDataset(
            log: folder.path, validationShare: 0.3, testShare: 0.1, historyMax: 8)
        return (set, events)
    }

    @Test("a training's summaries are those stored before the window's first event")
    func pastOnly() throws {
        let (set, events) = try Self.dataset(fixed: 600, future: 0)
        func event(_ item: Int) -> TemplateSummariser.Event {
            .init(
                traits: ItemTraits(
                    title: "Word\(item) toy", brand: nil, categories: ["c\(item % 7)"], price: nil),
                weight: 1)
        }
        // By hand: every user's events in order, and what twenty at a time leave behind.
        var expected: [String] = []
        var older: [[Int]] = []
        for user in 0..<4 {
            let all = events.prefix(360).filter { $0.user == user }.map(\.item)
            var positions: [Int] = []
            for (place, item) in all.enumerated() where place == 0 || all[place - 1] != item {
                positions.append(place)
            }
            for start in stride(from: 0, to: positions.count - 1, by: 8) {
                expected.append(
                    Self.text(all.prefix(positions[start] / 20 * 20), event: event))
                let before = positions.prefix(start).map { all[$0] }
                older.append(
                    before.indices.filter { !before[($0 + 1)...].contains(before[$0]) }
                        .map { before[$0] })
            }
        }
        #expect(set.train.map(\.summary) == expected)
        #expect(
            set.train.map { $0.older.map { set.titles[Int($0)] } }
                == older.map { $0.map { "Word\($0) toy" } })
        #expect(Set(expected).count > 10, "they are told apart")
    }

    @Test("shuffling the future changes no window, no summary and no case of before")
    func futureIsUnknown() throws {
        let first = try Self.dataset(fixed: 450, future: 1).set
        let second = try Self.dataset(fixed: 450, future: 2).set
        #expect(first.train.map(\.items) == second.train.map(\.items))
        #expect(first.train.map(\.summary) == second.train.map(\.summary))
        #expect(first.train.map(\.older) == second.train.map(\.older))
        // Of the 180 validation events the first 90 are common to both.
        let common = zip(first.validation, second.validation).prefix {
            $0.history == $1.history && $0.target == $1.target
        }
        #expect(common.count > 20)
        #expect(common.allSatisfy { $0.summary == $1.summary })
        #expect(first.validation.count > common.count, "something was shuffled")
        #expect(common.contains { !$0.0.summary.isEmpty })
    }

    @Test("nor what a refresh learns, with what was before its windows")
    func refreshFutureIsUnknown() throws {
        func data(future: UInt64) throws -> RefreshData {
            let folder = try TemporaryDirectory()
            _ = try Self.writeLog(to: folder, count: 600, fixed: 480, future: future)
            return try RefreshData(
                log: folder.path, base: [], shares: .init(known: 0.5, judging: 0.2, all: 1),
                examples: RefreshExamples(historyMax: 8, isTaught: false, olderMax: 512),
                summarises: true)
        }
        // New are the events up to 480; what judges comes after them.
        let (first, second) = (try data(future: 1), try data(future: 2))
        func windows(_ data: RefreshData) -> [String] {
            (data.known + data.new).map { window in
                let text = window.summary < 0 ? "" : data.summaries[Int(window.summary)]
                let items = [window.older, window.items].map { $0.map { data.titles[Int($0)] } }
                return "\(items) \(window.newFrom) \(text)"
            }
        }
        #expect(windows(first) == windows(second))
        #expect(first.new.contains { $0.summary >= 0 && $0.older.count > 20 })
        #expect(first.judging.map(\.history) != second.judging.map(\.history))
        #expect(first.judging.contains { !$0.summary.isEmpty })
        let plain = try {
            let folder = try TemporaryDirectory()
            _ = try Self.writeLog(to: folder, count: 600, fixed: 480, future: 1)
            return try RefreshData(
                log: folder.path, base: [], shares: .init(known: 0.5, judging: 0.2, all: 1),
                examples: RefreshExamples(historyMax: 8, isTaught: false))
        }()
        #expect(plain.summaries.isEmpty && plain.judging.allSatisfy { $0.summary.isEmpty })
        #expect((plain.known + plain.new).allSatisfy { $0.older.isEmpty && $0.summary == -1 })
        #expect((plain.known + plain.new).map(\.items) == (first.known + first.new).map(\.items))
    }

    @Test("a model is trained with summaries and says so in its folder, another without as ever")
    func trained() async throws {
        let folder = try TemporaryDirectory()
        _ = try Self.writeLog(to: folder, count: 600, fixed: 600, future: 0)
        let options = [
            "train", "--data", folder.path, "--width", "8", "--epochs", "1", "--vocabulary", "300",
            "--history-max", "8", "--test-share", "0.1", "--negatives", "10",
        ]
        let (with, without) = (folder.file("with"), folder.file("without"))
        let said = try await ChildProcess.run(
            millrace, options + ["--summaries", "--older", "mean", "--out", with])
        #expect(said.contains("20 or more before"), "\(said)")
        _ = try await ChildProcess.run(millrace, options + ["--out", without])
        let shape = try ItemModelFolder(path: with).parameters.layout.shape
        #expect(shape.summaries?.summariserVersion == TemplateSummariser().version)
        #expect(shape.older == .mean)
        let plain = try ItemModelFolder(path: without).parameters.layout.shape
        #expect(plain.summaries == nil && plain.older == nil)
        // Refreshed and judged with what it reads.
        let refreshed = try await ChildProcess.run(
            millrace,
            [
                "refresh", "--niceness", "0", "--model", with, "--data", folder.path, "--output",
                folder.file("adapter"), "--epochs", "1", "--negatives", "10", "--margin", "1",
                "--gain-margin", "0.9", "--gate-share", "0.3",
            ])
        #expect(refreshed.contains("passed"), "\(refreshed)")
        let judged = try await ChildProcess.run(
            millrace,
            [
                "eval", "--model", with, "--adapter", folder.file("adapter"), "--data",
                folder.path, "--teacher", "mix", "--teacher", "popularity",
            ])
        #expect(judged.contains("lm") && judged.contains("mix"), "\(judged)")
    }
}

extension Array {
    fileprivate func chunks(of size: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: count, by: size).map { self[$0..<Swift.min(count, $0 + size)] }
    }
}
