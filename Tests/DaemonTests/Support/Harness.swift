// The real executable among real peers: a broker process, a redis-server, one or more daemons, each in a folder of
// its own.

import Foundation
import Glibc
import Interactions
import KafkaIngest
import Ports
import TestKit
import WireProtocol

/// The executable under test: beside the test bundle, or where MILLRACE_EXECUTABLE says.
let millrace: String = {
    if let path = ProcessInfo.processInfo.environment["MILLRACE_EXECUTABLE"] { return path }
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(filePath: own).deletingLastPathComponent().appending(path: "millrace").path
}()

/// Long versions of the tests: MILLRACE_SOAK=1.
let isSoak = ProcessInfo.processInfo.environment["MILLRACE_SOAK"] == "1"

/// Lets a while pass that no condition describes: where in its work a fault meets the daemon is left to chance.
func momentOfFault(_ milliseconds: Int) async throws {
    _ = await eventually(within: .milliseconds(milliseconds)) { false }
}

/// `eventually`, where a question that fails is an answer that does not hold yet.
func holds(
    within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async -> Bool {
    await eventually(within: limit) { (try? await condition()) == true }
}

struct TestClock: Clock {
    var wallMilliseconds: Milliseconds { Milliseconds(Date().timeIntervalSince1970 * 1_000) }
    var monotonicSeconds: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
}

/// Runs blocking work on a thread that may block.
func blocking<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value
{
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try work() }) }
    }
}

/// `millrace broker` in a process of its own, with the topics of a daemon.
final class Broker: Sendable {
    static let partitions: Int32 = 4
    let servers: String
    private let process: ChildProcess
    private let interactions: BulkProducer
    private let items: BulkProducer

    init(partitions: Int32 = Broker.partitions) async throws {
        let arguments = ["interactions:\(partitions)", "items:1", "millrace-dead-letters:1"]
        let process = try ChildProcess(
            millrace, ["broker"] + arguments.flatMap { ["--topic", $0] }, keepsInputOpen: true)
        let announced = await holds { process.output.contains("\n") || !process.isRunning }
        let servers = process.output.split(separator: "\n").first.map(String.init) ?? ""
        guard announced, servers.contains(":") else {
            throw TestKitError("millrace broker: \(process.output)\(process.errors)")
        }
        self.process = process
        self.servers = servers
        var configuration = KafkaConfiguration(
            brokers: servers, eventTypes: SimulatedLog.types)
        configuration.settings = ["linger.ms": "1"]
        let to = configuration
        (interactions, items) = try await blocking {
            (
                try BulkProducer(configuration: to, topic: "interactions", clock: TestClock()),
                try BulkProducer(configuration: to, topic: "items", clock: TestClock())
            )
        }
    }

    /// Returns when the broker has them all.
    func produce(_ records: some Sequence<BulkRecord>) async throws {
        let all = Array(records)
        _ = try await blocking { [interactions] in try interactions.run(all) }
    }

    func produceItems(_ records: [BulkRecord]) async throws {
        _ = try await blocking { [items] in try items.run(records) }
    }

    func command(_ line: String) throws { try process.write(line + "\n") }
    var said: String { process.output }
}

/// The digests a daemon shows, of the partitions it owns.
struct Digests: Equatable, CustomStringConvertible {
    struct Partition: Equatable {
        var digest: String
        var users: Int
    }

    var statistics: String
    var partitions: [Int: Partition]

    var description: String {
        "statistics \(statistics)"
            + partitions.sorted { $0.key < $1.key }.map {
                " p\($0.key) \($0.value.digest.prefix(8)) of \($0.value.users)"
            }.joined()
    }
}

/// A daemon that can be killed and started again: its state lives in Redis, its sockets in a folder of its own.
final class Daemon {
    let directory: TemporaryDirectory
    var socketPath: String { directory.file("c") }
    var operationsPath: String { directory.file("o") }
    var configurationPath: String { directory.file("millrace.yaml") }
    private(set) var process: ChildProcess?
    /// What earlier processes said on stderr.
    private(set) var earlierErrors = ""

    struct Options {
        var group = "g"
        var instanceID: String?
        var batchRecords = 4_096
        var checkpointInterval = "1s"
        var historyMax = SimulatedLog.historyMax
        var usersCachedMax = 200_000
        var librdkafka: [String: String] = [:]
        var logLevel = "info"
        /// Fits of few lists: a debug build is slow at them, and events wait for a fit.
        var mixture = "{learn-interval: 64, lists-max: 200}"
        /// Further top-level lines.
        var extra = ""
    }

