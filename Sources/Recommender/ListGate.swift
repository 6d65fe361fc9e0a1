// What a scenario does to single items while a list is scored: filters keep them out, boosts move their scores. Asked
// for every item before the cut, so that a list is the top of what passes, not what passes of the top.

public import Filters
public import Interactions
import Teachers
import Tensors

/// What a score's size means: how a boost moves it.
public enum ScoreScale: Sendable {
    /// Shares and sums: a boost multiplies.
    case linear
    /// Log-odds and log-likelihoods: a boost adds its logarithm.
    case logarithmic
}

/// One list's filters and boosts, over the items as they are now.
public struct ListGate: Sendable {
    /// A class, so that asking about an item counts one reference and not those of all statistics.
    private final class Rules: Sendable {
        let filters: [Filter]
        let boosts: [Boost]
        /// What all boosts above 1 make together.
        let highest: Double
        let items: ItemFacts

        init(_ scenario: Scenario, _ items: ItemFacts) {
            filters = scenario.filters
            boosts = scenario.boosts
            highest = scenario.boosts.reduce(1) { $0 * max($1.by, 1) }
            self.items = items
        }
    }

    /// Nil: everything passes as it is.
    private let rules: Rules?

    var isOpen: Bool { rules == nil }

    /// Lets everything pass.
    public static let open = ListGate(rules: nil)

    private init(rules: Rules?) { self.rules = rules }

    init(_ scenario: Scenario, items: ItemFacts) {
        let isOpen = scenario.filters.isEmpty && scenario.boosts.isEmpty
        self.init(rules: isOpen ? nil : Rules(scenario, items))
    }

    /// The most that boosts can make of a score.
    func bound(_ score: Double, _ scale: ScoreScale) -> Double {
        guard let rules else { return score }
        return Self.moved(score, by: rules.highest, scale)
    }

    /// The score with its boosts; nil when a filter keeps the item out.
    func adjusted(_ score: Double, of key: ItemKey, _ scale: ScoreScale) -> Double? {
        guard let rules else { return score }
        guard let item = rules.items[key], rules.filters.allSatisfy({ $0.matches(item) }) else {
            return nil
        }
        let factor = rules.boosts.reduce(1.0) { $1.when.matches(item) ? $0 * $1.by : $0 }
        return factor == 1 ? score : Self.moved(score, by: factor, scale)
    }

    /// The first filter that an item does not match; nil when it may pass.
    public func filter(against key: ItemKey) -> Filter? {
        guard let rules, let item = rules.items[key] else { return nil }
        return rules.filters.first { !$0.matches(item) }
    }

    /// Boosts that an item gets.
    public func boosts(of key: ItemKey) -> [Boost] {
        guard let rules, let item = rules.items[key] else { return [] }
        return rules.boosts.filter { $0.when.matches(item) }
    }

    func passes(_ key: ItemKey) -> Bool { adjusted(0, of: key, .linear) != nil }

    private static func moved(_ score: Double, by factor: Double, _ scale: ScoreScale) -> Double {
        switch scale {
        case .linear: score >= 0 ? score * factor : score / factor
        case .logarithmic: score + Libm.log(factor)
        }
    }
}

/// Items as expressions see them.
struct ItemFacts: Sendable {
    private let catalogue: Catalogue
    private let numbers: KeyIndex
    private let counts: [Int64]
    private let popularity: DecayedPopularity
    private let now: Milliseconds

    init(catalogue: Catalogue, statistics: Statistics, now: Milliseconds) {
        self.catalogue = catalogue
        numbers = statistics.items
        counts = statistics.counts
        popularity = statistics.popularity
        self.now = now
    }

    subscript(_ key: ItemKey) -> FilterItem? {
        guard let entry = catalogue[key] else { return nil }
        let number = numbers.number(of: key)
        return FilterItem(
            id: entry.id.text, title: entry.title, brand: entry.brand,
            categories: entry.categories, price: entry.price, isAvailable: entry.available,
            expires: entry.expires.map { Double($0 - now) / 1_000 },
            popularity: number.map { popularity.share($0) } ?? 0,
            count: number.map { Double(counts[Int($0)]) } ?? 0)
    }
}
