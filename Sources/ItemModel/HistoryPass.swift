// The inter stage: rows of item vectors, each seeing the items before it in its history. The state after an item is
// what the next item is predicted from.

import Tensors
import Transformer

/// The rows of a pass: items of histories, and answers that are tried on them.
struct HistoryRows {
    private(set) var positions: [Int32] = []
    private(set) var visible: [VisibleKeys] = []
    private var starts: [Int] = []

    var count: Int { positions.count }

    init(lengths: [Int], seesItself: Bool) {
        for length in lengths {
            let start = count
            for row in start..<start + length {
                positions.append(Int32(row - start))
                visible.append(
                    .inter(
                        sequenceStart: start, segmentStart: row, row: row, withSelf: seesItself))
                starts.append(start)
            }
        }
    }

    /// A row of an answer that follows the item of row `row`: it sees the history up to that item, and neither itself
    /// nor other answers. Answers come after all histories.
    mutating func addAnswer(after row: Int) {
        positions.append(positions[row] + 1)
        visible.append(VisibleKeys(starts[row]..<row + 1))
    }
}

/// One pass over several histories, with what the way back needs.
struct HistoryPass {
    let layout: ItemModelLayout
    private let blocks: [BlockLayout]
    private let frequencies: [Float]
    var pass: BlockPass?
    var traces: [BlockTrace]
    var beforeNorm: [Float] = []
    var reciprocals: [Float] = []
    var scratch = BlockScratch()

    init(_ layout: ItemModelLayout) {
        self.layout = layout
        frequencies = rotaryInverseFrequencies(
            base: layout.shape.rotaryBase, headWidth: layout.shape.block.headWidth)
        blocks =
            switch layout.shape.attention {
            case .split: layout.inter
            case .plain: layout.intra + layout.inter
            }
        traces = Array(repeating: BlockTrace(), count: blocks.count)
    }

    /// States after each row (rows × width), given what enters at each.
    mutating func run(
        _ vectors: [Float], rows: HistoryRows, parameters: [Float], dropout: Float = 0,
        seed: UInt64 = 0, adapter: DecoderAdapter? = nil
    ) -> [Float] {
        let width = layout.shape.width
        let start = rows.count
        precondition(vectors.count == start * width, "a vector for every row")
        var pass = BlockPass(
            positions: rows.positions, inverseFrequencies: frequencies, visible: rows.visible)
        pass.dropout = dropout
        pass.seed = seed
        self.pass = pass
        var x = vectors
        for (block, index) in zip(blocks, traces.indices) {
            let changes = adapter?.layout.blocks[layout.intra.count + index]
            let adapterParameters = adapter?.parameters ?? []
            forward(
                &x, block: block, parameters: parameters.span, pass: pass, adapter: changes,
                adapterParameters: adapterParameters.span, trace: &traces[index])
        }
        beforeNorm = x
        reciprocals = [Float](repeating: 0, count: start)
        norm(
            beforeNorm, gain: layout.finalNorm, parameters, into: &x, reciprocals: &reciprocals,
            rows: start, width: width, epsilon: layout.shape.epsilon)
        return x
    }

    /// Gradient of the vectors, given that of the states; adds to the gradients of the parameters.
    mutating func backward(
        _ dStates: [Float], parameters: [Float], gradients: inout [Float]
    ) -> [Float] {
        guard let pass else { preconditionFailure("nothing was run") }
        var dx = [Float](repeating: 0, count: dStates.count)
        backwardNorm(
            dStates, x: beforeNorm, gain: layout.finalNorm, parameters, reciprocals: reciprocals,
            dx: &dx, &gradients, rows: pass.rows, width: layout.shape.width)
        for (block, index) in zip(blocks, traces.indices).reversed() {
            Transformer.backward(
                &dx, block: block, parameters: parameters.span, pass: pass, trace: traces[index],
                gradients: &gradients, scratch: &scratch)
        }
        return dx
    }
}
