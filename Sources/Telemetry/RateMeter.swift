// How many a second, over the last few seconds.

/// Counts in one-second slots. Not thread-safe: its owner locks.
struct RateMeter: Sendable {
    /// Complete seconds that a rate covers.
    static let secondsCovered = 5

    private var counts = [Int](repeating: 0, count: secondsCovered + 1)
    private var seconds = [Int](repeating: -1, count: secondsCovered + 1)
    private var first: Int?

    mutating func add(_ count: Int, now: Double) {
        let second = Int(now)
        let slot = second % counts.count
        if seconds[slot] != second {
            seconds[slot] = second
            counts[slot] = 0
        }
        counts[slot].count(count)
        if first == nil { first = second }
    }

    /// Per second, over the last complete seconds (fewer at the start).
    func perSecond(now: Double) -> Double {
        guard let first else { return 0 }
        let second = Int(now)
        let oldest = max(second - Self.secondsCovered, first)
        guard oldest < second else { return 0 }
        var sum = 0
        for (slot, counted) in seconds.enumerated() where (oldest..<second).contains(counted) {
            sum.count(counts[slot])
        }
        return Double(sum) / Double(second - oldest)
    }
}
