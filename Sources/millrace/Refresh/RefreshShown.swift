// What `INFO refresh` and the metrics say.

import Evaluation
import Interactions
import Ports

struct RefreshShown {
    enum Stage: String {
        case idle, waiting, exporting, reading, learning, judging, publishing
    }

    private(set) var stage = Stage.idle
    private var done = 0
    private var total = 0
    private var reason = ""
    private var startedAt: Milliseconds = 0
    private var endedAt: Milliseconds = 0
    private var seconds = 0.0
    private var lastResult = "none"
    private var lastReason = ""
    private var publishedCount = 0
    private var refusedCount = 0
    private var failedCount = 0
    var rolledBackCount = 0
    var serving: String?
    var pinned: String?
    var sampleCount = 0
    var gain: Double?
    var drift: Double?
    var probationLeft: Int?

    mutating func begin(_ reason: String, at time: Milliseconds) {
        self.reason = reason
        startedAt = time
        enter(.waiting)
    }

    mutating func enter(_ stage: Stage, done: Int = 0, total: Int = 0) {
        (self.stage, self.done, self.total) = (stage, done, total)
    }

    mutating func follow(_ status: RefreshStatus) {
        switch status {
        case .reading: enter(.reading)
        case .learning(let step, let steps): enter(.learning, done: step, total: steps)
        case .judging(let event, let events): enter(.judging, done: event, total: events)
        case .passed, .refused: enter(.publishing)
        }
    }

    mutating func end(_ outcome: RefreshDesk.Outcome, at time: Milliseconds, seconds: Double) {
        enter(.idle)
        endedAt = time
        self.seconds = seconds
        switch outcome {
        case .published(let version):
            publishedCount += 1
            (lastResult, lastReason) = ("published", version)
        case .refused(let reason):
            refusedCount += 1
            (lastResult, lastReason) = ("refused", reason)
        case .waiting: (lastResult, lastReason) = ("waiting", "another instance refreshes")
        case .skipped(let reason): (lastResult, lastReason) = ("skipped", reason)
        case .failed(let reason):
            failedCount += 1
            (lastResult, lastReason) = ("failed", reason)
        }
    }

    private static let reasonCharactersMax = 500

    var section: InfoSection {
        let oneLine = lastReason.split(whereSeparator: \.isNewline).map { line in
            line.split(separator: " ").joined(separator: " ")
        }.joined(separator: "; ")
        return InfoSection(
            title: "Refresh",
            lines: [
                InfoLine("refresh_state", stage.rawValue), InfoLine("refresh_step", "\(done)"),
                InfoLine("refresh_steps", "\(total)"), InfoLine("refresh_reason", reason),
                InfoLine("refresh_started", "\(startedAt / 1_000)"),
                InfoLine("refresh_last_result", lastResult),
                InfoLine("refresh_last_reason", String(oneLine.prefix(Self.reasonCharactersMax))),
                InfoLine("refresh_last_end", "\(endedAt / 1_000)"),
                InfoLine("refresh_last_seconds", fixed(seconds, 1)),
                InfoLine("refreshes_published", "\(publishedCount)"),
                InfoLine("refreshes_refused", "\(refusedCount)"),
                InfoLine("refreshes_failed", "\(failedCount)"),
                InfoLine("refreshes_rolled_back", "\(rolledBackCount)"),
                InfoLine("model_serving", serving ?? "none"),
                InfoLine("model_pinned", pinned ?? "none"),
                InfoLine("model_samples", "\(sampleCount)"),
                InfoLine("model_gain_at_10", gain.map { fixed($0, 4) } ?? "none"),
                InfoLine("model_drift", drift.map { fixed($0, 3) } ?? "none"),
                InfoLine("probation_samples_left", probationLeft.map { "\($0)" } ?? "none"),
            ])
    }

    var gauges: [(name: String, value: Double)] {
        var gauges = [
            ("refresh_running", stage == .idle ? 0.0 : 1.0),
            ("refresh_progress_ratio", total > 0 ? Double(done) / Double(total) : 0),
            ("refresh_last_end_timestamp_seconds", Double(endedAt) / 1_000),
            ("refresh_last_duration_seconds", seconds),
            ("refreshes_published", Double(publishedCount)),
            ("refreshes_refused", Double(refusedCount)),
            ("refreshes_failed", Double(failedCount)),
            ("refreshes_rolled_back", Double(rolledBackCount)),
            ("model_samples", Double(sampleCount)),
            ("model_on_probation", probationLeft == nil ? 0 : 1),
        ]
        if let gain { gauges.append(("model_gain_at_10", gain)) }
        if let drift { gauges.append(("model_drift_ratio", drift)) }
        return gauges
    }
}
