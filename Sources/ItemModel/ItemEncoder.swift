// From an item's tokens to its vector: the intra stage. A pure function of text and frozen parameters, hence what the
// item cache holds.

import Tensors
import Transformer

/// Token sequences of several items, one after the other.
public struct TokenRuns: Sendable, Equatable {
    public private(set) var tokens: [Int32] = []
    /// Where each item begins, and the end of the last.
    public private(set) var offsets: [Int32] = [0]

    public init() {}

    public init(_ items: some Sequence<[Int32]>) {
        for item in items { append(item) }
    }

    public mutating func append(_ item: [Int32]) {
        precondition(!item.isEmpty, "an item has a token at least")
        tokens.append(contentsOf: item)
        offsets.append(Int32(tokens.count))
    }

    public var count: Int { offsets.count - 1 }

    public func run(_ index: Int) -> Range<Int> {
        Int(offsets[index])..<Int(offsets[index + 1])
    }
}

/// One pass of the intra stage, with what the way back needs. Used again pass after pass.
struct ItemEncoder {
    let layout: ItemModelLayout
    let frequencies: [Float]
    var runs = TokenRuns()
    var pass: BlockPass?
    var traces: [BlockTrace]
    /// After the last intra block, tokens × width: what answers are continued from.
    var states: [Float] = []
    var pooled: [Float] = []
    var reciprocals: [Float] = []
    var scratch = BlockScratch()

    init(_ layout: ItemModelLayout) {
        self.layout = layout
        frequencies = rotaryInverseFrequencies(
            base: layout.shape.rotaryBase, headWidth: layout.shape.block.headWidth)
        traces = Array(repeating: BlockTrace(), count: layout.intra.count)
    }

    /// Text vectors of the items, runs.count × width.
    mutating func encode(_ runs: TokenRuns, parameters: [Float]) -> [Float] {
        let width = layout.shape.width
        self.runs = runs
        guard layout.shape.vectors != .identity else {
            return [Float](repeating: 0, count: runs.count * width)
        }
        var positions: [Int32] = []
        var visible: [VisibleKeys] = []
        for index in 0..<runs.count {
            let run = runs.run(index)
            for row in run {
                positions.append(Int32(row - run.lowerBound))
                visible.append(.intra(segmentStart: run.lowerBound, row: row))
            }
        }
        let pass = BlockPass(
            positions: positions, inverseFrequencies: frequencies, visible: visible)
        self.pass = pass
        states = [Float](repeating: 0, count: runs.tokens.count * width)
        gather(parameters, layout.embedding, runs.tokens, into: &states, width: width)
        for (block, index) in zip(layout.intra, traces.indices) {
            forward(
                &states, block: block, parameters: parameters.span, pass: pass,
                trace: &traces[index])
        }
        pooled = [Float](repeating: 0, count: runs.count * width)
        reciprocals = [Float](repeating: 0, count: runs.count)
        var vectors = pooled
        pool(states, runs.offsets, into: &pooled, width: width)
        norm(
            pooled, gain: layout.itemNorm, parameters, into: &vectors, reciprocals: &reciprocals,
            rows: runs.count, width: width, epsilon: layout.shape.epsilon)
        return vectors
    }

    /// Adds to the gradients, given those of the vectors and, where answers were continued from them, of the states.
    mutating func backward(
        _ dVectors: [Float], dStates: [Float]?, parameters: [Float], gradients: inout [Float]
    ) {
        guard layout.shape.vectors != .identity else { return }
        guard let pass else { preconditionFailure("nothing was encoded") }
        let width = layout.shape.width
        var dPooled = [Float](repeating: 0, count: pooled.count)
        backwardNorm(
            dVectors, x: pooled, gain: layout.itemNorm, parameters, reciprocals: reciprocals,
            dx: &dPooled, &gradients, rows: runs.count, width: width)
        var dx = dStates ?? [Float](repeating: 0, count: states.count)
        backwardPool(dPooled, runs.offsets, dx: &dx, width: width)
        for (block, index) in zip(layout.intra, traces.indices).reversed() {
            Transformer.backward(
                &dx, block: block, parameters: parameters.span, pass: pass, trace: traces[index],
                gradients: &gradients, scratch: &scratch)
        }
        scatterAdd(dx, runs.tokens, &gradients, layout.embedding, width: width)
    }
}
