// Where the item that really came stands in the full ranking. Ties take the middle place, never the best one: a
// model that scores everything alike must look like chance, not like an oracle.

/// The place of a target among all candidates.
public struct Rank: Sendable, Hashable {
    /// Candidates that score higher.
    public var above: Int
    /// Other candidates that score the same.
    public var tied: Int

    public init(above: Int, tied: Int) {
        self.above = above
        self.tied = tied
    }

    /// The place counted from 0, in the middle of the tied ones.
    public var middle: Double { Double(above) + Double(tied) / 2 }

    /// Ranks `target` among the items whose `candidates` byte is 1; the target is a candidate whatever its byte.
    /// A score that is not a number counts against the target.
    public init(of target: Int, scores: [Double], candidates: [UInt8]) {
        precondition(candidates.count >= scores.count, "every scored item has its mark")
        let values = scores.span
        let marks = candidates.span
        let score = values[target]
        var above = 0
        var tied = 0
        for index in values.indices where marks[index] == 1 && index != target {
            if values[index] == score {
                tied += 1
            } else if !(values[index] < score) {
                above += 1
            }
        }
        self.init(above: above, tied: tied)
    }
}

/// What a list of `cutoff` items is worth when the target stands at a rank. No rank (not a candidate) is worth
/// nothing.
public enum Metric: String, Sendable, CaseIterable {
    /// 1 when the target is in the list.
    case hitRate = "HR"
    /// 1 / log2(place + 1), place counted from 1: with one target this is NDCG.
    case gain = "NDCG"
    /// 1 / place.
    case reciprocalRank = "MRR"

    public func value(_ rank: Rank?, cutoff: Int) -> Double {
        guard let middle = rank?.middle, middle < Double(cutoff) else { return 0 }
        switch self {
        case .hitRate: return 1
        case .gain: return 1 / Numbers.log2(middle + 2)
        case .reciprocalRank: return 1 / (middle + 1)
        }
    }
}
