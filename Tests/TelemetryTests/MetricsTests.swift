// Observations become numbers that Prometheus and INFO can read.

import Foundation
import Ports
import Testing

@testable import Telemetry

@Suite("metrics")
struct MetricsTests {
    let clock = ManualClock()

    func telemetry() -> Telemetry { Telemetry(clock: clock, log: nil, version: "1.0") }

    @Test("every kind of observation shows in the exposition, and it is well formed")
    func exposition() throws {
        let telemetry = telemetry()
        for observation in oneOfEach { telemetry.observe(observation) }
        let read = try MetricsReader(telemetry.metricsText())
        let expected: [(String, [String: String], Double)] = [
            ("millrace_build_info", ["version": "1.0"], 1),
            ("millrace_records_consumed_total", ["topic": "interactions"], 100),
            ("millrace_consumed_bytes_total", ["topic": "interactions"], 12_000),
            (
                "millrace_records_rejected_total",
                ["topic": "interactions", "reason": "not-json"], 2
            ),
            ("millrace_records_adjusted_total", ["reason": "future-clamped"], 3),
            ("millrace_dead_letters_total", ["reason": "not-json"], 2),
            ("millrace_events_applied_total", [:], 95),
            ("millrace_commit_duration_seconds_count", [:], 1),
            ("millrace_commit_duration_seconds_bucket", ["le": "0.001"], 0),
            ("millrace_commit_duration_seconds_bucket", ["le": "0.0025"], 1),
            ("millrace_commit_duration_seconds_bucket", ["le": "+Inf"], 1),
            ("millrace_partition_lag_records", ["partition": "0"], 17),
            ("millrace_partitions_owned", [:], 2), ("millrace_ingest_paused", [:], 0),
            ("millrace_ingest_pauses_total", ["reason": "store"], 1),
            ("millrace_fenced_commits_total", [:], 1),
            ("millrace_offset_gaps_total", ["policy": "halt"], 1), ("millrace_store_up", [:], 1),
            ("millrace_store_troubles_total", [:], 1),
            ("millrace_checkpoint_bytes", [:], 1_000_000), ("millrace_recovery_seconds", [:], 1.25),
            ("millrace_users_evicted_total", ["from": "cache"], 7),
            ("millrace_requests_total", ["command": "REC.GET", "rung": "cf"], 1),
            ("millrace_request_failures_total", ["command": "REC.GET", "prefix": "ERR"], 1),
            ("millrace_connections_open", [:], 1),
            ("millrace_connections_opened_total", [:], 2),
            ("millrace_feed_entries_coalesced_total", [:], 2),
            ("millrace_freshness_seconds_count", [:], 1), ("millrace_users", [:], 1_234),
            ("millrace_items", [:], 10_506), ("millrace_log_lines_dropped_total", [:], 0),
        ]
        for (name, labels, value) in expected {
            #expect(read.value(name, labels) == value, "\(name) \(labels)")
        }
        for name in ["resident_memory_bytes", "cpu_seconds_total", "open_fds"] {
            #expect((read.value("process_" + name) ?? 0) > 0, "\(name)")
        }
        let start = try #require(read.value("process_start_time_seconds"))
        #expect(abs(start - Date().timeIntervalSince1970) < 7_200)
    }

    @Test("promtool finds nothing to say about the exposition")
    func promtool() throws {
        let tool = URL(filePath: "/usr/bin/promtool")
        guard FileManager.default.isExecutableFile(atPath: tool.path) else {
            print("skipped: promtool is not installed (Debian package prometheus)")
            return
        }
        let telemetry = telemetry()
        for observation in oneOfEach { telemetry.observe(observation) }
        let process = Process()
        process.executableURL = tool
        process.arguments = ["check", "metrics"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        input.fileHandleForWriting.write(Data(telemetry.metricsText().utf8))
        try input.fileHandleForWriting.close()
        let told = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(String(decoding: told, as: UTF8.self) == "")
        #expect(process.terminationStatus == 0)
    }

    @Test("labels from outside are escaped and bounded in number")
    func cardinality() throws {
        let telemetry = telemetry()
        telemetry.observe(.recordsAdjusted(reason: "a\"b\\c\nd", records: 1))
        for index in 0..<500 {
            telemetry.observe(.recordsAdjusted(reason: "r\(index)", records: 1))
            telemetry.observe(.requestServed(command: "C\(index)", rung: "", seconds: 0.001))
            telemetry.observe(.lag(partition: Int32(index) * 20, records: 1))
            telemetry.observe(.gauge("g\(index)", 1))
        }
        let read = try MetricsReader(telemetry.metricsText())
        let reasons = read.samples.filter { $0.name == "millrace_records_adjusted_total" }
        #expect(reasons.count == Telemetry.labelsMax + 1)
        #expect(read.value("millrace_records_adjusted_total", ["reason": "a\"b\\c\nd"]) == 1)
        #expect(
            read.value("millrace_records_adjusted_total", ["reason": "other"])
                == Double(501 - Telemetry.labelsMax))
        let commands = read.samples.filter { $0.name == "millrace_request_duration_seconds_count" }
        #expect(commands.count == ServingFamily.commandsMax + 1)
        #expect(commands.reduce(0) { $0 + $1.value } == 500)
        #expect(read.samples.filter { $0.name.hasPrefix("millrace_g") }.count == 256)
    }

