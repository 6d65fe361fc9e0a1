// Items that go with an item: what follows it in histories, and what is like it. The two orders are blended by
// reciprocal rank fusion (Cormack, Clarke & Buettcher, SIGIR 2009), which needs no common scale of scores.
//
// Likeness is that of the language model's item vectors (cosine) when a model serves, else that of categories and
// brands. An item that nobody has met yet has likeness from its record on.

public import Interactions
import Teachers

/// A place of a list of similar items.
public struct SimilarItem: Sendable, Hashable {
    public enum Source: String, Sendable { case rules, vectors, attributes }

    public var item: ItemKey
    /// Of the fusion: at most 2 / 61.
    public var score: Double
    /// What put it higher.
    public var source: Source
}

extension Engine {
    /// Items that go with one, best first, under a gate that `arrange` gives.
    public func similar(
        to item: ItemKey, count: Int, gate: ListGate = .open, now: Milliseconds
    ) -> [SimilarItem] {
        order.refresh(statistics)
        // Deeper than the list: what both sources know must not be missed because one has it further down.
        let depth = max(Self.fusionDepth, count)
        let request = ListRequest(
            recent: [item], hidden: [item], count: depth, rung: .cf, gate: gate, now: now)
        let followers = scorer.list(
            request, statistics: statistics, order: order, catalogue: catalogue
        ).filter { $0.ruleScore > 0 }
        var alike: (items: [ItemKey], source: SimilarItem.Source)
        if let vectors = rung?.similar(to: item, count: depth, gate: gate, now: now) {
            alike = (vectors.map(\.item), .vectors)
        } else {
            alike = (sharing(with: item, count: depth, gate: gate, now: now), .attributes)
        }
        return Self.fused(followers.map(\.item), alike.items, alike.source, count: count)
    }

    private static let fusionDepth = 200
    /// The constant of the paper: how little the first places differ.
    private static let fusionConstant = 60.0

    private static func fused(
        _ followers: [ItemKey], _ alike: [ItemKey], _ source: SimilarItem.Source, count: Int
    ) -> [SimilarItem] {
        var parts: [ItemKey: (rules: Double, alike: Double)] = [:]
        for (place, key) in followers.enumerated() {
            parts[key, default: (0, 0)].rules = 1 / (fusionConstant + Double(place + 1))
        }
        for (place, key) in alike.enumerated() {
            parts[key, default: (0, 0)].alike = 1 / (fusionConstant + Double(place + 1))
        }
        var best = TopList(limit: count)
        for (key, part) in parts {
            best.offer(Candidate(number: 0, key: key, score: part.rules + part.alike))
        }
        return best.sorted().map { candidate in
            let part = parts[candidate.key] ?? (0, 0)
            return SimilarItem(
                item: candidate.key, score: candidate.score,
                source: part.rules >= part.alike ? .rules : source)
        }
    }

    /// Items with categories or a brand in common, those with most in common first.
    private func sharing(
        with item: ItemKey, count: Int, gate: ListGate, now: Milliseconds
    ) -> [ItemKey] {
        guard let own = catalogue[item].map(ItemLabels.init), !own.isEmpty else { return [] }
        var best = TopList(limit: count)
        for entry in catalogue.all where entry.id.key != item {
            let score = own.likeness(to: ItemLabels(entry))
            guard score > 0, best.admits(gate.bound(score, .linear)),
                catalogue.removal(entry.id.key, now: now) == nil,
                let adjusted = gate.adjusted(score, of: entry.id.key, .linear)
            else { continue }
            best.offer(Candidate(number: 0, key: entry.id.key, score: adjusted))
        }
        return best.sorted().map(\.key)
    }
}
