// Passes of a decoder. Tokens run through all layers; a segment whose boundary states are known enters above them.
// Prefill, a single step and a batch of both are the same pass.

import Tensors

extension Decoder {
    /// Appends new rows to sequences: `inputs[s]` to `states[s]`. Returns the last block's output, a row a token,
    /// sequence after sequence, for `logits`. On an error no state has changed.
    public func forward(
        _ inputs: [DecoderInput], states: inout [DecoderState], scratch: inout DecoderScratch
    ) throws(DecoderError) -> [Float] {
        precondition(inputs.count == states.count, "a state a sequence")
        for input in inputs { try check(input.tokens) }
        let plan = try DecoderPlan(
            self, states,
            segments: inputs.enumerated().map { index, input in
                input.segments.isEmpty
                    ? Array(repeating: states[index].segment, count: input.tokens.count)
                    : input.segments
            })
        var hidden = embed(inputs.flatMap(\.tokens))
        run(&hidden, from: 0, plan, &states, &scratch)
        return hidden
    }

    /// The same for one sequence; returns the logits of its last new row.
    public func forward(
        _ input: DecoderInput, state: inout DecoderState, scratch: inout DecoderScratch
    ) throws(DecoderError) -> [Float] {
        // Moved, not copied: a copy would be made whole before it grows.
        var states = [DecoderState(shape)]
        swap(&states[0], &state)
        defer { swap(&states[0], &state) }
        let hidden = try forward([input], states: &states, scratch: &scratch)
        return logits(hidden, rows: [input.tokens.count - 1])
    }

    /// What the leading intra layers make of each item alone: tokens × width an item. A function of the item's tokens,
    /// the weights and the adapter's part in those layers, of nothing else.
    public func boundaryStates(
        _ items: [[Int32]], scratch: inout DecoderScratch
    ) throws(DecoderError) -> [[Float]] {
        guard shape.masks.boundaryLayer > 0 else { throw .noBoundary }
        for item in items { try check(item) }
        var fresh = items.map { _ in DecoderState(shape) }
        let plan = try DecoderPlan(
            self, fresh, segments: items.map { Array(repeating: 1, count: $0.count) })
        var hidden = embed(items.flatMap(\.self))
        run(&hidden, from: 0, to: shape.masks.boundaryLayer, plan, &fresh, &scratch)
        let width = shape.block.width
        var start = 0
        return items.map { item in
            defer { start += item.count * width }
            return Array(hidden[start..<start + item.count * width])
        }
    }

    /// Appends a whole segment, numbered `segments[s]`, to each sequence by its boundary states: only the layers above
    /// run. Returns as `forward`.
    public func forward(
        boundaries: [[Float]], segments: [Int32], states: inout [DecoderState],
        scratch: inout DecoderScratch
    ) throws(DecoderError) -> [Float] {
        let width = shape.block.width
        precondition(
            boundaries.count == states.count && segments.count == states.count
                && boundaries.allSatisfy { $0.count.isMultiple(of: width) },
            "a segment of whole rows a sequence")
        guard shape.masks.boundaryLayer > 0 else { throw .noBoundary }
        for (state, segment) in zip(states, segments)
        where state.rows > 0 && segment <= state.segment {
            throw .segmentBefore(segment, open: state.segment)
        }
        let plan = try DecoderPlan(
            self, states,
            segments: zip(boundaries, segments).map { rows, segment in
                Array(repeating: segment, count: rows.count / width)
            }, closing: true)
        var hidden = boundaries.flatMap(\.self)
        run(&hidden, from: shape.masks.boundaryLayer, plan, &states, &scratch)
        return hidden
    }

    func check(_ tokens: [Int32]) throws(DecoderError) {
        for token in tokens where token < 0 || token >= shape.vocabularyCount {
            throw .unknownToken(token, vocabularyCount: shape.vocabularyCount)
        }
    }

    func embed(_ tokens: [Int32]) -> [Float] {
        var hidden = [Float](repeating: 0, count: tokens.count * shape.block.width)
        var rows = hidden.mutableSpan
        gatherRows(
            parameters.span.extracting(layout.embedding), tokens.span, into: &rows,
            width: shape.block.width)
        return hidden
    }

    /// Runs layers over the rows of a plan and brings the states up to date.
    private func run(
        _ hidden: inout [Float], from first: Int, to end: Int? = nil, _ plan: DecoderPlan,
        _ states: inout [DecoderState], _ scratch: inout DecoderScratch
    ) {
        // A layer's caches of all sequences are taken out, so that they are changed in place.
        let empty = KeyValueCache(keyWidth: shape.block.keyWidth)
        var caches = states.map { _ in empty }
        let adapterParameters = adapter?.parameters ?? []
        for layer in first..<(end ?? shape.layerCount) {
            guard let pass = plan.passes[shape.masks.layers[layer]] else { continue }
            for index in states.indices { swap(&caches[index], &states[index].caches[layer]) }
            Transformer.forward(
                &hidden, block: layout.blocks[layer], parameters: parameters.span, pass: pass,
                caches: &caches, counts: plan.counts, adapter: adapter?.layout.blocks[layer],
                adapterParameters: adapterParameters.span, trace: &scratch.trace)
            for index in states.indices { swap(&caches[index], &states[index].caches[layer]) }
        }
        for index in states.indices {
            states[index].move(to: plan.after[index], shape.masks)
        }
    }
}
