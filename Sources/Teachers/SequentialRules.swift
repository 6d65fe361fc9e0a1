// Sequential rules: what follows what a user did last (the strongest single source of accuracy.md, exact under
// streaming).
//
// score(b) = sum over the last items a of the history, newest first:
//            recency(age) * R[a, b] / (rowsum(a) + prior * 2520)
// to which the list adds backoff * (share of decayed popularity of b), so that every item has a score.

public import Interactions

/// How much a source item counts by its age in the history (0 = newest).
public enum Recency: Sendable, Hashable {
    /// decay ^ age
    case geometric(Double)
    /// 1 / (1 + age)
    case harmonic

    func weight(_ age: Int) -> Double {
        switch self {
        case .harmonic: 1 / Double(1 + age)
        case .geometric(let decay):
            (0..<age).reduce(1) { weight, _ in weight * decay }
        }
    }
}

public struct RuleParameters: Sendable, Hashable {
    public var recency: Recency
    /// Items of the history that take part, newest first.
    public var sourcesMax: Int
    /// Pseudo-transitions in each denominator: rarely seen items speak more softly.
    public var prior: Double
    /// Weight of the popularity share.
    public var backoff: Double

    public init(
        recency: Recency = .harmonic, sourcesMax: Int = 10, prior: Double = 20,
        backoff: Double = 1.5
    ) {
        self.recency = recency
        self.sourcesMax = sourcesMax
        self.prior = prior
        self.backoff = backoff
    }

    /// What reproduces `accuracy.md` on the Office baskets.
    public static let baskets = RuleParameters(recency: .geometric(0.3), prior: 30, backoff: 0.02)
}

/// One item of the history and what it says about one item.
public struct RuleEvidence: Sendable, Hashable {
    public var source: ItemKey
    public var contribution: Double
}

/// Scores a history against the transition counts.
public struct SequentialRules: LiveTeacher {
    public static let name = "rules"

    public let parameters: RuleParameters
    private let weights: [Double]

    public init() { self.init(RuleParameters()) }

    public init(_ parameters: RuleParameters) {
        self.parameters = parameters
        weights = (0..<max(parameters.sourcesMax, 1)).map { parameters.recency.weight($0) }
    }

    /// Adds the rule scores to `scores`, which must have been begun for all items. `recent` is newest first; only its
    /// first `sourcesMax` items take part.
    public func add(
        recent: [ItemKey], from statistics: Statistics, to scores: inout SparseScores
    ) {
        for (age, key) in recent.prefix(parameters.sourcesMax).enumerated() {
            guard let item = statistics.items.number(of: key) else { continue }
            let factor = factor(age, item, statistics)
            guard factor > 0 else { continue }
            scores.add(statistics.transitions.rows[Int(item)], factor: factor)
        }
    }

    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        add(recent: user.items, from: statistics, to: &scores)
    }

    /// What each item of the history contributes to `target`'s score, newest first; only those that contribute.
    public func evidence(
        for target: ItemKey, recent: [ItemKey], from statistics: Statistics
    ) -> [RuleEvidence] {
        guard let column = statistics.items.number(of: target) else { return [] }
        return recent.prefix(parameters.sourcesMax).enumerated().compactMap { age, key in
            guard let item = statistics.items.number(of: key) else { return nil }
            let count = statistics.transitions.rows[Int(item)][column]
            guard count > 0 else { return nil }
            return RuleEvidence(
                source: key, contribution: factor(age, item, statistics) * Double(count))
        }
    }

    func factor(_ age: Int, _ item: KeyIndex.Number, _ statistics: Statistics) -> Double {
        let prior = parameters.prior * Double(TransitionCounts.unit)
        let denominator = Double(statistics.transitions.rowSums[Int(item)]) + prior
        return denominator > 0 ? weights[age] / denominator : 0
    }
}
