// Root mean square normalisation (Zhang & Sennrich, 2019): y = gain · x / sqrt(mean(x²) + epsilon), row by row. For a
// norm per head (Qwen3's of queries and keys) a row is one head of one position: rows = positions · heads.

/// y and x are rows × width, gain is width, reciprocals rows: 1 / sqrt(mean(x²) + epsilon), kept for the way back.
public func rmsNorm(
    _ x: Span<Float>, gain: Span<Float>, into y: inout MutableSpan<Float>,
    reciprocals: inout MutableSpan<Float>, rows: Int, width: Int, epsilon: Float
) {
    precondition(
        x.count == rows * width && y.count == x.count && gain.count == width
            && reciprocals.count == rows && width > 0, "shapes of a norm")
    for row in 0..<rows {
        let place = row * width..<(row + 1) * width
        let from = x.extracting(place)
        let square = dotProduct(from, from) / Float(width)
        let reciprocal = 1 / (square + epsilon).squareRoot()
        reciprocals[row] = reciprocal
        var to = y._mutatingExtracting(place)
        for index in 0..<width { to[index] = from[index] * reciprocal * gain[index] }
    }
}

/// Adds to dx (rows × width) and dGain (width), given dy and what `rmsNorm` was given and kept.
public func rmsNormBackward(
    _ dy: Span<Float>, x: Span<Float>, gain: Span<Float>, reciprocals: Span<Float>,
    dx: inout MutableSpan<Float>, dGain: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(
        x.count == rows * width && dy.count == x.count && dx.count == x.count
            && gain.count == width && (dGain.count == width || dGain.isEmpty)
            && reciprocals.count == rows && width > 0, "shapes of a norm")
    for row in 0..<rows {
        let place = row * width..<(row + 1) * width
        let from = x.extracting(place)
        let above = dy.extracting(place)
        var below = dx._mutatingExtracting(place)
        let reciprocal = reciprocals[row]
        // dx = r (g dy) - x r³ / width · sum(g dy x)
        let along = tripleProduct(above, gain, from)
        let pull = along * reciprocal * reciprocal * reciprocal / Float(width)
        for index in 0..<width {
            below[index] += above[index] * reciprocal * gain[index] - from[index] * pull
        }
        guard !dGain.isEmpty else { continue }
        for index in 0..<width { dGain[index] += above[index] * reciprocal * from[index] }
    }
}
