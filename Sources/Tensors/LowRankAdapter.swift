// LoRA (Hu et al., 2022): y += scale · (x Aᵀ) Bᵀ, on top of a base product that is already in y. A is rank × inputs, B
// outputs × rank. B starts as zeros, and adding zeros leaves the base's bits. The second product adds into y as it
// runs, which is all the fusing that pays: x Aᵀ has rank / outputs of the base's work, and joining A to W in one matrix
// would cost a copy of W.

/// Adds to y (rows × outputs); hidden (rows × rank) = x Aᵀ is kept for the way back.
public func lowRank(
    _ x: Span<Float>, a: Span<Float>, b: Span<Float>, hidden: inout MutableSpan<Float>,
    into y: inout MutableSpan<Float>, rows: Int, inputs: Int, outputs: Int, rank: Int, scale: Float
) {
    linear(x, weights: a, into: &hidden, rows: rows, inputs: inputs, outputs: rank)
    linear(
        hidden.span, weights: b, into: &y, rows: rows, inputs: rank, outputs: outputs,
        scale: scale, keep: 1)
}

/// Adds to dx and to dPair (dA, then dB, as a layout holds them one after the other), given dy and what `lowRank` was
/// given and kept. dHidden is scratch of rows × rank.
public func lowRankBackward(
    _ dy: Span<Float>, x: Span<Float>, hidden: Span<Float>, a: Span<Float>, b: Span<Float>,
    dHidden: inout MutableSpan<Float>, dx: inout MutableSpan<Float>,
    dPair: inout MutableSpan<Float>, rows: Int, inputs: Int, outputs: Int, rank: Int, scale: Float
) {
    precondition(dPair.count == rank * (inputs + outputs), "shapes of an adapter's gradients")
    multiply(dy, .plain, b, into: &dHidden, m: rows, n: rank, k: outputs, scale: scale)
    var dA = dPair._mutatingExtracting(0..<rank * inputs)
    linearBackward(
        dHidden.span, x: x, dWeights: &dA, rows: rows, inputs: inputs, outputs: rank)
    var dB = dPair._mutatingExtracting(rank * inputs..<dPair.count)
    linearBackward(
        dy, x: hidden, dWeights: &dB, rows: rows, inputs: rank, outputs: outputs, scale: scale)
    linearBackward(dHidden.span, weights: a, dx: &dx, rows: rows, inputs: inputs, outputs: rank)
}
