// Counters of what comes in and is committed.

import Ports

struct IngestFamily: Sendable {
    struct Rejection: Hashable, Sendable {
        var topic: String
        var reason: String
    }

    /// Partitions of which the lag is kept.
    static let partitionsMax = 4_096

    var records = LabelledCounts(labelsMax: 16, overflow: "other")
    var bytes = LabelledCounts(labelsMax: 16, overflow: "other")
    var rejected = LabelledCounts(
        labelsMax: Telemetry.labelsMax, overflow: Rejection(topic: "other", reason: "other"))
    var adjusted = LabelledCounts(labelsMax: Telemetry.labelsMax, overflow: "other")
    var deadLettered = LabelledCounts(labelsMax: Telemetry.labelsMax, overflow: "other")
    var pauses = LabelledCounts(labelsMax: Telemetry.labelsMax, overflow: "other")
    var gaps = LabelledCounts(labelsMax: 8, overflow: "other")
    var events = 0
    var users = 0
    var committedBytes = 0
    var fenced = 0
    var commit = LatencyRecorder()
    var eventRate = RateMeter()
    private(set) var lag: [Int32: Int64] = [:]
    private(set) var owned: [Int32] = []
    private(set) var pausedBy: String?

    mutating func observe(_ observation: Observation, now: Double) {
        switch observation {
        case .recordsConsumed(let topic, let count, let size):
            records.add(count, to: topic)
            bytes.add(size, to: topic)
        case .recordsRejected(let topic, let reason, let count):
            rejected.add(count, to: Rejection(topic: topic, reason: reason))
        case .recordsAdjusted(let reason, let count): adjusted.add(count, to: reason)
        case .deadLettered(let reason, let count): deadLettered.add(count, to: reason)
        case .batchCommitted(_, let count, let changed, let size, let seconds):
            events.count(count)
            users.count(changed)
            committedBytes.count(size)
            commit.record(seconds: seconds, now: now)
            eventRate.add(count, now: now)
        case .lag(let partition, let count):
            if lag[partition] != nil || lag.count < Self.partitionsMax { lag[partition] = count }
        case .ingestPaused(let reason):
            pauses.add(1, to: reason)
            pausedBy = reason
        case .ingestResumed: pausedBy = nil
        case .partitionsChanged(let partitions):
            owned = Array(partitions.sorted().prefix(Self.partitionsMax))
            lag = lag.filter { partitions.contains($0.key) }
        case .fenced: fenced.count(1)
        case .offsetGap(_, _, _, let policy): gaps.add(1, to: policy)
        default: break
        }
    }

    func write(to text: inout MetricsText) {
        text.family(
            "millrace_records_consumed_total", .counter, "Records read from the log.",
            byLabel("topic", records.counts))
        text.family(
            "millrace_consumed_bytes_total", .counter, "Payload bytes read from the log.",
            byLabel("topic", bytes.counts))
        text.family(
            "millrace_records_rejected_total", .counter,
            "Records that could not be decoded or applied.",
            rejected.counts.sorted { ($0.key.topic, $0.key.reason) < ($1.key.topic, $1.key.reason) }
                .map { ([("topic", $0.key.topic), ("reason", $0.key.reason)], Double($0.value)) })
        text.family(
            "millrace_records_adjusted_total", .counter,
            "Records applied differently from how they came.", byLabel("reason", adjusted.counts))
        text.family(
            "millrace_dead_letters_total", .counter, "Records written to the dead-letter topic.",
            byLabel("reason", deadLettered.counts))
        text.single(
            "millrace_events_applied_total", .counter, "Interactions in committed batches.", events)
        text.single(
            "millrace_committed_users_total", .counter, "User states written by commits.", users)
        text.single(
            "millrace_committed_bytes_total", .counter, "Bytes written by commits.", committedBytes)
        text.histograms(
            "millrace_commit_duration_seconds", "Time of one atomic commit of a batch.",
            [([], commit)])
        text.family(
            "millrace_partition_lag_records", .gauge,
            "Records of an owned partition not yet committed.",
            lag.sorted { $0.key < $1.key }.map { ([("partition", "\($0.key)")], Double($0.value)) })
        text.single(
            "millrace_partitions_owned", .gauge, "Partitions of this instance.", owned.count)
        text.single(
            "millrace_ingest_paused", .gauge, "Whether reading the log is paused.",
            pausedBy == nil ? 0 : 1)
        text.family(
            "millrace_ingest_pauses_total", .counter, "Times reading the log was paused.",
            byLabel("reason", pauses.counts))
        text.single(
            "millrace_fenced_commits_total", .counter,
            "Commits refused because another instance owns the partition.", fenced)
        text.family(
            "millrace_offset_gaps_total", .counter,
            "Times the log no longer held the record to be read next.",
            byLabel("policy", gaps.counts))
    }
}

/// Samples of a family with one label, in the order of its values.
func byLabel(
    _ name: String, _ counts: [String: Int]
) -> [(labels: MetricsText.Labels, value: Double)] {
    counts.sorted { $0.key < $1.key }.map { ([(name, $0.key)], Double($0.value)) }
}
