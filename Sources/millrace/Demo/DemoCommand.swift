// `millrace demo`: everything at once, from nothing: a Redis, a broker, a shop, the daemon, and a feed that changes.

import ArgumentParser
import Evaluation
import Glibc
import Interactions
import KafkaIngest

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract:
            "Start a private Redis, a broker and the daemon, stream a shop in, show a feed change.",
        discussion: """
            Needs redis-server on the PATH and nothing else; leaves nothing behind. On a terminal the shop goes
            on until Ctrl-C; without one, or with --once, the tour runs once and the command exits 0.
            With --log FOLDER (events.jsonl, items.jsonl: see `millrace import`) the log is streamed instead, and
            the accuracy the daemon measured on the way is reported.
            """)

    @Option(help: "A folder with events.jsonl and items.jsonl to stream instead of the shop.")
    var log: String?
    @Option(help: "Where to write the report of a streamed log.")
    var report = "millrace-report.html"
    @Option(
        help: """
            Partitions of the interactions topic; default 4, and 1 for a log, because only one partition keeps the
            order between users that the reported accuracy depends on.
            """) var partitions: Int32?
    @Option(help: "Events the simulated shop begins with.") var events = 20_000
    @Flag(help: "Run the tour once and exit, also on a terminal.") var once = false
    @Flag(help: "Keep the folder with settings and logs.") var keep = false

    func validate() throws {
        if let partitions, !(1...64).contains(partitions) {
            throw ValidationError("--partitions \(partitions) is not in 1...64")
        }
        guard (100...10_000_000).contains(events) else {
            throw ValidationError("--events \(events) is not in 100...10000000")
        }
    }

    func run() throws {
        var signals = Signals()
        let stage = try DemoStage(partitions: partitionCount)
        do {
            say("Redis and a broker run in \(stage.folder); starting the daemon")
            try stage.startDaemon(prequential: log != nil)
            say("ready: redis-cli -s \(stage.socket)")
            if let log {
                try stream(log, on: stage, &signals)
            } else {
                try shop(on: stage, &signals)
            }
        } catch {
            stage.close(keepingFolder: true)
            if error is Interrupted { throw ExitCode(130) }
            throw error
        }
        stage.close(keepingFolder: keep)
        say(keep ? "stopped; the logs are in \(stage.folder)" : "stopped; nothing is left behind")
    }

    private var partitionCount: Int32 { partitions ?? (log == nil ? 4 : 1) }

    func say(_ text: String) { Terminal.line("● " + text) }

    // MARK: - A recorded log

    private func stream(_ folder: String, on stage: DemoStage, _ signals: inout Signals) throws {
        let client = try SocketClient(path: stage.socket)
        let replay = LogReplay(configuration: try stage.kafka(), folder: folder)
        let items = try replay.produceItems()
        say("\(grouped(items)) item records produced")
        try Wait.until("the catalogue is there", &signals) {
            try StreamInfo(client).items >= items
        }
        let clock = SystemClock()
        let start = clock.monotonicSeconds
        let events = try replay.produceEvents(pace: .asFastAsPossible)
        try Wait.until("every event is durable", &signals) {
            try StreamInfo(client).committedOffsets >= events
        }
        let seconds = clock.monotonicSeconds - start
        let info = try StreamInfo(client)
        say(
            "\(grouped(events)) events went through Kafka into Redis in \(fixed(seconds, 1)) s "
                + "(\(grouped(Int(Double(events) / seconds)))/s, every one scored before it was learned)"
        )
        let name = folder.split(separator: "/").last.map(String.init) ?? folder
        var page = StreamReport(
            title: "Millrace on \(name), streamed", windows: info.windows, learnt: info.learnt,
            journal: try StreamJournal(client),
            facts: [
                (name: "events", value: grouped(events)), (name: "items", value: grouped(items)),
                (name: "users", value: grouped(info.users)),
                (name: "bytes per user in Redis", value: "\(info.userBytes / max(1, info.users))"),
                (name: "partitions", value: "\(partitionCount)"),
                (name: "seconds", value: fixed(seconds, 1)),
                (
                    name: "event to feed",
                    value: FreshnessProbe.text(
                        try FreshnessProbe(client: client, user: "millrace-probe", type: "view")
                            .run())
                ),
            ])
        page.examples = try StreamExamples.of(try replay.busiestUsers(3), client)
        Terminal.write(page.text)
        try write(page.html, to: report)
        for (index, chart) in page.charts.enumerated() {
            try write(chart.svg, to: chartPath(index))
        }
        say("report: \(report)")
    }

    private func chartPath(_ index: Int) -> String {
        let stem = report.hasSuffix(".html") ? String(report.dropLast(5)) : report
        return "\(stem)-\(["hr", "ndcg"][index]).svg"
    }
}

/// Ctrl-C.
struct Interrupted: Error {}
