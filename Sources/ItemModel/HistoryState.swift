// A user's side of the model between requests: keys and values of the items of the window, and the state after the
// last. One more event costs one row through the inter blocks, whatever the history's length.
//
// The window holds the last `historyMax` items. When it slides, the oldest rows of keys and values are dropped. With
// one inter block that is exact: a row's keys depend on its own item only. With more, rows that stay still remember
// what they saw of the dropped ones, for as long as they stay themselves.
//
// A user's summary is one row more, in front of the items, and stays there: when the window slides, its row is computed
// anew one place before the oldest item. So an append costs two rows at most, and only another summary a rebuild.

import Tensors
import Transformer

public struct HistoryState: Sendable {
    /// Numbers of the items of the window, oldest first.
    public private(set) var items: [Int32] = []
    /// State after the last item times the head's scale: its product with an item's vector is the item's logit.
    public private(set) var query: [Float] = []
    /// The summary's vector; empty without one.
    private(set) var summary: [Float]
    private(set) var caches: [KeyValueCache]
    /// Position of the next item; positions only grow, because attention reads their differences.
    private(set) var position: Int32

    /// The empty history, which has no query.
    public init(_ layout: ItemModelLayout, summary: [Float] = []) {
        precondition(summary.isEmpty || summary.count == layout.shape.width, "a vector")
        self.summary = summary
        position = summary.isEmpty ? 0 : 1
        caches = layout.inter.map { KeyValueCache(keyWidth: $0.shape.keyWidth) }
    }

    /// Rows of keys and values: what an answer sees.
    var rows: Int { items.isEmpty ? 0 : items.count + summaryRows }
    private var summaryRows: Int { summary.isEmpty ? 0 : 1 }

    public var bytes: Int {
        caches.reduce(MemoryLayout<Self>.size) { $0 + $1.bytes }
            + (query.count + summary.count + items.count) * MemoryLayout<Float>.stride
    }

    /// What a full window takes at most.
    public static func bytes(of shape: ItemModelShape) -> Int {
        let summaryRows = shape.summaries == nil ? 0 : 1
        let rows = shape.interBlocks * (shape.historyMax + summaryRows) * 2 * shape.width
        return MemoryLayout<Self>.size
            + 4 * (rows + (1 + summaryRows) * shape.width + shape.historyMax)
    }

    /// Positions beyond which floats no longer tell neighbours apart well enough: the window is built anew.
    static let positionMax: Int32 = 1 << 20

    /// Appends one item of the given vector. The memory is the caller's.
    mutating func append(
        _ item: Int32, vector: [Float], parameters: ItemModelParameters, frequencies: [Float],
        traces: inout [BlockTrace]
    ) {
        let shape = parameters.layout.shape
        let slides = items.count == shape.historyMax
        if slides { items.removeFirst() }
        if !summary.isEmpty, slides || items.isEmpty {
            var front = caches.map { KeyValueCache(keyWidth: $0.keyWidth) }
            _ = Self.run(
                summary, row: 0, position: position - Int32(items.count) - 1, against: &front,
                parameters, frequencies, &traces)
            for index in caches.indices {
                caches[index].replaceFirst(slides ? 2 : 0, by: front[index])
            }
        } else if slides {
            for index in caches.indices { caches[index].removeFirst(1) }
        }
        let x = Self.run(
            vector, row: items.count + summaryRows, position: position, against: &caches,
            parameters, frequencies, &traces)
        items.append(item)
        position += 1
        query = x
        var reciprocals: [Float] = [0]
        norm(
            x, gain: parameters.layout.finalNorm, parameters.values, into: &query,
            reciprocals: &reciprocals, rows: 1, width: shape.width, epsilon: shape.epsilon)
        let scale = parameters.scale
        for index in query.indices { query[index] *= scale }
    }

    /// One row through the inter blocks; its keys and values are appended.
    private static func run(
        _ vector: [Float], row: Int, position: Int32, against caches: inout [KeyValueCache],
        _ parameters: ItemModelParameters, _ frequencies: [Float], _ traces: inout [BlockTrace]
    ) -> [Float] {
        let visible = VisibleKeys.inter(
            sequenceStart: 0, segmentStart: row, row: row,
            withSelf: parameters.layout.shape.seesItself)
        let pass = BlockPass(
            positions: [position], inverseFrequencies: frequencies, visible: [visible])
        var x = vector
        for (index, block) in parameters.layout.inter.enumerated() {
            forward(
                &x, block: block, parameters: parameters.values.span, pass: pass,
                cache: &caches[index], trace: &traces[index])
        }
        return x
    }

    var isWornOut: Bool { position >= Self.positionMax }
}
