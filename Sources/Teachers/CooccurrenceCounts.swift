// Who has what together with what, in exact integers: G[a, b] = histories that hold a and b within the configured
// reach of each other (decision D3; `HistoryRules.cooccurrenceReach`).
//
// With a reach of the whole history this is the Gram matrix X^T X of the user-item matrix without its diagonal,
// which `Statistics.counts` holds. Symmetric: both directions are stored, so that a row is read without a search.

/// G as sparse symmetric rows by item number. Empty unless counting was asked for.
public struct CooccurrenceCounts: Sendable {
    private static let nothing = CountRow()

    private var rows: [CountRow] = []
    /// Pairs held, each direction counted.
    public private(set) var pairCount = 0
    /// New pairs refused because `pairCountMax` was reached: above zero, the counts are no longer exact.
    public private(set) var refusedCount = 0
    /// One direction of a pair costs 16 to 36 bytes.
    public var pairCountMax: Int

    public init(pairCountMax: Int = 50_000_000) { self.pairCountMax = pairCountMax }

    /// What item is together with; no counts for an item without any.
    public func row(_ item: KeyIndex.Number) -> CountRow {
        Int(item) < rows.count ? rows[Int(item)] : Self.nothing
    }

    public subscript(_ item: KeyIndex.Number, _ other: KeyIndex.Number) -> Int64 {
        Int(item) < rows.count ? rows[Int(item)][other] : 0
    }

    mutating func reserve(_ count: Int) {
        guard rows.count < count else { return }
        rows.append(contentsOf: repeatElement(CountRow(), count: count - rows.count))
    }

    mutating func add(_ item: KeyIndex.Number, _ other: KeyIndex.Number, _ amount: Int64) {
        // A history holds an item once; only damaged bytes say otherwise.
        guard item != other else { return }
        if pairCount >= pairCountMax, rows[Int(item)][other] == 0 {
            refusedCount += 1
            return
        }
        pairCount += rows[Int(item)].add(other, amount)
        pairCount += rows[Int(other)].add(item, amount)
    }
}
