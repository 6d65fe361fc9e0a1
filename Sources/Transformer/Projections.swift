// The linear products of a block with their biases and, where there is one, the adapter's pair.

import Tensors

/// y (rows × outputs) = x Wᵀ + bias + scale · (x Aᵀ) Bᵀ; x Aᵀ is kept in `hidden`.
func apply(
    _ x: [Float], _ projection: Projection, _ block: BlockLayout, _ parameters: Span<Float>,
    _ adapter: BlockAdapter?, _ adapterParameters: Span<Float>, hidden: inout [[Float]],
    into y: inout [Float], rows: Int
) {
    let inputs = block.shape.inputs(of: projection)
    let outputs = block.shape.outputs(of: projection)
    var out = y.mutableSpan
    linear(
        x.span, weights: parameters.extracting(block.weights(of: projection)),
        bias: parameters.extracting(block.bias(of: projection)), into: &out, rows: rows,
        inputs: inputs, outputs: outputs)
    guard let adapter, let pair = adapter[projection] else { return }
    resize(&hidden[projection.rawValue], rows * adapter.rank)
    var kept = hidden[projection.rawValue].mutableSpan
    lowRank(
        x.span, a: adapterParameters.extracting(pair.a), b: adapterParameters.extracting(pair.b),
        hidden: &kept, into: &out, rows: rows, inputs: inputs, outputs: outputs,
        rank: adapter.rank, scale: adapter.scale)
}

/// The gradients of a block's adapter, moved here for the time of a pass.
struct AdapterGradients {
    let adapter: BlockAdapter?
    var values: [Float]

    init(_ adapter: BlockAdapter?, _ values: [Float]) {
        self.adapter = adapter
        self.values = values
    }
}

/// The way back through `apply`: adds to dx, to the gradients of weights and bias unless `gradients` is empty, and to
/// those of the pair.
func backwardApply(
    _ dy: [Float], x: [Float], _ projection: Projection, _ block: BlockLayout,
    _ parameters: Span<Float>, _ trace: BlockTrace, dx: inout [Float], _ gradients: inout [Float],
    _ adapterParameters: Span<Float>, _ adapted: inout AdapterGradients,
    _ dLowRank: inout [Float], rows: Int
) {
    let inputs = block.shape.inputs(of: projection)
    let outputs = block.shape.outputs(of: projection)
    let weights = block.weights(of: projection)
    var below = dx.mutableSpan
    linearBackward(
        dy.span, weights: parameters.extracting(weights), dx: &below, rows: rows, inputs: inputs,
        outputs: outputs)
    if !gradients.isEmpty {
        var all = gradients.mutableSpan
        var dWeights = all._mutatingExtracting(weights)
        linearBackward(
            dy.span, x: x.span, dWeights: &dWeights, rows: rows, inputs: inputs,
            outputs: outputs)
        let bias = block.bias(of: projection)
        if !bias.isEmpty {
            var dBias = all._mutatingExtracting(bias)
            linearBackward(dy.span, dBias: &dBias, rows: rows, outputs: outputs)
        }
    }
    guard let adapter = adapted.adapter, let pair = adapter[projection] else { return }
    let hidden = trace.lowRank[projection.rawValue]
    resize(&dLowRank, rows * adapter.rank)
    var dHidden = dLowRank.mutableSpan
    var values = adapted.values.mutableSpan
    precondition(pair.a.upperBound == pair.b.lowerBound, "A stands before B")
    var both = values._mutatingExtracting(pair.a.lowerBound..<pair.b.upperBound)
    lowRankBackward(
        dy.span, x: x.span, hidden: hidden.span,
        a: adapterParameters.extracting(pair.a), b: adapterParameters.extracting(pair.b),
        dHidden: &dHidden, dx: &below, dPair: &both, rows: rows, inputs: inputs,
        outputs: outputs, rank: adapter.rank, scale: adapter.scale)
}
