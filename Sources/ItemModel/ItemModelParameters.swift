// The numbers of a model: parameters of the layout, and a table of identity vectors.

import Tensors
import Transformer

/// A vector of its own for every item that has been trained, and how often it was seen then.
public struct IdentityTable: Sendable, Equatable {
    public let width: Int
    /// items × width.
    public var vectors: [Float]
    /// Events of each item up to the training that made this table.
    public var counts: [Int32]

    public init(width: Int) {
        self.width = width
        vectors = []
        counts = []
    }

    public var count: Int { counts.count }

    /// Appends items with vectors of normal numbers, which the gate hides while the count is 0.
    public mutating func grow(to count: Int, deviation: Float = 0.02, seed: UInt64) {
        let random = CounterRandom(seed: seed, stream: 0x1D)
        for index in vectors.count..<max(vectors.count, count * width) {
            vectors.append(deviation * random.normal(index))
        }
        while counts.count < count { counts.append(0) }
    }
}

public struct ItemModelParameters: Sendable, Equatable {
    public let layout: ItemModelLayout
    public var values: [Float]
    public var identity: IdentityTable

    /// Untrained: matrices of deviation 1 / sqrt(3 · inputs), norms of ones, vectors of items and of older items'
    /// means of length 1.
    public init(_ layout: ItemModelLayout, seed: UInt64) {
        self.layout = layout
        identity = IdentityTable(width: layout.shape.width)
        values = [Float](repeating: 0, count: layout.parameters.count)
        let unit = 1 / Float(layout.shape.width).squareRoot()
        for (number, entry) in layout.parameters.entries.enumerated() {
            var all = values.mutableSpan
            var part = all._mutatingExtracting(entry.range)
            if entry.range == layout.embedding || entry.shape.count == 2 {
                let deviation =
                    entry.range == layout.embedding
                    ? unit : 1 / Float(3 * entry.shape[1]).squareRoot()
                let random = CounterRandom(seed: seed, stream: UInt64(number))
                fillNormal(&part, deviation: deviation, random: random)
            } else {
                let isVector = entry.range == layout.itemNorm || entry.range == layout.olderNorm
                let value = isVector ? unit : 1
                for index in 0..<part.count { part[index] = value }
            }
        }
    }

    public init(_ layout: ItemModelLayout, values: [Float], identity: IdentityTable) {
        precondition(
            values.count == layout.parameters.count && identity.width == layout.shape.width,
            "numbers of the layout")
        self.layout = layout
        self.values = values
        self.identity = identity
    }

    var scale: Float { values[layout.scale.lowerBound] }

    /// Adds gate · identity of the items to their text vectors (items.count × width).
    public func addIdentity(_ items: [Int32], to vectors: inout [Float]) {
        let width = identity.width
        for (row, item) in items.enumerated() where Int(item) < identity.count {
            let gate = layout.shape.gate(count: Int(identity.counts[Int(item)]))
            guard gate > 0 else { continue }
            let start = Int(item) * width
            for column in 0..<width {
                vectors[row * width + column] += gate * identity.vectors[start + column]
            }
        }
    }
}
