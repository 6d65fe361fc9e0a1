// Rows of counts and what is added up from them, against loops over dictionaries.

import Interactions
import TestKit
import Testing

@testable import Teachers

@Suite("Rows of counts")
struct RowTests {
    /// A row, and what it holds; some columns back at zero or below it.
    private static func row(
        columns: Int, changes: Int, _ random: inout SeededRandom
    ) -> (row: CountRow, held: [KeyIndex.Number: Int64]) {
        var row = CountRow()
        var held: [KeyIndex.Number: Int64] = [:]
        for _ in 0..<changes {
            let column = KeyIndex.Number(random.below(columns))
            let amount = Int64(random.below(7)) - 2
            row.add(column, amount)
            held[column, default: 0] += amount
        }
        return (row, held)
    }

    @Test("every positive count is told once, and nothing else", arguments: 0..<12)
    func positives(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        for changes in [0, 1, 5, 6, 7, 47, 48, 49, 96, 97, 400] {
            let (row, held) = Self.row(columns: 300, changes: changes, &random)
            var told: [KeyIndex.Number: Int64] = [:]
            row.forEachPositive { column, count in
                #expect(told[column] == nil)
                told[column] = count
            }
            #expect(told == held.filter { $0.value > 0 })
        }
    }

    @Test("scores are sums over rows, and every item is touched once", arguments: 0..<12)
    func scores(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var scores = SparseScores()
        for round in 0..<8 {
            // Numbers come to be known between two lists.
            let itemCount = 100 + round * 30
            scores.begin(itemCount)
            var expected: [KeyIndex.Number: Double] = [:]
            for step in 0..<6 {
                let factor = 1 / Double(step + 3)
                let (row, held) = Self.row(columns: itemCount, changes: 90, &random)
                scores.add(row, factor: factor)
                for (item, count) in held where count > 0 {
                    expected[item, default: 0] += factor * Double(count)
                }
                let amounts = (0..<20).map { _ in
                    (
                        item: KeyIndex.Number(random.below(itemCount)),
                        amount: Double(random.below(3))
                    )
                }
                scores.add(amounts, factor: factor)
                for (item, amount) in amounts where amount > 0 {
                    expected[item, default: 0] += factor * amount
                }
            }
            #expect(Set(scores.touched) == Set(expected.keys))
            #expect(scores.touched.count == expected.count)
            for item in 0..<KeyIndex.Number(itemCount) {
                #expect(scores[item] == expected[item] ?? 0)
            }
        }
    }

    @Test("rules of a family score as each does alone, to the last bit", arguments: 0..<12)
    func family(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let keys = try (0..<90).map { try #require(ItemID("i\($0)")).key }
        let members = [
            RuleParameters(sourcesMax: 5 + seed), RuleParameters(recency: .geometric(0.8)),
            RuleParameters(recency: .geometric(0), sourcesMax: 3, prior: 0),
        ].map { SequentialRules($0) }
        var family = RuleFamily(members)
        var statistics = Statistics(halfLivesSeconds: [50_000])
        for _ in 0..<6 {
            let known = 30 + random.below(60)
            var edits = StatisticsEditsWriter()
            for step in 0..<40 {
                let items = (0..<(2 + random.below(8))).map { _ in keys[random.below(known)] }
                edits.append(
                    .pairs(
                        subtract: step % 9 == 0, items: items, leftMax: items.count - 2,
                        rightMin: items.count - 1))
            }
            try statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
            let recent = (0..<20).map { _ in keys[random.below(keys.count)] }
            family.score(recent: recent, from: statistics)
            var touched: Set<KeyIndex.Number> = []
            for (lane, member) in members.enumerated() {
                var alone = SparseScores()
                alone.begin(statistics.items.count)
                member.add(recent: recent, from: statistics, to: &alone)
                touched.formUnion(alone.touched)
                for item in 0..<KeyIndex.Number(statistics.items.count) {
                    #expect(family[item][lane] == alone[item])
                }
            }
            #expect(Set(family.touched) == touched)
            #expect(family.touched.count == touched.count)
        }
    }
}

@Test(
    "decayed values and their sum are those of all entries, however time moved", arguments: 0..<12)
func decayedValues(seed: Int) throws {
    var random = SeededRandom(seed: UInt64(seed))
    var popularity = DecayedPopularity(halfLifeSeconds: 1_000)
    popularity.reserve(8)
    var seconds: UInt32 = UInt32(random.below(30_000))
    var entries: [(item: KeyIndex.Number, seconds: UInt32, weight: Int64)] = []
    for step in 0..<120 {
        // Within a half-life, over one or several, and beyond all that are kept.
        seconds += UInt32(random.below([900, 900, 4_000, step % 40 == 0 ? 30_000 : 10][step % 4]))
        let entry = (
            item: KeyIndex.Number(random.below(8)),
            seconds: seconds - min(seconds, UInt32(random.below(2_000))),
            weight: Int64(random.below(9)) - 2
        )
        entries.append(entry)
        _ = popularity.add(entry.item, seconds: entry.seconds, weight: entry.weight)
        // The twin knows the newest time first: all entries come late, and nothing ever moves on.
        var twin = DecayedPopularity(halfLifeSeconds: 1_000)
        twin.reserve(8)
        let newest = entries.map(\.seconds).max() ?? 0
        _ = twin.add(0, seconds: newest, weight: 0)
        for entry in entries {
            _ = twin.add(entry.item, seconds: entry.seconds, weight: entry.weight)
        }
        #expect(popularity.values == twin.values)
        #expect(popularity.total == twin.total)
    }
}
