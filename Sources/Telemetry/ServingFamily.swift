// Counters of requests, connections and feeds.

import Ports

struct ServingFamily: Sendable {
    struct Failure: Hashable, Sendable {
        var command: String
        var prefix: String
    }

    struct Served: Hashable, Sendable {
        var command: String
        var rung: String
    }

    /// Commands with a histogram of their own; further ones share one.
    static let commandsMax = 48

    var served = LabelledCounts(
        labelsMax: Telemetry.labelsMax, overflow: Served(command: "other", rung: "other"))
    var failed = LabelledCounts(
        labelsMax: Telemetry.labelsMax, overflow: Failure(command: "other", prefix: "other"))
    var closed = LabelledCounts(labelsMax: Telemetry.labelsMax, overflow: "other")
    var opened = 0
    var published = 0
    var coalesced = 0
    private var byCommand: [String: LatencyRecorder] = [:]
    var requests = LatencyRecorder()
    var requestRate = RateMeter()
    var freshness = LatencyRecorder()

    var connectionsOpen: Int { max(0, opened - closed.sum) }
    /// Recent latencies of this command's requests are in `requests`; these are over all time.
    var commands: [(command: String, recorder: LatencyRecorder)] {
        byCommand.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    mutating func observe(_ observation: Observation, now: Double) {
        switch observation {
        case .requestServed(let command, let rung, let seconds):
            served.add(1, to: Served(command: command, rung: rung))
            let isKnown = byCommand[command] != nil || byCommand.count < Self.commandsMax
            byCommand[
                isKnown ? command : "other", default: LatencyRecorder(keepingRecent: false)
            ].record(seconds: seconds, now: now)
            requests.record(seconds: seconds, now: now)
            requestRate.add(1, now: now)
        case .requestFailed(let command, let prefix):
            failed.add(1, to: Failure(command: command, prefix: prefix))
        case .connectionOpened: opened.count(1)
        case .connectionClosed(let reason): closed.add(1, to: reason)
        case .feedPublished(let skipped):
            published.count(1)
            coalesced.count(skipped)
        case .freshness(let seconds): freshness.record(seconds: seconds, now: now)
        default: break
        }
    }

    func write(to text: inout MetricsText) {
        text.family(
            "millrace_requests_total", .counter,
            "Requests answered, by command and by source of the list.",
            served.counts.sorted { ($0.key.command, $0.key.rung) < ($1.key.command, $1.key.rung) }
                .map { ([("command", $0.key.command), ("rung", $0.key.rung)], Double($0.value)) })
        text.histograms(
            "millrace_request_duration_seconds", "Time from a request's last byte to its reply.",
            commands.map { ([("command", $0.command)], $0.recorder) })
        text.family(
            "millrace_request_failures_total", .counter, "Requests answered with an error.",
            failed.counts.sorted {
                ($0.key.command, $0.key.prefix) < ($1.key.command, $1.key.prefix)
            }
            .map { ([("command", $0.key.command), ("prefix", $0.key.prefix)], Double($0.value)) })
        text.single(
            "millrace_connections_opened_total", .counter, "Client connections accepted.", opened)
        text.family(
            "millrace_connections_closed_total", .counter, "Client connections ended, by reason.",
            byLabel("reason", closed.counts))
        text.single("millrace_connections_open", .gauge, "Client connections now.", connectionsOpen)
        text.single(
            "millrace_feed_entries_total", .counter, "Lists handed to subscribers.", published)
        text.single(
            "millrace_feed_entries_coalesced_total", .counter,
            "Lists replaced by newer ones before a slow subscriber took them.", coalesced)
        text.histograms(
            "millrace_freshness_seconds",
            "Time from an event's append to the log to the changed list at a subscriber.",
            [([], freshness)])
    }
}
