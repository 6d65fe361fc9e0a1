// `millrace replay`: a recorded log into Kafka, for the running daemon to take in, and what the daemon made of it.

import ArgumentParser
import Evaluation
import KafkaIngest
import Settings

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Produce a recorded log (events.jsonl, items.jsonl) into the configured topics.",
        discussion: """
            Never runs further ahead of the daemon's group than the broker keeps. With --report the command waits
            until everything is durable and writes what the daemon measured: that needs serving.prequential: true,
            and one partition where the order between users matters.
            """)

    @Argument(help: "The folder: see `millrace import` and `millrace simulate`.") var folder: String
    @Option(name: .shortAndLong, help: "The daemon's settings file.", completion: .file())
    var config: String?
    @Option(help: "Replay in real time, this many times faster; without it as fast as possible.")
    var speed: Double?
    @Flag(help: "Leave items.jsonl out.") var noItems = false
    @Option(help: "Write the daemon's prequential report to this HTML file.") var report: String?
    @Option(
        help: "For the report: a user whose feed is timed, by a hundred real events after the log.")
    var probe: String?

    func validate() throws {
        if let speed, !(speed > 0 && speed <= 1e9) {
            throw ValidationError("--speed \(speed) is not above 0")
        }
    }

    func run() throws {
        var signals = Signals()
        let settings: MillraceSettings
        do { settings = try SettingsFile.load(argument: config) } catch {
            writeError(error.problems.map { "\($0)\n" }.joined())
            throw ExitCode(CheckConfigCommand.configurationFault)
        }
        let kafka = try Assembly(settings: settings, clock: SystemClock()).kafka()
        let replay = LogReplay(configuration: kafka, folder: folder)
        let client = report == nil ? nil : try SocketClient(path: settings.socket.path)
        let before = try client.map { try StreamInfo($0).committedOffsets } ?? 0
        if !noItems {
            let items = try replay.produceItems()
            Terminal.line("\(grouped(items)) item records produced")
        }
        let clock = SystemClock()
        let start = clock.monotonicSeconds
        let pace: BulkPace = speed.map { .recorded(factor: $0) } ?? .asFastAsPossible
        let events = try replay.produceEvents(pace: pace) {
            signals.wait(milliseconds: 0) == .stop
        }
        Terminal.line(
            "\(grouped(events)) events produced in \(fixed(clock.monotonicSeconds - start, 1)) s")
        guard let client, let report else { return }
        try Wait.until("every event is durable", &signals) {
            try StreamInfo(client).committedOffsets >= before + events
        }
        let info = try StreamInfo(client)
        guard !info.windows.isEmpty else {
            throw CommandFailure(
                "the daemon measured nothing: set serving.prequential: true and restart it")
        }
        var facts = [
            (name: "events", value: grouped(events)), (name: "users", value: grouped(info.users)),
        ]
        if let probe, let type = settings.events.types.first(where: { $0.weight > 0 })?.name {
            let timed = try FreshnessProbe(client: client, user: probe, type: type).run()
            facts.append((name: "event to feed", value: FreshnessProbe.text(timed)))
        }
        let page = StreamReport(
            title:
                "Millrace on \(folder.split(separator: "/").last.map(String.init) ?? folder), streamed",
            windows: info.windows, learnt: info.learnt, journal: try StreamJournal(client),
            facts: facts, examples: try StreamExamples.of(try replay.busiestUsers(3), client))
        Terminal.write(page.text)
        try write(page.html, to: report)
        Terminal.line("report: \(report)")
    }
}

/// Patience with a running daemon.
enum Wait {
    /// Asks twenty times a second, at most five minutes; Ctrl-C ends it.
    static func until(
        _ what: String, _ signals: inout Signals, _ isDone: () throws -> Bool
    ) throws {
        for _ in 0..<6_000 {
            do {
                if try isDone() { return }
            } catch let error as SocketClientError where error.description.hasPrefix("TIMEOUT") {
                // The engine is busy with events; asking again is what the error says.
            }
            if signals.wait(milliseconds: 50) == .stop { throw Interrupted() }
        }
        throw CommandFailure("five minutes have passed and still not: \(what)")
    }
}
