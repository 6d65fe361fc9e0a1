// Directed, distance-weighted co-occurrence, in exact integers: R[a, b] += 2520 / gap for b within 10 positions after
// a.
//
// 2520 is divisible by every gap, so no sum is ever rounded, and adding, subtracting, sharding and re-folding agree
// to the last bit (decision D3; the sequential rules of accuracy.md).

/// R as sparse rows by item number, with row sums.
public struct TransitionCounts: Sendable {
    /// Positions within which two items of a history count as a pair.
    public static let reach = 10
    /// What a pair of neighbours counts: the least common multiple of 1...10.
    public static let unit: Int64 = 2_520

    public private(set) var rows: [CountRow] = []
    public private(set) var rowSums: [Int64] = []
    /// Columns held over all rows.
    public private(set) var pairCount = 0
    /// New pairs refused because `pairCountMax` was reached: above zero, the statistics are no longer exact.
    public private(set) var refusedCount = 0
    /// A row and its share of the table cost about 20 bytes a pair.
    public var pairCountMax: Int

    public init(pairCountMax: Int = 50_000_000) { self.pairCountMax = pairCountMax }

    public mutating func reserve(_ count: Int) {
        while rows.count < count {
            rows.append(CountRow())
            rowSums.append(0)
        }
    }

    /// Adds `sign` times the pairs of an edit; `items` are numbers in history order.
    mutating func apply(sign: Int64, items: [KeyIndex.Number], leftMax: Int, rightMin: Int) {
        for right in max(rightMin, 1)..<max(items.count, 1) where right < items.count {
            let lowest = max(0, right - Self.reach)
            let highest = min(leftMax, right - 1)
            guard lowest <= highest else { continue }
            for left in lowest...highest {
                add(items[left], items[right], sign * Self.unit / Int64(right - left))
            }
        }
    }

    /// Adds `sign` times the pair that a repeated item makes with itself.
    mutating func applyRepeat(sign: Int64, item: KeyIndex.Number, gap: Int) {
        guard gap > 0, gap <= Self.reach else { return }
        add(item, item, sign * Self.unit / Int64(gap))
    }

    mutating func add(_ row: KeyIndex.Number, _ column: KeyIndex.Number, _ amount: Int64) {
        let row = Int(row)
        if pairCount >= pairCountMax, rows[row][column] == 0 {
            refusedCount += 1
            return
        }
        pairCount += rows[row].add(column, amount)
        rowSums[row] &+= amount
    }
}
