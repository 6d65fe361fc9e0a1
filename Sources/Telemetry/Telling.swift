// Which observations are worth a line, in which words, and how often.

import Ports

/// A line to be told; with a key, lines of the same key are told at most once in `LogThrottle.intervalSeconds`.
struct Telling {
    var line: LogLine
    var throttleKey: String?

    static func line(for observation: Observation) -> Telling? {
        switch observation {
        case .recordsRejected(let topic, let reason, let records):
            Telling(
                .warning, "records rejected",
                [("topic", topic), ("reason", reason), ("records", "\(records)")],
                throttleKey: "rejected \(topic) \(reason)")
        case .ingestPaused(let reason): Telling(.warning, "ingest paused", [("reason", reason)])
        case .ingestResumed: Telling(.notice, "ingest resumed", [])
        case .partitionsChanged(let owned):
            Telling(
                .notice, "partitions changed",
                [("owned", owned.map { "\($0)" }.joined(separator: ","))])
        case .fenced(let partition, let epoch):
            Telling(
                .error, "fenced: another instance owns the partition",
                [("partition", "\(partition)"), ("epoch", "\(epoch)")])
        case .offsetGap(let partition, let stored, let lowest, let policy):
            Telling(
                .error, "offset gap: the log no longer has the record to be read next",
                [
                    ("partition", "\(partition)"), ("stored", "\(stored)"),
                    ("lowest", "\(lowest)"), ("policy", policy),
                ])
        case .storeTrouble(let reason?): Telling(.warning, "store trouble", [("reason", reason)])
        case .storeTrouble(nil): Telling(.notice, "store works", [])
        case .checkpointSaved(let bytes, let seconds):
            Telling(
                .info, "checkpoint saved",
                [("bytes", "\(bytes)"), ("seconds", brief(seconds))])
        case .recovered(let pairs, let deltas, let refolded, let seconds):
            Telling(
                .notice, "recovered",
                [
                    ("pairs", "\(pairs)"), ("deltas", "\(deltas)"), ("refolded", "\(refolded)"),
                    ("seconds", brief(seconds)),
                ])
        case .usersEvicted(let count, let from):
            Telling(
                .info, "users evicted", [("count", "\(count)"), ("from", from)],
                throttleKey: "evicted \(from)")
        case .connectionClosed(let reason):
            Telling(.debug, "connection closed", [("reason", reason)])
        case .note(let severity, let message, let fields): Telling(severity, message, fields)
        case .recordsConsumed, .recordsAdjusted, .deadLettered, .batchCommitted, .lag,
            .requestServed, .requestFailed, .connectionOpened, .feedPublished, .freshness, .gauge,
            .requestWaited, .requestRefused, .leftOut, .feedReadable, .feedWaited, .feedProduced:
            nil
        }
    }

    private init(
        _ severity: Observation.Severity, _ message: String, _ fields: [(String, String)],
        throttleKey: String? = nil
    ) {
        line = LogLine(severity, message, fields)
        self.throttleKey = throttleKey
    }

    /// Milliseconds are enough for people.
    private static func brief(_ seconds: Double) -> String {
        guard seconds.isFinite, abs(seconds) < 1e12 else { return "\(seconds)" }
        return "\((seconds * 1_000).rounded() / 1_000)"
    }
}

/// Lets a key through once per interval and counts what it held back.
struct LogThrottle: Sendable {
    static let intervalSeconds = 10.0
    /// Further keys share one.
    static let keysMax = 256

    private var keys: [String: (next: Double, skipped: Int)] = [:]

    /// How many were held back before this one; nil to hold this one back.
    mutating func admit(_ key: String, now: Double) -> Int? {
        let key = keys[key] != nil || keys.count < Self.keysMax ? key : ""
        guard let entry = keys[key], now < entry.next else {
            let skipped = keys[key]?.skipped ?? 0
            keys[key] = (now + Self.intervalSeconds, 0)
            return skipped
        }
        keys[key] = (entry.next, entry.skipped + 1)
        return nil
    }
}
