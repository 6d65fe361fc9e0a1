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

    public init() {}
}

/// Replaces dx, the gradient of the block's output, by that of its input. Only for passes without a cache.
public func backward(
    _ dx: inout [Float], block: BlockLayout, parameters: Span<Float>, pass: BlockPass,
    trace: BlockTrace, gradients: inout [Float], scratch: inout BlockScratch
) {
    backwardFeedForward(&dx, block, parameters, pass, trace, &gradients, &scratch)
    backwardAttention(&dx, block, parameters, pass, trace, &gradients, &scratch)
}

private func backwardFeedForward(
    _ dx: inout [Float], _ block: BlockLayout, _ parameters: Span<Float>, _ pass: BlockPass,
    _ trace: BlockTrace, _ gradients: inout [Float], _ scratch: inout BlockScratch
) {
    let shape = block.shape
    let (rows, width, inner) = (pass.rows, shape.width, shape.feedForward)
    zero(&scratch.dAdded, rows * width)
    zero(&scratch.dHidden, rows * inner)
    zero(&scratch.dGate, rows * inner)
    zero(&scratch.dUp, rows * inner)
    zero(&scratch.dNormed, rows * width)
    backwardDrop(dx, dx: &scratch.dAdded, rate: pass.dropout, pass.stream(block, 1))
    backwardApply(
        scratch.dAdded, x: trace.hidden, block.down, parameters, dx: &scratch.dHidden, &gradients,
        rows: rows, inputs: inner, outputs: width)
    backwardGatedUnit(
        scratch.dHidden, trace.gate, trace.up, dGate: &scratch.dGate, dUp: &scratch.dUp)
    backwardApply(
        scratch.dGate, x: trace.middleNormed, block.gate, parameters, dx: &scratch.dNormed,
        &gradients, rows: rows, inputs: width, outputs: inner)
    backwardApply(
        scratch.dUp, x: trace.middleNormed, block.up, parameters, dx: &scratch.dNormed,
        &gradients, rows: rows, inputs: width, outputs: inner)
    backwardNorm(
        scratch.dNormed, x: trace.middle, gain: block.feedForwardNorm, parameters,
        reciprocals: trace.feedForwardReciprocals, dx: &dx, &gradients, rows: rows, width: width)
}

private func backwardAttention(
    _ dx: inout [Float], _ block: BlockLayout, _ parameters: Span<Float>, _ pass: BlockPass,
    _ trace: BlockTrace, _ gradients: inout [Float], _ scratch: inout BlockScratch
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
        scratch.dAdded, x: trace.attended, block.output, parameters, dx: &scratch.dAttended,
        &gradients, rows: rows, inputs: shape.queryWidth, outputs: width)
    backwardAttend(
        scratch.dAttended, trace, pass, shape, dq: &scratch.dq, dk: &scratch.dk, dv: &scratch.dv)
    turn(&scratch.dq, .backward, pass, heads: shape.heads, headWidth: shape.headWidth)
    turn(&scratch.dk, .backward, pass, heads: shape.keyHeads, headWidth: shape.headWidth)
    if shape.hasHeadNorms {
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
    for (dy, weights, bias, outputs) in [
        (scratch.dq, block.query, block.queryBias, shape.queryWidth),
        (scratch.dk, block.key, block.keyBias, shape.keyWidth),
        (scratch.dv, block.value, block.valueBias, shape.keyWidth),
    ] {
        backwardApply(
            dy, x: trace.normed, weights, parameters, dx: &scratch.dNormed, &gradients,
            rows: rows, inputs: width, outputs: outputs)
        if !bias.isEmpty { backwardBias(dy, bias, &gradients, rows: rows, outputs: outputs) }
    }
    backwardNorm(
        scratch.dNormed, x: trace.x, gain: block.attentionNorm, parameters,
        reciprocals: trace.attentionReciprocals, dx: &dx, &gradients, rows: rows, width: width)
}

private func backwardBias(
    _ dy: [Float], _ bias: Range<Int>, _ gradients: inout [Float], rows: Int, outputs: Int
) {
    var all = gradients.mutableSpan
    var dBias = all._mutatingExtracting(bias)
    linearBackward(dy.span, dBias: &dBias, rows: rows, outputs: outputs)
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
