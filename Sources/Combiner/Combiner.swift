// One list from all sources, by a small model that learns on the stream (decision D7): score first, then learn.
//
// The latest scored lists are kept; after every so many of them both stages are fitted anew from where they stood. The
// fit is a value to be made beside serving, and what it gives serves from a later list on whose number is known when
// the fit begins: a fit that is late is waited for, so the lists alone decide which weights serve when. A meter follows
// what each stage and each source alone would have gained, and the best of them serves: a stage that has gone wrong
// falls back by itself.

public struct CombinerConfiguration: Sendable, Hashable {
    /// Scored lists kept to learn from.
    public var listsMax = 3_000
    /// Fitted anew after so many scored lists, and sooner while few are held: after half as many again.
    public var refitInterval = 500
    /// Scored lists between the beginning of a fit and the first list that it orders.
    public var fitDelay = 100
    /// Lists needed for the first fit.
    public var listsMin = 200
    /// Whether there is a second stage.
    public var usesShortList = true
    /// Lists held (or `listsMax`, if that is less) before the second stage, whose weights are many, may serve.
    public var shortListListsMin = 1_000
    /// Places of the first stage that the second one orders.
    public var shortListCount = 50
    /// Passes of the second stage a fit, which goes on from the fit before.
    public var passes = 4
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
        case .source(let feature): "mix-" + feature.sourceName
        }
    }

    /// All there are, in the order in which equal ones are preferred.
    public static let all = [.shortList, .linear] + Feature.sources.map(Ordering.source)
}

/// Where the item that came stood in one list, by everything that could have ordered it.
public struct MeasuredList: Sendable, Hashable {
    /// What did.
    public var served: Ordering
    /// Counted from 0, in the middle of equal scores; nil for an item that was no candidate.
    public var places: [Ordering: Double?]
}

public struct Combiner: Sendable {
    struct Pending: Sendable {
        var fit: CombinerFit
        /// Nil until it is made.
        var result: CombinerWeights?
        /// The weights serve when so many lists have been scored.
        var due: UInt64
        var isOrdered = false
    }

    public let configuration: CombinerConfiguration
    public internal(set) var weights = CombinerWeights()
    /// Lists scored, those that have left the memory included.
    public internal(set) var scoredCount: UInt64 = 0
    /// A ring once it is full: the oldest stands at `oldest`.
    var lists: [LearntList] = []
    var oldest = 0
    var sinceFit = 0
    var pending: Pending?
    var meters: [Ordering: Meter] = [:]
    var leads: [Ordering: Lead] = [:]
    /// Of the lists that were really served: whatever ordered each.
    public internal(set) var served = Meter()
    /// The list that was scored last; nil before the first.
    public private(set) var measured: MeasuredList?

    public init(_ configuration: CombinerConfiguration = CombinerConfiguration()) {
        precondition(configuration.listsMax > 0 && configuration.refitInterval > 0, "positive")
        precondition(configuration.fitDelay >= 0, "weights serve after they are fitted")
        self.configuration = configuration
    }

    public init(_ configuration: CombinerConfiguration, weights: CombinerWeights) {
        self.init(configuration)
        self.weights = weights
    }

    // MARK: - Scoring

    /// Whether anything was learnt that could order a list.
    public var isReady: Bool { weights.version > 0 }

    /// What serves now: the second stage, once there is enough to learn it from, unless the first, or a source alone,
    /// has gained more lately than can be chance.
    public var ordering: Ordering { ordering(among: FeatureSet(Feature.sources)) }

    /// The same among the sources that a list has.
    public func ordering(among present: FeatureSet) -> Ordering {
        guard isReady else { return .source(.rules) }
        var best = mayUseShortList && !lead(of: .shortList).isBehind ? Ordering.shortList : .linear
        for feature in Feature.sources where present.contains(feature) {
            let lead = lead(of: .source(feature))
            if lead.isAhead, lead.mean > self.lead(of: best).mean { best = .source(feature) }
        }
        return best
    }

    /// Some 440 weights learn a few hundred lists by heart.
    private var mayUseShortList: Bool {
        configuration.usesShortList
            && lists.count >= min(configuration.shortListListsMin, configuration.listsMax)
    }

    func lead(of ordering: Ordering) -> Lead { leads[ordering] ?? Lead() }
    public func meter(of ordering: Ordering) -> Meter { meters[ordering] ?? Meter() }
    /// Mean discounted gain at 10 of the latest lists; 0 before the first.
    public func gain(of ordering: Ordering) -> Double { meters[ordering]?.gain ?? 0 }
    public func hitRate(of ordering: Ordering) -> Double { meters[ordering]?.hitRate ?? 0 }

    /// Scores in the order of the list; higher is better.
    public func scores(of list: CandidateList, by ordering: Ordering) -> [Float] {
        switch ordering {
        case .source(let feature): return list.values.map { $0[feature.rawValue] }
        case .linear: return linearScores(list)
        case .shortList: return shortListScores(list, linearScores(list))
        }
    }

