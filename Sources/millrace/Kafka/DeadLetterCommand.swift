// `millrace dlq`: what could not be applied, why, and another chance for what can be applied by now.

import ArgumentParser
import Foundation
import Interactions
import KafkaIngest
import Ports
import Settings

struct DeadLetterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq",
        abstract: "List or replay dead letters.",
        subcommands: [List.self, Replay.self])

    /// Which letters, of which installation.
    struct Selection: ParsableArguments {
        @Option(help: "The settings file; as for `serve`.") var config: String?
        @Option(help: "Brokers to use instead of the configured ones.") var brokers: String?
        @Option(help: "Only letters with this reason, for example unknown-type.") var reason:
            String?
        @Option(help: "Only the letter at PARTITION:OFFSET of the dead-letter topic.")
        var at: String?
        @Flag(help: "Print JSON: one object a line, or one object.") var json = false

        func configuration() throws -> KafkaConfiguration {
            let settings = try SettingsFile.load(argument: config)
            var configuration = try Assembly(settings: settings, clock: SystemClock()).kafka()
            if let brokers { configuration.brokers = brokers }
            return configuration
        }

        func matches(_ letter: DeadLetter) -> Bool {
            (reason.map { $0 == letter.reason } ?? true)
                && (at.map { $0 == letter.position.description } ?? true)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List dead letters, partition by partition, oldest first.")

        @OptionGroup var selection: Selection
        @Option(help: "At most this many.") var limit = 1_000
        @Flag(help: "Only those that came since the last replay.") var new = false

        /// How much of a payload is shown.
        static let shownBytesMax = 64

        func run() throws {
            let letters = try DeadLetters(
                configuration: selection.configuration(), clock: SystemClock())
            var shown = 0
            try letters.visit(all: !new) { letter in
                guard selection.matches(letter) else { return true }
                Terminal.line(selection.json ? Self.json(letter) : Self.text(letter))
                shown += 1
                return shown < limit
            }
            if shown == 0, !selection.json { writeError("no dead letters\n") }
        }

        private static func text(_ letter: DeadLetter) -> String {
            let key = letter.key.map { excerpt($0) } ?? "(none)"
            let payload = letter.payload.map { excerpt($0) } ?? "(null)"
            let origin = Terminal.harmless("\(letter.origin)  \(letter.reason)")
            return "\(letter.position)  \(origin)  key=\(key)\n"
                + "    \(Terminal.harmless(letter.message))\n    \(payload)"
        }

        /// Printable beginning of bytes that may be anything.
        private static func excerpt(_ bytes: [UInt8]) -> String {
            let text = String(decoding: bytes.prefix(shownBytesMax), as: UTF8.self)
            return Terminal.harmless(text) + (bytes.count > shownBytesMax ? "…" : "")
        }

        private struct Line: Encodable {
            var position: String
            var topic: String
            var partition: PartitionIndex
            var offset: Offset
            var reason: String
            var message: String
            var key: String?
            var bytes: Int
            var excerpt: String?
        }

        private static func json(_ letter: DeadLetter) -> String {
            encoded(
                Line(
                    position: letter.position.description, topic: letter.originTopic,
                    partition: letter.originPartition, offset: letter.originOffset,
                    reason: letter.reason, message: letter.message,
                    key: letter.key.map { excerpt($0) },
                    bytes: letter.truncatedFromBytes ?? letter.payload?.count ?? 0,
                    excerpt: letter.payload.map { excerpt($0) }))
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Produce again what can be applied today.",
            discussion: """
                Takes the letters that came since the last replay. Each goes to the topic it came
                from, keyed by its user or item; one that would be rejected again stays. An event
                without an id gets the place of its original as id, so that it counts once however
                often it is replayed.
                """)

        @OptionGroup var selection: Selection
        @Flag(help: "All letters, also those of earlier replays.") var all = false

        private struct Outcome: Encodable {
            var read: Int
            var replayed: Int
            var refused: [String: Int]
        }

        func run() throws {
            let configuration = try selection.configuration()
            let sink = try KafkaSink(configuration: configuration, observer: NullObserver())
            defer { sink.close() }
            let letters = try DeadLetters(configuration: configuration, clock: SystemClock())
            let result = try letters.replay(
                through: sink, all: all, matching: { selection.matches($0) })
            if selection.json {
                let outcome = Outcome(
                    read: result.read, replayed: result.replayed, refused: result.refused)
                Terminal.line(encoded(outcome))
                return
            }
            Terminal.line("\(result.replayed) of \(result.read) dead letters replayed")
            for (reason, count) in result.refused.sorted(by: { $0.key < $1.key }) {
                Terminal.line("\(count) stay: \(reason)")
            }
        }
    }
}

private func encoded(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
}
