// One decoder block, forward. Rows are positions of any number of sequences, one after the other; who sees whom is
// said per row (`VisibleKeys`), so intra, inter and ordinary layers are the same code (methods 1.4: no new parameters,
// masks only).

public import Tensors

/// What the blocks of one pass share: rotary angles and who sees whom.
public struct BlockPass: Sendable {
    public let rows: Int
    /// rows × (headWidth / 2).
    public let cosines: [Float]
    public let sines: [Float]
    /// One a row; numbers of key rows (of the cache and these rows together).
    public var visible: [VisibleKeys]
    /// Of the block's two contributions, in training; 0 leaves everything.
    public var dropout: Float = 0
    public var seed: UInt64 = 0

    public init(positions: [Int32], inverseFrequencies: [Float], visible: [VisibleKeys]) {
        precondition(visible.count == positions.count, "one VisibleKeys a row")
        rows = positions.count
        var cosines = [Float](repeating: 0, count: rows * inverseFrequencies.count)
        var sines = cosines
        var cosine = cosines.mutableSpan
        var sine = sines.mutableSpan
        rotaryAngles(
            positions: positions.span, inverseFrequencies: inverseFrequencies.span,
            cosines: &cosine, sines: &sine)
        self.cosines = cosines
        self.sines = sines
        self.visible = visible
    }
}

/// What a block computed on its way, kept for the way back; also the memory it works in, used again pass after pass.
public struct BlockTrace: Sendable {
    var x: [Float] = []
    var attentionReciprocals: [Float] = []
    var normed: [Float] = []
    /// Before norms per head and rotation; only with norms per head.
    var rawQ: [Float] = []
    var rawK: [Float] = []
    var queryReciprocals: [Float] = []
    var keyReciprocals: [Float] = []
    var q: [Float] = []
    var k: [Float] = []
    var v: [Float] = []
    var attended: [Float] = []
    var logSums: [Float] = []
    var middle: [Float] = []
    var feedForwardReciprocals: [Float] = []
    var middleNormed: [Float] = []
    var gate: [Float] = []
    var up: [Float] = []
    var hidden: [Float] = []
    /// A block's contribution before it is added.
    var added: [Float] = []
    /// Of the adapter: x Aᵀ of each projection.
    var lowRank = [[Float]](repeating: [], count: Projection.allCases.count)

    public init() {}

    mutating func prepare(rows: Int, _ shape: BlockShape) {
        resize(&x, rows * shape.width)
        resize(&normed, rows * shape.width)
        resize(&middle, rows * shape.width)
        resize(&middleNormed, rows * shape.width)
        resize(&added, rows * shape.width)
        resize(&attentionReciprocals, rows)
        resize(&feedForwardReciprocals, rows)
        resize(&q, rows * shape.queryWidth)
        resize(&attended, rows * shape.queryWidth)
        resize(&k, rows * shape.keyWidth)
        resize(&v, rows * shape.keyWidth)
        resize(&logSums, rows * shape.heads)
        resize(&gate, rows * shape.feedForward)
        resize(&up, rows * shape.feedForward)
        resize(&hidden, rows * shape.feedForward)
        if shape.hasHeadNorms {
            resize(&rawQ, rows * shape.queryWidth)
            resize(&rawK, rows * shape.keyWidth)
            resize(&queryReciprocals, rows * shape.heads)
            resize(&keyReciprocals, rows * shape.keyHeads)
        }
    }
}

/// Replaces x (rows × width) by the block's output; `trace` holds what `backward` needs. An adapter's matrices are in
/// `adapterParameters`, an array of its own layout.
public func forward(
    _ x: inout [Float], block: BlockLayout, parameters: Span<Float>, pass: BlockPass,
    adapter: BlockAdapter? = nil, adapterParameters: Span<Float> = Span(),
    trace: inout BlockTrace
) {
    project(x, block, parameters, pass, adapter, adapterParameters, &trace)
    let rows = 0..<pass.rows
    attend(
        trace.q, trace.k, trace.v, rows: rows, block.shape, pass, into: &trace.attended,
        logSums: &trace.logSums)
    finish(&x, block, parameters, pass, adapter, adapterParameters, &trace)
}

