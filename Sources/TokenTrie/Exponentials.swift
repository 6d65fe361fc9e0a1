// exp and log from IEEE additions and multiplications only: the same bits on every machine, and a loop of exps that
// the compiler turns into vectors. Relative error of both below 1e-14.

private let log2OfE = 1.442_695_040_888_963_4
// ln 2 in two parts; multiples of the first by integers below 2^11 are exact.
private let ln2High = 6.931_471_803_691_238_2e-1
private let ln2Low = 1.908_214_929_270_587_7e-10
/// Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
private let roundingShift = 6_755_399_441_055_744.0
/// Below it exp is taken as 0: what follows would leave the normal numbers.
package let exponentMin = -708.0

/// e^x for x <= 0; 0 below `exponentMin`, and for -infinity.
@inline(__always)
package func exponential(_ x: Double) -> Double {
    let bounded = x < exponentMin ? exponentMin : x
    let shifted = bounded * log2OfE + roundingShift
    let whole = shifted - roundingShift
    let r = (bounded - whole * ln2High) - whole * ln2Low
    let r2 = r * r
    let r4 = r2 * r2
    // Taylor's series to r^12 / 12!, |r| <= ln 2 / 2, in pairs so that multiplications overlap.
    let low = (1 + r) + r2 * (1 / 2 + r * (1 / 6))
    let middle = (1 / 24 + r * (1 / 120)) + r2 * (1 / 720 + r * (1 / 5040))
    let high = (1 / 40_320 + r * (1 / 362_880)) + r2 * (1 / 3_628_800 + r * (1 / 39_916_800))
    let series = low + r4 * (middle + r4 * (high + r4 * (1 / 479_001_600)))
    let power = Double(bitPattern: (shifted.bitPattern &+ 1023) << 52)
    return x < exponentMin ? 0 : series * power
}

/// Replaces each x by exp((x - shift) * scale); no x may be above `shift`.
package func exponentiate(_ values: inout [Double], shift: Double, scale: Double) {
    // A kernel: without bounds checks the loop becomes vectors.
    unsafe values.withUnsafeMutableBufferPointer { values in
        for index in values.indices {
            unsafe values[index] = exponential((values[index] - shift) * scale)
        }
    }
}

/// The natural logarithm of x >= 0; -infinity at 0.
package func logarithm(_ x: Double) -> Double {
    guard x > 0 else { return -.infinity }
    guard x.isFinite else { return x }
    var significand = x.significand
    var exponent = Double(x.exponent)
    if significand > 1.414_213_562_373_095_1 {
        significand /= 2
        exponent += 1
    }
    // 2 artanh(z), |z| <= 0.172: eleven terms reach the last bit.
    let z = (significand - 1) / (significand + 1)
    let z2 = z * z
    var series = 0.0
    for term in stride(from: 21.0, through: 1.0, by: -2.0) { series = series * z2 + 1 / term }
    return exponent * ln2High + (2 * z * series + exponent * ln2Low)
}
