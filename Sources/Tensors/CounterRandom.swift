// Random numbers by place: number i of a stream is a function of seed, stream and i (SplitMix64 with the counter as its
// state; Steele, Lea & Flood, 2014). So a mask is not stored but drawn again on the way back, a run that is resumed
// draws what it would have drawn, and no order of work changes a draw.

/// One stream of numbers. A value: it has no state to move on.
public struct CounterRandom: Equatable, Sendable {
    private let key: UInt64

    /// Streams of a seed (a layer, a step, an epoch) are unrelated to each other.
    public init(seed: UInt64, stream: UInt64 = 0) {
        key = Self.mixed(Self.mixed(seed &+ Self.increment) ^ (stream &* Self.increment))
    }

    private static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    public func bits(_ index: Int) -> UInt64 {
        Self.mixed(key &+ UInt64(truncatingIfNeeded: index &+ 1) &* Self.increment)
    }

    /// In [0, 1), of 24 bits.
    public func uniform(_ index: Int) -> Float { Float(bits(index) >> 40) * 0x1p-24 }

    /// Of mean 0 and deviation 1 (Box & Muller, 1958), from one number's two halves.
    public func normal(_ index: Int) -> Float {
        let drawn = bits(index)
        let first = Double((drawn >> 32) + 1) * 0x1p-32
        let second = Double(drawn & 0xFFFF_FFFF) * 0x1p-32
        return Float((-2 * Libm.log(first)).squareRoot() * Libm.cos(2 * .pi * second))
    }
}

/// x = deviation · normal numbers.
public func fillNormal(
    _ x: inout MutableSpan<Float>, deviation: Float, random: CounterRandom
) {
    for index in 0..<x.count { x[index] = deviation * random.normal(index) }
}

/// x = numbers in [-limit, limit).
public func fillUniform(_ x: inout MutableSpan<Float>, limit: Float, random: CounterRandom) {
    for index in 0..<x.count { x[index] = limit * (2 * random.uniform(index) - 1) }
}

/// Each number of x becomes 0 with probability `rate`, else it grows by 1 / (1 - rate).
public func dropout(_ x: inout MutableSpan<Float>, rate: Float, random: CounterRandom) {
    precondition((0..<1).contains(rate), "a rate below 1")
    guard rate > 0 else { return }
    let growth = 1 / (1 - rate)
    for index in 0..<x.count { x[index] = random.uniform(index) < rate ? 0 : x[index] * growth }
}

/// Adds to dx what of dy the same draw let through.
public func dropoutBackward(
    _ dy: Span<Float>, dx: inout MutableSpan<Float>, rate: Float, random: CounterRandom
) {
    precondition((0..<1).contains(rate) && dy.count == dx.count, "shapes of dropout")
    let growth = 1 / (1 - rate)
    for index in 0..<dy.count where rate == 0 || random.uniform(index) >= rate {
        dx[index] += dy[index] * growth
    }
}
