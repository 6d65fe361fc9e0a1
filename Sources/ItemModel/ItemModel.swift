// A trained model, ready to score: item vectors once, then states of histories against all of them.

import Tensors
import Transformer

/// Owns the memory of scoring; one per lane that scores.
public struct ItemScorer {
    public let parameters: ItemModelParameters
    private var encoder: ItemEncoder
    private var history: HistoryPass
    private var older: OlderPass

    public init(_ parameters: ItemModelParameters) {
        self.parameters = parameters
        encoder = ItemEncoder(parameters.layout)
        history = HistoryPass(parameters.layout)
        older = OlderPass(parameters.layout)
    }

    /// Items encoded in one pass; bounds the memory of a big catalogue.
    private static let itemsMax = 2_048

    /// Vectors of texts alone: what the item cache holds; texts.count × width.
    public mutating func textVectors(of texts: [[Int32]]) -> [Float] {
        var all: [Float] = []
        for start in stride(from: 0, to: texts.count, by: Self.itemsMax) {
            let part = texts[start..<min(texts.count, start + Self.itemsMax)]
            all += encoder.encode(TokenRuns(part), parameters: parameters.values)
        }
        return all
    }

    /// Vectors of items, by their numbers in the identity table and their tokens; count × width.
    public mutating func vectors(of items: [(number: Int32, tokens: [Int32])]) -> [Float] {
        var all: [Float] = []
        for start in stride(from: 0, to: items.count, by: Self.itemsMax) {
            let part = items[start..<min(items.count, start + Self.itemsMax)]
            var vectors = encoder.encode(
                TokenRuns(part.map(\.tokens)), parameters: parameters.values)
            parameters.addIdentity(part.map(\.number), to: &vectors)
            all += vectors
        }
        return all
    }

    /// The state after the last item of each history, histories.count × width, times the head's scale: its product with
    /// an item's vector is the item's logit. `table` holds vectors by number; no history is empty. `summaries` are the
    /// tokens of what stands before each history, none where nothing does; items before the window are read where the
    /// model does so.
    public mutating func states(
        of histories: [[Int32]], summaries: [[Int32]] = [], table: [Float]
    ) -> [Float] {
        let width = parameters.layout.shape.width
        precondition(parameters.layout.shape.attention == .split, "read by its tokens")
        let kept = histories.map { $0.suffix(parameters.layout.shape.historyMax) }
        let texts = summaries.filter { !$0.isEmpty }
        let table = texts.isEmpty ? table : table + textVectors(of: texts)
        var next = Int32(table.count / width - texts.count)
        var rows: [Int32] = []
        var lengths: [Int] = []
        var before = OlderRows()
        for (index, history) in kept.enumerated() {
            let older = parameters.layout.shape.older(histories[index])
            let hasText = !summaries.isEmpty && !summaries[index].isEmpty
            let hasFront = hasText || !older.isEmpty
            before.append(older, front: rows.count)
            if hasFront { rows.append(hasText ? next : -1) }
            if hasText { next += 1 }
            lengths.append(history.count + (hasFront ? 1 : 0))
            rows += history
        }
        var inputs = [Float](repeating: 0, count: rows.count * width)
        gather(table, rows, into: &inputs, width: width)
        older.run(before, of: table, parameters: parameters.values, inputs: &inputs)
        let states = history.run(
            inputs,
            rows: HistoryRows(
                lengths: lengths, seesItself: parameters.layout.shape.seesItself),
            parameters: parameters.values)
        return lastStates(states, lengths: lengths)
    }

    /// `states` where attention is plain: of the histories' tokens, given those of each item of the catalogue.
    public mutating func states(of histories: [[Int32]], tokens: [[Int32]]) -> [Float] {
        let shape = parameters.layout.shape
        let kept = histories.map { $0.suffix(shape.historyMax) }
        var texts = TokenHistories()
        var own: [Float] = []
        for history in kept {
            let first = Int32(own.count / shape.width)
            own += [Float](repeating: 0, count: history.count * shape.width)
            texts.append(
                history.enumerated().map { (first + Int32($0.offset), tokens[Int($0.element)]) })
        }
        parameters.addIdentity(Array(kept.joined()), to: &own)
        let states = texts.run(&history, own: own, parameters: parameters.values)
        return lastStates(states, lengths: kept.map(\.count))
    }

    private func lastStates(_ states: [Float], lengths: [Int]) -> [Float] {
        let width = parameters.layout.shape.width
        var last: [Float] = []
        last.reserveCapacity(lengths.count * width)
        var end = 0
        for length in lengths {
            precondition(length > 0, "an empty history has no state")
            end += length
            for column in 0..<width {
                last.append(states[(end - 1) * width + column] * parameters.scale)
            }
        }
        return last
    }

    /// Logits of all items of the table for each state; states.count / width × items.
    public func logits(states: [Float], table: [Float]) -> [Float] {
        let width = parameters.layout.shape.width
        let (rows, columns) = (states.count / width, table.count / width)
        var logits = [Float](repeating: 0, count: rows * columns)
        products(
            states, table, scale: 1, into: &logits, rows: rows, columns: columns, width: width)
        return logits
    }
}
