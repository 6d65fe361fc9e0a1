// From a history to a list: rules and popularity added up, filters, the best k.
//
// Exact and cheap at once: only items that some rule touches need a sum; all others rank by popularity alone, and
// those are kept in order. The slow twin that scores every item is `scoreAll`, used by evaluation and by the tests.

public import Interactions
public import Teachers

/// Which rung of the ladder makes the list.
public enum Rung: String, Sendable {
    /// The item-aware model.
    case lm
    /// Its short-list in the order of its token head.
    case lmText = "lm-text"
    case cf
    case popular
}

/// What a list is made for.
public struct ListRequest: Sendable {
    /// Newest first, positive events only.
    public var recent: [ItemKey]
    /// Never in the list, beside what is hidden by the history.
    public var hidden: [ItemKey]
    /// When not nil, only these are ranked.
    public var candidates: [ItemKey]?
    public var count: Int
    public var rung: Rung
    public var gate: ListGate
    public var now: Milliseconds

    public init(
        recent: [ItemKey], hidden: [ItemKey], candidates: [ItemKey]? = nil, count: Int,
        rung: Rung = .cf, gate: ListGate = .open, now: Milliseconds
    ) {
        self.recent = recent
        self.hidden = hidden
        self.candidates = candidates
        self.count = count
        self.rung = rung
        self.gate = gate
        self.now = now
    }
}

/// A place of a list, by key.
public struct ListedItem: Sendable, Hashable {
    public var item: ItemKey
    public var score: Double
    /// The part of the score that rules gave; the rest is popularity.
    public var ruleScore: Double
    /// What spoke for the item most, where that is more than rules or popularity.
    public var source: String?
    /// Probability that the item was put here, given the places above; below 1 where lists explore.
    public var propensity = 1.0

    public init(item: ItemKey, score: Double, ruleScore: Double, source: String? = nil) {
        self.item = item
        self.score = score
        self.ruleScore = ruleScore
        self.source = source
    }
}

/// Owns the scratch memory of scoring; one per lane that scores.
public struct ListScorer: Sendable {
    public let rules: SequentialRules
    private var scores = SparseScores()
    /// `stamp` of an item equals `round` when it must not be in the list being made.
    private var stamps: [UInt32] = []
    private var round: UInt32 = 0
    /// Whether the latest list left items out that its gate was not asked about.
    private(set) var wasCut = false

    public init(rules: RuleParameters) { self.rules = SequentialRules(rules) }

    private var backoff: Double { rules.parameters.backoff }

    public mutating func list(
        _ request: ListRequest, statistics: Statistics, order: PopularityOrder,
        catalogue: Catalogue
    ) -> [ListedItem] {
        begin(request, statistics)
        wasCut = false
        var round = Round(
            request: request, keys: statistics.items.keys, popularity: statistics.popularity,
            backoff: backoff, catalogue: catalogue, best: TopList(limit: request.count),
            isOpen: request.gate.isOpen)
        if let candidates = request.candidates {
            for key in Set(candidates) {
                guard let number = statistics.items.number(of: key) else { continue }
                offer(number, in: &round)
            }
        } else {
            for number in order.leaders { offer(number, in: &round) }
            offerTouched(order, in: &round)
            offerPopular(order, itemCount: statistics.items.count, in: &round)
        }
        return round.best.sorted().map {
            ListedItem(item: $0.key, score: $0.score, ruleScore: scores[$0.number])
        }
    }

    /// What one teacher proposes: items it gave no score are not in the list, however short that is.
    public mutating func list(
        _ request: ListRequest, by teacher: any Teacher, for user: TeacherUser,
        statistics: Statistics, catalogue: Catalogue
    ) -> [ListedItem] {
        hide(request.hidden, statistics)
        scores.begin(statistics.items.count)
        teacher.score(user, from: statistics, into: &scores)
        var round = Round(
            request: request, keys: statistics.items.keys, popularity: statistics.popularity,
            backoff: 0, catalogue: catalogue, best: TopList(limit: request.count),
            isOpen: request.gate.isOpen)
        if let candidates = request.candidates {
            for key in Set(candidates) {
                guard let number = statistics.items.number(of: key), scores[number] != 0
                else { continue }
                offer(number, in: &round)
            }
        } else {
            for number in scores.touched { offer(number, in: &round) }
        }
        return round.best.sorted().map {
            ListedItem(item: $0.key, score: $0.score, ruleScore: 0)
        }
    }

