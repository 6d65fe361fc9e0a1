// From a history to a combiner's list: every source proposes, every candidate gets its features.
//
// The same function makes the list that is served and the one that is learnt from; what really came is never added to
// the candidates.

public import Combiner
public import Interactions
import Teachers

public struct MixtureConfiguration: Sendable, Hashable {
    public var combiner = CombinerConfiguration()
    /// Items that each source proposes.
    public var proposalsMax = 40
    /// Seconds in which the latest pairs lose half their worth.
    public var rulesHalfLife = 419_204.0
    public var neighboursHalfLife = 179_659.0
    /// One of so many events is learnt from, chosen by its hash; 0: whoever owns the engine teaches it.
    public var learnInterval = 0
    /// The first so many events of a log are all learnt from, one of two of as many after them, one of three of the
    /// next: young logs have little to learn from.
    public var youngEvents = 1_000
    /// Whether the item-aware model takes part.
    public var usesModel = true
    /// Whether the short list gets likelihoods of the model's token head.
    public var usesTokenHead = false

    public init() {}

    /// The interval at an offset of one of so many partitions. Offsets are the log's own: neither a restart nor how
    /// batches fall changes it.
    public func learnInterval(at offset: Offset, partitions: Int) -> Int {
        let step = max(youngEvents / max(partitions, 1), 1)
        return min(learnInterval, Int(clamping: max(offset, 0)) / step + 1)
    }

    /// Learns from all rows of a split, of which none is older than another.
    public static var fixedSplit: Self {
        var configuration = Self()
        configuration.combiner.listsMax = 5_000
        configuration.combiner.passes = 8  // of a single fit
        return configuration
    }

    /// Time scales of popularity that tell most beside the first, in seconds: tau .5, 2, 7 and 60 days.
    private static let furtherHalfLives: [Int64] = [29_942, 119_772, 419_204, 3_593_181]

    /// Half-lives to count popularity by: those given, and further ones while features are free.
    public static func halfLives(beside given: [Int64]) -> [Int64] {
        given + furtherHalfLives.filter { !given.contains($0) }.prefix(max(0, 5 - given.count))
    }
}

/// What one list is mixed for.
struct MixtureRequest {
    var user: ObservedUser
    /// Oldest first; newer than the history, and not in lists.
    var session: [ItemKey] = []
    var exclude: [ItemKey] = []
    /// When not nil, only these are candidates.
    var candidates: [ItemKey]?
    var gate = ListGate.open
    var now: Milliseconds

    /// Items that must not be in the list.
    var hidden: [ItemKey] {
        user.history.compactMap { $0.isHidden ? $0.item : nil } + session + exclude
    }

    /// Positive items, newest first, the session's before the history's.
    func recent(atMost count: Int) -> [ItemKey] {
        guard !session.isEmpty else { return user.recent(atMost: count) }
        let older = user.recent(atMost: user.history.count).filter { !session.contains($0) }
        return session.reversed() + older.prefix(max(0, count - session.count))
    }

    /// Positive items, oldest first: what the item-aware model reads.
    var positive: [ItemKey] {
        user.history.compactMap { entry in
            entry.isPositive && !session.contains(entry.item) ? entry.item : nil
        } + session
    }

    var context: ListContext {
        ListContext(
            historyCount: user.historyCount,
            gapSeconds: user.lastSeconds.map { now / 1_000 - Int64($0) })
    }
}

/// What a model says of one user's items.
struct ModelColumn {
    /// Its best items that may be listed.
    var proposals: [KeyIndex.Number]
    /// Nil for an item that the model does not know.
    var score: (KeyIndex.Number) -> Double?
}

/// Owned by the lane that serves.
struct Mixer {
    let configuration: MixtureConfiguration
    var combiner: Combiner
    var trend = CategoryTrend()
    var ranker = RankerStage()
    private let main: RuleParameters
    private let neighbours = ItemNeighbours()
    /// Lanes: the served ones, those whose older items count for more, and the ones for baskets.
    private var rules: RuleFamily
    private var recentRules = SparseScores()
    private var recentNeighbours = SparseScores()
    private var together = SparseScores()
    private var hidden = NumberMarks()
    private var seen = NumberMarks()
    private var found = NumberMarks()
    /// Who proposed what in the latest list; written down only when somebody wants to know.
    private(set) var proposers: [(source: String, items: [KeyIndex.Number])] = []
    var recordsProposers = false
    /// An item that is a candidate although it is hidden or not available: to be explained, never served.
    var unfiltered: KeyIndex.Number?

