// `REC.EXPLAIN`: why an item is in a list, or is not; in the list that is made now, and in one that was shown.

public import Interactions

public struct ExplainRequest: Sendable, Hashable {
    public var item: ItemID
    /// What the list is asked for by. Only `auto`, `cf` and teachers can be explained.
    public var list: RecommendRequest
    /// A kept list: what it was asked for by takes the place of `list`, but for the user, who must be the same.
    public var past: ListID?
    /// Whether to make the list again without each of the latest events.
    public var isByEvents = false

    public init(item: ItemID, list: RecommendRequest) {
        self.item = item
        self.list = list
    }
}

/// Which state of a user's summary a model has read.
public struct SummaryRead: Sendable, Hashable {
    /// Of the summariser.
    public var version: UInt64
    /// Blocks that the text was made of.
    public var blockCount: UInt64

    public init(version: UInt64, blockCount: UInt64) {
        self.version = version
        self.blockCount = blockCount
    }
}

public struct Explanation: Sendable, Hashable {
    /// A name with a number: a source and its score, an item of the history and what it adds.
    public struct Share: Sendable, Hashable {
        public var name: String
        public var amount: Double

        public init(_ name: String, _ amount: Double) {
            self.name = name
            self.amount = amount
        }
    }

    /// What one event does, by the list that is made without it.
    public struct Effect: Sendable, Hashable {
        /// The item of the event.
        public var item: String
        /// What the explained item's score loses without the event.
        public var score: Double
        /// The item's rank without it; nil when it has none then.
        public var rank: Int?

        public init(item: String, score: Double, rank: Int?) {
            self.item = item
            self.score = score
            self.rank = rank
        }
    }

    /// The stage that keeps an item out of the list.
    public enum Loss: String, Sendable {
        /// `removedBy` says why.
        case removed
        case notProposed = "not proposed"
        case belowTheCut = "below the cut"
        /// High enough, but a cap, diversity or exploration gave its place to another.
        case arranged = "arranged away"
    }

    /// Among what may be in the list, by score; 1 is best, nil when the item is not in the ranking.
    public var rank: Int?
    /// In the list itself; nil when it is not in it.
    public var place: Int?
    public var score: Double
    public var sources: [Share]
    /// Items of the history that the rules go by, and what they add.
    public var evidence: [Share]
    /// Filled where the combined list was asked about, and serves.
    public var mixture: MixtureExplanation?
    /// Newest first; empty unless asked for.
    public var effects: [Effect] = []
    /// The summary that the model has read; nil when it has read none.
    public var summary: SummaryRead?
    /// Parts of the user's summary that name what the item has.
    public var phrases: [String] = []
    /// Expressions of the scenario that move the item's score, and by what factor.
    public var boosts: [Share] = []
    /// Why it cannot be in the list (`seen`, `filtered`, `unavailable`, ...); nil when it can.
    public var removedBy: String?
    /// The expression that the item does not match.
    public var filter: String?
    /// Nil for an item in the list.
    public var lostAt: Loss?
    /// Where a kept list had it.
    public var past: PastPlace?
    public var asOf: AsOf

    public init(
        rank: Int?, score: Double, sources: [Share], evidence: [Share] = [], removedBy: String?,
        asOf: AsOf
    ) {
        self.rank = rank
        self.score = score
        self.sources = sources
        self.evidence = evidence
        self.removedBy = removedBy
        self.asOf = asOf
    }
}

/// How the combined list came to an item's place.
public struct MixtureExplanation: Sendable, Hashable {
    public struct Feature: Sendable, Hashable {
        public var name: String
        /// As counted.
        public var value: Double
        /// Of the first stage, for the value as counted.
        public var weight: Double
        /// What it adds to the first stage's score, relative to the mean of the candidates.
        public var contribution: Double

        public init(name: String, value: Double, weight: Double, contribution: Double) {
            self.name = name
            self.value = value
            self.weight = weight
            self.contribution = contribution
        }
    }

    /// What orders the list: `mix`, `mix-linear`, or the source that alone is better now.
    public var rung: String
    public var weightsVersion: UInt64
    public var candidateCount: Int
    public var proposedBy: [String]
    /// Greatest contribution first.
    public var features: [Feature]
    public var firstStage: Double
    /// What the second stage changes; nil for an item that it did not order.
    public var correction: Double?

    public init(
        rung: String, weightsVersion: UInt64, candidateCount: Int, proposedBy: [String],
        features: [Feature], firstStage: Double, correction: Double?
    ) {
        self.rung = rung
        self.weightsVersion = weightsVersion
        self.candidateCount = candidateCount
        self.proposedBy = proposedBy
        self.features = features
        self.firstStage = firstStage
        self.correction = correction
    }
}

/// An item in a list that was shown, by the numbers of then.
public struct PastPlace: Sendable, Hashable {
    /// Over all pages, 1 is the first.
    public var place: Int
    public var score: Double
    public var source: String
    public var propensity: Double
    /// What each feature added, greatest first; empty where no combiner made the list.
    public var features: [Explanation.Share]
    public var rung: String
    public var model: String?
    public var weightsVersion: UInt64?
    public var asOf: AsOf

    public init(
        _ item: RecommendedItem, place: Int, features: [Explanation.Share], of list: Recommendation
    ) {
        self.place = place
        score = item.score
        source = item.source
        propensity = item.propensity
        self.features = features
        rung = list.rung
        model = list.model
        weightsVersion = list.weightsVersion
        asOf = list.asOf
    }
}
