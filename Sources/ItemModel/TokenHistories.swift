// Histories as one run of tokens each: what a decoder without item boundaries reads. It is here to be compared with
// (docs/ablation.md): same parameters, same heads, but every block is causal over all tokens, so that nothing of an
// item can be kept for another history.

import Tensors
import Transformer

struct TokenHistories: Sendable {
    private(set) var tokens: [Int32] = []
    /// The item of each token, by its row in a table of vectors.
    private(set) var owners: [Int32] = []
    /// The last token of each item, whose state the next item is predicted from.
    private(set) var ends: [Int32] = []
    /// Tokens of each history.
    private(set) var lengths: [Int] = []

    mutating func append(_ history: some Sequence<(item: Int32, tokens: [Int32])>) {
        let start = tokens.count
        for (item, run) in history {
            tokens += run
            for _ in run { owners.append(item) }
            ends.append(Int32(tokens.count - 1))
        }
        lengths.append(tokens.count - start)
    }

    /// States after each item, ends.count × width. `own` holds the gated identity vector of each row of the table.
    func run(
        _ pass: inout HistoryPass, own: [Float], parameters: [Float], dropout: Float = 0,
        seed: UInt64 = 0
    ) -> [Float] {
        let layout = pass.layout
        let width = layout.shape.width
        var inputs = [Float](repeating: 0, count: tokens.count * width)
        gather(parameters, layout.embedding, tokens, into: &inputs, width: width)
        var identities = [Float](repeating: 0, count: inputs.count)
        gather(own, owners, into: &identities, width: width)
        var sum = inputs.mutableSpan
        add(identities.span, to: &sum)
        let states = pass.run(
            inputs, rows: HistoryRows(lengths: lengths, seesItself: true), parameters: parameters,
            dropout: dropout, seed: seed)
        var last = [Float](repeating: 0, count: ends.count * width)
        gather(states, ends, into: &last, width: width)
        return last
    }

    /// Adds to the gradients of the parameters and of `own`, given that of the states after each item.
    func backward(
        _ pass: inout HistoryPass, _ dLast: [Float], parameters: [Float],
        gradients: inout [Float], dOwn: inout [Float]
    ) {
        let layout = pass.layout
        let width = layout.shape.width
        var dStates = [Float](repeating: 0, count: tokens.count * width)
        scatterAdd(dLast, ends, into: &dStates, width: width)
        let dInputs = pass.backward(dStates, parameters: parameters, gradients: &gradients)
        scatterAdd(dInputs, tokens, &gradients, layout.embedding, width: width)
        scatterAdd(dInputs, owners, into: &dOwn, width: width)
    }
}