    init(_ configuration: MixtureConfiguration, rules: RuleParameters) {
        self.configuration = configuration
        combiner = Combiner(configuration.combiner)
        main = rules
        let slow = RuleParameters(recency: .geometric(0.8), backoff: 0.3)
        self.rules = RuleFamily([rules, slow, .baskets].map { SequentialRules($0) })
    }

    /// The token head is asked where its answer is made use of.
    var usesTokenHead: Bool {
        configuration.usesModel && configuration.usesTokenHead
            && configuration.combiner.usesShortList
    }

    /// Nothing learnt any more.
    mutating func forget() {
        combiner = Combiner(configuration.combiner)
        trend = CategoryTrend()
        ranker = RankerStage()
    }

    /// The candidates of all sources with their features, in the order of keys.
    mutating func list(
        _ request: MixtureRequest, model: ModelColumn?, statistics: Statistics,
        order: PopularityOrder, catalogue: Catalogue
    ) -> CandidateList {
        let recentKeys = request.recent(atMost: main.sourcesMax)
        let items = statistics.items
        let recent = recentKeys.compactMap { items.number(of: $0) }
        mark(request, items)
        score(recent, recentKeys, now: request.now, statistics)
        var numbers =
            request.candidates.map { wanted in
                wanted.compactMap { items.number(of: $0) }.filter { number in
                    defer { found.insert(number) }
                    return !found.contains(number)
                        && (number == unfiltered
                            || !hidden.contains(number)
                                && catalogue.isRecommendable(number, now: request.now)
                                && request.gate.passes(number))
                }
            } ?? proposals(request, model, statistics, order, catalogue)
        let keyed = numbers.map { (key: items.keys[Int($0)], number: $0) }
            .sorted { $0.key < $1.key }
        numbers = keyed.map(\.number)
        let maker = FeatureMaker(
            recent: recent, seen: seen, now: request.now, statistics, catalogue, trend)
        var rows = maker.rows(of: numbers)
        let popularity = statistics.popularity
        for (place, number) in numbers.enumerated() {
            complete(&rows[place], of: number, share: popularity.share(number), model)
        }
        return CandidateList(
            items: keyed.map(\.key), values: rows, present: present(statistics, model),
            context: request.context)
    }

    private mutating func mark(_ request: MixtureRequest, _ items: KeyIndex) {
        hidden.begin(items.count)
        seen.begin(items.count)
        found.begin(items.count)
        for entry in request.user.history {
            guard let number = items.number(of: entry.item) else { continue }
            seen.insert(number)
            if entry.isHidden { hidden.insert(number) }
        }
        for key in request.session + request.exclude {
            if let number = items.number(of: key) { hidden.insert(number) }
        }
    }

    private mutating func score(
        _ recent: [KeyIndex.Number], _ recentKeys: [ItemKey], now: Milliseconds,
        _ statistics: Statistics
    ) {
        let count = statistics.items.count
        recentRules.begin(count)
        recentNeighbours.begin(count)
        together.begin(count)
        rules.score(recent: recentKeys, from: statistics)
        if statistics.cooccurrences.pairCount > 0 {
            neighbours.score(TeacherUser(items: recentKeys), from: statistics, into: &together)
        }
        guard let pairs = statistics.recent else { return }
        let seconds = now / 1_000
        pairs.addFollowers(
            of: recent, now: seconds, halfLife: configuration.rulesHalfLife, prior: 5,
            to: &recentRules)
        let popularity = statistics.popularities[min(2, statistics.popularities.count - 1)]
        pairs.addNeighbours(
            of: recent, now: seconds, halfLife: configuration.neighboursHalfLife, decay: 0.85,
            norm: { (FeatureMaker.weight($0, popularity) + 3).squareRoot() },
            to: &recentNeighbours)
    }

