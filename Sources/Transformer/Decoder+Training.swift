// The way back through a decoder: to its adapter, the rest frozen, or without an adapter to all parameters. Whole
// sequences, without caches: the same function as `forward`, keeping what each trained layer computed. Layers below the
// first adapted one keep nothing and are not gone back through, so training an adapter of the inter layers costs the
// intra layers once. The loss is the caller's: it has the logits and brings their gradient.

import Tensors

/// What a training pass keeps; also the memory it works in, used again pass after pass.
public struct DecoderTrace: Sendable {
    fileprivate var plan: DecoderPlan?
    /// From the first trained layer on.
    fileprivate var layers: [BlockTrace] = []
    fileprivate var below = BlockTrace()
    fileprivate var head = HeadTrace()
    fileprivate var rows: [Int] = []
    fileprivate var tokens: [Int32] = []
    fileprivate var scratch = BlockScratch()
    fileprivate var dHead: [Float] = []

    public init() {}
}

extension Decoder {
    /// The first layer with a pair of the adapter, or the number of layers when it has none; without an adapter 0.
    private var firstTrained: Int {
        guard let adapter else { return 0 }
        return adapter.layout.blocks.firstIndex { $0 != nil } ?? shape.layerCount
    }

    /// Logits of `rows` of whole sequences, counted over all of them one after the other.
    public func trainingForward(
        _ inputs: [DecoderInput], rows: [Int], trace: inout DecoderTrace
    ) throws(DecoderError) -> [Float] {
        for input in inputs { try check(input.tokens) }
        let plan = try DecoderPlan(
            self, inputs.map { _ in DecoderState(shape) },
            segments: inputs.map {
                $0.segments.isEmpty ? Array(repeating: 0, count: $0.tokens.count) : $0.segments
            }, isJoined: true)
        trace.tokens = inputs.flatMap(\.tokens)
        var hidden = embed(trace.tokens)
        let first = firstTrained
        while trace.layers.count < shape.layerCount - first { trace.layers.append(BlockTrace()) }
        for layer in 0..<shape.layerCount {
            guard let pass = plan.passes[shape.masks.layers[layer]] else { continue }
            if layer < first {
                run(&hidden, layer, pass, &trace.below)
            } else {
                run(&hidden, layer, pass, &trace.layers[layer - first])
            }
        }
        trace.plan = plan
        trace.rows = rows
        return logits(hidden, rows: rows, trace: &trace.head)
    }

    private func run(
        _ hidden: inout [Float], _ layer: Int, _ pass: BlockPass, _ trace: inout BlockTrace
    ) {
        let adapterParameters = adapter?.parameters ?? []
        Transformer.forward(
            &hidden, block: layout.blocks[layer], parameters: parameters.span, pass: pass,
            adapter: adapter?.layout.blocks[layer], adapterParameters: adapterParameters.span,
            trace: &trace)
    }

    /// Adds to `gradients`, given the gradient of the logits that the last `trainingForward` with this trace returned:
    /// an array of the adapter's layout, or without an adapter of the decoder's own.
    public func trainingBackward(
        _ dLogits: [Float], trace: inout DecoderTrace, gradients: inout [Float]
    ) {
        guard let plan = trace.plan else {
            preconditionFailure("a training pass before its way back")
        }
        precondition(
            gradients.count == adapter?.layout.layout.count ?? layout.layout.count,
            "a gradient for every trained parameter")
        var none: [Float] = []
        var dx =
            adapter == nil
            ? backwardHead(dLogits, &trace, &gradients) : backwardHead(dLogits, &trace, &none)
        let first = firstTrained
        for layer in (first..<shape.layerCount).reversed() {
            guard let pass = plan.passes[shape.masks.layers[layer]] else { continue }
            backward(&dx, layer, pass, trace.layers[layer - first], &gradients, &trace.scratch)
        }
        guard adapter == nil else { return }
        var all = gradients.mutableSpan
        var table = all._mutatingExtracting(layout.embedding)
        scatterAddRows(dx.span, trace.tokens.span, into: &table, width: shape.block.width)
    }

    /// The gradient of the last block's output, all rows; adds to the gradients of head and norm unless `gradients` is
    /// empty.
    private func backwardHead(
        _ dLogits: [Float], _ trace: inout DecoderTrace, _ gradients: inout [Float]
    ) -> [Float] {
        let width = shape.block.width
        let chosen = trace.rows.count
        zero(&trace.dHead, chosen * width)
        var dNormed = trace.dHead.mutableSpan
        linearBackward(
            dLogits.span, weights: parameters.span.extracting(layout.head), dx: &dNormed,
            rows: chosen, inputs: width, outputs: shape.vocabularyCount)
        if !gradients.isEmpty {
            var all = gradients.mutableSpan
            var table = all._mutatingExtracting(layout.head)
            linearBackward(
                dLogits.span, x: trace.head.normed.span, dWeights: &table, rows: chosen,
                inputs: width, outputs: shape.vocabularyCount)
        }
        var dChosen = [Float](repeating: 0, count: chosen * width)
        backwardNorm(
            trace.dHead, x: trace.head.x, gain: layout.norm, parameters.span,
            reciprocals: trace.head.reciprocals, dx: &dChosen, &gradients, rows: chosen,
            width: width)
        var dx = [Float](repeating: 0, count: trace.tokens.count * width)
        var rows = dx.mutableSpan
        let indices = trace.rows.map { Int32($0) }
        scatterAddRows(dChosen.span, indices.span, into: &rows, width: width)
        return dx
    }

    private func backward(
        _ dx: inout [Float], _ layer: Int, _ pass: BlockPass, _ trace: BlockTrace,
        _ gradients: inout [Float], _ scratch: inout BlockScratch
    ) {
        guard let adapter else {
            return Transformer.backward(
                &dx, block: layout.blocks[layer], parameters: parameters.span, pass: pass,
                trace: trace, gradients: &gradients, scratch: &scratch)
        }
        Transformer.backward(
            &dx, block: layout.blocks[layer], parameters: parameters.span, pass: pass,
            adapter: adapter.layout.blocks[layer]
                ?? BlockAdapter(rank: adapter.layout.rank, scale: adapter.layout.scale),
            adapterParameters: adapter.parameters.span, trace: trace,
            adapterGradients: &gradients, scratch: &scratch)
    }
}
