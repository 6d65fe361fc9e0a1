// Scores of the few items that have any: a dense array that is only ever cleared where it was touched.

/// Accumulates scores by item number; reused from request to request, so that scoring allocates nothing.
public struct SparseScores: Sendable {
    public private(set) var values: [Double] = []
    /// Items with a score, in order of first touch.
    public private(set) var touched: [KeyIndex.Number] = []

    public init() {}

    /// Makes room for items 0..<count and forgets all scores.
    public mutating func begin(_ count: Int) {
        for item in touched { values[Int(item)] = 0 }
        touched.removeAll(keepingCapacity: true)
        if values.count < count {
            values.append(contentsOf: repeatElement(0, count: count - values.count))
        }
    }

    public subscript(_ item: KeyIndex.Number) -> Double {
        Int(item) < values.count ? values[Int(item)] : 0
    }

    /// Adds `factor` times each positive count of a row. A score once given is never exactly zero, which is what
    /// marks it as touched.
    mutating func add(_ row: CountRow, factor: Double) {
        var values = self.values
        var touched = self.touched
        self.values = []
        self.touched = []
        row.forEachPositive { item, count in
            let old = values[Int(item)]
            if old == 0 { touched.append(item) }
            values[Int(item)] = old + factor * Double(count)
        }
        self.values = values
        self.touched = touched
    }
}