    @Test("gauges cannot collide with each other or with other families")
    func gaugeNames() throws {
        let telemetry = telemetry()
        for name in ["store.up", "store_up", "Users", "users", "ingest/paused"] {
            telemetry.observe(.gauge(name, 5))
        }
        let read = try MetricsReader(telemetry.metricsText())
        #expect(read.value("millrace_store_up") == 1)
        #expect(read.value("millrace_users") == 5)
    }

    @Test("odd numbers are taken without a trap")
    func oddNumbers() throws {
        let telemetry = telemetry()
        for seconds: Double in [.nan, .infinity, -.infinity, -1, 0, 1e300, .leastNonzeroMagnitude] {
            telemetry.observe(.freshness(seconds: seconds))
            telemetry.observe(.gauge("odd", seconds))
        }
        for count in [Int.min, -1, Int.max, Int.max] {
            telemetry.observe(.recordsAdjusted(reason: "x", records: count))
            telemetry.observe(
                .batchCommitted(
                    partition: -1, events: count, users: count, bytes: count, seconds: .nan))
            telemetry.observe(.feedPublished(coalesced: count))
        }
        _ = try MetricsReader(telemetry.metricsText())
        #expect(throws: Never.self) {
            try JSONSerialization.jsonObject(with: Data(telemetry.snapshot().json.utf8))
        }
    }

    @Test("rates cover the last complete seconds and fall to zero")
    func rates() {
        let telemetry = telemetry()
        func commit(_ events: Int) {
            telemetry.observe(
                .batchCommitted(partition: 0, events: events, users: 1, bytes: 1, seconds: 0.001))
        }
        #expect(telemetry.snapshot().eventsPerSecond == 0)
        for _ in 0..<10 {
            commit(100)
            commit(200)
            clock.advance(1)
        }
        #expect(telemetry.snapshot().eventsPerSecond == 300)
        clock.advance(2)
        #expect(telemetry.snapshot().eventsPerSecond == 180)
        clock.advance(100)
        #expect(telemetry.snapshot().eventsPerSecond == 0)
        #expect(telemetry.snapshot().eventsTotal == 3_000)
    }

    @Test("recent percentiles forget what is older than the window")
    func recentPercentiles() throws {
        let telemetry = telemetry()
        for _ in 0..<1_000 { telemetry.observe(.freshness(seconds: 1)) }
        let slow = try #require(telemetry.snapshot().freshness)
        #expect(abs(slow.p50Seconds - 1) < 0.02)
        clock.advance(25)
        for _ in 0..<99 { telemetry.observe(.freshness(seconds: 0.010)) }
        telemetry.observe(.freshness(seconds: 0.5))
        let fast = try #require(telemetry.snapshot().freshness)
        #expect(abs(fast.p50Seconds - 0.010) < 0.000_2)
        #expect(abs(fast.p99Seconds - 0.010) < 0.000_2)
        clock.advance(25)
        #expect(telemetry.snapshot().freshness == nil)
    }

    @Test("bucket counts agree with a plain count")
    func buckets() {
        var recorder = LatencyRecorder(keepingRecent: false)
        var plain = [Int](repeating: 0, count: LatencyRecorder.boundsMicroseconds.count)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5_000 {
            let exponent = Double.random(in: 1...8.5, using: &random)
            let microseconds = UInt64(Foundation.pow(10, exponent))
            // Within a histogram step of a bound the count may fall on either side.
            let isNear = LatencyRecorder.boundsMicroseconds.contains { bound in
                abs(Double(bound) - Double(microseconds)) < Double(bound) * 0.02
            }
            guard !isNear else { continue }
            recorder.record(seconds: Double(microseconds) / 1e6, now: 0)
            for (index, bound) in LatencyRecorder.boundsMicroseconds.enumerated()
            where microseconds <= bound {
                plain[index] += 1
            }
        }
        #expect(recorder.cumulativeCounts().map { Int($0) } == plain)
    }

    @Test("a partition given up no longer has a lag")
    func lostPartition() throws {
        let telemetry = telemetry()
        telemetry.observe(.lag(partition: 1, records: 5))
        telemetry.observe(.lag(partition: 2, records: 6))
        telemetry.observe(.partitionsChanged(owned: [2]))
        #expect(telemetry.snapshot().lag == [2: 6])
    }
}
