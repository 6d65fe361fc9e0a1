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
    /// Greatest contribution first, of either sign.
    public var features: [FeatureShare]
    public var firstStage: Float
    public var correction: Float?
}

extension Engine {
    /// An item's place in the combined list of a user. One that nobody proposed, or that is filtered, is scored as if
    /// it had been among the candidates.
    public func explainMixed(
        _ item: ItemKey, user: UInt64, _ state: UserState, now: Milliseconds
    ) -> MixedPlace? {
        mixer?.recordsProposers = true
        defer { mixer?.recordsProposers = false }
        guard let number = statistics.items.number(of: item),
            let served = mixture(user, state, now: now)?.list,
            let proposers = mixer?.proposers
        else { return nil }
        var list = served
        if !served.items.contains(item) {
            guard let added = extended(served, by: number, user, state, now: now) else {
                return nil
            }
            list = added
        }
        guard let index = list.items.firstIndex(of: item), let combiner = mixer?.combiner else {
            return nil
        }
        let ordering = combiner.ordering(among: list.present)
        let scores = combiner.scores(of: list, by: ordering)
        let own = Candidate(number: 0, key: item, score: Double(scores[index]))
        var rank = 1
        for (place, score) in scores.enumerated() where place != index {
            let rival = Candidate(number: 0, key: list.items[place], score: Double(score))
            if Candidate.precedes(rival, own) { rank += 1 }
        }
        let shares: [MixedPlace.FeatureShare] = combiner.contributions(to: index, of: list).map {
            feature, amount in
            (feature, list.score(feature, of: index), combiner.weight(of: feature), amount)
        }
        return MixedPlace(
            rank: list.items.count == served.items.count ? rank : nil,
            score: Double(scores[index]), ordering: ordering,
            weightsVersion: combiner.weights.version, candidateCount: served.items.count,
            proposedBy: proposers.filter { $0.items.contains(number) }.map(\.source),
            features: shares.sorted {
                abs($0.contribution) != abs($1.contribution)
                    ? abs($0.contribution) > abs($1.contribution)
                    : $0.feature.rawValue < $1.feature.rawValue
            }, firstStage: shares.reduce(0) { $0 + $1.contribution },
            correction: combiner.correction(to: index, of: list))
    }

    /// The candidates and one item more, whether or not it may be listed.
    private func extended(
        _ list: CandidateList, by number: Int32, _ user: UInt64, _ state: UserState,
        now: Milliseconds
    ) -> CandidateList? {
        mixer?.unfiltered = number
        defer { mixer?.unfiltered = nil }
        return mixture(
            user, state, candidates: list.items + [statistics.items.keys[Int(number)]], now: now
        )?.list
    }
}
