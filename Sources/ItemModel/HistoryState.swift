// A user's side of the model between requests: keys and values of the items of the window, and the state after the
// last. One more event costs one row through the inter blocks, whatever the history's length.
//
// The window holds the last `historyMax` items. When it slides, the oldest rows of keys and values are dropped. With
// one inter block that is exact: a row's keys depend on its own item only. With more, rows that stay still remember
// what they saw of the dropped ones, for as long as they stay themselves.

import Tensors
import Transformer

public struct HistoryState: Sendable {
    /// Numbers of the items of the window, oldest first.
    public private(set) var items: [Int32] = []
    /// State after the last item times the head's scale: its product with an item's vector is the item's logit.
    public private(set) var query: [Float] = []
    private(set) var caches: [KeyValueCache]
    /// Position of the next item; positions only grow, because attention reads their differences.
    private(set) var position: Int32 = 0

    /// The empty history, which has no query.
    public init(_ layout: ItemModelLayout) {
        caches = layout.inter.map { KeyValueCache(keyWidth: $0.shape.keyWidth) }
    }

    public var bytes: Int {
        caches.reduce(MemoryLayout<Self>.size) { $0 + $1.bytes }
            + (query.count + items.count) * MemoryLayout<Float>.stride
    }

    /// What a full window takes at most.
    public static func bytes(of shape: ItemModelShape) -> Int {
        let rows = shape.interBlocks * shape.historyMax * 2 * shape.width
        return MemoryLayout<Self>.size + 4 * (rows + shape.width + shape.historyMax)
    }

    /// Positions beyond which floats no longer tell neighbours apart well enough: the window is built anew.
    static let positionMax: Int32 = 1 << 20

    /// Appends one item of the given vector. The memory is the caller's.
    mutating func append(
        _ item: Int32, vector: [Float], parameters: ItemModelParameters, frequencies: [Float],
        traces: inout [BlockTrace]
    ) {
        let layout = parameters.layout
        let shape = layout.shape
        if items.count == shape.historyMax {
            items.removeFirst()
            for index in caches.indices { caches[index].removeFirst(1) }
        }
        let row = items.count
        items.append(item)
        let visible = VisibleKeys.inter(
            sequenceStart: 0, segmentStart: row, row: row, withSelf: shape.seesItself)
        let pass = BlockPass(
            positions: [position], inverseFrequencies: frequencies, visible: [visible])
        position += 1
        var x = vector
        for (index, block) in layout.inter.enumerated() {
            forward(
                &x, block: block, parameters: parameters.values.span, pass: pass,
                cache: &caches[index], trace: &traces[index])
        }
        query = x
        var reciprocals: [Float] = [0]
        norm(
            x, gain: layout.finalNorm, parameters.values, into: &query,
            reciprocals: &reciprocals, rows: 1, width: shape.width, epsilon: shape.epsilon)
        let scale = parameters.scale
        for index in query.indices { query[index] *= scale }
    }

    var isWornOut: Bool { position >= Self.positionMax }
}
