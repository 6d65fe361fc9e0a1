// From a history to a combiner's list: every source proposes, every candidate gets its features.
//
// The same function makes the list that is served and the one that is learnt from; what really came is never added to
// the candidates.

public import Combiner
import Interactions
import Teachers

public struct MixtureConfiguration: Sendable, Hashable {
    public var combiner = CombinerConfiguration()
    /// Items that each source proposes.
    public var proposalsMax = 40
    /// Seconds in which the latest pairs lose half their worth.
    public var rulesHalfLife = 419_204.0
    public var neighboursHalfLife = 179_659.0

    public init() {}

    /// Learns from all rows of a split, of which none is older than another.
    public static var fixedSplit: Self {
        var configuration = Self()
        configuration.combiner.listsMax = 5_000
        return configuration
    }

    /// Time scales of popularity that tell most, in seconds: tau .25, .5, 2, 7 and 60 days.
    public static let halfLivesSeconds: [Int64] = [14_971, 29_942, 119_772, 419_204, 3_593_181]
}

/// What one list is mixed for.
struct MixtureRequest {
    /// Newest first, positive events only.
    var recent: [KeyIndex.Number]
    var recentKeys: [ItemKey]
    var hidden: Set<KeyIndex.Number>
    var seen: Set<KeyIndex.Number>
    /// When not nil, only these are candidates.
    var candidates: [KeyIndex.Number]?
    var context: ListContext
    var gate: ListGate
    var now: Milliseconds
}

/// Owned by the lane that serves.
struct Mixer {
    let configuration: MixtureConfiguration
    var combiner: Combiner
    private let main: SequentialRules
    private let slow = SequentialRules(RuleParameters(recency: .geometric(0.8), backoff: 0.3))
    private let baskets = SequentialRules(RuleParameters.baskets)
    private let neighbours = ItemNeighbours()
    private var rules = SparseScores()
    private var slowRules = SparseScores()
    private var basketRules = SparseScores()
    private var recentRules = SparseScores()
    private var recentNeighbours = SparseScores()
    private var together = SparseScores()
    /// Given by the caller, for all items that a model scores.
    var model = SparseScores()
    var trend = CategoryTrend()

    init(_ configuration: MixtureConfiguration, rules: RuleParameters) {
        self.configuration = configuration
        combiner = Combiner(configuration.combiner)
        main = SequentialRules(rules)
    }

    /// The candidates of all sources with their features.
    mutating func list(
        _ request: MixtureRequest, statistics: Statistics, order: PopularityOrder,
        catalogue: Catalogue
    ) -> CandidateList {
        score(request, statistics)
        var numbers =
            request.candidates
            ?? proposals(request, statistics: statistics, order: order, catalogue: catalogue)
        let keys = statistics.items.keys
        numbers.sort { keys[Int($0)] < keys[Int($1)] }
        let maker = FeatureMaker(request, statistics, catalogue, trend)
        return CandidateList(
            items: numbers.map { keys[Int($0)] },
            values: numbers.map { row(of: $0, maker) },
            present: present(statistics, catalogue), context: request.context)
    }

    private mutating func score(_ request: MixtureRequest, _ statistics: Statistics) {
        let count = statistics.items.count
        rules.begin(count)
        slowRules.begin(count)
        basketRules.begin(count)
        recentRules.begin(count)
        recentNeighbours.begin(count)
        together.begin(count)
        main.add(recent: request.recentKeys, from: statistics, to: &rules)
        slow.add(recent: request.recentKeys, from: statistics, to: &slowRules)
        baskets.add(recent: request.recentKeys, from: statistics, to: &basketRules)
        neighbours.score(
            TeacherUser(items: request.recentKeys), from: statistics, into: &together)
        guard let pairs = statistics.recent else { return }
        let now = request.now / 1_000
        pairs.addFollowers(
            of: request.recent, now: now, halfLife: configuration.rulesHalfLife, prior: 5,
            to: &recentRules)
        let popularity = statistics.popularities[min(2, statistics.popularities.count - 1)]
        pairs.addNeighbours(
            of: request.recent, now: now, halfLife: configuration.neighboursHalfLife, decay: 0.85,
            norm: { (FeatureMaker.weight($0, popularity) + 3).squareRoot() },
            to: &recentNeighbours)
    }

    private mutating func proposals(
        _ request: MixtureRequest, statistics: Statistics, order: PopularityOrder,
        catalogue: Catalogue
    ) -> [KeyIndex.Number] {
        let keys = statistics.items.keys
        var found: [KeyIndex.Number] = []
        var isFound: Set<KeyIndex.Number> = []
        func propose(_ some: some Sequence<KeyIndex.Number>, _ score: (KeyIndex.Number) -> Double) {
            var best = TopList(limit: configuration.proposalsMax)
            for number in some {
                let value = score(number)
                guard value > -.infinity, best.admits(value), !request.hidden.contains(number),
                    catalogue.isRecommendable(number, now: request.now),
                    request.gate.passes(keys[Int(number)])
                else { continue }
                best.offer(Candidate(number: number, key: keys[Int(number)], score: value))
            }
            for candidate in best.sorted() where isFound.insert(candidate.number).inserted {
                found.append(candidate.number)
            }
        }
        for popularity in [statistics.popularities.first, statistics.popularities.dropFirst().last]
        {
            if let popularity { propose(order.top) { Double(popularity.values[Int($0)]) } }
        }
        let backoff = main.parameters.backoff
        let popularity = statistics.popularity
        for scores in [rules, basketRules] {
            propose(scores.touched) { scores[$0] + 0.1 * backoff * popularity.share($0) }
        }
        for scores in [recentRules, recentNeighbours, together, model] {
            propose(scores.touched) { scores[$0] }
        }
        return found
    }

