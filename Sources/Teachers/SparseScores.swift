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

    /// Adds `factor` times each positive count of a row.
    mutating func add(_ row: CountRow, factor: Double) {
        add(row) { _, count in factor * Double(count) }
    }

    /// Adds what `value` makes of each positive count of a row, which must not be negative. A score once given is never
    /// exactly zero, which is what marks it as touched.
    @inline(__always)
    mutating func add(_ row: CountRow, _ value: (KeyIndex.Number, Int64) -> Double) {
        var values = self.values
        var touched = self.touched
        self.values = []
        self.touched = []
        row.forEachPositive { item, count in
            let old = values[Int(item)]
            if old == 0 { touched.append(item) }
            values[Int(item)] = old + value(item, count)
        }
        self.values = values
        self.touched = touched
    }

    /// Adds to the score of one item; what adds up to exactly zero counts as no score.
    public mutating func add(_ item: KeyIndex.Number, _ value: Double) {
        let old = values[Int(item)]
        if old == 0, value != 0 { touched.append(item) }
        // A sum that cancels out would look untouched and be listed twice.
        let sum = old + value
        values[Int(item)] = sum == 0 && old != 0 ? .leastNonzeroMagnitude : sum
    }

    /// Gives `values[i]` to the item `numbers[i]`, where that is one and the value is finite and not zero.
    mutating func assign(_ given: [Float], to numbers: [KeyIndex.Number]) {
        precondition(given.count == numbers.count, "a value an item")
        var values = self.values
        var touched = self.touched
        self.values = []
        self.touched = []
        for (number, value) in zip(numbers, given) where number >= 0 && value != 0 {
            guard value.isFinite, Int(number) < values.count else { continue }
            if values[Int(number)] == 0 { touched.append(number) }
            values[Int(number)] = Double(value)
        }
        self.values = values
        self.touched = touched
    }
}
