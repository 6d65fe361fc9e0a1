// Features of a candidate that need no source's scores: counts, age, categories.

import Combiner
import Interactions
import Teachers

struct FeatureMaker {
    private let statistics: Statistics
    private let now: Milliseconds
    private let seen: NumberMarks
    private let catalogue: Catalogue
    private let trend: CategoryTrend
    private let taste: Double
    /// Categories of the user's latest items, with their shares.
    private let affinity: [(category: Int32, share: Double)]

    init(
        recent: [KeyIndex.Number], seen: NumberMarks, now: Milliseconds, _ statistics: Statistics,
        _ catalogue: Catalogue, _ trend: CategoryTrend
    ) {
        self.now = now
        self.seen = seen
        self.statistics = statistics
        self.catalogue = catalogue
        self.trend = trend
        let longest = statistics.popularities[statistics.popularities.count - 1]
        let latest = recent.prefix(Self.latestCount)
        let sum = latest.reduce(0.0) { $0 + Self.logWeight($1, longest) }
        taste = latest.isEmpty ? 0 : sum / Double(latest.count)
        var counts: [(category: Int32, share: Double)] = []
        for number in latest {
            for category in catalogue.categories(of: number) {
                if let place = counts.firstIndex(where: { $0.category == category }) {
                    counts[place].share += 1
                } else {
                    counts.append((category, 1))
                }
            }
        }
        let count = Double(max(latest.count, 1))
        affinity = counts.map { ($0.category, $0.share / count) }
    }

    /// Items of a history that tell a user's taste.
    private static let latestCount = 10

    /// A row an item. Each table is gone to once for all of them: item by item, its references would be counted.
    func rows(of numbers: [KeyIndex.Number]) -> [FeatureRow] {
        var rows = Array(repeating: FeatureRow.zero, count: numbers.count)
        let last = statistics.popularities.count - 1
        for (index, popularity) in statistics.popularities.enumerated() {
            for (place, number) in numbers.enumerated() {
                let weight = Self.logWeight(number, popularity)
                if index < 5 { rows[place][index] = Float(weight) }
                if index == last { rows[place].set(.taste, taste * weight) }
            }
        }
        let counts = statistics.counts
        let pairs = statistics.recent
        for (place, number) in numbers.enumerated() {
            let count = counts[Int(number)]
            rows[place].set(.itemCount, naturalLog(Double(max(count, 0)) + 1))
            rows[place].set(.isNew, count <= 0 ? 1 : 0)
            rows[place].set(.isSeen, seen.contains(number) ? 1 : 0)
            if let first = pairs?.firstSeconds(number) {
                let days = Double(max(now / 1_000 - Int64(first), 0)) / 86_400
                rows[place].set(.age, naturalLog(days + 0.1))
            }
            addCategories(catalogue.categories(of: number), to: &rows[place])
        }
        return rows
    }

    private func addCategories(_ categories: [Int32], to row: inout FeatureRow) {
        guard !categories.isEmpty else { return }
        var liked = 0.0
        var trending = 0.0
        for category in categories {
            liked += affinity.first { $0.category == category }?.share ?? 0
            trending += trend.share(category)
        }
        row.set(.categoryAffinity, liked / Double(categories.count))
        row.set(.categoryTrend, trending / Double(categories.count))
    }

    /// Decayed events of an item, those of the newest half-life worth one to two each.
    static func weight(_ number: KeyIndex.Number, _ popularity: DecayedPopularity) -> Double {
        Double(max(popularity.values[Int(number)], 0)) / DecayedPopularity.valueOfNewest
    }

    static func logWeight(_ number: KeyIndex.Number, _ popularity: DecayedPopularity) -> Double {
        naturalLog(weight(number, popularity) + 0.1)
    }
}

extension FeatureRow {
    mutating func set(_ feature: Feature, _ value: Double) { self[feature.rawValue] = Float(value) }
}

/// A set of item numbers that is emptied by counting a round: nothing is cleared, nothing hashed.
struct NumberMarks: Sendable {
    private var stamps: [UInt32] = []
    private var round: UInt32 = 0

    /// Empties the set and makes room for items 0..<count.
    mutating func begin(_ count: Int) {
        if round == .max {
            stamps = []
            round = 0
        }
        round += 1
        if stamps.count < count {
            stamps.append(contentsOf: repeatElement(0, count: count - stamps.count))
        }
    }

    mutating func insert(_ number: KeyIndex.Number) { stamps[Int(number)] = round }

    func contains(_ number: KeyIndex.Number) -> Bool { stamps[Int(number)] == round }
}
