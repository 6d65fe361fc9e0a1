// One decoder block, backward. Gradients of parameters are added to an array of the model's layout.

import Tensors

/// Memory of the way back, used again pass after pass.
public struct BlockScratch: Sendable {
    var dAdded: [Float] = []
    var dHidden: [Float] = []
    var dGate: [Float] = []
    var dUp: [Float] = []
    var dNormed: [Float] = []
    var dAttended: [Float] = []
    var dq: [Float] = []
    var dk: [Float] = []
    var dv: [Float] = []
    var dRaw: [Float] = []
    /// Of an adapter: rows × rank.
    var dLowRank: [Float] = []

    public init() {}
}

/// Replaces dx, the gradient of the block's output, by that of its input. Only for passes without a cache.
public func backward(
    _ dx: inout [Float], block: BlockLayout, parameters: Span<Float>, pass: BlockPass,
    trace: BlockTrace, gradients: inout [Float], scratch: inout BlockScratch
) {
    precondition(gradients.count == parameters.count, "a gradient for every parameter")
    var none = AdapterGradients(nil, [])
    backwardFeedForward(
        &dx, block, parameters, pass, trace, &gradients, Span(), &none, &scratch)
    backwardAttention(&dx, block, parameters, pass, trace, &gradients, Span(), &none, &scratch)
}

/// The same with the block's parameters frozen: nothing is computed for their gradients. Those of the adapter are added
/// to `adapterGradients`, an array of the adapter's layout.
public func backward(
    _ dx: inout [Float], block: BlockLayout, parameters: Span<Float>, pass: BlockPass,
    adapter: BlockAdapter, adapterParameters: Span<Float>, trace: BlockTrace,
    adapterGradients: inout [Float], scratch: inout BlockScratch
) {
    precondition(
        adapterGradients.count == adapterParameters.count, "a gradient for every parameter")
    var frozen: [Float] = []
    var adapted = AdapterGradients(adapter, [])
    swap(&adapted.values, &adapterGradients)
    backwardFeedForward(
        &dx, block, parameters, pass, trace, &frozen, adapterParameters, &adapted, &scratch)
    backwardAttention(
        &dx, block, parameters, pass, trace, &frozen, adapterParameters, &adapted, &scratch)
    swap(&adapted.values, &adapterGradients)
}

private func backwardFeedForward(
    _ dx: inout [Float], _ block: BlockLayout, _ parameters: Span<Float>, _ pass: BlockPass,
    _ trace: BlockTrace, _ gradients: inout [Float], _ adapterParameters: Span<Float>,
    _ adapted: inout AdapterGradients, _ scratch: inout BlockScratch
) {
    let (rows, width, inner) = (pass.rows, block.shape.width, block.shape.feedForward)
    zero(&scratch.dAdded, rows * width)
    zero(&scratch.dHidden, rows * inner)
    zero(&scratch.dGate, rows * inner)
    zero(&scratch.dUp, rows * inner)
    zero(&scratch.dNormed, rows * width)
    backwardDrop(dx, dx: &scratch.dAdded, rate: pass.dropout, pass.stream(block, 1))
    backwardApply(
        scratch.dAdded, x: trace.hidden, .down, block, parameters, trace, dx: &scratch.dHidden,
        &gradients, adapterParameters, &adapted, &scratch.dLowRank, rows: rows)
    backwardGatedUnit(
        scratch.dHidden, trace.gate, trace.up, dGate: &scratch.dGate, dUp: &scratch.dUp)
    backwardApply(
        scratch.dGate, x: trace.middleNormed, .gate, block, parameters, trace,
        dx: &scratch.dNormed, &gradients, adapterParameters, &adapted, &scratch.dLowRank,
        rows: rows)
    backwardApply(
        scratch.dUp, x: trace.middleNormed, .up, block, parameters, trace, dx: &scratch.dNormed,
        &gradients, adapterParameters, &adapted, &scratch.dLowRank, rows: rows)
    backwardNorm(
        scratch.dNormed, x: trace.middle, gain: block.feedForwardNorm, parameters,
        reciprocals: trace.feedForwardReciprocals, dx: &dx, &gradients, rows: rows, width: width)
}

