// Scores of the few items that have any: a dense array that is only ever cleared where it was touched.

/// Accumulates scores by item number; reused from request to request, so that scoring allocates nothing.
public struct SparseScores: Sendable {
    public private(set) var values: [Double] = []
    /// Items with a score, and one place more: the next item is written there before it is known to be new.
    private var places: [KeyIndex.Number] = [0]
    private var touchedCount = 0

    public init() {}

    /// Items with a score, in order of first touch.
    public var touched: ArraySlice<KeyIndex.Number> { places[..<touchedCount] }

    /// Makes room for items 0..<count and forgets all scores.
    public mutating func begin(_ count: Int) {
        for item in touched { values[Int(item)] = 0 }
        touchedCount = 0
        if values.count < count {
            values.append(contentsOf: repeatElement(0, count: count - values.count))
            places.append(contentsOf: repeatElement(0, count: count + 1 - places.count))
        }
    }

    @inlinable
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
        change { values, places, touchedCount in
            row.forEachPositive { item, count in
                let old = values[Int(item)]
                places[touchedCount] = item
                touchedCount &+= old == 0 ? 1 : 0
                values[Int(item)] = old + value(item, count)
            }
        }
    }

    /// Adds to the score of one item; what adds up to exactly zero counts as no score.
    public mutating func add(_ item: KeyIndex.Number, _ value: Double) {
        let old = values[Int(item)]
        if old == 0, value != 0 {
            places[touchedCount] = item
            touchedCount += 1
        }
        // A sum that cancels out would look untouched and be listed twice.
        let sum = old + value
        values[Int(item)] = sum == 0 && old != 0 ? .leastNonzeroMagnitude : sum
    }

    /// Adds `factor` times each amount; what is exactly zero counts as no score, and none may be negative.
    mutating func add(
        _ amounts: [(item: KeyIndex.Number, amount: Double)], factor: Double
    ) {
        change { values, places, touchedCount in
            for (item, amount) in amounts {
                let old = values[Int(item)]
                let sum = old + factor * amount
                places[touchedCount] = item
                touchedCount &+= old == 0 && sum != 0 ? 1 : 0
                values[Int(item)] = sum
            }
        }
    }

    /// Gives `values[i]` to the item `numbers[i]`, where that is one and the value is finite and not zero.
    mutating func assign(_ given: [Float], to numbers: [KeyIndex.Number]) {
        precondition(given.count == numbers.count, "a value an item")
        change { values, places, touchedCount in
            for (number, value) in zip(numbers, given) where number >= 0 && value != 0 {
                guard value.isFinite, Int(number) < values.count else { continue }
                if values[Int(number)] == 0 {
                    places[touchedCount] = number
                    touchedCount += 1
                }
                values[Int(number)] = Double(value)
            }
        }
    }

    /// Hands out the memory for a loop: nothing in it asks whether an array is shared.
    @inline(__always)
    private mutating func change(
        _ body: (
            _ values: inout MutableSpan<Double>, _ places: inout MutableSpan<KeyIndex.Number>,
            _ touchedCount: inout Int
        ) -> Void
    ) {
        var values = self.values
        var places = self.places
        (self.values, self.places) = ([], [])
        var valueSpan = values.mutableSpan
        var placeSpan = places.mutableSpan
        body(&valueSpan, &placeSpan, &touchedCount)
        (self.values, self.places) = (values, places)
    }
}