    init(broker: String, redis: String, _ options: Options = Options()) throws {
        directory = try TemporaryDirectory()
        try write(Self.configuration(broker, redis, directory.path, options))
    }

    func write(_ configuration: String) throws {
        try configuration.write(toFile: configurationPath, atomically: true, encoding: .utf8)
    }

    static func configuration(
        _ broker: String, _ redis: String, _ folder: String, _ options: Options
    ) -> String {
        // The development broker does not wake a waiting fetch; rebalances should not take the whole test.
        var kafka = [
            "fetch.wait.max.ms": "5", "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "300", "reconnect.backoff.max.ms": "500",
        ]
        kafka.merge(options.librdkafka) { $1 }
        let properties = kafka.sorted { $0.key < $1.key }.map { "    \($0.key): \"\($0.value)\"" }
        return """
            kafka:
              brokers: [\(broker.split(separator: ",").joined(separator: ", "))]
              group: \(options.group)
              instance-id: \(options.instanceID ?? "null")
              batch-records: \(options.batchRecords)
              librdkafka:
            \(properties.joined(separator: "\n"))
            redis:
              address: unix:\(redis)
              checkpoint-interval: \(options.checkpointInterval)
              command-timeout: 2s
            engine:
              history-max: \(options.historyMax)
              event-ids-max: \(SimulatedLog.eventIDsMax)
              users-cached-max: \(options.usersCachedMax)
            socket:
              path: \(folder)/c
            operations:
              path: \(folder)/o
            telemetry:
              journal: never
              log-level: \(options.logLevel)
            serving:
              staleness: 0s
            feeds:
              refresh-interval: 1s
            mixture: \(options.mixture)
            \(options.extra)

            """
    }

    // MARK: - Process

    func spawn(environment: [String: String] = [:]) throws {
        if let process { earlierErrors += process.errors }
        process = try ChildProcess(
            millrace, ["serve", "--config", configurationPath], environment: environment)
    }

    /// Starts it and waits until it serves.
    func start(environment: [String: String] = [:]) async throws {
        try spawn(environment: environment)
        let ready = await holds(within: .seconds(40)) {
            (try? info("state")) == "ready" || process?.isRunning == false
        }
        guard ready, process?.isRunning == true else {
            throw TestKitError("the daemon is not ready: \(errors)")
        }
    }

    func spawnIfDead() throws { if process?.isRunning != true { try spawn() } }

    func kill() async {
        await process?.kill()
    }

    /// SIGTERM; returns the exit code.
    @discardableResult
    func terminate() async -> Int32? {
        process?.signal(SIGTERM)
        return await process?.wait(within: .seconds(40))
    }

    var errors: String { earlierErrors + (process?.errors ?? "") }

    // MARK: - Questions

    func connect() throws -> SocketConnection { try SocketConnection(socketPath) }

    func ask(_ words: String...) throws -> Reply { try connect().ask(words) }

    func info(_ key: String) throws -> String? {
        let text = try ask("INFO").text ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(key + ":") }
        return line.map { String($0.dropFirst(key.count + 1)) }
    }

    func digests() throws -> Digests {
        let reply = try ask("DIGEST")
        var digests = Digests(statistics: reply["statistics"]?.text ?? "", partitions: [:])
        for row in reply["partitions"]?.elements ?? [] {
            guard let number = row["partition"]?.number else { continue }
            digests.partitions[Int(number)] = Digests.Partition(
                digest: row["digest"]?.text ?? "", users: Int(row["users"]?.number ?? -1))
        }
        return digests
    }

    func list(_ user: String, count: Int = 10) throws -> [String] {
        try ask("REC.GET", user, "COUNT", "\(count)").elements?.compactMap(\.text) ?? []
    }

    /// The last lines it said, for the report of a failure.
    var lastWords: String {
        errors.split(separator: "\n").suffix(15).joined(separator: "\n")
    }
}

/// Waits until the instances together show these digests; returns what they show when they never do.
func settle(
    _ daemons: [Daemon], on expected: Digests, within limit: Duration = .seconds(60)
) async -> Digests? {
    var last: Digests?
    let settled = await holds(within: limit) {
        var merged: Digests?
        for daemon in daemons {
            guard let own = try? daemon.digests() else { return false }
            if let known = merged {
                // Statistics of one instance contain those of its peers.
                guard known.statistics == own.statistics else {
                    last = own
                    return false
                }
                merged?.partitions.merge(own.partitions) { $1 }
            } else {
                merged = own
            }
        }
        last = merged
        return merged == expected
    }
    return settled ? expected : last
}
