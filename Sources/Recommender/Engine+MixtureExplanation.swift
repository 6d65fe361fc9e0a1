// Why an item has its place in a combined list, in the numbers that gave it that place.

public import Combiner
public import Interactions
import Teachers

public struct MixedPlace: Sendable {
    public typealias FeatureShare = (
        feature: Feature, value: Float, weight: Float, contribution: Float
    )

    /// 1 is best; nil for an item that no source proposed.
    public var rank: Int?
    public var score: Double
    public var ordering: Ordering
    public var weightsVersion: UInt64
    public var candidateCount: Int
    public var proposedBy: [String]
    /// Greatest contribution first, of either sign: to the first stage's score, and of features of the short list to
    /// the second's.
    public var features: [FeatureShare]
    public var firstStage: Float
    public var correction: Float?
}

extension Engine {
    /// An item's place in the combined list of a user. One that nobody proposed, or that is kept out, is scored as if
    /// it had been among the candidates.
    public func explainMixed(
        _ item: ItemKey, user: UInt64, _ state: UserState, session: [ItemKey] = [],
        candidates: [ItemKey]? = nil, exclude: [ItemKey] = [], gate: ListGate = .open,
        now: Milliseconds
    ) -> MixedPlace? {
        func offered(_ candidates: [ItemKey]?) -> CandidateList? {
            mixture(
                user, state, session: session, candidates: candidates, exclude: exclude,
                gate: gate, now: now)?.list
        }
        mixer?.recordsProposers = true
        defer { mixer?.recordsProposers = false }
        guard let number = statistics.items.number(of: item), let served = offered(candidates),
            let proposers = mixer?.proposers, let combiner = mixer?.combiner
        else { return nil }
        var list = served
        if !served.items.contains(item) {
            mixer?.unfiltered = number
            defer { mixer?.unfiltered = nil }
            guard let extended = offered(served.items + [item]) else { return nil }
            list = extended
        }
        guard let index = list.items.firstIndex(of: item) else { return nil }
        let ordering = combiner.ordering(among: list.present)
        let scores = zip(list.items, combiner.scores(of: list, by: ordering)).map { key, score in
            gate.adjusted(Double(score), of: key, .logarithmic) ?? Double(score)
        }
        let own = Candidate(number: 0, key: item, score: scores[index])
        let rank =
            1
            + scores.indices.count { place in
                place != index
                    && Candidate.precedes(
                        Candidate(number: 0, key: list.items[place], score: scores[place]), own)
            }
        let linear = combiner.contributions(to: index, of: list)
        let ofShortList = combiner.shortListContributions(to: [index], of: list)[0]
        let shares: [MixedPlace.FeatureShare] = (linear + ofShortList).map { feature, amount in
            (feature, list.score(feature, of: index), combiner.weight(of: feature), amount)
        }
        return MixedPlace(
            rank: list.items.count == served.items.count ? rank : nil,
            score: scores[index], ordering: ordering,
            weightsVersion: combiner.weights.version, candidateCount: served.items.count,
            proposedBy: proposers.filter { $0.items.contains(number) }.map(\.source),
            features: shares.sorted {
                abs($0.contribution) != abs($1.contribution)
                    ? abs($0.contribution) > abs($1.contribution)
                    : $0.feature.rawValue < $1.feature.rawValue
            }, firstStage: linear.reduce(0) { $0 + $1.amount },
            correction: combiner.correction(to: index, of: list))
    }
}
