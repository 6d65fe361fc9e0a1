// Counters of the state store, of recovery, and whatever else parts report as gauges.

import Ports

struct StateFamily: Sendable {
    /// Gauges by name; further names are dropped.
    static let gaugesMax = 256

    private(set) var trouble: String?
    private(set) var gauges: [String: Double] = [:]
    var troubles = 0
    var checkpoint = LatencyRecorder(keepingRecent: false)
    var checkpointBytes = 0
    var recoverySeconds: Double?
    var evicted = LabelledCounts(labelsMax: 16, overflow: "other")

    mutating func observe(_ observation: Observation, now: Double) {
        switch observation {
        case .storeTrouble(let reason):
            if reason != nil, trouble == nil { troubles.count(1) }
            trouble = reason
        case .checkpointSaved(let bytes, let seconds):
            checkpointBytes = bytes
            checkpoint.record(seconds: seconds, now: now)
        case .recovered(_, _, _, let seconds): recoverySeconds = seconds
        case .usersEvicted(let count, let from): evicted.add(count, to: from)
        case .gauge(let name, let value):
            if gauges[name] != nil || gauges.count < Self.gaugesMax { gauges[name] = value }
        default: break
        }
    }

    func write(to text: inout MetricsText) {
        text.single(
            "millrace_store_up", .gauge, "Whether writes to the state store go through.",
            trouble == nil ? 1 : 0)
        text.single(
            "millrace_store_troubles_total", .counter, "Times writes stopped going through.",
            troubles)
        text.histograms(
            "millrace_checkpoint_duration_seconds", "Time to store a checkpoint of the statistics.",
            [([], checkpoint)])
        text.single(
            "millrace_checkpoint_bytes", .gauge, "Size of the latest checkpoint.", checkpointBytes)
        if let recoverySeconds {
            text.single(
                "millrace_recovery_seconds", .gauge, "Time the latest recovery took.",
                recoverySeconds)
        }
        text.family(
            "millrace_users_evicted_total", .counter, "Users dropped to keep a limit.",
            byLabel("from", evicted.counts))
        var written: Set<String> = []
        for (name, value) in gauges.sorted(by: { $0.key < $1.key }) {
            let metric = "millrace_" + MetricsText.nameable(name)
            guard written.insert(metric).inserted, !Self.reserved.contains(metric) else { continue }
            text.single(metric, .gauge, Self.help[name] ?? "Reported as \(name).", value)
        }
    }

    /// Gauges that parts are known to report.
    static let help = [
        "users": "Users with stored state in owned partitions.",
        "users_bytes": "Bytes of user state in owned partitions.",
        "users_cached": "Users held in memory.",
        "items": "Items known.",
        "items_listed": "Items with a catalogue record.",
        "pairs": "Item pairs counted by the rules.",
        "refresh_running": "Whether a refresh of the model is under way.",
        "refresh_progress_ratio": "Share of the refresh's stage that is done.",
        "refresh_last_end_timestamp_seconds": "When the last refresh ended.",
        "refresh_last_duration_seconds": "How long the last refresh took.",
        "refreshes_published": "Refreshes that came to serve since the start.",
        "refreshes_refused": "Refreshes that the gate refused since the start.",
        "refreshes_failed": "Refreshes that failed since the start.",
        "refreshes_rolled_back": "Adapters taken back since the start because they did worse.",
        "model_gain_at_10": "NDCG@10 of the model that serves over its latest 2000 sampled events.",
        "model_drift_ratio": "How far that is below its first 2000, as a share.",
        "model_on_probation": "Whether the model is compared with the one before.",
        "feeds_watched": "Users whose list is kept up to date.",
    ]

    /// Families written elsewhere, which a gauge must not repeat.
    private static let reserved: Set<String> = [
        "millrace_store_up", "millrace_checkpoint_bytes", "millrace_recovery_seconds",
        "millrace_connections_open", "millrace_partitions_owned", "millrace_ingest_paused",
        "millrace_partition_lag_records", "millrace_build_info",
    ]
}
