// The parts of the daemon, put together, started in order and stopped in reverse.

import Glibc
import KafkaIngest
import Lanes
import NIOCore
import NIOPosix
import OperationsServer
import Pipeline
import Ports
import RedisState
import Settings
import SocketServer
import Synchronization
import Telemetry
import Tensors

/// What goes wrong before the daemon is ready.
struct StartFailure: Error, CustomStringConvertible {
    var description: String
}

final class Daemon: Sendable {
    private struct State {
        var isReady = false
        var failure: String?
    }

    let settings: MillraceSettings
    let telemetry: Telemetry
    let log: LogWriter
    private let clock: any Clock
    private let notifier = SystemdNotifier()
    private let state = Mutex(State())
    private let pipeline: Mutex<Pipeline?> = Mutex(nil)
    private let models: Mutex<ModelLoader?> = Mutex(nil)
    private let desk: Mutex<RefreshDesk?> = Mutex(nil)
    private let server: Mutex<SocketServer?> = Mutex(nil)
    private let operations: Mutex<OperationsServer?> = Mutex(nil)
    private let sink: Mutex<KafkaSink?> = Mutex(nil)
    private let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(settings: MillraceSettings, clock: any Clock) {
        self.settings = settings
        self.clock = clock
        let journal =
            settings.telemetry.journal == .always
            || settings.telemetry.journal == .auto
                && JournalSink.isConnected(journalStream: ProcessEnvironment.journalStream)
        let lines: any LogSink = journal ? JournalSink() : StandardErrorSink(clock: clock)
        log = LogWriter(level: Self.severity(settings.telemetry.logLevel), sink: lines)
        telemetry = Telemetry(clock: clock, log: log, version: Millrace.version)
    }

