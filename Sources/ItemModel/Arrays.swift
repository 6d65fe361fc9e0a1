// Kernels on whole arrays, and on pieces of the parameters.

import Tensors

func gather(
    _ parameters: [Float], _ table: Range<Int>, _ indices: [Int32], into y: inout [Float],
    width: Int
) {
    var out = y.mutableSpan
    gatherRows(parameters.span.extracting(table), indices.span, into: &out, width: width)
}

func gather(_ table: [Float], _ indices: [Int32], into y: inout [Float], width: Int) {
    var out = y.mutableSpan
    gatherRows(table.span, indices.span, into: &out, width: width)
}

func scatterAdd(
    _ dy: [Float], _ indices: [Int32], _ gradients: inout [Float], _ table: Range<Int>, width: Int
) {
    var all = gradients.mutableSpan
    var rows = all._mutatingExtracting(table)
    scatterAddRows(dy.span, indices.span, into: &rows, width: width)
}

func scatterAdd(_ dy: [Float], _ indices: [Int32], into table: inout [Float], width: Int) {
    var rows = table.mutableSpan
    scatterAddRows(dy.span, indices.span, into: &rows, width: width)
}

func pool(_ x: [Float], _ offsets: [Int32], into y: inout [Float], width: Int) {
    var out = y.mutableSpan
    meanPool(x.span, offsets: offsets.span, into: &out, width: width)
}

func backwardPool(_ dy: [Float], _ offsets: [Int32], dx: inout [Float], width: Int) {
    var below = dx.mutableSpan
    meanPoolBackward(dy.span, offsets: offsets.span, dx: &below, width: width)
}

func norm(
    _ x: [Float], gain: Range<Int>, _ parameters: [Float], into y: inout [Float],
    reciprocals: inout [Float], rows: Int, width: Int, epsilon: Float
) {
    var out = y.mutableSpan
    var kept = reciprocals.mutableSpan
    rmsNorm(
        x.span, gain: parameters.span.extracting(gain), into: &out, reciprocals: &kept,
        rows: rows, width: width, epsilon: epsilon)
}

func backwardNorm(
    _ dy: [Float], x: [Float], gain: Range<Int>, _ parameters: [Float], reciprocals: [Float],
    dx: inout [Float], _ gradients: inout [Float], rows: Int, width: Int
) {
    var below = dx.mutableSpan
    var all = gradients.mutableSpan
    var dGain = all._mutatingExtracting(gain)
    rmsNormBackward(
        dy.span, x: x.span, gain: parameters.span.extracting(gain),
        reciprocals: reciprocals.span, dx: &below, dGain: &dGain, rows: rows, width: width)
}

/// The same with the gain frozen.
func backwardNorm(
    _ dy: [Float], x: [Float], frozenGain gain: Range<Int>, _ parameters: [Float],
    reciprocals: [Float], dx: inout [Float], rows: Int, width: Int
) {
    var below = dx.mutableSpan
    var none = MutableSpan<Float>()
    rmsNormBackward(
        dy.span, x: x.span, gain: parameters.span.extracting(gain),
        reciprocals: reciprocals.span, dx: &below, dGain: &none, rows: rows, width: width)
}

/// c = scale · a bᵀ, a rows × width and b columns × width.
func products(
    _ a: [Float], _ b: [Float], scale: Float, into c: inout [Float], rows: Int, columns: Int,
    width: Int
) {
    var out = c.mutableSpan
    linear(
        a.span, weights: b.span, into: &out, rows: rows, inputs: width, outputs: columns,
        scale: scale)
}