    private mutating func proposals(
        _ request: MixtureRequest, _ model: ModelColumn?, _ statistics: Statistics,
        _ order: PopularityOrder, _ catalogue: Catalogue
    ) -> [KeyIndex.Number] {
        let keys = statistics.items.keys
        var proposed: [KeyIndex.Number] = []
        proposers = []
        func enter(_ numbers: [KeyIndex.Number], from source: String) {
            if recordsProposers { proposers.append((source, numbers)) }
            for number in numbers where !found.contains(number) {
                found.insert(number)
                proposed.append(number)
            }
        }
        func offer(_ number: KeyIndex.Number, _ score: Double, to best: inout TopList) {
            guard best.admits(score), !hidden.contains(number),
                catalogue.isRecommendable(number, now: request.now), request.gate.passes(number)
            else { return }
            best.offer(Candidate(number: number, key: keys[Int(number)], score: score))
        }
        func propose(_ source: String, _ fill: (inout TopList) -> Void) {
            var best = TopList(limit: configuration.proposalsMax)
            fill(&best)
            enter(best.heap.map(\.number), from: source)
        }
        propose("popularity") { best in
            let values = statistics.popularity.values
            for number in order.top {
                let value = Double(values[Int(number)])
                guard best.admits(value) else { return }
                offer(number, value, to: &best)
            }
        }
        if statistics.popularities.count > 1 {
            propose("popularity-slow") { best in
                let values = statistics.popularities[statistics.popularities.count - 1].values
                for number in order.top { offer(number, Double(values[Int(number)]), to: &best) }
            }
        }
        let popularity = statistics.popularity
        for (source, lane) in [("rules", 0), ("rules-basket", 2)] {
            func score(_ number: KeyIndex.Number) -> Double {
                rules[number][lane] + 0.1 * main.backoff * popularity.share(number)
            }
            propose(source) { best in
                for number in order.leaders where rules[number][lane] > 0 {
                    offer(number, score(number), to: &best)
                }
                // No other has a greater share than the last leader.
                let share = order.leaders.last.map { popularity.share($0) } ?? 0
                let most = 0.1 * main.backoff * share
                for number in rules.touched {
                    let rule = rules[number][lane]
                    guard rule > 0, best.admits(rule + most), !order.leads(number) else { continue }
                    offer(number, score(number), to: &best)
                }
            }
        }
        for (source, scores) in [
            ("recent-rules", recentRules), ("recent-neighbours", recentNeighbours),
            ("neighbours", together),
        ] {
            propose(source) { best in
                for number in scores.touched { offer(number, scores[number], to: &best) }
            }
        }
        if let model { enter(model.proposals, from: "model") }
        return proposed
    }

    private func present(_ statistics: Statistics, _ model: ModelColumn?) -> FeatureSet {
        var set = FeatureSet([
            .rules, .rulesSharp, .rulesSlow, .rulesBasket, .taste, .itemCount, .isNew, .isSeen,
            .categoryAffinity, .categoryTrend,
        ])
        for index in statistics.popularities.indices.prefix(5) {
            if let feature = Feature(rawValue: index) { set.insert(feature) }
        }
        if statistics.recent != nil {
            set.insert(.recentRules)
            set.insert(.recentNeighbours)
            set.insert(.age)
        }
        if statistics.cooccurrences.pairCount > 0 { set.insert(.neighbours) }
        if model != nil {
            set.insert(.model)
            set.insert(.isModelled)
        }
        return set
    }

    /// Adds what the sources say to what is known without them.
    private func complete(
        _ row: inout FeatureRow, of number: KeyIndex.Number, share: Double, _ model: ModelColumn?
    ) {
        let rules = rules[number]
        row.set(.rules, logarithm(rules[0] + 1.5 * share))
        row.set(.rulesSharp, logarithm(rules[0] + 0.3 * share))
        row.set(.rulesSlow, logarithm(rules[1] + 0.3 * share))
        row.set(.rulesBasket, logarithm(rules[2] + 0.02 * share))
        row.set(.recentRules, logarithm(recentRules[number] + 0.3 * share))
        row.set(.recentNeighbours, logarithm(recentNeighbours[number] + 0.01, floor: 0))
        row.set(.neighbours, logarithm(together[number] + 0.01, floor: 0))
        let modelled = model?.score(number)
        row.set(.model, modelled ?? 0)
        row.set(.isModelled, modelled == nil ? 0 : 1)
    }

    private func logarithm(_ value: Double, floor: Double = 1e-6) -> Double {
        naturalLog(max(value, 0) + floor)
    }
}