private func backwardAttention(
    _ dx: inout [Float], _ block: BlockLayout, _ parameters: Span<Float>, _ pass: BlockPass,
    _ trace: BlockTrace, _ gradients: inout [Float], _ adapterParameters: Span<Float>,
    _ adapted: inout AdapterGradients, _ scratch: inout BlockScratch
) {
    let shape = block.shape
    let (rows, width) = (pass.rows, shape.width)
    zero(&scratch.dAdded, rows * width)
    zero(&scratch.dAttended, rows * shape.queryWidth)
    zero(&scratch.dq, rows * shape.queryWidth)
    zero(&scratch.dk, rows * shape.keyWidth)
    zero(&scratch.dv, rows * shape.keyWidth)
    zero(&scratch.dNormed, rows * width)
    backwardDrop(dx, dx: &scratch.dAdded, rate: pass.dropout, pass.stream(block, 0))
    backwardApply(
        scratch.dAdded, x: trace.attended, .output, block, parameters, trace,
        dx: &scratch.dAttended, &gradients, adapterParameters, &adapted, &scratch.dLowRank,
        rows: rows)
    backwardAttend(
        scratch.dAttended, trace, pass, shape, dq: &scratch.dq, dk: &scratch.dk, dv: &scratch.dv)
    turn(&scratch.dq, .backward, pass, heads: shape.heads, headWidth: shape.headWidth)
    turn(&scratch.dk, .backward, pass, heads: shape.keyHeads, headWidth: shape.headWidth)
    if shape.hasHeadNorms {
        backwardHeadNorms(block, parameters, trace, &gradients, &scratch, rows: rows)
    }
    for (dy, projection) in [
        (scratch.dq, Projection.query), (scratch.dk, .key), (scratch.dv, .value),
    ] {
        backwardApply(
            dy, x: trace.normed, projection, block, parameters, trace, dx: &scratch.dNormed,
            &gradients, adapterParameters, &adapted, &scratch.dLowRank, rows: rows)
    }
    backwardNorm(
        scratch.dNormed, x: trace.x, gain: block.attentionNorm, parameters,
        reciprocals: trace.attentionReciprocals, dx: &dx, &gradients, rows: rows, width: width)
}

/// Replaces dq and dk by the gradients before the norms of every head.
private func backwardHeadNorms(
    _ block: BlockLayout, _ parameters: Span<Float>, _ trace: BlockTrace,
    _ gradients: inout [Float], _ scratch: inout BlockScratch, rows: Int
) {
    let shape = block.shape
    zero(&scratch.dRaw, rows * shape.queryWidth)
    backwardNorm(
        scratch.dq, x: trace.rawQ, gain: block.queryNorm, parameters,
        reciprocals: trace.queryReciprocals, dx: &scratch.dRaw, &gradients,
        rows: rows * shape.heads, width: shape.headWidth)
    swap(&scratch.dq, &scratch.dRaw)
    zero(&scratch.dRaw, rows * shape.keyWidth)
    backwardNorm(
        scratch.dk, x: trace.rawK, gain: block.keyNorm, parameters,
        reciprocals: trace.keyReciprocals, dx: &scratch.dRaw, &gradients,
        rows: rows * shape.keyHeads, width: shape.headWidth)
    swap(&scratch.dk, &scratch.dRaw)
}

private func backwardAttend(
    _ dy: [Float], _ trace: BlockTrace, _ pass: BlockPass, _ shape: BlockShape,
    dq: inout [Float], dk: inout [Float], dv: inout [Float]
) {
    var dQueries = dq.mutableSpan
    var dKeys = dk.mutableSpan
    var dValues = dv.mutableSpan
    attentionBackward(
        dy.span, q: trace.q.span, k: trace.k.span, v: trace.v.span, visible: pass.visible.span,
        logSums: trace.logSums.span, dq: &dQueries, dk: &dKeys, dv: &dValues,
        shape: shape.attention(rows: pass.rows, keyRows: pass.rows))
}

private func backwardGatedUnit(
    _ dy: [Float], _ gate: [Float], _ up: [Float], dGate: inout [Float], dUp: inout [Float]
) {
    var gateBelow = dGate.mutableSpan
    var upBelow = dUp.mutableSpan
    swiGLUBackward(
        dy.span, gate: gate.span, up: up.span, dGate: &gateBelow, dUp: &upBelow)
}

private func backwardDrop(
    _ dy: [Float], dx: inout [Float], rate: Float, _ random: CounterRandom
) {
    var below = dx.mutableSpan
    dropoutBackward(dy.span, dx: &below, rate: rate, random: random)
}
