// What the combiner knows of a candidate: a fixed row of numbers, most of them from exact counts.
//
// The place of a feature is part of the stored weights: new ones take a free place, none is ever reused.

/// A feature and its place in the row.
public enum Feature: Int, CaseIterable, Sendable {
    /// Logarithm of decayed popularity, shortest time scale first.
    case popularity0, popularity1, popularity2, popularity3, popularity4
    /// Logarithm of sequential rules with much popularity behind them, and with little.
    case rules
    case rulesSharp
    /// Rules whose older items count .8 a step, and the ones for baskets.
    case rulesSlow
    case rulesBasket
    /// Rules and co-occurrence over the latest pairs, decayed.
    case recentRules
    case recentNeighbours
    /// Cosine of exact co-occurrence, where it is counted.
    case neighbours
    /// Mean popularity of what the user had, times that of the item.
    case taste
    case itemCount
    case age
    /// 1 for an item that never had an event.
    case isNew
    /// 1 for an item the user has had, where repeats are listed.
    case isSeen
    case model
    /// 1 for an item that the model scores.
    case isModelled
    /// What share of the user's items the item's categories have, and of the latest events.
    case categoryAffinity
    case categoryTrend
    /// Logarithm of how likely the model is to write the item's text next, over the whole catalogue.
    case tokenHead
    /// Log-odds of the ranker, in lists of its own alone: `RankerStage` weighs them.
    case ranker

    /// Dear ones: asked of the short list alone, and seen by the second stage alone.
    public static let ofShortList = FeatureSet([.tokenHead, .ranker])

    /// Features that are sources too: each alone orders a list, and the guard compares them with the mixture.
    public static let sources: [Feature] = [.rules, .recentRules, .popularity2, .model]

    public var name: String { "\(self)" }

    /// What is said to speak for an item: features that tell the same in several ways.
    public var family: String {
        switch self {
        case .popularity0, .popularity1, .popularity2, .popularity3, .popularity4, .itemCount:
            "popularity"
        case .rules, .rulesSharp, .rulesSlow, .rulesBasket: "rules"
        case .recentRules, .recentNeighbours: "recent-rules"
        case .neighbours: "neighbours"
        case .taste: "taste"
        case .age, .isNew: "novelty"
        case .isSeen: "repeat"
        case .model, .isModelled, .tokenHead: "model"
        case .ranker: "ranker"
        case .categoryAffinity, .categoryTrend: "categories"
        }
    }

    /// What a source is called in replies and figures.
    public var sourceName: String {
        switch self {
        case .recentRules: "recent-rules"
        case .popularity2: "popularity"
        default: name
        }
    }
}

/// The features that a list has; a missing source takes its features out for all candidates alike.
public struct FeatureSet: OptionSet, Sendable, Hashable {
    public var rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ features: some Sequence<Feature>) {
        self.init(rawValue: 0)
        for feature in features { insert(feature) }
    }

    public mutating func insert(_ feature: Feature) { rawValue |= 1 << UInt32(feature.rawValue) }
    public func contains(_ feature: Feature) -> Bool {
        rawValue >> UInt32(feature.rawValue) & 1 == 1
    }
}

/// What is known of the request beside its candidates.
public struct ListContext: Sendable, Hashable {
    /// log(1 + items of the history), roughly centred.
    public var historyLength: Float
    /// log of the hours since the user's last event, roughly centred.
    public var gap: Float
    /// 1 for a user without history.
    public var isCold: Float

    public init(historyCount: Int = 0, gapSeconds: Int64? = nil) {
        historyLength = Float(naturalLog(Double(historyCount) + 1) - 2) / 2
        gap = gapSeconds.map { Float(naturalLog(Double(max($0, 0)) / 3_600 + 0.01)) / 3 } ?? 0
        isCold = historyCount == 0 ? 1 : 0
    }

    static let count = 3
    func value(_ place: Int) -> Float {
        switch place {
        case 0: historyLength
        case 1: gap
        default: isCold
        }
    }
}

/// Candidates for one request: rows are relative to the mean of their list, absent features are zero.
public struct CandidateList: Sendable {
    public let items: [UInt64]
    public let rows: [FeatureRow]
    /// The rows before centring, for explanations.
    public let values: [FeatureRow]
    public let present: FeatureSet
    public let context: ListContext

    private init(
        items: [UInt64], rows: [FeatureRow], values: [FeatureRow], present: FeatureSet,
        context: ListContext
    ) {
        self.items = items
        self.rows = rows
        self.values = values
        self.present = present
        self.context = context
    }

    public init(
        items: [UInt64], values: [FeatureRow], present: FeatureSet,
        context: ListContext = ListContext()
    ) {
        precondition(items.count == values.count, "a row an item")
        self.items = items
        self.present = present
        self.context = context
        var kept = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount where present.rawValue >> UInt32(place) & 1 == 1 {
            kept[place] = 1
        }
        self.values = values.map { $0 * kept }
        // The mean is added up in double precision: the order of candidates then changes no more than last bits.
        var sum = RowSum()
        for value in self.values { sum.add(value) }
        let share = 1 / Double(max(items.count, 1))
        let centre = FeatureRow(sum.times(share).map { Float($0) })
        rows = self.values.map { ($0 - centre) * kept }
    }

    public func score(_ feature: Feature, of index: Int) -> Float {
        values[index][feature.rawValue]
    }

    /// The same with a feature of the short list, whose candidates are at `places`; nil among `amounts` where nothing
    /// is known. Rows are relative to the mean of the amounts, and that is where all other candidates stand.
    public func adding(
        _ feature: Feature, _ amounts: [Double?], at places: [Int]
    ) -> CandidateList {
        precondition(Feature.ofShortList.contains(feature), "a feature of the short list")
        precondition(amounts.count == places.count, "an amount a place")
        let known = amounts.compactMap { $0 }
        guard !known.isEmpty else { return self }
        let mean = known.reduce(0, +) / Double(known.count)
        var values = values
        var rows = rows
        for index in values.indices { values[index][feature.rawValue] = Float(mean) }
        for (place, amount) in zip(places, amounts) {
            guard let amount else { continue }
            values[place][feature.rawValue] = Float(amount)
            rows[place][feature.rawValue] = Float(amount - mean)
        }
        var present = present
        present.insert(feature)
        return CandidateList(
            items: items, rows: rows, values: values, present: present, context: context)
    }

    /// The same as if these sources had been missing.
    public func without(_ absent: FeatureSet) -> CandidateList {
        let kept = FeatureSet(rawValue: present.rawValue & ~absent.rawValue)
        var mask = FeatureRow.zero
        for place in kept.places { mask[place] = 1 }
        return CandidateList(
            items: items, rows: rows.map { $0 * mask }, values: values.map { $0 * mask },
            present: kept, context: context)
    }
}
