// What an ordering would have gained on lists whose outcome became known later: to be seen, and for the guard.

/// Gain and hits at 10: of the latest lists, fading, and of all.
public struct Meter: Sendable, Hashable {
    /// Lists after which what was is worth a third.
    static let memory = 2_000.0
    public static let cutoff = 10.0
    /// Means over about the latest 2 000 lists.
    public internal(set) var gain = 0.0
    public internal(set) var hitRate = 0.0
    var weight = 0.0
    /// Over all lists.
    public internal(set) var listCount: UInt64 = 0
    public internal(set) var hitCount: UInt64 = 0
    public internal(set) var gainSum = 0.0

    /// `place` is counted from 0; nil when the item was not in the list.
    mutating func add(_ place: Double?) {
        weight = min(weight + 1, Self.memory)
        let value = Self.gain(place)
        let isHit = place.map { $0 < Self.cutoff } ?? false
        gain += (value - gain) / weight
        hitRate += ((isHit ? 1 : 0) - hitRate) / weight
        listCount += 1
        if isHit { hitCount += 1 }
        gainSum += value
    }

    /// Discounted gain at 10 of one list.
    static func gain(_ place: Double?) -> Double {
        guard let place, place < cutoff else { return 0 }
        return naturalLog(2) / naturalLog(place + 2)
    }
}

/// How much more an ordering gained than the first stage, on the same lists: means over about the latest 2 000.
struct Lead: Sendable, Hashable {
    /// Errors of the mean that count as more than chance.
    static let errors = 2.0
    /// Lists before anything is believed.
    static let listsMin = 30.0

    var mean = 0.0
    var square = 0.0
    var weight = 0.0

    mutating func add(_ difference: Double) {
        weight = min(weight + 1, Meter.memory)
        mean += (difference - mean) / weight
        square += (difference * difference - square) / weight
    }

    private var error: Double { (max(square - mean * mean, 0) / max(weight, 1)).squareRoot() }
    var isAhead: Bool { weight >= Self.listsMin && mean > Self.errors * error }
    var isBehind: Bool { weight >= Self.listsMin && mean < -Self.errors * error }
}
