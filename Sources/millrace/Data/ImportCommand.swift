// `millrace import`: other people's logs to our normalised log.

public import ArgumentParser
public import Evaluation
import Interactions

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract:
            "Turn a public or private log into events.jsonl (sorted by time) and items.jsonl.",
        discussion: """
            The lines written are what the topics `interactions` and `items` take. Bad lines are \
            counted under their reason and do not stop the import. Compressed files: \
            zcat reviews.json.gz | millrace import amazon --events - --out DIR

            A field option names a column's header, a JSON key, or (1, 2, ...) a position.
            """)

    @Argument(
        help: "One of \(ImportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ImportFormat

    @Option(help: "The file of interactions; - reads standard input.")
    var events: String?

    @Option(help: "The file of item records; - reads standard input.")
    var items: String?

    @Option(help: "The folder to write to; made when it is missing.")
    var out: String

    @Option(help: "Field of the user.") var user: String?
    @Option(help: "Field of the item, in both files.") var item: String?
    @Option(help: "Field of the time: seconds, milliseconds or RFC 3339.") var time: String?
    @Option(help: "Field of the value (rating, quantity).") var value: String?
    @Option(help: "Field of the event type.") var type: String?
    @Option(help: "Event type of lines that name none.") var defaultType: String?
    @Option(help: "Field of the title.") var title: String?
    @Option(help: "Field of the categories.") var category: String?
    @Option(help: "Put before every user.") var userPrefix: String?
    @Option(help: "Put before every item.") var itemPrefix: String?
    @Option(help: "Separator of csv files, one character; tab for a tabulator.")
    var separator: String?
    @Flag(help: "The csv files start without a header line.") var noHeader = false
    @Flag(help: "Write a record with the identifier as title for items that have none.")
    var fillItems = false

    private static let badShownMax = 5

    func validate() throws {
        if events == nil, items == nil {
            throw ValidationError("nothing to import: give --events FILE, --items FILE or both")
        }
        if events == "-", items == "-" {
            throw ValidationError("only one of --events and --items can be standard input")
        }
        if let separator, separator != "tab", separator.utf8.count != 1 {
            throw ValidationError("--separator '\(separator)' is not one character; use tab or ;")
        }
        if fillItems, events == nil {
            throw ValidationError("--fill-items needs --events FILE to know the items")
        }
    }

    func run() throws {
        try makeFolder(out)
        var known: Set<ItemKey> = []
        var missing: [ItemID] = []
        var files: [ReportedFile] = []
        var itemsOutput: FileWriter?
        if items != nil || fillItems { itemsOutput = try FileWriter("\(out)/items.jsonl") }
        if let items, let itemsOutput {
            try importItems(items, to: itemsOutput, known: &known)
        }
        if let events {
            files.append(try importEvents(events, known: &known, missing: &missing))
        }
        if fillItems {
            for item in missing {
                let record = ItemRecord(id: item, title: item.text)
                try itemsOutput?.write(line: SimulatedEvent.json(record, time: nil))
            }
            print("\(grouped(missing.count)) items got their identifier as title")
        } else if !missing.isEmpty {
            print(
                "\(grouped(missing.count)) items of the log have no record and will not be "
                    + "recommended; --fill-items writes one for each")
        }
        if let itemsOutput { files.append(try itemsOutput.finish()) }
        for file in files {
            print("sha256 \(file.sha256)  \(file.name) (\(grouped(file.bytes)) bytes)")
        }
    }

    private func importItems(
        _ path: String, to output: FileWriter, known: inout Set<ItemKey>
    ) throws {
        var importer = LineImporter(.items, shape: shape(format.items))
        var written = 0
        var repeated = 0
        try readLines(path, "items", with: &importer) { line in
            guard case .item(let id, let json) = line else { return }
            guard known.insert(id.key).inserted else {
                repeated += 1
                return
            }
            try output.write(line: json)
            written += 1
        }
        let more = repeated > 0 ? ", \(grouped(repeated)) repeated ones left out" : ""
        print("\(grouped(written)) items\(more)")
    }

    private func importEvents(
        _ path: String, known: inout Set<ItemKey>, missing: inout [ItemID]
    ) throws -> ReportedFile {
        let spool = SortedSpool(folder: out)
        var importer = LineImporter(.events, shape: shape(format.events))
        var written = 0
        var bounds: (first: Milliseconds, last: Milliseconds) = (.max, .min)
        try readLines(path, "events", with: &importer) { line in
            guard case .event(let time, let item, let json) = line else { return }
            try spool.add(time: time, line: json)
            written += 1
            bounds = (min(bounds.first, time), max(bounds.last, time))
            if known.insert(item.key).inserted { missing.append(item) }
        }
        let output = try FileWriter("\(out)/events.jsonl")
        try spool.write(to: output)
        let span = written > 0 ? ", \(day(bounds.first)) to \(day(bounds.last))" : ""
        print("\(grouped(written)) events\(span)")
        return try output.finish()
    }

    private func readLines(
        _ path: String, _ what: String, with importer: inout LineImporter,
        _ body: (ImportedLine) throws -> Void
    ) throws {
        let reader = try LineReader(path)
        var progress = ProgressBar("\(what) of \(path)", total: reader.size)
        var bad: [String: Int] = [:]
        var shown: [String] = []
        func note(_ line: BadLine) {
            bad[line.reason, default: 0] += 1
            guard shown.count < Self.badShownMax else { return }
            let found = line.found.isEmpty ? "" : ": \(line.found)"
            shown.append("\(path):\(reader.lineNumber): \(line.reason)\(found)")
        }
        while let line = try reader.next() {
            let outcome = importer.take(line: line)
            if case .bad(let badLine) = outcome { note(badLine) } else { try body(outcome) }
            progress.update(reader.bytesRead)
        }
        if case .bad(let badLine) = importer.finish() { note(badLine) }
        progress.finish()
        let count = bad.values.reduce(0, +)
        for (reason, count) in bad.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            writeError("\(grouped(count)) lines left out: \(reason)\n")
        }
        for example in shown { writeError("  \(example)\n") }
        if count * 2 > reader.lineNumber {
            throw CommandFailure(
                "\(path): \(grouped(count)) of \(grouped(reader.lineNumber)) lines are bad; "
                    + "is it really \(format.rawValue)? Field options name other columns.")
        }
    }

    private func shape(_ preset: ImportShape) -> ImportShape {
        var shape = preset
        if case .separated(let byte, _) = preset.layout {
            let chosen = separator == "tab" ? 0x09 : separator?.utf8.first
            shape.layout = .separated(by: chosen ?? byte, header: !noHeader)
        }
        if let user { shape.user = [user] }
        if let item { shape.item = [item] }
        if let time { shape.time = [time] }
        if let value { shape.value = [value] }
        if let type { shape.type = [type] }
        if let title { shape.title = [title] }
        if let category { shape.categories = [category] }
        if let defaultType { shape.defaultType = defaultType }
        if let userPrefix { shape.userPrefix = userPrefix }
        if let itemPrefix { shape.itemPrefix = itemPrefix }
        return shape
    }

    private func day(_ time: Milliseconds) -> String {
        let date = civilDate(daysSince1970: Int(time / 86_400_000))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(date.year)-\(two(date.month))-\(two(date.day))"
    }
}

extension ImportFormat: ExpressibleByArgument {}
