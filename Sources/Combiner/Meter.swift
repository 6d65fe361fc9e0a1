// What an ordering would have gained on lists whose outcome became known later: for the guard, and to be seen.

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
        let hit = place.flatMap { $0 < Self.cutoff ? $0 : nil }
        let value = hit.map { naturalLog(2) / naturalLog($0 + 2) } ?? 0
        gain += (value - gain) / weight
        hitRate += ((hit == nil ? 0 : 1) - hitRate) / weight
        listCount += 1
        if hit != nil { hitCount += 1 }
        gainSum += value
    }
}
