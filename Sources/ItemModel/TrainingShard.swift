// One half of a training step's work, on a core of its own. An actor owns the memory; what crosses are values.

import Tensors
import Transformer

actor TrainingShard {
    /// Histories with the target after each item, as places in the step's table of item vectors.
    struct Examples: Sendable {
        var inputs: [Int32] = []
        var targets: [Int32] = []
        var lengths: [Int] = []
    }

    struct Lesson: Sendable {
        /// Sum over targets of -log p, times the weight of each.
        var loss: Double
        /// Of the table of item vectors.
        var dVectors: [Float]
    }

    private let layout: ItemModelLayout
    private var encoder: ItemEncoder
    private var history: HistoryPass
    private var gradients: [Float]

    init(_ layout: ItemModelLayout) {
        self.layout = layout
        encoder = ItemEncoder(layout)
        history = HistoryPass(layout)
        gradients = []
    }

    func encode(_ runs: TokenRuns, parameters: [Float]) -> [Float] {
        gradients = [Float](repeating: 0, count: layout.parameters.count)
        return encoder.encode(runs, parameters: parameters)
    }

    /// The item head's loss over all positions, against all vectors of the table.
    func learn(
        _ examples: Examples, table: [Float], parameters: [Float], weight: Float, dropout: Float,
        seed: UInt64
    ) -> Lesson {
        let width = layout.shape.width
        let rows = examples.inputs.count
        let columns = table.count / width
        var dTable = [Float](repeating: 0, count: table.count)
        guard rows > 0 else { return Lesson(loss: 0, dVectors: dTable) }
        var inputs = [Float](repeating: 0, count: rows * width)
        gather(table, examples.inputs, into: &inputs, width: width)
        let states = history.run(
            inputs, lengths: examples.lengths, parameters: parameters, dropout: dropout,
            seed: seed)
        var dStates = [Float](repeating: 0, count: states.count)
        let loss = head(
            states, table, examples.targets, parameters, weight: weight, dStates: &dStates,
            dTable: &dTable, rows: rows, columns: columns)
        let dInputs = history.backward(dStates, parameters: parameters, gradients: &gradients)
        scatterAdd(dInputs, examples.inputs, into: &dTable, width: width)
        return Lesson(loss: loss, dVectors: dTable)
    }

    private func head(
        _ states: [Float], _ table: [Float], _ targets: [Int32], _ parameters: [Float],
        weight: Float, dStates: inout [Float], dTable: inout [Float], rows: Int, columns: Int
    ) -> Double {
        let shape = SampledSoftmaxShape(
            rows: rows, candidates: columns, width: layout.shape.width,
            scale: parameters[layout.scale.lowerBound])
        var logits = [Float](repeating: 0, count: rows * columns)
        var dLogits = logits
        var logSums = [Float](repeating: 0, count: rows)
        let weights = [Float](repeating: weight, count: rows)
        var logitsOut = logits.mutableSpan
        var sumsOut = logSums.mutableSpan
        let loss = sampledSoftmax(
            states: states.span, candidates: table.span, classes: targets.span,
            weights: weights.span, logits: &logitsOut, logSums: &sumsOut, shape: shape)
        var dLogitsOut = dLogits.mutableSpan
        var dStatesOut = dStates.mutableSpan
        var dTableOut = dTable.mutableSpan
        let slope = sampledSoftmaxBackward(
            states: states.span, candidates: table.span, classes: targets.span,
            weights: weights.span, logits: logits.span, logSums: logSums.span,
            dLogits: &dLogitsOut, dStates: &dStatesOut, dCandidates: &dTableOut, shape: shape)
        gradients[layout.scale.lowerBound] += Float(slope)
        return loss
    }

    /// The way back through the texts this shard encoded; returns all its gradients of the step.
    func finish(_ dVectors: [Float], parameters: [Float]) -> [Float] {
        encoder.backward(
            dVectors, dStates: nil, parameters: parameters, gradients: &gradients)
        return gradients
    }
}
