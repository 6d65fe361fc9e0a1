// How candidate lists are ranked by a language model.

public import Interactions
public import Summaries

public struct RankingConfiguration: Sendable {
    public var ranker: any CandidateRanker
    /// Newest events of the user that are shown one by one.
    public var recentCount = 5
    /// The best of a list that are asked about; what a request names as candidates is asked about whole.
    public var candidatesMax = 20
    /// A ranking that takes longer is not waited for: the list is answered as it stood.
    public var timeoutMilliseconds: Milliseconds = 500
    /// Share of its time that the ranker is asked about lists whose item came, to learn what its odds are worth; 0: its
    /// odds alone order lists.
    public var learnShare = 0.1
    /// Lists that may wait for the ranker; further ones are answered as they stand.
    public var listsWaitingMax = 256

    public init(_ ranker: any CandidateRanker) { self.ranker = ranker }
}

/// One list asked about.
public struct RankingJob: Sendable, Hashable {
    public var id: UInt64
    public var requests: [RankingRequest]
}
