// Everything the demo needs, in one private folder: a Redis, a broker, a daemon. Gone without a trace when it closes.

import Foundation
import Glibc
import KafkaIngest
import Settings

final class DemoStage {
    let folder: String
    let brokers: String
    var socket: String { folder + "/millrace.sock" }
    var operationsSocket: String { folder + "/operations.sock" }
    private var children: [ChildProcess] = []
    private var daemon: ChildProcess?

    /// Starts Redis and the broker; the daemon comes with `startDaemon`.
    init(partitions: Int32) throws {
        // Not TMPDIR: a Unix socket's path has room for 108 bytes.
        var template = Array(("/tmp/millrace-demo." + String(repeating: "X", count: 6)).utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw CommandFailure(systemReason()) }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        do {
            children.append(
                try ChildProcess(
                    [
                        "redis-server", "--port", "0", "--unixsocket", folder + "/redis.sock",
                        "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir",
                        folder,
                    ], log: folder + "/redis.log"))
            let broker = try ChildProcess(
                [
                    ChildProcess.ownPath, "broker", "--with-parent",
                    "--topic", "interactions:\(partitions)", "--topic", "items:1",
                    "--topic", "millrace-dead-letters:1",
                ], log: folder + "/broker.log", pipesOutput: true)
            children.append(broker)
            guard let line = broker.readLine() else {
                throw CommandFailure("the broker did not start: see \(folder)/broker.log")
            }
            brokers = line
        } catch {
            for child in children { child.stop(withinMilliseconds: 1_000) }
            throw error
        }
    }

    var settingsFile: String { folder + "/millrace.yaml" }

    /// Writes the settings and starts the daemon; returns when it is ready.
    func startDaemon(prequential: Bool) throws {
        let text = """
            kafka:
              brokers: [\(brokers.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ", "))]
              librdkafka:
                fetch.wait.max.ms: "5"
                session.timeout.ms: "6000"
            redis:
              address: unix:\(folder)/redis.sock
            serving:
              prequential: \(prequential)
            socket:
              path: \(socket)
            operations:
              path: \(operationsSocket)

            """
        try write(text, to: settingsFile)
        let daemon = try ChildProcess(
            [ChildProcess.ownPath, "serve", "--config", settingsFile], log: folder + "/daemon.log")
        children.append(daemon)
        self.daemon = daemon
        for _ in 0..<600 {
            guard daemon.isRunning else { break }
            if let client = try? SocketClient(path: socket),
                let info = try? StreamInfo(client), info.isReady, info.partitionsOwned > 0
            {
                return
            }
            usleep(100_000)
        }
        throw CommandFailure("the daemon did not become ready: see \(folder)/daemon.log")
    }

    /// Has the daemon serve with the model in a folder, by a reload.
    func serve(model: String) throws {
        let settings = try String(contentsOfFile: settingsFile, encoding: .utf8)
        let more = """
            model:
              folder: \(model)
              adapters: \(folder)/adapters
            refresh:
              niceness: 0  # nobody else wants the processor here

            """
        try write(settings + more, to: settingsFile)
        guard let daemon, daemon.isRunning else {
            throw CommandFailure("the daemon has ended: see \(folder)/daemon.log")
        }
        kill(daemon.pid, SIGHUP)
    }

    /// The configuration of our own producers: the daemon's.
    func kafka() throws -> KafkaConfiguration {
        try Assembly(
            settings: MillraceSettings.loadChecked(argument: settingsFile), clock: SystemClock()
        )
        .kafka()
    }

    func close(keepingFolder: Bool) {
        for child in children.reversed() { child.stop(withinMilliseconds: 10_000) }
        children = []
        if !keepingFolder { try? FileManager.default.removeItem(atPath: folder) }
    }
}

/// Replaces a file's content.
func write(_ text: String, to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw CommandFailure("cannot write \(path): \(systemReason())") }
    defer { close(descriptor) }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
        }
        guard count > 0 else { throw CommandFailure("cannot write \(path): \(systemReason())") }
        bytes = bytes.dropFirst(count)
    }
}
