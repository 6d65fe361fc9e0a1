// The data an evaluation reads: a normalised log, or the released split of Amazon Office Products.

import Evaluation
import Interactions

/// A log in memory, and the files it came from.
struct LoadedLog {
    var types: EventTypes
    var changes: [LogChange]
    var files: [ReportedFile]

    /// Reads `events.jsonl` and, when there is one, `items.jsonl` of a folder.
    init(folder: String, seen: SeenRule) throws {
        files = []
        var events: [LoggedEvent] = []
        var items: [LoggedItem] = []
        files.append(
            try Self.read("\(folder)/events.jsonl", "reading events") { line throws(LogLineError) in
                events.append(try LoggedEvent(parsing: line))
            })
        if fileExists("\(folder)/items.jsonl") {
            files.append(
                try Self.read("\(folder)/items.jsonl", "reading items") {
                    line throws(LogLineError) in
                    items.append(try LoggedItem(parsing: line))
                })
        } else {
            var known: Set<ItemID> = []
            for event in events where known.insert(event.item).inserted {
                items.append(LoggedItem(record: ItemRecord(id: event.item, title: event.item.text)))
            }
        }
        (types, changes) = Evaluation.changes(of: events, items: items, seen: seen)
    }

    var records: [ItemRecord] {
        changes.compactMap { if case .item(let record) = $0 { record } else { nil } }
    }

    private static func read(
        _ path: String, _ label: String, _ body: ([UInt8]) throws(LogLineError) -> Void
    ) throws -> ReportedFile {
        let reader = try LineReader(path, hashes: true)
        var progress = ProgressBar(label, total: reader.size)
        while let line = try reader.next() {
            if line.isEmpty { continue }
            do {
                try body(line)
            } catch {
                throw CommandFailure(
                    "\(path):\(reader.lineNumber): \(error); `millrace import` writes clean logs")
            }
            progress.update(reader.bytesRead)
        }
        progress.finish()
        return ReportedFile(name: path, bytes: reader.bytesRead, sha256: reader.finishHash())
    }
}

/// The Office split as released with TCA4Rec: rows of ten items and the one that followed.
struct OfficeSplit {
    var items: [ItemRecord]
    var train: [SequenceRow]
    var test: [SequenceRow]
    /// Of the rows' targets, in seconds; 0 where the file has none.
    private var trainTimes: [Int64] = []
    private var testTimes: [Int64] = []
    var files: [ReportedFile] = []
    /// Items left out because their title is no title.
    var junkCount = 0

    /// The junk titles are one string of all printable characters, 100 long; real ones are cut at 50.
    private static let titleCharactersMax = 50

    init(folder: String, test testName: String) throws {
        items = []
        train = []
        test = []
        var records: [ItemRecord] = []
        var junk = 0
        try read("\(folder)/item.csv") { row, columns in
            guard let id = Self.field("iid", row, columns).flatMap(ItemID.init),
                let title = Self.field("title", row, columns)
            else { return false }
            if title.count > Self.titleCharactersMax {
                junk += 1
            } else {
                records.append(ItemRecord(id: id, title: title))
            }
            return true
        }
        items = records
        junkCount = junk
        (train, trainTimes) = try rows("\(folder)/train_10000.csv")
        (test, testTimes) = try rows("\(folder)/\(testName)")
    }

    /// Rows as they came about; those of one time in the file's order.
    var trainByTime: [SequenceRow] { Self.sorted(train, by: trainTimes) }
    var testByTime: [SequenceRow] { Self.sorted(test, by: testTimes) }

    private static func sorted(_ rows: [SequenceRow], by times: [Int64]) -> [SequenceRow] {
        rows.indices.sorted { (times[$0], $0) < (times[$1], $1) }.map { rows[$0] }
    }

    private mutating func rows(_ path: String) throws -> ([SequenceRow], [Int64]) {
        var rows: [SequenceRow] = []
        var times: [Int64] = []
        try read(path) { row, columns in
            guard let user = Self.field("uid", row, columns).flatMap(UserID.init),
                let target = Self.field("iid", row, columns).flatMap(ItemID.init),
                let list = Self.field("hist_id", row, columns),
                case .array(let history)? = try? JSONValue(parsing: Array(list.utf8))
            else { return false }
            let items = history.compactMap { $0.text.flatMap(ItemID.init) }
            // Only the target's time is known, so no event has one.
            rows.append(
                SequenceRow(
                    history: items.map { Interaction(user: user, item: $0, type: 0, time: 0) },
                    target: Interaction(user: user, item: target, type: 0, time: 0)))
            times.append(Self.field("timestamp", row, columns).flatMap(Int64.init) ?? 0)
            return items.count == history.count
        }
        return (rows, times)
    }

    private static func field(_ name: String, _ row: [[UInt8]], _ columns: [String: Int])
        -> String?
    {
        columns[name].flatMap { row.indices.contains($0) ? row[$0].importedText : nil }
    }

    private mutating func read(
        _ path: String, _ body: ([[UInt8]], [String: Int]) throws -> Bool
    ) throws {
        let reader = try LineReader(path, hashes: true)
        var records = SeparatedValues()
        var columns: [String: Int] = [:]
        while let line = try reader.next() {
            guard let record = try records.take(line: line), record != [[]] else { continue }
            if columns.isEmpty {
                for (index, name) in record.enumerated() { columns[name.importedText] = index }
            } else if try !body(record, columns) {
                throw CommandFailure("\(path):\(reader.lineNumber): not a row of the Office split")
            }
        }
        files.append(
            ReportedFile(name: path, bytes: reader.bytesRead, sha256: reader.finishHash()))
    }
}
