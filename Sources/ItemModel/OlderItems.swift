// What has left the window, in one vector: the mean of the items' vectors, normed as a text's mean of tokens is. It is
// a function of the history and the model, so nothing of it is stored. It is added to the row in front of the items,
// where a summary's text stands too.

import Tensors
import Transformer

/// Older items of several histories, as rows of a table, and the rows of a pass that their means are added to.
struct OlderRows: Sendable {
    private(set) var rows: [Int32] = []
    private(set) var offsets: [Int32] = [0]
    /// Ascending.
    private(set) var fronts: [Int32] = []

    mutating func append(_ items: [Int32], front: Int) {
        guard !items.isEmpty else { return }
        rows += items
        offsets.append(Int32(rows.count))
        fronts.append(Int32(front))
    }
}

/// One pass over means, with what the way back needs.
struct OlderPass {
    private let layout: ItemModelLayout
    private var older = OlderRows()
    private var pooled: [Float] = []
    private var reciprocals: [Float] = []

    init(_ layout: ItemModelLayout) { self.layout = layout }

    private var width: Int { layout.shape.width }

    /// Adds the means' vectors to their rows of `inputs`.
    mutating func run(
        _ older: OlderRows, of table: [Float], parameters: [Float], inputs: inout [Float]
    ) {
        self.older = older
        guard let gain = layout.olderNorm, !older.fronts.isEmpty else { return }
        let count = older.fronts.count
        var vectors = [Float](repeating: 0, count: older.rows.count * width)
        gather(table, older.rows, into: &vectors, width: width)
        pooled = [Float](repeating: 0, count: count * width)
        reciprocals = [Float](repeating: 0, count: count)
        pool(vectors, older.offsets, into: &pooled, width: width)
        var means = pooled
        norm(
            pooled, gain: gain, parameters, into: &means, reciprocals: &reciprocals, rows: count,
            width: width, epsilon: layout.shape.epsilon)
        scatterAdd(means, older.fronts, into: &inputs, width: width)
    }

    /// Adds to the gradients of the table and of the parameters.
    func backward(
        _ dInputs: [Float], parameters: [Float], dTable: inout [Float], gradients: inout [Float]
    ) {
        backward(dInputs, dTable: &dTable) { dMeans, gain, dPooled in
            backwardNorm(
                dMeans, x: pooled, gain: gain, parameters, reciprocals: reciprocals, dx: &dPooled,
                &gradients, rows: reciprocals.count, width: width)
        }
    }

    /// The same with the parameters frozen.
    func backward(_ dInputs: [Float], frozen parameters: [Float], dTable: inout [Float]) {
        backward(dInputs, dTable: &dTable) { dMeans, gain, dPooled in
            backwardNorm(
                dMeans, x: pooled, frozenGain: gain, parameters, reciprocals: reciprocals,
                dx: &dPooled, rows: reciprocals.count, width: width)
        }
    }

    private func backward(
        _ dInputs: [Float], dTable: inout [Float],
        throughNorm: (_ dMeans: [Float], _ gain: Range<Int>, _ dPooled: inout [Float]) -> Void
    ) {
        guard let gain = layout.olderNorm, !older.fronts.isEmpty else { return }
        var dMeans = [Float](repeating: 0, count: pooled.count)
        gather(dInputs, older.fronts, into: &dMeans, width: width)
        var dPooled = [Float](repeating: 0, count: pooled.count)
        throughNorm(dMeans, gain, &dPooled)
        var dVectors = [Float](repeating: 0, count: older.rows.count * width)
        backwardPool(dPooled, older.offsets, dx: &dVectors, width: width)
        scatterAdd(dVectors, older.rows, into: &dTable, width: width)
    }
}

/// The running sum behind a user's mean. It only grows, in the order of the history, so it is the sum of a full pass to
/// the bit; where an item has left the history or come again, it is made anew.
struct OlderSum: Sendable, Equatable {
    private(set) var sum: [Float] = []
    private(set) var count = 0
    /// Names the items and their order.
    private(set) var digest: UInt64 = 0

    init() {}

    init(_ items: some Sequence<Int32>, vector: (Int32) -> [Float]) {
        for item in items { add(item, vector(item)) }
    }

    mutating func add(_ item: Int32, _ vector: [Float]) {
        if sum.isEmpty { sum = [Float](repeating: 0, count: vector.count) }
        for place in sum.indices { sum[place] += vector[place] }
        count += 1
        Self.extend(&digest, item)
    }

    static func digest(of items: some Sequence<Int32>) -> UInt64 {
        var digest: UInt64 = 0
        for item in items { extend(&digest, item) }
        return digest
    }

    private static func extend(_ digest: inout UInt64, _ item: Int32) {
        digest = (digest ^ UInt64(UInt32(bitPattern: item)) &+ 1) &* 0x9E37_79B9_7F4A_7C15
        digest ^= digest >> 29
    }

    /// The mean's vector, as `OlderPass` makes it; empty without items.
    func vector(_ parameters: ItemModelParameters) -> [Float] {
        guard let gain = parameters.layout.olderNorm, count > 0 else { return [] }
        let mean = sum.map { $0 / Float(count) }
        var vector = mean
        var reciprocals: [Float] = [0]
        norm(
            mean, gain: gain, parameters.values, into: &vector, reciprocals: &reciprocals, rows: 1,
            width: mean.count, epsilon: parameters.layout.shape.epsilon)
        return vector
    }
}