    /// Score of every item by number, recommendable or not: the slow twin.
    public mutating func scoreAll(recent: [ItemKey], statistics: Statistics) -> [Double] {
        scores.begin(statistics.items.count)
        rules.add(recent: recent, from: statistics, to: &scores)
        let popularity = statistics.popularity
        let backoff = backoff
        return (0..<KeyIndex.Number(statistics.items.count)).map {
            scores[$0] + backoff * popularity.share($0)
        }
    }

    private mutating func begin(_ request: ListRequest, _ statistics: Statistics) {
        scores.begin(statistics.items.count)
        if request.rung == .cf { rules.add(recent: request.recent, from: statistics, to: &scores) }
        hide(request.hidden, statistics)
    }

    private mutating func hide(_ keys: [ItemKey], _ statistics: Statistics) {
        if round == .max {
            stamps = []
            round = 0
        }
        round += 1
        if stamps.count < statistics.items.count {
            stamps.append(
                contentsOf: repeatElement(0, count: statistics.items.count - stamps.count))
        }
        for key in keys {
            if let number = statistics.items.number(of: key) { stamps[Int(number)] = round }
        }
    }

    private func offer(_ number: KeyIndex.Number, in round: inout Round) {
        let plain = scores[number] + round.backoff * round.popularity.share(number)
        guard round.couldEnter(plain),
            stamps[Int(number)] != self.round,
            round.catalogue.isRecommendable(number, now: round.request.now)
        else { return }
        let key = round.keys[Int(number)]
        guard let score = round.isOpen ? plain : round.gate.adjusted(plain, of: number, .linear)
        else { return }
        round.best.offer(Candidate(number: number, key: key, score: score))
    }

    /// Touched items beyond the leaders, whose share cannot exceed the last leader's: it is asked for only where that
    /// much would do.
    private func offerTouched(_ order: PopularityOrder, in round: inout Round) {
        let share = order.leaders.last.map { round.popularity.share($0) } ?? 0
        let most = round.backoff * share
        for number in scores.touched where round.couldEnter(scores[number] + most) {
            if !order.leads(number) { offer(number, in: &round) }
        }
    }

    /// Untouched items, most popular first, until none can enter any more.
    private mutating func offerPopular(
        _ order: PopularityOrder, itemCount: Int, in round: inout Round
    ) {
        for (place, number) in order.top.enumerated() {
            guard round.couldEnter(round.backoff * round.popularity.share(number)) else { return }
            if place >= order.leaders.count, scores[number] == 0 { offer(number, in: &round) }
        }
        // The order is exhausted: everything not in it, which is rare or the list is long.
        if round.best.isFull, order.isComplete { return }
        var left = round.gate.walkMax
        for number in 0..<KeyIndex.Number(itemCount)
        where scores[number] == 0 && !order.holds(number) {
            guard left > 0 else {
                wasCut = true
                return
            }
            left -= 1
            offer(number, in: &round)
        }
    }
}

/// One list in the making. The parts of the statistics are held here for the whole of it: reaching for them item by
/// item would count references item by item.
private struct Round {
    let request: ListRequest
    let keys: [ItemKey]
    let popularity: DecayedPopularity
    let backoff: Double
    let catalogue: Catalogue
    var best: TopList
    /// Asking the gate about an item counts a reference, which most lists need not pay.
    let isOpen: Bool
    var gate: ListGate { request.gate }

    /// Whether an item of this score, its boosts not counted, may be among the best.
    func couldEnter(_ plain: Double) -> Bool {
        best.admits(isOpen ? plain : gate.bound(plain, .linear))
    }
}