/// The same for new rows of one sequence whose earlier rows are in the cache: they are appended to it, and `visible`
/// counts rows of the cache.
public func forward(
    _ x: inout [Float], block: BlockLayout, parameters: Span<Float>, pass: BlockPass,
    cache: inout KeyValueCache, adapter: BlockAdapter? = nil,
    adapterParameters: Span<Float> = Span(), trace: inout BlockTrace
) {
    project(x, block, parameters, pass, adapter, adapterParameters, &trace)
    cache.append(keys: trace.k, values: trace.v)
    let rows = 0..<pass.rows
    attend(
        trace.q, cache.keys, cache.values, rows: rows, block.shape, pass, into: &trace.attended,
        logSums: &trace.logSums)
    finish(&x, block, parameters, pass, adapter, adapterParameters, &trace)
}

/// The same for new rows of several sequences, `counts[s]` of sequence s, one sequence after the other: `visible`
/// counts rows of each sequence's own cache.
public func forward(
    _ x: inout [Float], block: BlockLayout, parameters: Span<Float>, pass: BlockPass,
    caches: inout [KeyValueCache], counts: [Int], adapter: BlockAdapter? = nil,
    adapterParameters: Span<Float> = Span(), trace: inout BlockTrace
) {
    precondition(
        caches.count == counts.count && counts.reduce(0, +) == pass.rows, "rows of sequences")
    project(x, block, parameters, pass, adapter, adapterParameters, &trace)
    var start = 0
    for (sequence, count) in counts.enumerated() {
        let rows = start..<start + count
        caches[sequence].append(keys: trace.k, values: trace.v, rows: rows)
        attend(
            trace.q, caches[sequence].keys, caches[sequence].values, rows: rows, block.shape,
            pass, into: &trace.attended, logSums: &trace.logSums)
        start += count
    }
    finish(&x, block, parameters, pass, adapter, adapterParameters, &trace)
}

/// The same for rows that see the cached rows only, not each other, and leave the cache as it is: answers that are
/// tried on a history.
public func forward(
    _ x: inout [Float], block: BlockLayout, parameters: Span<Float>, pass: BlockPass,
    against cache: KeyValueCache, adapter: BlockAdapter? = nil,
    adapterParameters: Span<Float> = Span(), trace: inout BlockTrace
) {
    project(x, block, parameters, pass, adapter, adapterParameters, &trace)
    attend(
        trace.q, cache.keys, cache.values, rows: 0..<pass.rows, block.shape, pass,
        into: &trace.attended, logSums: &trace.logSums)
    finish(&x, block, parameters, pass, adapter, adapterParameters, &trace)
}

/// Queries, keys and values of the rows, turned by their positions.
private func project(
    _ x: [Float], _ block: BlockLayout, _ parameters: Span<Float>, _ pass: BlockPass,
    _ adapter: BlockAdapter?, _ adapterParameters: Span<Float>, _ trace: inout BlockTrace
) {
    let shape = block.shape
    let (rows, width) = (pass.rows, shape.width)
    precondition(x.count == rows * width, "x is rows × width")
    trace.prepare(rows: rows, shape)
    trace.x = x
    norm(
        x, gain: parameters.extracting(block.attentionNorm), into: &trace.normed,
        reciprocals: &trace.attentionReciprocals, rows: rows, width: width,
        epsilon: shape.epsilon)
    apply(
        trace.normed, .query, block, parameters, adapter, adapterParameters,
        hidden: &trace.lowRank, into: &trace.q, rows: rows)
    apply(
        trace.normed, .key, block, parameters, adapter, adapterParameters,
        hidden: &trace.lowRank, into: &trace.k, rows: rows)
    apply(
        trace.normed, .value, block, parameters, adapter, adapterParameters,
        hidden: &trace.lowRank, into: &trace.v, rows: rows)
    if shape.hasHeadNorms {
        swap(&trace.q, &trace.rawQ)
        norm(
            trace.rawQ, gain: parameters.extracting(block.queryNorm), into: &trace.q,
            reciprocals: &trace.queryReciprocals, rows: rows * shape.heads,
            width: shape.headWidth, epsilon: shape.epsilon)
        swap(&trace.k, &trace.rawK)
        norm(
            trace.rawK, gain: parameters.extracting(block.keyNorm), into: &trace.k,
            reciprocals: &trace.keyReciprocals, rows: rows * shape.keyHeads,
            width: shape.headWidth, epsilon: shape.epsilon)
    }
    turn(&trace.q, .forward, pass, heads: shape.heads, headWidth: shape.headWidth)
    turn(&trace.k, .forward, pass, heads: shape.keyHeads, headWidth: shape.headWidth)
}