    private func present(_ statistics: Statistics, _ catalogue: Catalogue) -> FeatureSet {
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
        if !model.touched.isEmpty {
            set.insert(.model)
            set.insert(.isModelled)
        }
        return set
    }

    private func row(of number: KeyIndex.Number, _ maker: FeatureMaker) -> FeatureRow {
        var row = maker.row(of: number)
        let share = maker.statistics.popularity.share(number)
        row.set(.rules, logarithm(rules[number] + 1.5 * share))
        row.set(.rulesSharp, logarithm(rules[number] + 0.3 * share))
        row.set(.rulesSlow, logarithm(slowRules[number] + 0.3 * share))
        row.set(.rulesBasket, logarithm(basketRules[number] + 0.02 * share))
        row.set(.recentRules, logarithm(recentRules[number] + 0.3 * share))
        row.set(.recentNeighbours, logarithm(recentNeighbours[number] + 0.01, floor: 0))
        row.set(.neighbours, logarithm(together[number] + 0.01, floor: 0))
        row.set(.model, model[number])
        row.set(.isModelled, model[number] == 0 ? 0 : 1)
        return row
    }

    private func logarithm(_ value: Double, floor: Double = 1e-6) -> Double {
        naturalLog(max(value, 0) + floor)
    }
}

/// Features that need no source's scores.
struct FeatureMaker {
    let statistics: Statistics
    let request: MixtureRequest
    private let catalogue: Catalogue
    private let trend: CategoryTrend
    private let taste: Double
    private let affinity: [String: Double]

    init(
        _ request: MixtureRequest, _ statistics: Statistics, _ catalogue: Catalogue,
        _ trend: CategoryTrend
    ) {
        self.request = request
        self.statistics = statistics
        self.catalogue = catalogue
        self.trend = trend
        let longest = statistics.popularities[statistics.popularities.count - 1]
        let latest = request.recent.prefix(10)
        let sum = latest.reduce(0.0) { $0 + Self.logWeight($1, longest) }
        taste = latest.isEmpty ? 0 : sum / Double(latest.count)
        var affinity: [String: Double] = [:]
        for key in request.recentKeys.prefix(10) {
            for category in catalogue[key]?.categories ?? [] { affinity[category, default: 0] += 1 }
        }
        let count = Double(max(request.recentKeys.prefix(10).count, 1))
        self.affinity = affinity.mapValues { $0 / count }
    }

    func row(of number: KeyIndex.Number) -> FeatureRow {
        var row = FeatureRow.zero
        for (index, popularity) in statistics.popularities.prefix(5).enumerated() {
            row[index] = Float(Self.logWeight(number, popularity))
        }
        let count = statistics.counts[Int(number)]
        let longest = statistics.popularities[statistics.popularities.count - 1]
        row.set(.taste, taste * Self.logWeight(number, longest))
        row.set(.itemCount, naturalLog(Double(max(count, 0)) + 1))
        row.set(.isNew, count <= 0 ? 1 : 0)
        row.set(.isSeen, request.seen.contains(number) ? 1 : 0)
        if let first = statistics.recent?.firstSeconds(number) {
            let days = Double(max(request.now / 1_000 - Int64(first), 0)) / 86_400
            row.set(.age, naturalLog(days + 0.1))
        }
        let categories = catalogue[statistics.items.keys[Int(number)]]?.categories ?? []
        if !categories.isEmpty {
            let share = 1 / Double(categories.count)
            row.set(.categoryAffinity, categories.reduce(0) { $0 + (affinity[$1] ?? 0) * share })
            row.set(.categoryTrend, categories.reduce(0) { $0 + trend.share($1) * share })
        }
        return row
    }

    /// Decayed events of an item, those of the newest half-life worth one to two each.
    static func weight(_ number: KeyIndex.Number, _ popularity: DecayedPopularity) -> Double {
        Double(max(popularity.values[Int(number)], 0)) / DecayedPopularity.valueOfNewest
    }

    static func logWeight(_ number: KeyIndex.Number, _ popularity: DecayedPopularity) -> Double {
        naturalLog(weight(number, popularity) + 0.1)
    }
}

/// How much of the latest events each category has.
struct CategoryTrend {
    private static let keep = 0.999
    private var shares: [String: Double] = [:]

    func share(_ category: String) -> Double { shares[category] ?? 0 }

    mutating func add(_ categories: [String]) {
        for key in shares.keys { shares[key]? *= Self.keep }
        for category in categories { shares[category, default: 0] += 1 - Self.keep }
    }
}

extension FeatureRow {
    mutating func set(_ feature: Feature, _ value: Double) { self[feature.rawValue] = Float(value) }
}
