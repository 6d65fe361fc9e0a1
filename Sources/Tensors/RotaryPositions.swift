// Rotary positions (Su et al., 2021) in the split-half pairing of Llama and Qwen: dimension i of a head is paired with
// i + headWidth / 2 and the pair turned by position · inverseFrequency[i]. The angles of a row serve all its heads and
// all layers, so their cosines and sines are computed once a pass. Frequencies are a table, hence any scaling of them
// (Llama 3's, a linear one) is the caller's arithmetic. Angles are products of floats, as in the published
// implementations: at position 100 000 an exact product would differ from what weights were trained with.

/// base^(-2i / headWidth) for i below headWidth / 2: the unscaled frequencies.
public func rotaryInverseFrequencies(base: Double, headWidth: Int) -> [Float] {
    precondition(base > 0 && headWidth > 0 && headWidth.isMultiple(of: 2), "an even head width")
    return (0..<headWidth / 2).map {
        Float(1 / Libm.pow(base, Double(2 * $0) / Double(headWidth)))
    }
}

/// Cosines and sines, rows × (headWidth / 2), of the angles of each row's position.
public func rotaryAngles(
    positions: Span<Int32>, inverseFrequencies: Span<Float>, cosines: inout MutableSpan<Float>,
    sines: inout MutableSpan<Float>
) {
    let half = inverseFrequencies.count
    precondition(
        cosines.count == positions.count * half && sines.count == cosines.count,
        "shapes of rotary angles")
    for row in 0..<positions.count {
        for index in 0..<half {
            let angle = Double(Float(positions[row]) * inverseFrequencies[index])
            cosines[row * half + index] = Float(Libm.cos(angle))
            sines[row * half + index] = Float(Libm.sin(angle))
        }
    }
}

/// Which way to turn. Backward is the gradient of forward, and its inverse.
public enum RotationDirection: Sendable {
    case forward
    case backward
}

/// Turns every head of x (rows × heads × headWidth) in place by its row's angles (rows × headWidth / 2). The gradient
/// with respect to x is the gradient of the result, turned backward.
public func rotate(
    _ x: inout MutableSpan<Float>, cosines: Span<Float>, sines: Span<Float>,
    direction: RotationDirection = .forward, rows: Int, heads: Int, headWidth: Int
) {
    let half = headWidth / 2
    precondition(
        headWidth.isMultiple(of: 2) && x.count == rows * heads * headWidth
            && cosines.count == rows * half && sines.count == cosines.count,
        "shapes of a rotation")
    let sign: Float = direction == .forward ? 1 : -1
    for row in 0..<rows {
        let cosine = cosines.extracting(row * half..<(row + 1) * half)
        let sine = sines.extracting(row * half..<(row + 1) * half)
        for head in 0..<heads {
            let start = (row * heads + head) * headWidth
            for index in 0..<half {
                let (low, high) = (x[start + index], x[start + half + index])
                let turn = sign * sine[index]
                x[start + index] = low * cosine[index] - high * turn
                x[start + half + index] = high * cosine[index] + low * turn
            }
        }
    }
}
