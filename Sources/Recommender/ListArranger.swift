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

    /// Scored items from which a list is arranged.
    static func poolCount(_ count: Int) -> Int { max(count, min(4 * count, 4 * placesMax), 100) }

    /// Whether a list is anything but its pool's beginning.
    var isPlain: Bool {
        scenario.brandMax == nil && scenario.categoryMax == nil && !isChoosing
    }

    private var isChoosing: Bool { scenario.diversityLambda < 1 || scenario.exploration > 0 }

    func arrange(_ pool: ListPool, count: Int) -> [ListedItem] {
        var chosen: [ListedItem] = []
        var caps = Caps(scenario)
        var choice = Choice(pool.items)
        let random = CounterRandom(seed: seed)
        while chosen.count < count {
            choice.live.removeAll { !caps.admits(pool.labels[$0]) }
            guard !choice.live.isEmpty else { break }
            let isFree = isChoosing && chosen.count < Self.placesMax
            let (at, propensity) =
                isFree ? pick(choice, place: chosen.count, random) : (0, 1)
            let index = choice.live.remove(at: at)
            caps.take(pool.labels[index])
            var item = pool.items[index]
            item.propensity = propensity
            chosen.append(item)
            guard isFree, scenario.diversityLambda < 1 else { continue }
            for other in choice.live {
                choice.likeness[other] = max(choice.likeness[other], pool.likeness(index, other))
            }
        }
        return chosen
    }

    /// A place of `live`, and the probability of having picked it.
    private func pick(
        _ choice: Choice, place: Int, _ random: CounterRandom
    ) -> (Int, propensity: Double) {
        let lambda = scenario.diversityLambda
        var best = 0
        var bestValue = -Double.infinity
        for (at, index) in choice.live.enumerated() {
            let value =
                lambda * choice.relevance[index] - (1 - lambda) * choice.likeness[index]
            if value > bestValue { (best, bestValue) = (at, value) }
        }
        let rate = scenario.exploration
        guard rate > 0 else { return (best, 1) }
        let share = rate / Double(choice.live.count)
        var at = best
        if Double(random.uniform(2 * place)) < rate {
            at = Int(random.bits(2 * place + 1) % UInt64(choice.live.count))
        }
        return (at, at == best ? 1 - rate + share : share)
    }
}

/// What the choice of the next place goes by.
private struct Choice {
    /// Places of the pool that are free and may still be taken, best first.
    var live: [Int]
    /// Scores between 0 and 1.
    let relevance: [Double]
    /// To what is chosen already.
    var likeness: [Double]

    init(_ items: [ListedItem]) {
        live = Array(items.indices)
        let low = items.map(\.score).min() ?? 0
        let width = (items.map(\.score).max() ?? 0) - low
        relevance = items.map { width > 0 ? ($0.score - low) / width : 1 }
        likeness = Array(repeating: 0, count: items.count)
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
