// What happened, for people and machines to see: parts report typed events, Telemetry turns them into log lines and
// metrics.

/// A fact worth counting or telling. Reported per batch or per request, never per record.
public enum Observation: Sendable {
    // Ingest.
    case recordsConsumed(topic: String, records: Int, bytes: Int)
    case recordsRejected(topic: String, reason: String, records: Int)
    /// A record was applied differently from how it came: `future-clamped`, `rekeyed`, `duplicate`, `type-unknown`,
    /// ...
    case recordsAdjusted(reason: String, records: Int)
    case deadLettered(reason: String, records: Int)
    case batchCommitted(partition: Int32, events: Int, users: Int, bytes: Int, seconds: Double)
    case lag(partition: Int32, records: Int64)
    case ingestPaused(reason: String)
    case ingestResumed
    case partitionsChanged(owned: [Int32])
    case fenced(partition: Int32, epoch: Int64)
    case offsetGap(partition: Int32, stored: Int64, lowest: Int64, policy: String)
    // State.
    case storeTrouble(String?)
    case checkpointSaved(bytes: Int, seconds: Double)
    case recovered(pairs: Int, deltas: Int, refolded: Bool, seconds: Double)
    case usersEvicted(count: Int, from: String)
    // Serving.
    case requestServed(command: String, rung: String, seconds: Double)
    case requestFailed(command: String, prefix: String)
    case connectionOpened
    case connectionClosed(reason: String)
    /// From a request's arrival to the engine's turn.
    case requestWaited(seconds: Double)
    /// A request that was turned away because it could not have been answered in time, and where: `door`, `turn`.
    case requestRefused(at: String)
    /// A part of making a list was left out.
    case leftOut(source: String, reason: String)
    case feedPublished(coalesced: Int)
    /// Event time in the log to list handed to a subscriber.
    case freshness(seconds: Double)
    /// Event time in the log to list that a subscriber can read.
    case feedReadable(seconds: Double)
    /// A list that was due and its making: how long it stood in line.
    case feedWaited(seconds: Double)
    /// What became of a list for the topic of feeds: `produced`, `failed`, `superseded`.
    case feedProduced(outcome: String)
    // Life.
    case gauge(String, Double)
    case note(Severity, String, [(String, String)])

    public enum Severity: Int, Sendable, Comparable {
        case debug, info, notice, warning, error

        public static func < (left: Severity, right: Severity) -> Bool {
            left.rawValue < right.rawValue
        }
    }
}

/// Where observations go. Callable from any thread; must be quick and never block.
public protocol Observer: Sendable {
    func observe(_ observation: Observation)
}

/// Throws everything away: for tests and tools.
public struct NullObserver: Observer {
    public init() {}
    public func observe(_ observation: Observation) {}
}
