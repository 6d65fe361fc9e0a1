// Chance from a seed: SplitMix64 (Steele, Lea, Flood 2014). The standard library does not promise the same draws in
// every version, so the few distributions needed are here.

/// A stream of random numbers that is a pure function of its seed.
public struct SeededRandom: Sendable, RandomNumberGenerator {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word &>> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word &>> 31)
    }

    /// Uniform in 0..<1.
    public mutating func uniform() -> Double { Double(next() &>> 11) * 0x1p-53 }

    /// Uniform in 0..<count.
    public mutating func below(_ count: Int) -> Int {
        precondition(count > 0, "a choice needs something to choose from")
        return Int(next().multipliedFullWidth(by: UInt64(count)).high)
    }

    public mutating func chance(_ probability: Double) -> Bool { uniform() < probability }

    /// An exponential waiting time of this mean.
    public mutating func exponential(mean: Double) -> Double {
        -mean * Numbers.log(1 - uniform())
    }

    /// About normal, mean 0, deviation 1: twelve uniforms, never beyond 6.
    public mutating func bell() -> Double {
        (0..<12).reduce(-6.0) { sum, _ in sum + uniform() }
    }

    public mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }

    /// An index with probability proportional to its weight; the last one when all weights are zero.
    public mutating func weighted(_ weights: [Double]) -> Int {
        var rest = uniform() * weights.reduce(0, +)
        for (index, weight) in weights.enumerated() {
            rest -= weight
            if rest < 0 { return index }
        }
        return weights.count - 1
    }
}