/// Attention of `rows` of the pass to the rows of one sequence's keys and values.
private func attend(
    _ q: [Float], _ keys: [Float], _ values: [Float], rows: Range<Int>, _ shape: BlockShape,
    _ pass: BlockPass, into attended: inout [Float], logSums: inout [Float]
) {
    let queries = rows.lowerBound * shape.queryWidth..<rows.upperBound * shape.queryWidth
    var allAttended = attended.mutableSpan
    var allSums = logSums.mutableSpan
    var out = allAttended._mutatingExtracting(queries)
    var kept = allSums._mutatingExtracting(
        rows.lowerBound * shape.heads..<rows.upperBound * shape.heads)
    attention(
        q: q.span.extracting(queries), k: keys.span, v: values.span,
        visible: pass.visible.span.extracting(rows), into: &out, logSums: &kept,
        shape: shape.attention(rows: rows.count, keyRows: keys.count / shape.keyWidth))
}

/// Output projection, residual, feed-forward part, residual.
private func finish(
    _ x: inout [Float], _ block: BlockLayout, _ parameters: Span<Float>, _ pass: BlockPass,
    _ adapter: BlockAdapter?, _ adapterParameters: Span<Float>, _ trace: inout BlockTrace
) {
    let (rows, width) = (pass.rows, block.shape.width)
    apply(
        trace.attended, .output, block, parameters, adapter, adapterParameters,
        hidden: &trace.lowRank, into: &trace.added, rows: rows)
    drop(&trace.added, rate: pass.dropout, pass.stream(block, 0))
    add(trace.added, trace.x, into: &trace.middle)
    norm(
        trace.middle, gain: parameters.extracting(block.feedForwardNorm),
        into: &trace.middleNormed, reciprocals: &trace.feedForwardReciprocals, rows: rows,
        width: width, epsilon: block.shape.epsilon)
    apply(
        trace.middleNormed, .gate, block, parameters, adapter, adapterParameters,
        hidden: &trace.lowRank, into: &trace.gate, rows: rows)
    apply(
        trace.middleNormed, .up, block, parameters, adapter, adapterParameters,
        hidden: &trace.lowRank, into: &trace.up, rows: rows)
    gatedUnit(trace.gate, trace.up, into: &trace.hidden)
    apply(
        trace.hidden, .down, block, parameters, adapter, adapterParameters,
        hidden: &trace.lowRank, into: &trace.added, rows: rows)
    drop(&trace.added, rate: pass.dropout, pass.stream(block, 1))
    add(trace.added, trace.middle, into: &x)
}

private func gatedUnit(_ gate: [Float], _ up: [Float], into y: inout [Float]) {
    var out = y.mutableSpan
    swiGLU(gate: gate.span, up: up.span, into: &out)
}

extension BlockShape {
    func attention(rows: Int, keyRows: Int) -> AttentionShape {
        AttentionShape(
            rows: rows, keyRows: keyRows, heads: heads, keyHeads: keyHeads, headWidth: headWidth)
    }
}

extension BlockPass {
    /// A stream of random numbers of its own for each of a block's two contributions.
    func stream(_ block: BlockLayout, _ part: UInt64) -> CounterRandom {
        CounterRandom(
            seed: seed, stream: UInt64(block.attentionNorm.lowerBound) << 1 | part)
    }
}