    static func severity(_ level: TelemetrySettings.Level) -> Observation.Severity {
        switch level {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }

    func note(_ severity: Observation.Severity, _ text: String, _ fields: [(String, String)] = []) {
        telemetry.observe(.note(severity, text, fields))
    }

    /// Runs until a signal stops it or a part fails; the exit code.
    func run(_ signals: inout Signals, configurationFile: String?) -> Int32 {
        do {
            try start()
        } catch {
            note(.error, "cannot start: \(error)")
            stop()
            return 1
        }
        var current = settings
        while true {
            switch signals.wait(milliseconds: pauseMilliseconds) {
            case .stop:
                note(.notice, "stopping: commits under way are finished")
                notifier.stopping(status: "finishing commits")
                stop()
                return 0
            case .reload: current = reload(from: current, file: configurationFile)
            case .none: break
            }
            if let reason = state.withLock({ $0.failure }) {
                note(.error, "stopping: \(reason)")
                notifier.stopping(status: reason)
                stop()
                return 1
            }
            guard isAlive else { continue }
            notifier.watchdog()
            // A long recovery is not a failed start as long as the engine works.
            if !state.withLock({ $0.isReady }) { notifier.extendTimeout(seconds: 30) }
        }
    }

    /// Half the watchdog's interval, and short enough to notice a failure soon.
    private var pauseMilliseconds: Int {
        let half = notifier.watchdogInterval.map { Int($0.wholeMilliseconds / 2) } ?? 1_000
        return min(max(half, 10), 200)
    }

    private func start() throws {
        let assembly = Assembly(settings: settings, clock: clock)
        setLinearAlgebraThreads(1)
        try ModelLoader.check(settings.model)
        var configuration = assembly.pipeline()
        configuration.summaries = try assembly.summaries()
        configuration.ranking = try assembly.ranking()
        let descriptors = notifier.takeListeningDescriptors()
        try listenForOperations(assembly, descriptors["operations"])
        let kafka = try assembly.kafka()
        let sink = try KafkaSink(configuration: kafka, observer: telemetry)
        let source = try KafkaSource(
            configuration: kafka, sink: sink, clock: clock, observer: telemetry)
        let store = RedisStateStore(try assembly.redis())
        let pipeline = Pipeline(
            configuration, source: source, sink: sink, store: store, observer: telemetry,
            clock: clock,
            events: Pipeline.Events(
                ready: { [self] in becomeReady() }, failed: { [self] reason in fail(reason) },
                pulse: { [self] pulse in
                    guard let desk = self.desk.withLock({ $0 }) else { return }
                    Task { await desk.take(pulse) }
                }))
        self.sink.withLock { $0 = sink }
        self.pipeline.withLock { $0 = pipeline }
        let loader = ModelLoader(
            pipeline: pipeline, summariser: settings.summaries.summariser, observer: telemetry)
        let desk = RefreshDesk(
            model: settings.model, refresh: settings.refresh, pipeline: pipeline, loader: loader,
            lease: store, observer: telemetry, clock: clock)
        models.withLock { $0 = loader }
        self.desk.withLock { $0 = desk }
        var socket = assembly.socket(descriptor: descriptors["client"])
        socket.models = desk
        let server = SocketServer(
            configuration: socket, service: pipeline, observer: telemetry, clock: clock)
        try server.start()
        self.server.withLock { $0 = server }
        notifier.status("recovering state")
        pipeline.start()
    }

    private func listenForOperations(_ assembly: Assembly, _ descriptor: Int32?) throws {
        let server = OperationsServer(
            answers: OperationsAnswers(
                metrics: { [telemetry] in telemetry.metricsText() },
                status: { [telemetry] in telemetry.snapshot().json },
                unreadiness: { [self] in unreadiness }, isAlive: { [self] in isAlive }),
            group: loops)
        let addresses = assembly.operations(descriptor: descriptor)
        try blocking {
            for address in addresses {
                do { try await server.listen(on: address) } catch {
                    throw StartFailure(
                        description:
                            "operations: \(address) cannot be listened on (operations.path, operations.tcp): \(error)"
                    )
                }
            }
        }
        operations.withLock { $0 = server }
    }

    private var unreadiness: [String] {
        if !state.withLock({ $0.isReady }) { return ["recovering state"] }
        return telemetry.snapshot().storeTrouble.map { ["state store: \($0)"] } ?? []
    }

    /// Whether the engine answers; asked by the watchdog and by `/livez`.
    private var isAlive: Bool {
        pipeline.withLock { $0 }?.isResponsive(withinMilliseconds: 2_000) ?? true
    }

    private func becomeReady() {
        state.withLock { $0.isReady = true }
        note(.notice, "ready", [("socket", settings.socket.path)])
        serveModel(settings)
        notifier.ready(status: "serving")
    }

    private func serveModel(_ settings: MillraceSettings) {
        guard let desk = desk.withLock({ $0 }) else { return }
        Task { await desk.configure(settings.model, settings.refresh) }
    }

    private func fail(_ reason: String) {
        state.withLock { if $0.failure == nil { $0.failure = reason } }
    }

    /// Reads the file again. A faulty file changes nothing.
    private func reload(from current: MillraceSettings, file: String?) -> MillraceSettings {
        notifier.reloading()
        defer { notifier.ready(status: "serving") }
        do {
            let new = try MillraceSettings.loadChecked(argument: file)
            for change in MillraceSettings.changes(from: current, to: new) {
                let effect = change.effect == .reload ? "in effect" : "waits for a restart"
                note(
                    .notice, "setting changed: \(effect)",
                    [("key", change.key), ("before", change.before), ("after", change.after)])
            }
            log.levelMin = Self.severity(new.telemetry.logLevel)
            pipeline.withLock { $0 }?.setScenarios(new.lists.scenarios)
            if state.withLock({ $0.isReady }) { serveModel(new) }
            return new
        } catch {
            for problem in error.problems { note(.error, "\(problem)") }
            note(.error, "reload refused: nothing was changed")
            return current
        }
    }

    private func stop() {
        let limit = Int(settings.shutdown.drainLimit.wholeMilliseconds)
        let done = Semaphore()
        if let server = server.withLock({ $0.take() }) {
            server.stop(withinMilliseconds: min(limit, 5_000)) { done.signal() }
            _ = done.wait(milliseconds: limit)
        }
        if let desk = desk.withLock({ $0.take() }) {
            try? blocking { await desk.stop() }
            desk.endLane()
        }
        models.withLock { $0.take() }?.stop()
        pipeline.withLock { $0.take() }?.stop(withinMilliseconds: limit)
        if let sink = sink.withLock({ $0.take() }) {
            sink.close(waitingAtMostMilliseconds: limit)
        }
        if let operations = operations.withLock({ $0.take() }) {
            try? blocking { await operations.stop() }
        }
        try? loops.syncShutdownGracefully()
        log.stop()
    }
}

/// Runs asynchronous work from the main thread, which has nothing else to do.
func blocking(_ work: @escaping @Sendable () async throws -> Void) throws {
    let done = Semaphore()
    let outcome = Outcome()
    Task {
        do { try await work() } catch { outcome.failure.withLock { $0 = error } }
        done.signal()
    }
    done.wait()
    if let error = outcome.failure.withLock({ $0 }) { throw error }
}

private final class Outcome: Sendable {
    let failure = Mutex<(any Error)?>(nil)
}
