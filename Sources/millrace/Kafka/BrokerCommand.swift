// `millrace broker`: librdkafka's mock cluster in a process of its own, for development, the demo and tests.

import ArgumentParser
import CShims
import Glibc
import KafkaIngest

struct BrokerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broker",
        abstract: "Run a development broker: one process, in memory, on 127.0.0.1.",
        discussion: """
            Prints its bootstrap servers on one line, then serves until standard input ends, or SIGTERM
            comes. It keeps the newest 5 MiB of each partition and forgets everything when it
            ends: nothing for production.
            Commands, one a line: down MILLISECONDS, error KIND CODE COUNT, rtt MILLISECONDS.
            """)

    @Option(name: .customLong("topic"), help: "NAME:PARTITIONS; may be repeated.")
    var topics: [String] = ["interactions:4", "items:1", "millrace-dead-letters:1"]

    @Option(help: "Brokers in the cluster.") var brokers = 1

    @Flag(help: "End with the process that started this one, instead of with standard input.")
    var withParent = false

    func run() throws {
        if withParent { _ = shims_end_with_parent() }
        guard (1...64).contains(brokers) else {
            throw ValidationError("--brokers \(brokers) is not in 1...64")
        }
        let topics = try topics.map { try Self.topic($0) }
        let staysOn = withParent
        try runDevelopmentBroker(
            topics: topics, brokers: brokers, announce: { Terminal.line($0) },
            nextCommand: {
                if let line = readLine() { return line }
                while staysOn { pause() }
                return nil
            })
    }

    private static func topic(_ text: String) throws -> (name: String, partitions: Int32) {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let count = Int32(parts[1]), (1...10_000).contains(count) else {
            throw ValidationError("--topic '\(text)' is not NAME:PARTITIONS, for example items:4")
        }
        return (name: String(parts[0]), partitions: count)
    }
}
