// From the best scored items to the list that is shown: caps, diversity, exploration. Every rung's items come through
// here, and through nothing else after they are scored.
//
// Diversity is maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): each place goes to the item with the
// greatest lambda * relevance - (1 - lambda) * likeness to what is above it. Exploration is epsilon-greedy place by
// place, so that the probability of every choice, given those above it, is known and can be told.

import Filters
import Interactions
import Tensors

/// Scored items best first, with what caps and likeness go by.
struct ListPool {
    var items: [ListedItem]
    /// Brand and categories of each.
    var labels: [ItemLabels]
    /// 0 (nothing in common) to 1, by places of the pool.
    var likeness: (Int, Int) -> Double
}

struct ItemLabels {
    var brand: String?
    var categories: [String]
}

struct ListArranger {
    let scenario: Scenario
    /// Of everything that is drawn.
    let seed: UInt64

    /// Places that are diversified and explored; below them the order is that of scores.
    static let placesMax = 200

    /// Scored items among which each place is chosen.
    static func poolCount(_ count: Int) -> Int { max(count, min(4 * count, 4 * placesMax), 100) }

    /// The best items that caps may have to look through; a list they leave places free in by then stays short.
    static let poolMax = 10_000

    /// Whether a list is anything but its pool's beginning.
    var isPlain: Bool {
        scenario.brandMax == nil && scenario.categoryMax == nil && !isChoosing
    }

    private var isChoosing: Bool { scenario.diversityLambda < 1 || scenario.exploration > 0 }

    /// `pool` may be longer than `poolCount`: what lies behind moves up where caps shut out what lies before.
    func arrange(_ pool: ListPool, count: Int) -> [ListedItem] {
        var chosen: [ListedItem] = []
        var caps = Caps(scenario)
        var choice = Choice(pool, width: Self.poolCount(count))
        let random = CounterRandom(seed: seed)
        while chosen.count < count {
            let isFree = isChoosing && chosen.count < Self.placesMax
            // What caps shut out once stays out: they only fill.
            choice.drop(pool, upTo: isFree ? choice.width : 1) { !caps.admits($0) }
            guard !choice.live.isEmpty else { break }
            let (at, propensity) = isFree ? pick(&choice, pool, chosen.count, random) : (0, 1)
            let index = choice.take(at: at)
            caps.take(pool.labels[index])
            var item = pool.items[index]
            item.propensity = propensity
            chosen.append(item)
        }
        return chosen
    }

    /// A place among what may be chosen, and the probability of having picked it.
    private func pick(
        _ choice: inout Choice, _ pool: ListPool, _ place: Int, _ random: CounterRandom
    ) -> (Int, propensity: Double) {
        let lambda = scenario.diversityLambda
        let window = choice.live.prefix(choice.width)
        var best = 0
        if lambda < 1 {
            var bestValue = -Double.infinity
            for (at, index) in window.enumerated() {
                let value =
                    lambda * choice.relevance(of: index, pool)
                    - (1 - lambda) * choice.likeness(of: index, pool)
                if value > bestValue { (best, bestValue) = (at, value) }
            }
        }
        let rate = scenario.exploration
        guard rate > 0 else { return (best, 1) }
        let share = rate / Double(window.count)
        var at = best
        if Double(random.uniform(2 * place)) < rate {
            at = Int(random.bits(2 * place + 1) % UInt64(window.count))
        }
        return (at, at == best ? 1 - rate + share : share)
    }
}

/// What the choice of the next place goes by.
private struct Choice {
    /// Places of the pool that may still be taken, best first.
    private(set) var live: ArraySlice<Int>
    /// How many of them a choice looks at.
    let width: Int
    private var taken: [Int] = []
    private let scoreMin: Double
    private let scoreRange: Double
    /// Greatest likeness of each to those taken, as far as `counted` of them.
    private var likeness: [Double]
    private var counted: [Int]

    init(_ pool: ListPool, width: Int) {
        live = Array(pool.items.indices)[...]
        self.width = width
        let window = pool.items.prefix(width)
        scoreMin = window.last?.score ?? 0
        scoreRange = (window.first?.score ?? 0) - scoreMin
        likeness = Array(repeating: 0, count: pool.items.count)
        counted = Array(repeating: 0, count: pool.items.count)
    }

    /// Leaves out what is out, until `limit` that stay are in front.
    mutating func drop(
        _ pool: ListPool, upTo limit: Int, where isOut: (ItemLabels) -> Bool
    ) {
        live = live.drop { isOut(pool.labels[$0]) }
        var kept: [Int] = []
        var at = live.startIndex
        while at < live.endIndex, kept.count < limit {
            if !isOut(pool.labels[live[at]]) { kept.append(live[at]) }
            at += 1
        }
        if kept.count < at - live.startIndex { live = kept + live[at...] }
    }

    mutating func take(at place: Int) -> Int {
        let index = live.remove(at: live.startIndex + place)
        taken.append(index)
        return index
    }

    /// The score between 0 for the last of the first window and 1 for the best.
    func relevance(of index: Int, _ pool: ListPool) -> Double {
        scoreRange > 0 ? (pool.items[index].score - scoreMin) / scoreRange : 1
    }

    mutating func likeness(of index: Int, _ pool: ListPool) -> Double {
        for other in taken[counted[index]...] {
            likeness[index] = max(likeness[index], pool.likeness(index, other))
        }
        counted[index] = taken.count
        return likeness[index]
    }
}

/// How often brands and categories are in a list.
private struct Caps {
    private let brandMax: Int?
    private let categoryMax: Int?
    private var brands: [String: Int] = [:]
    private var categories: [String: Int] = [:]

    init(_ scenario: Scenario) {
        brandMax = scenario.brandMax
        categoryMax = scenario.categoryMax
    }

    func admits(_ labels: ItemLabels) -> Bool {
        if let brandMax, let brand = labels.brand, brands[brand, default: 0] >= brandMax {
            return false
        }
        guard let categoryMax else { return true }
        return labels.categories.allSatisfy { categories[$0, default: 0] < categoryMax }
    }

    mutating func take(_ labels: ItemLabels) {
        if brandMax != nil, let brand = labels.brand { brands[brand, default: 0] += 1 }
        if categoryMax != nil {
            for category in Set(labels.categories) { categories[category, default: 0] += 1 }
        }
    }
}

extension ItemLabels {
    init(_ entry: CatalogueEntry) { self.init(brand: entry.brand, categories: entry.categories) }

    var isEmpty: Bool { brand == nil && categories.isEmpty }

    /// Jaccard's index of the two sets of categories, the brand counting as one more; 0 where both are empty.
    func likeness(to other: ItemLabels) -> Double {
        // Few of each, and asked for every item of a catalogue: no sets.
        let shared = categories.count { other.categories.contains($0) }
        let sameBrand = brand != nil && brand == other.brand ? 1 : 0
        let brandCount = (brand == nil ? 0 : 1) + (other.brand == nil ? 0 : 1) - sameBrand
        let union = categories.count + other.categories.count - shared + brandCount
        return union == 0 ? 0 : Double(shared + sameBrand) / Double(union)
    }
}
