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

    struct Left: Hashable, Sendable {
        var source: String
        var reason: String
    }

    /// Commands with a histogram of their own; further ones share one.
    static let commandsMax = 48

    var served = LabelledCounts(
        labelsMax: Telemetry.labelsMax, overflow: Served(command: "other", rung: "other"))
    var failed = LabelledCounts(
        labelsMax: Telemetry.labelsMax, overflow: Failure(command: "other", prefix: "other"))
    var closed = LabelledCounts(labelsMax: Telemetry.labelsMax, overflow: "other")
    var leftOut = LabelledCounts(
        labelsMax: Telemetry.labelsMax, overflow: Left(source: "other", reason: "other"))
    var refused = LabelledCounts(labelsMax: 8, overflow: "other")
    var produced = LabelledCounts(labelsMax: 8, overflow: "other")
    var waited = LatencyRecorder()
    var feedReadable = LatencyRecorder()
    var feedWaited = LatencyRecorder()
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
        case .requestWaited(let seconds): waited.record(seconds: seconds, now: now)
        case .requestRefused(let place): refused.add(1, to: place)
        case .leftOut(let source, let reason):
            leftOut.add(1, to: Left(source: source, reason: reason))
        case .feedReadable(let seconds): feedReadable.record(seconds: seconds, now: now)
        case .feedWaited(let seconds): feedWaited.record(seconds: seconds, now: now)
        case .feedProduced(let outcome): produced.add(1, to: outcome)
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
        writeLadder(to: &text)
    }

    /// What was left out or turned away so that the rest came in time.
    private func writeLadder(to text: inout MetricsText) {
        text.histograms(
            "millrace_request_wait_seconds", "Time from a request's arrival to the engine's turn.",
            [([], waited)])
        text.family(
            "millrace_requests_refused_total", .counter,
            "Requests turned away because they could not have been answered in time (BUSY).",
            byLabel("at", refused.counts))
        text.family(
            "millrace_left_out_total", .counter,
            "Parts of lists left out, by reason: absent, deadline, slow, overload, failed.",
            leftOut.counts.sorted {
                ($0.key.source, $0.key.reason) < ($1.key.source, $1.key.reason)
            }
            .map { ([("source", $0.key.source), ("reason", $0.key.reason)], Double($0.value)) })
        text.histograms(
            "millrace_feed_readable_seconds",
            "Time from an event's append to the log to the changed list, ready to be read.",
            [([], feedReadable)])
        text.histograms(
            "millrace_feed_wait_seconds",
            "Time from the commit of an event to the making of its user's watched list.",
            [([], feedWaited)])
        text.family(
            "millrace_feed_topic_total", .counter,
            "Lists for the topic of feeds, by what became of them.",
            byLabel("outcome", produced.counts))
    }
}
