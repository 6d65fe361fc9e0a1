// Cross-entropy over a set of candidates in place of all items: logits are products of states with candidate vectors,
// less the logarithm of how often each candidate is drawn (Bengio & Senécal, 2008), where that correction is wanted.
// The candidates are distinct and contain every row's target, else a target would appear as its own negative.

/// Sizes common to both passes.
public struct SampledSoftmaxShape: Equatable, Sendable {
    public var rows: Int
    public var candidates: Int
    public var width: Int
    /// Multiplies state · candidate.
    public var scale: Float

    public init(rows: Int, candidates: Int, width: Int, scale: Float = 1) {
        self.rows = rows
        self.candidates = candidates
        self.width = width
        self.scale = scale
    }
}

/// The loss. states is rows × width, candidates candidates × width, logQ one number a candidate or none, classes the
/// place of each row's target among the candidates; logits (rows × candidates) and logSums (rows) are kept.
public func sampledSoftmax(
    states: Span<Float>, candidates: Span<Float>, logQ: Span<Float> = Span(),
    classes: Span<Int32>, weights: Span<Float>, logits: inout MutableSpan<Float>,
    logSums: inout MutableSpan<Float>, shape: SampledSoftmaxShape
) -> Double {
    let count = shape.candidates
    precondition(logQ.isEmpty || logQ.count == count, "one log-q a candidate")
    linear(
        states, weights: candidates, into: &logits, rows: shape.rows, inputs: shape.width,
        outputs: count, scale: shape.scale)
    if !logQ.isEmpty {
        for row in 0..<shape.rows {
            for column in 0..<count { logits[row * count + column] -= logQ[column] }
        }
    }
    return crossEntropy(
        logits.span, classes: classes, weights: weights, logSums: &logSums, rows: shape.rows,
        width: count)
}

/// Adds to dStates and dCandidates, writes the gradient of the logits (rows × candidates) to `dLogits`, and returns
/// the gradient of the scale.
public func sampledSoftmaxBackward(
    states: Span<Float>, candidates: Span<Float>, logQ: Span<Float> = Span(),
    classes: Span<Int32>, weights: Span<Float>, logits: Span<Float>, logSums: Span<Float>,
    dLogits: inout MutableSpan<Float>, dStates: inout MutableSpan<Float>,
    dCandidates: inout MutableSpan<Float>, shape: SampledSoftmaxShape
) -> Double {
    let (rows, count, width) = (shape.rows, shape.candidates, shape.width)
    precondition(logQ.isEmpty || logQ.count == count, "one log-q a candidate")
    precondition(dLogits.count == rows * count && logits.count == dLogits.count, "shape of logits")
    for index in 0..<dLogits.count { dLogits[index] = 0 }
    crossEntropyBackward(
        logits, classes: classes, weights: weights, logSums: logSums, dLogits: &dLogits,
        rows: rows, width: count)
    linearBackward(
        dLogits.span, weights: candidates, dx: &dStates, rows: rows, inputs: width, outputs: count,
        scale: shape.scale)
    linearBackward(
        dLogits.span, x: states, dWeights: &dCandidates, rows: rows, inputs: width,
        outputs: count, scale: shape.scale)
    var slope = 0.0
    for row in 0..<rows {
        for column in 0..<count {
            let index = row * count + column
            let product = logits[index] + (logQ.isEmpty ? 0 : logQ[column])
            slope += Double(dLogits[index]) * Double(product)
        }
    }
    return shape.scale == 0 ? 0 : slope / Double(shape.scale)
}
