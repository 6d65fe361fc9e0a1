// What `INFO` says of the stream, for commands that wait for it or report on it.

import WireProtocol

/// One window of the daemon's prequential accuracy.
struct StreamWindow {
    var time: Double
    /// Of the daemon's clock, in milliseconds.
    var wall: Double
    var events: Int
    var scored: Int
    var rulesHits: Int
    var rulesGain: Double
    var popularityHits: Int
    var popularityGain: Double

    init(_ fields: [String: String]) {
        time = fields["time"].flatMap { Double($0) } ?? 0
        wall = fields["wall"].flatMap { Double($0) } ?? 0
        events = fields["events"].flatMap { Int($0) } ?? 0
        scored = fields["scored"].flatMap { Int($0) } ?? 0
        rulesHits = fields["rules_hits"].flatMap { Int($0) } ?? 0
        rulesGain = fields["rules_gain"].flatMap { Double($0) } ?? 0
        popularityHits = fields["popularity_hits"].flatMap { Int($0) } ?? 0
        popularityGain = fields["popularity_gain"].flatMap { Double($0) } ?? 0
    }

    static func + (left: StreamWindow, right: StreamWindow) -> StreamWindow {
        var sum = left
        sum.time = max(left.time, right.time)
        sum.wall = max(left.wall, right.wall)
        sum.events += right.events
        sum.scored += right.scored
        sum.rulesHits += right.rulesHits
        sum.rulesGain += right.rulesGain
        sum.popularityHits += right.popularityHits
        sum.popularityGain += right.popularityGain
        return sum
    }

    func share(_ value: Double) -> Double { scored > 0 ? value / Double(scored) : 0 }
}

/// What one source, or the combiner, was worth on the lists that the combiner learnt from.
struct LearntSource {
    var name: String
    var lists: Int
    var hitRate: Double
    var gain: Double

    init?(_ key: String, _ fields: [String: String]) {
        guard key.hasPrefix("mixture_"), let lists = fields["lists"].flatMap({ Int($0) }),
            let hitRate = fields["hit_rate_total"].flatMap({ Double($0) }),
            let gain = fields["gain_total"].flatMap({ Double($0) })
        else { return nil }
        name = String(key.dropFirst("mixture_".count))
        self.lists = lists
        self.hitRate = hitRate
        self.gain = gain
    }
}

struct StreamInfo {
    private let values: [String: String]
    let windows: [StreamWindow]
    /// The best first.
    let learnt: [LearntSource]

    init(_ client: SocketClient) throws(SocketClientError) {
        let reply = try client.ask("INFO", "everything")
        let text: String
        switch reply {
        case .bulk(let bytes): text = String(decoding: bytes, as: UTF8.self)
        case .verbatim(_, let bytes): text = String(decoding: bytes, as: UTF8.self)
        default: throw SocketClientError("INFO answered something else than text")
        }
        var values: [String: String] = [:]
        var windows: [StreamWindow] = []
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let key = String(line[..<colon])
            let value = String(line[line.index(after: colon)...])
            values[key] = value
            if key.hasPrefix("window_") { windows.append(StreamWindow(Self.fields(value))) }
        }
        self.values = values
        self.windows = windows
        learnt = values.compactMap { LearntSource($0.key, Self.fields($0.value)) }
            .sorted { ($1.gain, $0.name) < ($0.gain, $1.name) }
    }

    private static func fields(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
        }
        return fields
    }

    subscript(_ key: String) -> String? { values[key] }

    var isReady: Bool { values["state"] == "ready" }
    var partitionsOwned: Int { values["partitions_owned"].flatMap { Int($0) } ?? 0 }
    var eventsApplied: Int { values["events_applied"].flatMap { Int($0) } ?? 0 }
    var items: Int { values["items"].flatMap { Int($0) } ?? 0 }

    private var partitions: [[String: String]] {
        values.filter { $0.key.hasPrefix("partition_") }.map { Self.fields($0.value) }
    }

    /// Sum over the owned partitions of what is durable.
    var committedOffsets: Int {
        partitions.reduce(0) { $0 + ($1["committed"].flatMap { Int($0) } ?? 0) }
    }

    var users: Int { partitions.reduce(0) { $0 + ($1["users"].flatMap { Int($0) } ?? 0) } }
    var userBytes: Int { partitions.reduce(0) { $0 + ($1["bytes"].flatMap { Int($0) } ?? 0) } }
}
