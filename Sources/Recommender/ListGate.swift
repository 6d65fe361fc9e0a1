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
    /// A class, so that asking about an item counts one reference and not those of all columns.
    private final class Rules: Sendable {
        let scenario: Scenario
        let filters: [BoundFilter]
        let boosts: [(when: BoundFilter, by: Double)]
        /// What all boosts above 1 make together.
        let highest: Double
        let numbers: KeyIndex

        init(_ scenario: Scenario, _ facts: ItemFacts) {
            self.scenario = scenario
            filters = scenario.filters.map { facts.bind($0) }
            boosts = scenario.boosts.map { (facts.bind($0.when), $0.by) }
            highest = scenario.boosts.reduce(1) { $0 * max($1.by, 1) }
            numbers = facts.numbers
        }
    }

    /// Nil: everything passes as it is.
    private let rules: Rules?
    /// Items beyond the most popular ones that a list may ask about; what is further away is not found.
    let walkMax: Int

    var isOpen: Bool { rules == nil }

    /// Lets everything pass.
    public static let open = ListGate(rules: nil, walkMax: .max)

    private init(rules: Rules?, walkMax: Int) {
        self.rules = rules
        self.walkMax = walkMax
    }

    init(_ scenario: Scenario, facts: @autoclosure () -> ItemFacts, walkMax: Int) {
        let isOpen = scenario.filters.isEmpty && scenario.boosts.isEmpty
        self.init(rules: isOpen ? nil : Rules(scenario, facts()), walkMax: walkMax)
    }

    /// The most that boosts can make of a score.
    func bound(_ score: Double, _ scale: ScoreScale) -> Double {
        guard let rules else { return score }
        return Self.moved(score, by: rules.highest, scale)
    }

    /// The score with its boosts; nil when a filter keeps the item out.
    func adjusted(_ score: Double, of key: ItemKey, _ scale: ScoreScale) -> Double? {
        guard let rules else { return score }
        return rules.numbers.number(of: key).flatMap { adjusted(score, of: $0, scale) }
    }

    func adjusted(_ score: Double, of number: KeyIndex.Number, _ scale: ScoreScale) -> Double? {
        guard let rules else { return score }
        let row = Int(number)
        for filter in rules.filters where !filter.matches(row) { return nil }
        var factor = 1.0
        for boost in rules.boosts where boost.when.matches(row) { factor *= boost.by }
        return factor == 1 ? score : Self.moved(score, by: factor, scale)
    }

    /// The first filter that an item does not match; nil when it may pass.
    public func filter(against key: ItemKey) -> Filter? {
        guard let rules, let number = rules.numbers.number(of: key) else { return nil }
        let place = rules.filters.firstIndex { !$0.matches(Int(number)) }
        return place.map { rules.scenario.filters[$0] }
    }

    /// Boosts that an item gets.
    public func boosts(of key: ItemKey) -> [Boost] {
        guard let rules, let number = rules.numbers.number(of: key) else { return [] }
        return zip(rules.scenario.boosts, rules.boosts).compactMap { boost, bound in
            bound.when.matches(Int(number)) ? boost : nil
        }
    }

    func passes(_ number: KeyIndex.Number) -> Bool { adjusted(0, of: number, .linear) != nil }

    private static func moved(_ score: Double, by factor: Double, _ scale: ScoreScale) -> Double {
        switch scale {
        case .linear: score >= 0 ? score * factor : score / factor
        case .logarithmic: score + Libm.log(factor)
        }
    }
}

/// Items as expressions see them, at one moment.
struct ItemFacts {
    let numbers: KeyIndex
    private let table: FilterTable
    private let moment: FilterMoment

    init(catalogue: Catalogue, statistics: Statistics, now: Milliseconds) {
        numbers = statistics.items
        table = catalogue.facts
        let counts = statistics.counts
        let popularity = statistics.popularity
        moment = FilterMoment(
            now: now, popularity: { popularity.share(KeyIndex.Number($0)) },
            count: { Double(counts[$0]) })
    }

    func bind(_ filter: Filter) -> BoundFilter { BoundFilter(filter, to: table, at: moment) }
}
