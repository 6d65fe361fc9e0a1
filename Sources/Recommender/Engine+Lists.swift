// Lists by a scenario's rules, whichever rung scores: filter and boost before the cut, arrange after it.

public import Filters
public import Interactions
import Teachers

extension Engine {
    /// The list that a scenario makes of what a rung scores. `pool` gives the rung's best items of a number, best
    /// first, under a gate; nil when it has nothing to go by, which is then the answer. `seed` decides what is
    /// explored. What `walkMax` (items asked about beyond the most popular ones) and `mayGrow` (whether caps may be
    /// given a larger pool) cut off is told by `isListCut`.
    public func arrange(
        _ scenario: Scenario, count: Int, seed: UInt64, walkMax: Int = .max, now: Milliseconds,
        mayGrow: () -> Bool = { true }, pool: (_ count: Int, _ gate: ListGate) -> [ListedItem]?
    ) -> [ListedItem]? {
        let gate = gate(of: scenario, walkMax: walkMax, now: now)
        isListCut = false
        let arranger = ListArranger(scenario: scenario, seed: seed)
        guard !arranger.isPlain else { return pool(count, gate) }
        var poolCount = ListArranger.poolCount(count)
        while true {
            guard let items = pool(poolCount, gate) else { return nil }
            let list = arranger.arrange(self.pool(items, scenario), count: count)
            // Caps leave places free: further down there may be what fills them.
            guard list.count < count, items.count == poolCount,
                poolCount < ListArranger.poolMax
            else { return list }
            guard mayGrow() else {
                isListCut = true
                return list
            }
            poolCount = min(4 * poolCount, ListArranger.poolMax)
        }
    }

    /// A scenario's filters and boosts over the items as they are now.
    public func gate(
        of scenario: Scenario, walkMax: Int = .max, now: Milliseconds
    ) -> ListGate {
        ListGate(
            scenario, facts: ItemFacts(catalogue: catalogue, statistics: statistics, now: now),
            walkMax: walkMax)
    }

    private func pool(_ items: [ListedItem], _ scenario: Scenario) -> ListPool {
        let labels = items.map { item in
            catalogue[item.item].map(ItemLabels.init) ?? ItemLabels(brand: nil, categories: [])
        }
        guard scenario.diversityLambda < 1 else {
            return ListPool(items: items, labels: labels) { _, _ in 0 }
        }
        var vectors: [Int: [Float]?] = [:]
        func vector(_ place: Int) -> [Float]? {
            if let known = vectors[place] { return known }
            let vector = rung?.direction(of: items[place].item)
            vectors[place] = .some(vector)
            return vector
        }
        return ListPool(items: items, labels: labels) { left, right in
            if let left = vector(left), let right = vector(right) {
                return max(0, zip(left, right).reduce(0) { $0 + Double($1.0 * $1.1) })
            }
            return labels[left].likeness(to: labels[right])
        }
    }
}
