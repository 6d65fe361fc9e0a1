// The way back through a decoder to its adapter, the rest frozen. Whole sequences, without caches: the same function as
// `forward`, keeping what each adapted layer computed. Layers below the first adapted one keep nothing and are not gone
// back through, so training an adapter of the inter layers costs the intra layers once. The loss is the caller's: it
// has the logits and brings their gradient.

import Tensors

/// What a training pass keeps; also the memory it works in, used again pass after pass.
public struct DecoderTrace: Sendable {
    fileprivate var plan: DecoderPlan?
    /// From the first adapted layer on.
    fileprivate var layers: [BlockTrace] = []
    fileprivate var below = BlockTrace()
    fileprivate var head = HeadTrace()
    fileprivate var rows: [Int] = []
    fileprivate var scratch = BlockScratch()
    fileprivate var dHead: [Float] = []

    public init() {}
}

extension Decoder {
    /// The first layer with a pair of the adapter; without one, the number of layers.
    private var firstAdapted: Int {
        adapter?.layout.blocks.firstIndex { $0 != nil } ?? shape.layerCount
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
        var hidden = embed(inputs.flatMap(\.tokens))
        let first = firstAdapted
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

    /// Adds to `gradients`, an array of the adapter's layout, given the gradient of the logits that the last
    /// `trainingForward` with this trace returned.
    public func trainingBackward(
        _ dLogits: [Float], trace: inout DecoderTrace, gradients: inout [Float]
    ) {
        guard let adapter, let plan = trace.plan else {
            preconditionFailure("an adapter, and a training pass before its way back")
        }
        let width = shape.block.width
        let chosen = trace.rows.count
        zero(&trace.dHead, chosen * width)
        var dNormed = trace.dHead.mutableSpan
        linearBackward(
            dLogits.span, weights: parameters.span.extracting(layout.head), dx: &dNormed,
            rows: chosen, inputs: width, outputs: shape.vocabularyCount)
        var dChosen = [Float](repeating: 0, count: chosen * width)
        var frozen: [Float] = []
        backwardNorm(
            trace.dHead, x: trace.head.x, gain: layout.norm, parameters.span,
            reciprocals: trace.head.reciprocals, dx: &dChosen, &frozen, rows: chosen,
            width: width)
        var dx = [Float](repeating: 0, count: plan.counts.reduce(0, +) * width)
        var rows = dx.mutableSpan
        let indices = trace.rows.map { Int32($0) }
        scatterAddRows(dChosen.span, indices.span, into: &rows, width: width)
        let first = firstAdapted
        for layer in (first..<shape.layerCount).reversed() {
            guard let pass = plan.passes[shape.masks.layers[layer]] else { continue }
            let changes =
                adapter.layout.blocks[layer]
                ?? BlockAdapter(rank: adapter.layout.rank, scale: adapter.layout.scale)
            Transformer.backward(
                &dx, block: layout.blocks[layer], parameters: parameters.span, pass: pass,
                adapter: changes, adapterParameters: adapter.parameters.span,
                trace: trace.layers[layer - first], adapterGradients: &gradients,
                scratch: &trace.scratch)
        }
    }
}
