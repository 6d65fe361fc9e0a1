// One list from all sources, by a small model that learns on the stream (decision D7): score first, then learn.
//
// The latest scored lists are kept; after every so many of them both stages are fitted anew from where they stood. A
// meter follows what each stage and each source alone would have gained, and the best of them serves: a stage that has
// gone wrong falls back by itself. Everything depends on the sequence of lists alone, so a replay learns the same
// weights.

public struct CombinerConfiguration: Sendable, Hashable {
    /// Scored lists kept to learn from.
    public var listsMax = 1_500
    /// Fitted anew after so many scored lists.
    public var refitInterval = 500
    /// Lists needed for the first fit.
    public var listsMin = 200
    /// Places of the first stage that the second one orders.
    public var shortListCount = 50
    /// Passes of the second stage a fit.
    public var passes = 8
    public var seed: UInt64 = 1

    public init() {}
}

/// What orders a list.
public enum Ordering: Sendable, Hashable {
    case shortList
    case linear
    case source(Feature)

    public var name: String {
        switch self {
        case .shortList: "mix"
        case .linear: "mix-linear"
        case .source(let feature): feature.name
        }
    }
}

public struct Combiner: Sendable {
    public let configuration: CombinerConfiguration
    public private(set) var weights = CombinerWeights()
    /// Lists scored, those that have left the memory included.
    public private(set) var scoredCount: UInt64 = 0
    /// A ring once it is full: the oldest stands at `oldest`.
    private var lists: [ScoredList] = []
    private var oldest = 0
    private var sinceFit = 0
    private var meters: [Ordering: Meter] = [:]

    public init(_ configuration: CombinerConfiguration = CombinerConfiguration()) {
        precondition(configuration.listsMax > 0 && configuration.refitInterval > 0, "positive")
        self.configuration = configuration
    }

    public init(_ configuration: CombinerConfiguration, weights: CombinerWeights) {
        self.init(configuration)
        self.weights = weights
    }

    // MARK: - Scoring

    /// What serves now: the second stage unless the first, or a source alone, has gained more lately.
    public var ordering: Ordering {
        guard weights.version > 0 else { return .source(.rules) }
        var best = Ordering.shortList
        for other in [.linear] + Feature.sources.map(Ordering.source)
        where gain(of: other) > gain(of: best) { best = other }
        return best
    }

    /// Mean discounted gain at 10 of the latest lists; 0 before the first.
    public func gain(of ordering: Ordering) -> Double { meters[ordering]?.gain ?? 0 }
    public func hitRate(of ordering: Ordering) -> Double { meters[ordering]?.hitRate ?? 0 }

    /// Scores in the order of the list; higher is better.
    public func scores(of list: CandidateList, by ordering: Ordering) -> [Float] {
        switch ordering {
        case .source(let feature): return list.values.map { $0[feature.rawValue] }
        case .linear: return linearScores(list)
        case .shortList:
            let linear = linearScores(list)
            let (short, places) = shortList(list, linear, target: nil)
            guard !places.isEmpty else { return linear }
            let ordered = ShortListStage.scores(weights.shortList, short)
            // The rest keeps its order, behind the short list.
            let floor = ordered.min() ?? 0
            let edge = places.map { linear[$0] }.min() ?? 0
            var scores = linear.map { floor - 1 - max(edge - $0, 0) }
            for (index, place) in places.enumerated() { scores[place] = ordered[index] }
            return scores
        }
    }

    /// What each feature adds to an item's first-stage score, relative to the mean of the list.
    public func contributions(
        to index: Int, of list: CandidateList
    ) -> [(feature: Feature, amount: Float)] {
        let row = list.rows[index] * weights.scale * weights.linear
        return Feature.allCases.filter { list.present.contains($0) }
            .map { (feature: $0, amount: row[$0.rawValue]) }
    }

    private func linearScores(_ list: CandidateList) -> [Float] {
        let factors = weights.scale * weights.linear
        return list.rows.map { ($0 * factors).sum() }
    }

