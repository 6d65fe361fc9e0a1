// Logarithm and exponential of IEEE operations only: the same events then give the same weights on every machine,
// which libm does not promise.

/// The natural logarithm of a positive finite number.
///
/// A list takes thousands of them: significand and exponent come from the bits, because the standard library's are
/// calls.
@inlinable
public func naturalLog(_ value: Double) -> Double {
    var bits = value.bitPattern
    var exponent = Int(bits &>> 52) - 1_023
    if exponent < -1_022 || exponent > 1_023 {
        // The sign counts as an exponent above all others, so only a subnormal number is left that has a logarithm. It
        // is made a normal one: 2^54 times as large, exactly.
        precondition(value > 0 && value.isFinite, "a logarithm needs a positive number")
        bits = (value * 0x1p54).bitPattern
        exponent = Int(bits &>> 52) - 1_023 - 54
    }
    let significand = Double(bitPattern: bits & 0x000F_FFFF_FFFF_FFFF | 0x3FF0_0000_0000_0000)
    let z = (significand - 1) / (significand + 1)
    let square = z * z
    // 2 artanh(z), |z| <= 1/3: to about 1e-10, far below what a Float keeps.
    var sum = 1.0 / 19
    sum = sum * square + 1.0 / 17
    sum = sum * square + 1.0 / 15
    sum = sum * square + 1.0 / 13
    sum = sum * square + 1.0 / 11
    sum = sum * square + 1.0 / 9
    sum = sum * square + 1.0 / 7
    sum = sum * square + 1.0 / 5
    sum = sum * square + 1.0 / 3
    sum = sum * square + 1
    let naturalLogOf2 = 0.693_147_180_559_945_3
    return 2 * z * sum + Double(exponent) * naturalLogOf2
}

/// e to the power of `value`, clamped to what a Float holds.
@inline(__always)
func exponential(_ value: Float) -> Float {
    let clamped = min(max(value, -87), 88)
    let raised = clamped * 1.442_695_04 + roundingUnit
    let shift = raised - roundingUnit
    let rest = (clamped - shift * 0.693_359_375) + shift * 2.121_944_4e-4
    var sum: Float = 1.0 / 720
    sum = sum * rest + 1.0 / 120
    sum = sum * rest + 1.0 / 24
    sum = sum * rest + 1.0 / 6
    sum = sum * rest + 0.5
    sum = sum * rest + 1
    sum = sum * rest + 1
    return sum * power(raised)
}

/// 1.5 * 2^23: a small number added and taken away again is rounded to the nearest whole one, ties to even.
private let roundingUnit: Float = 12_582_912

/// The same for 16 at a time.
@inline(__always)
func exponential(_ values: SIMD16<Float>) -> SIMD16<Float> {
    let clamped = clamp(values, -87, 88)
    let raised = clamped * 1.442_695_04 + roundingUnit
    let shift = raised - roundingUnit
    let rest = (clamped - shift * 0.693_359_375) + shift * 2.121_944_4e-4
    var sum = SIMD16<Float>(repeating: 1.0 / 720)
    sum = sum * rest + 1.0 / 120
    sum = sum * rest + 1.0 / 24
    sum = sum * rest + 1.0 / 6
    sum = sum * rest + 0.5
    sum = sum * rest + 1
    sum = sum * rest + 1
    var powers = SIMD16<Float>.zero
    for lane in 0..<16 { powers[lane] = power(raised[lane]) }
    return sum * powers
}

/// Numbers below `low` and above `high` replaced by those. The standard library's own is a loop over lanes in memory.
@inline(__always)
func clamp(_ values: SIMD16<Float>, _ low: Float, _ high: Float) -> SIMD16<Float> {
    values.replacing(with: low, where: values .< low)
        .replacing(with: high, where: values .> high)
}

/// 2 to the power of what was added to the rounding unit, which its lowest bits hold.
@inline(__always)
private func power(_ raised: Float) -> Float {
    Float(bitPattern: (raised.bitPattern &- roundingUnit.bitPattern &+ 127) &<< 23)
}

/// Turns scores into probabilities in place and returns the logarithm of their sum of exponentials.
func softmax(_ scores: inout [Float]) -> Double {
    let top = scores.max() ?? 0
    var total = 0.0
    for index in scores.indices {
        scores[index] = exponential(scores[index] - top)
        total += Double(scores[index])
    }
    let inverse = Float(1 / total)
    for index in scores.indices { scores[index] *= inverse }
    return naturalLog(total) + Double(top)
}
