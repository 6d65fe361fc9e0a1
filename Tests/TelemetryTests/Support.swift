// What the tests of this target share: a clock that stands still, a sink that keeps, a strict reader of metrics.

import Foundation
import Ports
import Synchronization
import Testing

@testable import Telemetry

final class ManualClock: Clock {
    private let seconds = Mutex(100.0)

    var monotonicSeconds: Double { seconds.withLock { $0 } }
    var wallMilliseconds: Int64 { 1_700_000_000_000 + Int64(monotonicSeconds * 1_000) }

    func advance(_ by: Double) { seconds.withLock { $0 += by } }
}

final class KeepingSink: LogSink {
    private let kept = Mutex<[LogLine]>([])

    var lines: [LogLine] { kept.withLock { $0 } }

    func write(_ line: LogLine) { kept.withLock { $0.append(line) } }
}

/// One sample of a metrics text.
struct Sample: Hashable {
    var name: String
    var labels: [String: String]
    var value: Double
}

/// Reads the Prometheus text format strictly: every sample under its own HELP and TYPE, no family twice.
struct MetricsReader {
    private(set) var samples: [Sample] = []
    private(set) var types: [String: String] = [:]

    init(_ text: String) throws {
        try #require(text.hasSuffix("\n"))
        var family = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if line.hasPrefix("# HELP ") {
                family = words[2]
                try #require(types[family] == nil, "\(family) comes twice")
                try #require(words.count == 4 && !words[3].isEmpty, "no help: \(line)")
            } else if line.hasPrefix("# TYPE ") {
                try #require(words[2] == family)
                types[family] = words[3]
            } else {
                samples.append(try Self.sample(String(line), family, types[family]))
            }
        }
    }

    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        samples.first { $0.name == name && $0.labels == labels }?.value
    }

    private static func sample(_ line: String, _ family: String, _ type: String?) throws -> Sample {
        let pattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
        let match = try #require(line.wholeMatch(of: pattern), "\(line)")
        let name = String(match.1)
        let suffixes = type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        try #require(suffixes.contains { family + $0 == name }, "\(name) is not of \(family)")
        if type == "counter" { try #require(name.hasSuffix("_total"), "\(name)") }
        var labels: [String: String] = [:]
        var rest = Substring(match.2 ?? "")
        while !rest.isEmpty {
            let label = try #require(
                rest.prefixMatch(of: /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/))
            let value = String(label.2).replacing("\\n", with: "\n").replacing("\\\"", with: "\"")
            labels[String(label.1)] = value.replacing("\\\\", with: "\\")
            rest = rest[label.range.upperBound...]
        }
        let number = String(match.3).replacing("+Inf", with: "inf")
        return Sample(name: name, labels: labels, value: try #require(Double(number)))
    }
}

/// Every kind of observation once.
let oneOfEach: [Observation] = [
    .recordsConsumed(topic: "interactions", records: 100, bytes: 12_000),
    .recordsRejected(topic: "interactions", reason: "not-json", records: 2),
    .recordsAdjusted(reason: "future-clamped", records: 3),
    .deadLettered(reason: "not-json", records: 2),
    .batchCommitted(partition: 0, events: 95, users: 40, bytes: 9_000, seconds: 0.0021),
    .lag(partition: 0, records: 17), .lag(partition: 3, records: 4),
    .ingestPaused(reason: "store"), .ingestResumed, .partitionsChanged(owned: [3, 0]),
    .fenced(partition: 3, epoch: 9),
    .offsetGap(partition: 0, stored: 5, lowest: 50, policy: "halt"), .storeTrouble("loading"),
    .storeTrouble(nil), .checkpointSaved(bytes: 1_000_000, seconds: 0.2),
    .recovered(pairs: 10, deltas: 2, refolded: false, seconds: 1.25),
    .usersEvicted(count: 7, from: "cache"),
    .requestServed(command: "REC.GET", rung: "cf", seconds: 0.0004),
    .requestFailed(command: "REC.GET", prefix: "ERR"), .connectionOpened, .connectionOpened,
    .connectionClosed(reason: "client"), .feedPublished(coalesced: 2), .freshness(seconds: 0.007),
    .gauge("users", 1_234), .gauge("items", 10_506), .note(.notice, "started", [("version", "1")]),
]
