// A user's side of the model between requests: keys and values of the items of the window, and the state after the
// last. One more event costs one row through the inter blocks, whatever the history's length.
//
// The window holds the last `historyMax` items. When it slides, the oldest rows of keys and values are dropped. With
// one inter block that is exact: a row's keys depend on its own item only. With more, rows that stay still remember
// what they saw of the dropped ones, for as long as they stay themselves.
//
// What was before the window is one row more, in front of the items: a user's summary, the mean of the older items, or
// their sum. It stays there: when the window slides, the item that leaves joins the mean, and the row is computed anew
// one place before the oldest item. So an append costs two rows at most, and only another summary a rebuild.

import Tensors
import Transformer

public struct HistoryState: Sendable {
    /// Numbers of the items of the window, oldest first.
    public private(set) var items: [Int32] = []
    /// State after the last item times the head's scale: its product with an item's vector is the item's logit.
    public private(set) var query: [Float] = []
    /// The summary's vector; empty without one.
    private(set) var summary: [Float]
    /// Empty for a model that does not read older items.
    private(set) var older: OlderSum
    private(set) var caches: [KeyValueCache]
    /// Position of the next item; positions only grow, because attention reads their differences.
    private(set) var position: Int32

    /// The empty history, which has no query.
    public init(_ layout: ItemModelLayout, summary: [Float] = []) {
        self.init(layout, summary: summary, older: OlderSum())
    }

    init(_ layout: ItemModelLayout, summary: [Float], older: OlderSum) {
        precondition(summary.isEmpty || summary.count == layout.shape.width, "a vector")
        precondition(older.count == 0 || layout.olderNorm != nil, "a model that reads them")
        self.summary = summary
        self.older = older
        position = summary.isEmpty && layout.olderNorm == nil ? 0 : 1
        caches = layout.inter.map { KeyValueCache(keyWidth: $0.shape.keyWidth) }
    }

    /// Rows of keys and values: what an answer sees.
    var rows: Int { items.isEmpty ? 0 : items.count + frontRows }
    private var frontRows: Int { summary.isEmpty && older.count == 0 ? 0 : 1 }

    public var bytes: Int {
        caches.reduce(MemoryLayout<Self>.size) { $0 + $1.bytes }
            + (query.count + summary.count + older.sum.count + items.count)
            * MemoryLayout<Float>.stride
    }

    /// What a full window takes at most.
    public static func bytes(of shape: ItemModelShape) -> Int {
        let fronts = (shape.summaries == nil ? 0 : 1) + (shape.older == nil ? 0 : 1)
        let rows = shape.interBlocks * (shape.historyMax + min(fronts, 1)) * 2 * shape.width
        return MemoryLayout<Self>.size + 4 * (rows + (1 + fronts) * shape.width + shape.historyMax)
    }

    /// Positions beyond which floats no longer tell neighbours apart well enough: the window is built anew.
    static let positionMax: Int32 = 1 << 20

    /// Appends one item; `vector` gives the vectors of items. The memory is the caller's.
    mutating func append(
        _ item: Int32, vector: (Int32) -> [Float], parameters: ItemModelParameters,
        frequencies: [Float], traces: inout [BlockTrace]
    ) {
        let slides = items.count == parameters.layout.shape.historyMax
        if slides {
            let gone = items.removeFirst()
            if parameters.layout.olderNorm != nil { older.add(gone, vector(gone)) }
        }
        if slides || items.isEmpty { putFront(parameters, frequencies, &traces) }
        items.append(item)
        position += 1
        putLast(vector(item), parameters, frequencies, &traces)
    }

    /// Other items before the same window: the rows in front and of the last item are computed anew.
    mutating func replace(
        older: OlderSum, vector: (Int32) -> [Float], parameters: ItemModelParameters,
        frequencies: [Float], traces: inout [BlockTrace]
    ) {
        self.older = older
        putFront(parameters, frequencies, &traces)
        guard let last = items.last else { return }
        for index in caches.indices { caches[index].truncate(to: caches[index].rows - 1) }
        putLast(vector(last), parameters, frequencies, &traces)
    }

    /// The row of the last item, whose vector is given, behind those of the others.
    private mutating func putLast(
        _ vector: [Float], _ parameters: ItemModelParameters, _ frequencies: [Float],
        _ traces: inout [BlockTrace]
    ) {
        let shape = parameters.layout.shape
        let x = Self.run(
            vector, row: items.count - 1 + frontRows, position: position - 1, against: &caches,
            parameters, frequencies, &traces)
        query = x
        var reciprocals: [Float] = [0]
        norm(
            x, gain: parameters.layout.finalNorm, parameters.values, into: &query,
            reciprocals: &reciprocals, rows: 1, width: shape.width, epsilon: shape.epsilon)
        let scale = parameters.scale
        for index in query.indices { query[index] *= scale }
    }

    /// Puts the row in front before the rows of the items, in the place of whatever stands there.
    private mutating func putFront(
        _ parameters: ItemModelParameters, _ frequencies: [Float], _ traces: inout [BlockTrace]
    ) {
        var front = caches.map { KeyValueCache(keyWidth: $0.keyWidth) }
        var vector = older.vector(parameters)
        if vector.isEmpty {
            vector = summary
        } else if !summary.isEmpty {
            for place in vector.indices { vector[place] += summary[place] }
        }
        if !vector.isEmpty {
            _ = Self.run(
                vector, row: 0, position: position - Int32(items.count) - 1, against: &front,
                parameters, frequencies, &traces)
        }
        for index in caches.indices {
            caches[index].replaceFirst(caches[index].rows - items.count, by: front[index])
        }
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
