// What a refresh changes of a model (decision 18): low-rank pairs in the inter blocks, and the identity vectors of the
// items it saw. The intra stage stays as it is, so vectors of texts are kept across refreshes. An adapter is applied
// once, when a model is loaded: what serves is an ordinary model, and pays nothing for having been refreshed.

import Tensors
public import Transformer

/// Identity vectors that differ from the base's, of items in ascending order.
public struct IdentityRows: Sendable, Equatable {
    public let width: Int
    public let items: [Int32]
    /// items × width.
    public var vectors: [Float]
    /// Events of each item up to this refresh: the gate counts what was learnt from.
    public var counts: [Int32]

    public init(width: Int, items: [Int32] = [], vectors: [Float] = [], counts: [Int32] = []) {
        precondition(
            vectors.count == items.count * width && counts.count == items.count,
            "a vector and a count for every item")
        precondition(zip(items, items.dropFirst()).allSatisfy { $0 < $1 }, "ascending items")
        self.width = width
        self.items = items
        self.vectors = vectors
        self.counts = counts
    }
}

/// What belongs to the heads alone: vectors of items and tokens are what they multiply the states with, so that leaves
/// the gain of the last norm, through which both heads read the states, and the item head's scale. Whole, not of low
/// rank: it is a number for each place of a state.
public struct HeadValues: Sendable, Equatable {
    /// As wide as the model.
    public var gain: [Float]
    public var scale: Float

    public init(gain: [Float], scale: Float) {
        self.gain = gain
        self.scale = scale
    }
}

public struct ItemAdapter: Sendable, Equatable {
    /// Of the inter blocks; none in the intra blocks.
    public var pairs: DecoderAdapter
    public var rows: IdentityRows
    /// Nil where the heads are the base's.
    public var head: HeadValues?

    public init(pairs: DecoderAdapter, rows: IdentityRows, head: HeadValues? = nil) {
        self.pairs = pairs
        self.rows = rows
        self.head = head
    }

    /// Changes nothing: A is uniform in ±1 / sqrt(inputs), as PEFT draws it, and B is zeros. `alpha` / `rank`
    /// multiplies B A.
    public init(_ layout: ItemModelLayout, rank: Int, alpha: Float, seed: UInt64) {
        let shape = layout.shape
        let blocks = shape.intraBlocks + shape.interBlocks
        let pairs = LowRankLayout(
            rank: rank, scale: alpha / Float(rank), layers: shape.intraBlocks..<blocks,
            layerCount: blocks, shape: shape.block)
        var parameters = [Float](repeating: 0, count: pairs.layout.count)
        for (number, entry) in pairs.layout.entries.enumerated()
        where entry.name.hasSuffix(".lora_A.weight") {
            var all = parameters.mutableSpan
            var part = all._mutatingExtracting(entry.range)
            fillUniform(
                &part, limit: 1 / Float(entry.shape[1]).squareRoot(),
                random: CounterRandom(seed: seed, stream: 0xA0 << 32 | UInt64(number)))
        }
        self.pairs = DecoderAdapter(pairs, parameters: parameters)
        rows = IdentityRows(width: shape.width)
    }

    /// Numbers in the pairs.
    public var pairCount: Int { pairs.parameters.count }

    /// Whether it is an adapter of models of this layout: a pair in an intra block would make texts' vectors worthless.
    public func fits(_ layout: ItemModelLayout) -> Bool {
        let blocks = pairs.layout.blocks
        return layout.shape.attention == .split
            && blocks.count == layout.intra.count + layout.inter.count
            && blocks.prefix(layout.intra.count).allSatisfy { $0 == nil }
            && rows.width == layout.shape.width
            && (head.map { $0.gain.count == layout.shape.width } ?? true)
    }
}

extension ItemModelParameters {
    /// The same function as with the adapter beside: W + scale · B A, the heads' values and identity vectors, in their
    /// places. Items between the table's end and the adapter's last get vectors that the gate hides.
    public func applying(_ adapter: ItemAdapter) -> ItemModelParameters {
        precondition(adapter.fits(layout), "an adapter of this layout")
        var result = self
        adapter.pairs.merge(into: &result.values, of: layout.intra + layout.inter)
        result.identity.set(adapter.rows)
        if let head = adapter.head { result.set(head) }
        return result
    }

    mutating func set(_ head: HeadValues) {
        for (place, gain) in zip(layout.finalNorm, head.gain) { values[place] = gain }
        values[layout.scale.lowerBound] = head.scale
    }

    /// The heads' values as they are.
    public var head: HeadValues {
        HeadValues(gain: Array(values[layout.finalNorm]), scale: scale)
    }
}

extension IdentityTable {
    mutating func set(_ rows: IdentityRows) {
        grow(to: Int(rows.items.last ?? -1) + 1, seed: 0)
        for (row, item) in rows.items.enumerated() {
            let place = Int(item) * width
            for column in 0..<width {
                vectors[place + column] = rows.vectors[row * width + column]
            }
            counts[Int(item)] = rows.counts[row]
        }
    }
}

extension HistoryPass {
    /// Gradient of the last norm's gain, given that of the states.
    func gainGradient(_ dStates: [Float]) -> [Float] {
        let width = layout.shape.width
        var sums = [Double](repeating: 0, count: width)
        for row in reciprocals.indices {
            for column in 0..<width {
                let place = row * width + column
                sums[column] += Double(dStates[place] * beforeNorm[place] * reciprocals[row])
            }
        }
        return sums.map(Float.init)
    }

    /// The way back with the base frozen: returns the gradient of the vectors, and adds to those of the pairs.
    mutating func backward(
        _ dStates: [Float], parameters: [Float], adapter: DecoderAdapter,
        gradients: inout [Float]
    ) -> [Float] {
        guard let pass else { preconditionFailure("nothing was run") }
        var dx = [Float](repeating: 0, count: dStates.count)
        backwardNorm(
            dStates, x: beforeNorm, frozenGain: layout.finalNorm, parameters,
            reciprocals: reciprocals, dx: &dx, rows: pass.rows, width: layout.shape.width)
        for (block, index) in zip(layout.inter, traces.indices).reversed() {
            guard let changes = adapter.layout.blocks[layout.intra.count + index] else {
                preconditionFailure("pairs in every inter block")
            }
            Transformer.backward(
                &dx, block: block, parameters: parameters.span, pass: pass, adapter: changes,
                adapterParameters: adapter.parameters.span, trace: traces[index],
                adapterGradients: &gradients, scratch: &scratch)
        }
        return dx
    }
}