    private func shortListScores(_ list: CandidateList, _ linear: [Float]) -> [Float] {
        let (short, places) = shortList(of: list, linear)
        guard !places.isEmpty else { return linear }
        let ordered = ShortListStage.scores(weights.shortList, short)
        // The rest keeps its order, behind the short list.
        let floor = ordered.min() ?? 0
        let edge = places.map { linear[$0] }.min() ?? 0
        var scores = linear.map { floor - 1 - max(edge - $0, 0) }
        for (index, place) in places.enumerated() { scores[place] = ordered[index] }
        return scores
    }

    func shortList(
        of list: CandidateList, _ linear: [Float]
    ) -> (list: ShortList, places: [Int]) {
        var (short, places) = ShortList.of(
            linear, present: list.present, context: list.context,
            count: configuration.shortListCount, target: nil,
            rows: { $0.map { list.rows[$0] } })
        short.scale(by: weights.scale)
        return (short, places)
    }

    /// Places of the candidates that the second stage orders, for features that are asked of them alone: all until
    /// there is a first stage, none without a second.
    public func shortListPlaces(of list: CandidateList) -> [Int] {
        guard configuration.usesShortList else { return [] }
        guard isReady else { return Array(list.items.indices) }
        return ShortList.places(linearScores(list), count: configuration.shortListCount)
    }

    func linearScores(_ list: CandidateList) -> [Float] {
        let factors = weights.scale * weights.linear
        return list.rows.map { total($0 * factors) }
    }

    // MARK: - Learning

    /// Takes a list whose outcome is known: measures first, then learns. Returns whether the weights changed.
    @discardableResult
    public mutating func learn(_ scored: ScoredList) -> Bool {
        scoredCount += 1
        measure(scored)
        if let learnt = LearntList(scored), learnt.rowCount > 0 { keep(learnt) }
        sinceFit += 1
        let hasChanged = takeDue()
        let interval = min(
            configuration.refitInterval, max(configuration.listsMin, lists.count / 2))
        if sinceFit >= interval, lists.count >= configuration.listsMin, pending == nil {
            // Weights that come late in a short interval would keep the next fit waiting.
            let delay = min(configuration.fitDelay, interval / 5)
            pending = Pending(fit: fitOfNow, result: nil, due: scoredCount + UInt64(delay))
            sinceFit = 0
            return takeDue() || hasChanged
        }
        return hasChanged
    }

    mutating func keep(_ list: LearntList) {
        if lists.count < configuration.listsMax {
            lists.append(list)
        } else {
            lists[oldest] = list
            oldest = (oldest + 1) % lists.count
        }
    }

    private var fitOfNow: CombinerFit {
        CombinerFit(
            start: weights, configuration: configuration,
            lists: Array(lists[oldest...] + lists[..<oldest]))
    }

    /// Fits both stages to the lists held, at once.
    public mutating func fit() {
        guard !lists.isEmpty else { return }
        pending = nil
        sinceFit = 0
        weights = fitOfNow.run()
    }

    /// A fit that is wanted and that nobody was told of.
    public mutating func takeOrder() -> CombinerFit? {
        guard let found = pending, found.result == nil, !found.isOrdered else { return nil }
        pending?.isOrdered = true
        return found.fit
    }

    /// What an order came to; one that is no longer waited for is dropped.
    public mutating func deliver(_ weights: CombinerWeights) {
        guard pending?.fit.version == weights.version else { return }
        pending?.result = weights
    }

    /// Lists that may still be scored before a fit has to be waited for; nil when none is waited for.
    public var listsBeforeDue: Int? {
        guard let pending, pending.result == nil else { return nil }
        return Int(clamping: pending.due) - Int(clamping: scoredCount)
    }

    /// Puts weights in place whose time has come; a fit that is late is made here.
    private mutating func takeDue() -> Bool {
        guard let due = pending, due.due <= scoredCount else { return false }
        weights = due.result ?? due.fit.run()
        pending = nil
        return true
    }

    private mutating func measure(_ scored: ScoredList) {
        let serving = ordering(among: scored.list.present)
        let linear = isReady ? linearScores(scored.list) : []
        var places: [Ordering: Double?] = [:]
        for ordering in Ordering.all {
            let scores: [Float]
            switch ordering {
            case .source(let feature):
                guard scored.list.present.contains(feature) else { continue }
                scores = self.scores(of: scored.list, by: ordering)
            case .linear:
                guard isReady else { continue }
                scores = linear
            case .shortList:
                guard isReady, configuration.usesShortList else { continue }
                scores = scored.target == nil ? [] : shortListScores(scored.list, linear)
            }
            let place = scored.target.map { Self.place(of: $0, in: scores) }
            meters[ordering, default: Meter()].add(place)
            places[ordering] = .some(place)
            if ordering == serving { served.add(place) }
        }
        measured = MeasuredList(served: serving, places: places)
        if let first = places[.linear] { compare(places, with: Meter.gain(first)) }
    }

    /// On the same lists alone; of a second stage that may not serve yet nothing is held against it later.
    private mutating func compare(_ places: [Ordering: Double?], with first: Double) {
        for ordering in Ordering.all where ordering != .linear {
            guard let place = places[ordering], ordering != .shortList || mayUseShortList else {
                continue
            }
            leads[ordering, default: Lead()].add(Meter.gain(place) - first)
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
