// How lists for one purpose are made of scored items: a front page, a basket, a mail.

/// Makes items that match weigh more or less.
public struct Boost: Sendable, Hashable {
    public var when: Filter
    /// Factor on the item's odds: above 1 lifts, below 1 lowers.
    public var by: Double

    public static let byBounds = 0.001...1_000.0

    public init(when: Filter, by: Double) {
        self.when = when
        self.by = by
    }
}

/// What is done with scores before they are a list. The one without rules leaves the best in order.
public struct Scenario: Sendable, Hashable {
    /// Only items that match all of them.
    public var filters: [Filter]
    public var boosts: [Boost]
    /// Places that items of one brand may take.
    public var brandMax: Int?
    /// Places that items of one category may take; an item takes one in each of its categories.
    public var categoryMax: Int?
    /// Lambda of maximal marginal relevance: 1 is the order of scores, 0 heeds nothing but difference.
    public var diversityLambda: Double
    /// Probability that a place goes to an item drawn from the pool, 0...`explorationMax`.
    public var exploration: Double
    /// Items of a list that does not say how many.
    public var count: Int?

    public static let boostsMax = 32
    public static let explorationMax = 0.5

    public init(
        filters: [Filter] = [], boosts: [Boost] = [], brandMax: Int? = nil,
        categoryMax: Int? = nil, diversityLambda: Double = 1, exploration: Double = 0,
        count: Int? = nil
    ) {
        self.filters = filters
        self.boosts = boosts
        self.brandMax = brandMax
        self.categoryMax = categoryMax
        self.diversityLambda = diversityLambda
        self.exploration = exploration
        self.count = count
    }

    /// The scenario of requests that name none, when it is configured.
    public static let defaultName = "default"
}
