// What a ranker's log-odds are worth, learnt from lists whose item came.

public import Combiner
public import Interactions

/// The best of a list as it would be served, when what came is among them.
public struct RankableList: Sendable, Hashable {
    /// Best first, with their scores.
    public var items: [ItemKey]
    public var scores: [Double]
    /// Place of what came.
    public var target: Int
}

extension Engine {
    /// What was learnt of the ranker; nil when sources are not combined.
    public var rankerStage: RankerStage? { mixer?.ranker }

    /// What a ranker would be asked about of a list; nil when that would teach nothing.
    public func rankable(
        _ list: CandidateList, outcome: ItemKey, count: Int
    ) -> RankableList? {
        guard let combiner = mixer?.combiner, combiner.isReady else { return nil }
        let scores = combiner.scores(of: list, by: combiner.ordering(among: list.present))
        var best = TopList(limit: count)
        for (index, key) in list.items.enumerated() {
            best.offer(Candidate(number: Int32(index), key: key, score: Double(scores[index])))
        }
        let top = best.sorted()
        return top.firstIndex { $0.key == outcome }.map {
            RankableList(items: top.map(\.key), scores: top.map(\.score), target: $0)
        }
    }

    /// Learns from a ranker's answer. Returns whether lists of it have changed.
    @discardableResult
    public func learn(_ list: RankableList, odds: [Double], ranker version: UInt64) -> Bool {
        guard odds.count == list.items.count else { return false }
        return mixer?.ranker.learn(
            scores: list.scores, odds: odds, target: list.target, version: version) ?? false
    }
}