    private func shortList(
        _ list: CandidateList, _ linear: [Float], target: Int?
    ) -> (ShortList, places: [Int]) {
        let ordered = linear.indices.sorted {
            linear[$0] != linear[$1]
                ? linear[$0] > linear[$1] : list.items[$0] < list.items[$1]
        }
        let places = Array(ordered.prefix(configuration.shortListCount))
        var total = 0.0
        for place in places { total += Double(linear[place]) }
        let mean = Float(total / Double(max(places.count, 1)))
        let limit = FeatureRow(repeating: 8)
        let rows = places.map {
            (list.rows[$0] * weights.scale).clamped(lowerBound: -limit, upperBound: limit)
        }
        let short = ShortList(
            rows: rows, scores: places.map { linear[$0] - mean }, context: list.context,
            target: target.flatMap { places.firstIndex(of: $0) } ?? -1)
        return (short, places)
    }

    // MARK: - Learning

    /// Takes a list whose outcome is known: measures first, then learns. Returns whether weights were fitted anew.
    @discardableResult
    public mutating func learn(_ scored: ScoredList) -> Bool {
        scoredCount += 1
        measure(scored)
        if scored.target != nil {
            if lists.count < configuration.listsMax {
                lists.append(scored)
            } else {
                lists[oldest] = scored
                oldest = (oldest + 1) % lists.count
            }
        }
        sinceFit += 1
        guard sinceFit >= configuration.refitInterval, lists.count >= configuration.listsMin
        else { return false }
        fit()
        return true
    }

    /// Fits both stages to the lists held.
    public mutating func fit() {
        sinceFit = 0
        let held = Array(lists[oldest...] + lists[..<oldest])
        guard !held.isEmpty else { return }
        let scale = LinearStage.scale(of: held)
        // Weights are for scaled features: those of before are carried over to the new scale.
        var start = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount where scale[place] > 0 {
            start[place] = weights.linear[place] * weights.scale[place] / scale[place]
        }
        let scaled = held.compactMap { example in
            example.target.map { (rows: example.list.rows.map { $0 * scale }, target: $0) }
        }
        weights.scale = scale
        weights.linear = LinearStage.fit(start, scaled)
        weights.version += 1
        let short = held.compactMap { example -> ShortList? in
            guard let target = example.target else { return nil }
            let list = shortList(example.list, linearScores(example.list), target: target).0
            return list.target >= 0 ? list : nil
        }
        weights.shortList = ShortListStage.fit(
            weights.shortList, short, passes: configuration.passes,
            seed: configuration.seed &+ weights.version)
    }

    private mutating func measure(_ scored: ScoredList) {
        var orderings = Feature.sources.filter { scored.list.present.contains($0) }
            .map(Ordering.source)
        if weights.version > 0 { orderings += [.shortList, .linear] }
        for ordering in orderings {
            let place = scored.target.map { target in
                Self.place(of: target, in: scores(of: scored.list, by: ordering))
            }
            meters[ordering, default: Meter()].add(place)
        }
    }

    /// Counted from 0, in the middle of equal scores.
    private static func place(of target: Int, in scores: [Float]) -> Double {
        let own = scores[target]
        var place = 0.0
        for (index, score) in scores.enumerated() where index != target {
            if score > own { place += 1 } else if score == own { place += 0.5 }
        }
        return place
    }
}

/// Gain and hits of the latest lists, fading.
struct Meter: Sendable {
    private static let memory = 2_000.0
    static let cutoff = 10.0
    private(set) var gain = 0.0
    private(set) var hitRate = 0.0
    private var count = 0.0

    mutating func add(_ place: Double?) {
        count = min(count + 1, Self.memory)
        let hit = place.flatMap { $0 < Self.cutoff ? $0 : nil }
        let value = hit.map { naturalLog(2) / naturalLog($0 + 2) } ?? 0
        gain += (value - gain) / count
        hitRate += ((hit == nil ? 0 : 1) - hitRate) / count
    }
}
