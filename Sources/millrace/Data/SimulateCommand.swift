// `millrace simulate`: a shop with drifting tastes, as files or as a stream.

import ArgumentParser
import Evaluation
import Glibc
import Interactions

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Make up the log of a shop with drifting tastes, new items, fashions and visits.",
        discussion: """
            With --out the log goes to events.jsonl and items.jsonl; records of items that come or \
            go later carry the time (`ts`) at which they do. Without it, events are written to \
            standard output as they would come, at --rate a second, until --events is reached or \
            you stop it: millrace simulate --rate 100 --items-file items.jsonl | \
            kcat -P -b localhost:9092 -t interactions

            Equal options give equal bytes on every machine.
            """)

    @Option(help: "Chooses the shop and everything that happens in it.") var seed: UInt64 = 1
    @Option(help: "Customers.") var users = 2_000
    @Option(help: "Items on the first day.") var items = 1_000
    @Option(help: "Interactions to write; 0 with --rate means without end.") var events = 50_000
    @Option(help: "Interactions a day of the shop.") var eventsPerDay = 5_000.0
    @Option(help: "New items a day.") var newItemsPerDay = 10.0
    @Option(help: "Items withdrawn a day.") var withdrawalsPerDay = 5.0
    @Option(help: "Chance that a customer's interests change before a visit.") var drift = 0.03
    @Option(help: "Opening time: seconds or milliseconds since 1970, or RFC 3339.")
    var start = "2026-01-01"
    @Option(help: "The folder to write to; made when it is missing.") var out: String?
    @Option(help: "Events a second on standard output; 0 means as fast as it takes them.")
    var rate = 0.0
    @Option(help: "Without --out: the file that item records are written to.")
    var itemsFile: String?

    func validate() throws {
        guard ShopConfiguration.usersBounds.contains(users) else {
            throw ValidationError("--users \(users) is not in 1...10000000")
        }
        guard ShopConfiguration.itemsBounds.contains(items) else {
            throw ValidationError("--items \(items) is not in 20...1000000")
        }
        guard events >= 0, events > 0 || (out == nil && rate > 0) else {
            throw ValidationError("--events \(events): only a stream with --rate can be endless")
        }
        guard rate >= 0, rate.isFinite, eventsPerDay >= 1, newItemsPerDay >= 0,
            withdrawalsPerDay >= 0, (0...1).contains(drift)
        else { throw ValidationError("rates are not negative, --drift is in 0...1") }
        guard Milliseconds.imported(start) != nil else {
            throw ValidationError("--start '\(start)' is not a time; try 2026-01-01T08:00:00Z")
        }
        if out != nil, rate > 0 || itemsFile != nil {
            throw ValidationError("--rate and --items-file are for standard output, not for --out")
        }
    }

    func run() throws {
        let simulator = ShopSimulator(
            ShopConfiguration(
                seed: seed, users: users, items: items,
                startTime: Milliseconds.imported(start) ?? ShopConfiguration.defaultStart,
                eventsPerDay: eventsPerDay, newItemsPerDay: newItemsPerDay,
                withdrawalsPerDay: withdrawalsPerDay, driftPerVisit: drift))
        if let out {
            try makeFolder(out)
            let files = try write(
                simulator, events: FileWriter("\(out)/events.jsonl"),
                items: FileWriter("\(out)/items.jsonl"))
            for file in files {
                print("sha256 \(file.sha256)  \(file.name) (\(grouped(file.bytes)) bytes)")
            }
        } else {
            _ = try write(
                simulator, events: FileWriter("-"), items: itemsFile.map { try FileWriter($0) })
        }
    }

    private func write(
        _ simulator: ShopSimulator, events eventsOutput: FileWriter, items itemsOutput: FileWriter?
    ) throws -> [ReportedFile] {
        var simulator = simulator
        for record in simulator.catalogue {
            try itemsOutput?.write(line: SimulatedEvent.json(record, time: nil))
        }
        var progress = ProgressBar("simulating", total: events > 0 ? events : nil)
        let pace = Pace(perSecond: rate)
        var written = 0
        while events == 0 || written < events {
            let event = simulator.next()
            switch event.kind {
            case .item: try itemsOutput?.write(line: event.json)
            case .interaction:
                try eventsOutput.write(line: event.json)
                written += 1
                if pace.isDue(written) {
                    try eventsOutput.flush()
                    try itemsOutput?.flush()
                    pace.wait(for: written)
                }
                if out != nil { progress.update(written) }
            }
        }
        progress.finish()
        return try [eventsOutput.finish()] + (itemsOutput.map { [try $0.finish()] } ?? [])
    }
}

/// Keeps a stream at a rate, by sleeping in steps of about 20 ms.
private struct Pace {
    private let perSecond: Double
    private let clock = ContinuousClock()
    private let start = ContinuousClock.now

    init(perSecond: Double) { self.perSecond = perSecond }

    func isDue(_ count: Int) -> Bool {
        perSecond > 0 && count % max(1, Int(perSecond / 50)) == 0
    }

    func wait(for count: Int) {
        let due = start + .seconds(Double(count) / perSecond)
        let left = clock.now.duration(to: due)
        guard left > .zero else { return }
        let microseconds =
            left.components.seconds * 1_000_000 + left.components.attoseconds / 1_000_000_000_000
        // usleep takes less than a second at a time on some systems.
        var rest = microseconds
        while rest > 0 {
            usleep(UInt32(min(rest, 900_000)))
            rest -= 900_000
        }
    }
}
