// The token head: how likely the model is to write an item's text next, decision by decision along the catalogue's
// trie. Only branching prefixes are asked about, and the text so far is the same for every user, so its state is
// computed once per prefix; a question to a user's history is one row through the inter blocks.

import Tensors
public import TokenTrie
import Transformer

/// Owned by the lane that serves; of one model version.
public struct TokenHead {
    public let parameters: ItemModelParameters
    /// The catalogue's paths; a new value when items come or go.
    public var trie: CatalogueTrie
    /// Prefixes whose states were computed since the start.
    public private(set) var computedCount = 0

    private let beginToken: Int32
    private let frequencies: [Float]
    private var encoder: ItemEncoder
    private var traces: [BlockTrace]
    /// Row in `states` of each prefix met.
    private var rows: [[Int32]: Int32] = [:]
    private var states: [Float] = []

    /// States kept at most between questions; beyond, all are computed anew as they are needed.
    var prefixesMax = 1 << 18
    var keptCount: Int { rows.count }
    /// Rows through the inter blocks at once; bounds the memory of a question about a whole catalogue.
    private static let rowsMax = 2_048

    public init(_ parameters: ItemModelParameters, trie: CatalogueTrie, beginToken: Int32) {
        self.parameters = parameters
        self.trie = trie
        self.beginToken = beginToken
        let layout = parameters.layout
        frequencies = rotaryInverseFrequencies(
            base: layout.shape.rotaryBase, headWidth: layout.shape.block.headWidth)
        encoder = ItemEncoder(layout)
        traces = Array(repeating: BlockTrace(), count: layout.inter.count)
    }

    /// Exact log-likelihoods of the items' paths after a history, over the whole catalogue; items of one path share
    /// it, items that are not in the trie have -infinity.
    public mutating func logLikelihoods(
        of items: [Int32], after history: HistoryState
    ) throws(TrieError) -> [Double] {
        let tree = try CandidateTree(items, in: trie)
        var prefixes: [[Int32]] = []
        prefixes.reserveCapacity(tree.nodes.count)
        for node in tree.nodes {
            let before = node.parent < 0 ? [] : prefixes[Int(node.parent)]
            prefixes.append(before + tree.runs[Int(node.run.lowerBound)..<Int(node.run.upperBound)])
        }
        return try tree.logLikelihoods(
            logProbabilities(of: tree.legal, after: prefixes, history).span)
    }

    /// The `width` most likely paths after a history, best first; complete items of the catalogue only.
    public mutating func beam(
        width: Int, after history: HistoryState
    ) throws(TrieError) -> [BeamResult] {
        var prefixes: [[Int32]] = []
        return try beamSearch(trie, width: width) { question in
            prefixes = zip(question.parents, question.runs).map { parent, run in
                (parent < 0 ? [] : prefixes[Int(parent)]) + run
            }
            return logProbabilities(of: question.legal, after: prefixes, history)
        }
    }

    /// Log-probabilities of every row's legal tokens, each row normalised over itself.
    private mutating func logProbabilities(
        of legal: LegalTokens, after prefixes: [[Int32]], _ history: HistoryState
    ) -> [Float] {
        compute(prefixes)
        let width = parameters.layout.shape.width
        var result: [Float] = []
        result.reserveCapacity(legal.tokens.count)
        for start in stride(from: 0, to: prefixes.count, by: Self.rowsMax) {
            let part = start..<min(prefixes.count, start + Self.rowsMax)
            let wanted = prefixes[part].map { rows[$0] ?? 0 }
            var x = [Float](repeating: 0, count: part.count * width)
            gather(states, wanted, into: &x, width: width)
            let answers = answers(x, rows: part.count, history)
            for row in part {
                let place = (row - start) * width
                result += logSoftmax(
                    answers[place..<place + width], tokens: legal.tokens[legal.row(row)])
            }
        }
        if rows.count > prefixesMax { forget() }
        return result
    }

    private mutating func forget() {
        rows.removeAll()
        states.removeAll()
    }

    /// States of answers after the inter blocks: each sees the history's items, and no other answer.
    private mutating func answers(_ x: [Float], rows: Int, _ history: HistoryState) -> [Float] {
        let layout = parameters.layout
        let values = parameters.values
        var x = x
        let visible = VisibleKeys(0..<history.rows)
        let pass = BlockPass(
            positions: Array(repeating: history.position, count: rows),
            inverseFrequencies: frequencies, visible: Array(repeating: visible, count: rows))
        for (index, block) in layout.inter.enumerated() {
            forward(
                &x, block: block, parameters: values.span, pass: pass,
                against: history.caches[index], trace: &traces[index])
        }
        var normed = x
        var reciprocals = [Float](repeating: 0, count: rows)
        norm(
            x, gain: layout.finalNorm, parameters.values, into: &normed,
            reciprocals: &reciprocals, rows: rows, width: layout.shape.width,
            epsilon: layout.shape.epsilon)
        return normed
    }

    private func logSoftmax(_ state: ArraySlice<Float>, tokens: ArraySlice<Int32>) -> [Float] {
        let width = parameters.layout.shape.width
        var vectors = [Float](repeating: 0, count: tokens.count * width)
        gather(
            parameters.values, parameters.layout.embedding, Array(tokens), into: &vectors,
            width: width)
        var logits = [Float](repeating: 0, count: tokens.count)
        products(
            Array(state), vectors, scale: 1, into: &logits, rows: 1, columns: tokens.count,
            width: width)
        var logs = logits
        var out = logs.mutableSpan
        Tensors.logSoftmax(logits.span, into: &out, rows: 1, width: logits.count)
        return logs
    }

    /// Makes sure that the states of these prefixes are there. Each is computed by itself: with others in one pass its
    /// last bits would depend on what was asked before.
    private mutating func compute(_ prefixes: [[Int32]]) {
        if rows.count + prefixes.count(where: { rows[$0] == nil }) > prefixesMax { forget() }
        let width = parameters.layout.shape.width
        var missing: [[Int32]] = []
        for prefix in prefixes where rows[prefix] == nil {
            rows[prefix] = Int32(rows.count)
            missing.append(prefix)
        }
        computedCount += missing.count
        for prefix in missing {
            _ = encoder.encode(TokenRuns([[beginToken] + prefix]), parameters: parameters.values)
            let last = prefix.count
            states += encoder.states[last * width..<(last + 1) * width]
        }
    }
}
