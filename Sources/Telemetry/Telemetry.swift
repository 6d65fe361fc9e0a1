// The one place where observations become numbers and lines: counters under one lock per family, log lines on a lane.

public import Ports
import Synchronization

/// Callable from any thread. An observation costs one uncontended lock and a few additions.
public final class Telemetry: Observer {
    /// Values a label may take before the rest are counted as `other`.
    static let labelsMax = 64
    /// Notes that the status page can show.
    static let notesMax = 50

    private let clock: any Clock
    private let log: LogWriter?
    private let version: String
    private let startSeconds: Double
    private let ingest = Mutex(IngestFamily())
    private let serving = Mutex(ServingFamily())
    private let state = Mutex(StateFamily())
    private let notes = Mutex<[TelemetrySnapshot.Note]>([])
    private let throttle = Mutex(LogThrottle())

    /// `log` nil tells nothing: for tests and tools.
    public init(clock: any Clock, log: LogWriter?, version: String) {
        self.clock = clock
        self.log = log
        self.version = version
        startSeconds = clock.monotonicSeconds
    }

    public func observe(_ observation: Observation) {
        let now = clock.monotonicSeconds
        switch observation {
        case .recordsConsumed, .recordsRejected, .recordsAdjusted, .deadLettered, .batchCommitted,
            .lag, .ingestPaused, .ingestResumed, .partitionsChanged, .fenced, .offsetGap:
            ingest.withLock { $0.observe(observation, now: now) }
        case .requestServed, .requestFailed, .connectionOpened, .connectionClosed, .feedPublished,
            .freshness, .requestWaited, .requestRefused, .leftOut, .feedReadable, .feedWaited,
            .feedProduced:
            serving.withLock { $0.observe(observation, now: now) }
        case .storeTrouble, .checkpointSaved, .recovered, .usersEvicted, .gauge:
            state.withLock { $0.observe(observation, now: now) }
        case .note: break
        }
        guard let told = Telling.line(for: observation) else { return }
        tell(told, now: now)
    }

    private func tell(_ told: Telling, now: Double) {
        var line = told.line
        if let key = told.throttleKey {
            guard let skipped = throttle.withLock({ $0.admit(key, now: now) }) else { return }
            if skipped > 0 { line.fields.append(("untold", "\(skipped)")) }
        }
        if line.severity >= .info {
            let note = TelemetrySnapshot.Note(
                time: clock.wallMilliseconds, severity: line.severity,
                text: LogText.withFields(line))
            notes.withLock { notes in
                if notes.count == Self.notesMax { notes.removeFirst() }
                notes.append(note)
            }
        }
        log?.write(line)
    }

    // MARK: - Reading

    /// Prometheus text of everything.
    public func metricsText() -> String {
        var text = MetricsText()
        text.family(
            "millrace_build_info", .gauge, "Always 1; what runs is in the labels.",
            [([("version", version)], 1)])
        ingest.withLock { $0 }.write(to: &text)
        serving.withLock { $0 }.write(to: &text)
        state.withLock { $0 }.write(to: &text)
        text.single(
            "millrace_log_lines_dropped_total", .counter,
            "Log lines lost because the journal or stderr was too slow.", log?.dropped ?? 0)
        ProcessMetrics.now().write(to: &text)
        return text.text
    }

    public func snapshot() -> TelemetrySnapshot {
        let now = clock.monotonicSeconds
        var ingest = ingest.withLock { $0 }
        var serving = serving.withLock { $0 }
        let state = state.withLock { $0 }
        return TelemetrySnapshot(
            version: version, uptimeSeconds: now - startSeconds,
            eventsTotal: ingest.events, eventsPerSecond: ingest.eventRate.perSecond(now: now),
            lag: ingest.lag, owned: ingest.owned, pausedBy: ingest.pausedBy,
            rejected: ingest.rejected.sum, adjusted: ingest.adjusted.sum,
            deadLetters: ingest.deadLettered.sum,
            commit: Self.percentiles(&ingest.commit, now),
            requestsTotal: serving.served.sum, failuresTotal: serving.failed.sum,
            requestsPerSecond: serving.requestRate.perSecond(now: now),
            request: Self.percentiles(&serving.requests, now),
            freshness: Self.percentiles(&serving.freshness, now),
            requestWait: Self.percentiles(&serving.waited, now),
            feedReadable: Self.percentiles(&serving.feedReadable, now),
            connectionsOpen: serving.connectionsOpen, connectionsTotal: serving.opened,
            feedEntries: serving.published, storeTrouble: state.trouble, gauges: state.gauges,
            residentBytes: ProcessMetrics.now().residentBytes, notes: notes.withLock { $0 })
    }

    private static func percentiles(
        _ recorder: inout LatencyRecorder, _ now: Double
    ) -> TelemetrySnapshot.Percentiles? {
        guard let p50 = recorder.recentPercentile(50, now: now),
            let p99 = recorder.recentPercentile(99, now: now)
        else { return nil }
        return .init(p50Seconds: p50, p99Seconds: p99)
    }
}
