// Who ranks candidates by asking a language model about each: it takes its time, so it is asked beside the event path.

/// Why there is no ranking.
public enum RankingFailure: Error, Sendable, Hashable {
    /// Too many requests wait already.
    case busy
    case stopping
    /// The model cannot score this request; the reason names what and the way out.
    case unusable(String)

    public var reason: String {
        switch self {
        case .busy: "the ranker has too many requests waiting"
        case .stopping: "stopping"
        case .unusable(let reason): reason
        }
    }
}

public protocol CandidateRanker: Sendable {
    /// Hash of weights, adapter and prompts, as it stands in replies.
    var version: String { get }
    /// Answers once, on any thread, with a probability for each request. Never blocks the caller.
    func rank(
        _ requests: [RankingRequest],
        reply: @escaping @Sendable (Result<[Double], RankingFailure>) -> Void)
    /// Gives up what waits; nothing is asked afterwards.
    func stop()
}
