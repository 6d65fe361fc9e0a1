// The numbers of this moment, for INFO and for the status page.

public import Ports

public struct TelemetrySnapshot: Sendable {
    /// Over the last ten to twenty seconds.
    public struct Percentiles: Sendable, Hashable {
        public var p50Seconds: Double
        public var p99Seconds: Double
    }

    public struct Note: Sendable {
        /// Milliseconds since 1970.
        public var time: Int64
        public var severity: Observation.Severity
        public var text: String
    }

    public var version: String
    public var uptimeSeconds: Double
    public var eventsTotal: Int
    public var eventsPerSecond: Double
    public var lag: [Int32: Int64]
    public var owned: [Int32]
    public var pausedBy: String?
    public var rejected: Int
    public var adjusted: Int
    public var deadLetters: Int
    /// Nil when nothing was committed lately.
    public var commit: Percentiles?
    public var requestsTotal: Int
    public var failuresTotal: Int
    public var requestsPerSecond: Double
    public var request: Percentiles?
    public var freshness: Percentiles?
    public var requestWait: Percentiles?
    public var feedReadable: Percentiles?
    public var connectionsOpen: Int
    public var connectionsTotal: Int
    public var feedEntries: Int
    public var storeTrouble: String?
    public var gauges: [String: Double]
    public var residentBytes: Int?
    public var notes: [Note]

    /// What `/status.json` answers.
    public var json: String {
        var object = JSONText()
        object.add("version", version)
        object.add("uptimeSeconds", uptimeSeconds)
        object.add("eventsTotal", Double(eventsTotal))
        object.add("eventsPerSecond", eventsPerSecond)
        object.add("partitionsOwned", Double(owned.count))
        object.add(
            "lag",
            raw: JSONText.array(
                lag.sorted { $0.key < $1.key }.map { partition, records in
                    "{\"partition\":\(partition),\"records\":\(records)}"
                }))
        object.add("pausedBy", pausedBy)
        object.add("rejected", Double(rejected))
        object.add("adjusted", Double(adjusted))
        object.add("deadLetters", Double(deadLetters))
        object.add("commit", raw: Self.json(commit))
        object.add("requestsTotal", Double(requestsTotal))
        object.add("failuresTotal", Double(failuresTotal))
        object.add("requestsPerSecond", requestsPerSecond)
        object.add("request", raw: Self.json(request))
        object.add("freshness", raw: Self.json(freshness))
        object.add("requestWait", raw: Self.json(requestWait))
        object.add("feedReadable", raw: Self.json(feedReadable))
        object.add("connectionsOpen", Double(connectionsOpen))
        object.add("connectionsTotal", Double(connectionsTotal))
        object.add("feedEntries", Double(feedEntries))
        object.add("storeTrouble", storeTrouble)
        object.add("residentBytes", residentBytes.map(Double.init))
        var values = JSONText()
        for (name, value) in gauges.sorted(by: { $0.key < $1.key }) { values.add(name, value) }
        object.add("gauges", raw: values.text)
        object.add(
            "notes",
            raw: JSONText.array(
                notes.reversed().map { note in
                    var entry = JSONText()
                    entry.add("time", Double(note.time))
                    entry.add("severity", "\(note.severity)")
                    entry.add("text", note.text)
                    return entry.text
                }))
        return object.text
    }

    private static func json(_ percentiles: Percentiles?) -> String {
        guard let percentiles else { return "null" }
        return "{\"p50\":\(percentiles.p50Seconds),\"p99\":\(percentiles.p99Seconds)}"
    }
}

/// A JSON object in the making.
struct JSONText {
    private var members: [String] = []

    var text: String { "{" + members.joined(separator: ",") + "}" }

    mutating func add(_ name: String, _ value: String?) {
        add(name, raw: value.map(Self.quote) ?? "null")
    }

    mutating func add(_ name: String, _ value: Double?) {
        let isNumber = value?.isFinite == true
        add(name, raw: isNumber ? MetricsText.number(value ?? 0) : "null")
    }

    mutating func add(_ name: String, raw: String) { members.append("\(Self.quote(name)):\(raw)") }

    static func array(_ elements: [String]) -> String {
        "[" + elements.joined(separator: ",") + "]"
    }

    static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 32:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
