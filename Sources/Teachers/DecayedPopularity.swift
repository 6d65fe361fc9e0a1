// Popularity that halves with every half-life, kept exactly under streaming.
//
// A floating sum of exponentials depends on the order of its terms and cannot be undone. Here time is cut into
// half-lives; within one, an entry counts M[r] = 4096 * 2^(r / 1024), r its 1024th of the half-life, and entries of
// older half-lives are worth half as much each: integers summed per half-life and shifted when read. Appending,
// forgetting, late events, sharding and restarts therefore give the same integers. Entries older than `span`
// half-lives (a millionth of a new one) are worth nothing.
//
// All values are relative to the newest half-life seen, which is event time: no clock is read, and between two
// half-lives nothing needs recomputing because everything decays alike.

/// Decayed popularity of every item for one half-life.
public struct DecayedPopularity: Sendable {
    static let span = 20
    /// What an event at the start of the newest half-life adds to a value: 4096 * 2^(span - 1).
    @inlinable
    public static var valueOfNewest: Double { 0x1p31 }
    private static let resolution: Int64 = 1_024
    private static let mantissas: [Int64] = makeMantissas()

    /// In seconds.
    public let halfLife: Int64
    /// Value of each item; only ratios mean anything.
    public private(set) var values: [Int64] = []
    /// Sum of the positive values.
    public private(set) var total: Int64 = 0
    /// The newest half-life that an entry fell into; nil before the first entry.
    public private(set) var newest: Int64?
    /// `span` sums an item, at half-life modulo span.
    private var sums: [Int64] = []

    public init(halfLifeSeconds: Int64) {
        precondition(halfLifeSeconds > 0, "a half-life is positive")
        halfLife = halfLifeSeconds
    }

    public mutating func reserve(_ count: Int) {
        guard values.count < count else { return }
        let added = count - values.count
        values.append(contentsOf: repeatElement(0, count: added))
        sums.append(contentsOf: repeatElement(0, count: added * Self.span))
    }

    /// The share of an item in all popularity, 0...1.
    @inlinable
    public func share(_ item: KeyIndex.Number) -> Double {
        let value = values[Int(item)]
        return value <= 0 || total <= 0 ? 0 : Double(value) / Double(total)
    }

    /// Adds (or, negative, subtracts) an entry of this weight. Returns whether every item's value changed, because
    /// time moved on.
    mutating func add(_ item: KeyIndex.Number, seconds: UInt32, weight: Int64) -> Bool {
        let period = Int64(seconds) / halfLife
        var moved = false
        if let current = newest {
            if period > current {
                advance(from: current, to: period)
                moved = true
            }
        } else {
            newest = period
        }
        let age = (newest ?? period) - period
        guard age < Int64(Self.span) else { return moved }
        let within = (Int64(seconds) % halfLife) * Self.resolution / halfLife
        let amount = weight &* Self.mantissas[Int(within)]
        sums[Int(item) * Self.span + Int(period % Int64(Self.span))] &+= amount
        change(item, by: amount &<< (Int64(Self.span - 1) - age))
        return moved
    }

    private mutating func change(_ item: KeyIndex.Number, by amount: Int64) {
        let old = values[Int(item)]
        values[Int(item)] = old &+ amount
        total = total &+ max(0, old &+ amount) &- max(0, old)
    }

    /// Moves on to a newer half-life: forgets what fell out of the span and halves the rest, exactly.
    private mutating func advance(from old: Int64, to new: Int64) {
        let span = Int64(Self.span)
        let expired = min(new - old, span)
        newest = new
        total = 0
        // In each value, every sum that stays was shifted left by `expired` bits at least: taking out the others leaves
        // a value that can be halved without a remainder, and no other sum is read.
        let leaving = (1...expired).map { step in
            (place: Int((old + step) % span), shift: step - 1)
        }
        for item in values.indices {
            let base = item * Self.span
            var value = values[item]
            for (place, shift) in leaving {
                value &-= sums[base + place] &<< shift
                sums[base + place] = 0
            }
            value &>>= expired
            values[item] = value
            total = total &+ max(0, value)
        }
    }

    /// Multiplications and a rounding only: IEEE arithmetic makes the same table on every machine, which libm's exp2
    /// would not promise.
    private static func makeMantissas() -> [Int64] {
        let exponent = 0.693_147_180_559_945_3 / Double(resolution)
        let step =
            1 + exponent * (1 + exponent / 2 * (1 + exponent / 3 * (1 + exponent / 4)))
        var value = 4_096.0
        return (0..<resolution).map { _ in
            defer { value *= step }
            return Int64(value.rounded())
        }
    }

    // MARK: - Checkpoint

    /// The sums of one item that are not zero, as (half-life, sum).
    func periods(of item: KeyIndex.Number) -> [(period: Int64, sum: Int64)] {
        guard let newest else { return [] }
        let span = Int64(Self.span)
        var found: [(period: Int64, sum: Int64)] = []
        for period in max(0, newest - span + 1)...newest {
            let sum = sums[Int(item) * Self.span + Int(period % span)]
            if sum != 0 { found.append((period: period, sum: sum)) }
        }
        return found
    }

    /// Restores what `periods` gave; `newest` must have been restored before.
    mutating func restore(_ item: KeyIndex.Number, period: Int64, sum: Int64) {
        guard let newest, period <= newest, newest - period < Int64(Self.span), period >= 0
        else { return }
        sums[Int(item) * Self.span + Int(period % Int64(Self.span))] = sum
        change(item, by: sum &<< (Int64(Self.span - 1) - (newest - period)))
    }

    mutating func restore(newest period: Int64?) { newest = period }
}
