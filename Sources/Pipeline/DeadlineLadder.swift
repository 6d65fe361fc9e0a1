// Which way of making a list is begun with the time that a request has left (promise G5).
//
// A request's time is spent in thirds of its own: it waits, its list is made, the reply goes back. Each rung has a
// share of the time in which it may still be begun, the dearer the smaller, so that a queue that grows is worked off by
// cheaper lists long before anybody's time is up; and no rung is begun that would not end before the last quarter. What
// a rung costs is measured, as round trips are by TCP: a mean and a mean deviation (Jacobson, SIGCOMM 1988; the
// constants of RFC 6298). No clock is read here.

import Ports

/// A way of making a list, or a step of it, that can be left out. The dearest first.
enum LadderStep: Int, CaseIterable {
    /// The short-list in the order of the language model's token head.
    case text
    /// The item-aware model alone.
    case model
    /// One teacher alone.
    case teacher
    /// All sources, and of the short list what the token head says.
    case writtenMixture
    /// All sources, the item-aware model among them.
    case fullMixture
    /// All sources but the model.
    case mixture
    /// The language model that ranks a list which is already there.
    case ranker
    /// Rules and popularity.
    case rules
    /// What is always made, as long as there is time for a reply.
    case popular

    /// Share of the time in which it may be begun.
    var startShare: Double {
        switch self {
        case .text, .model, .teacher, .writtenMixture, .fullMixture, .mixture, .ranker: 0.25
        case .rules: 0.5
        case .popular: Budget.endShare
        }
    }

    /// What a list is without when this rung is left out.
    func name(of teacher: String?) -> String {
        switch self {
        case .text: "lm-text"
        case .model: "lm"
        case .teacher: teacher ?? "teacher"
        case .writtenMixture: "token-head"
        case .fullMixture: "model"
        case .mixture: "mixture"
        case .ranker: "trsr"
        case .rules: "cf"
        case .popular: "popular"
        }
    }
}

/// The time one request has. Milliseconds of the coordinator's stopwatch.
struct Budget {
    var arrivedAt: Double
    /// Infinite: nobody waits.
    var limit: Double

    /// The rest is for the way back.
    static let endShare = 0.75
    static let unlimited = Budget(arrivedAt: 0, limit: .infinity)

    /// When a list must be there.
    var endsAt: Double { arrivedAt + limit * Self.endShare }

    func left(at moment: Double) -> Double { endsAt - moment }

    /// Why a rung that takes about `cost` is not to be begun now; nil when it is.
    func refusal(of rung: LadderStep, cost: Double, at moment: Double) -> Omission.Reason? {
        if moment - arrivedAt > limit * rung.startShare { return .overload }
        return rung != .popular && moment + cost > endsAt ? .deadline : nil
    }
}

/// What lists have cost of late.
struct ListCosts {
    private struct Cost {
        var mean: Double
        var deviation: Double
        var measuredAt: Double
    }

    /// An estimate loses half of itself in this time without a measurement: what was left out is tried again, once,
    /// however dear it was.
    static let halfLifeMilliseconds = 1_000.0

    private var costs: [Cost?] = Array(repeating: nil, count: 2 * LadderStep.allCases.count)

    /// What a rung will cost, in milliseconds, rather too much than too little; 0 when nothing is known.
    func estimate(_ rung: LadderStep, isRuled: Bool, at moment: Double) -> Double {
        guard let cost = costs[Self.place(rung, isRuled)] else { return 0 }
        let age = max(0, moment - cost.measuredAt) / Self.halfLifeMilliseconds
        // Halves by steps: no list needs the power in between.
        let halvings = min(Int(age), 60)
        return (cost.mean + 4 * cost.deviation) / Double(UInt64(1) << UInt64(halvings))
    }

    mutating func record(_ rung: LadderStep, isRuled: Bool, cost: Double, at moment: Double) {
        let place = Self.place(rung, isRuled)
        guard var known = costs[place] else {
            costs[place] = Cost(mean: cost, deviation: cost / 2, measuredAt: moment)
            return
        }
        known.deviation += (abs(cost - known.mean) - known.deviation) / 4
        known.mean += (cost - known.mean) / 8
        known.measuredAt = moment
        costs[place] = known
    }

    /// Lists under filters, boosts, caps or with diversity cost otherwise than plain ones.
    private static func place(_ rung: LadderStep, _ isRuled: Bool) -> Int {
        2 * rung.rawValue + (isRuled ? 1 : 0)
    }
}
