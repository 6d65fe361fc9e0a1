// The kernels on whole arrays: a pass keeps its activations as arrays of one struct, of which several are open at once,
// which spans of its fields cannot be.

import Tensors

/// Makes the array this long; what it holds is not of interest.
func resize(_ array: inout [Float], _ count: Int) {
    if array.count > count {
        array.removeLast(array.count - count)
    } else if array.count < count {
        array.append(contentsOf: repeatElement(0, count: count - array.count))
    }
}

/// Makes the array this many zeros.
func zero(_ array: inout [Float], _ count: Int) {
    resize(&array, count)
    var span = array.mutableSpan
    for index in 0..<count { span[index] = 0 }
}

/// c = a + b.
func add(_ a: [Float], _ b: [Float], into c: inout [Float]) {
    var out = c.mutableSpan
    precondition(a.count == b.count && out.count == a.count, "vectors of one length")
    let (a, b) = (a.span, b.span)
    for index in 0..<a.count { out[index] = a[index] + b[index] }
}

func norm(
    _ x: [Float], gain: Span<Float>, into y: inout [Float], reciprocals: inout [Float], rows: Int,
    width: Int, epsilon: Float
) {
    var out = y.mutableSpan
    var kept = reciprocals.mutableSpan
    rmsNorm(
        x.span, gain: gain, into: &out, reciprocals: &kept, rows: rows, width: width,
        epsilon: epsilon)
}

/// Adds to dx and, unless `gradients` is empty, to the gradients of the gain.
func backwardNorm(
    _ dy: [Float], x: [Float], gain: Range<Int>, _ parameters: Span<Float>, reciprocals: [Float],
    dx: inout [Float], _ gradients: inout [Float], rows: Int, width: Int
) {
    var below = dx.mutableSpan
    let place = gradients.isEmpty ? 0..<0 : gain
    var all = gradients.mutableSpan
    var dGain = all._mutatingExtracting(place)
    rmsNormBackward(
        dy.span, x: x.span, gain: parameters.extracting(gain), reciprocals: reciprocals.span,
        dx: &below, dGain: &dGain, rows: rows, width: width)
}

func turn(
    _ x: inout [Float], _ direction: RotationDirection, _ pass: BlockPass, heads: Int,
    headWidth: Int
) {
    var span = x.mutableSpan
    rotate(
        &span, cosines: pass.cosines.span, sines: pass.sines.span, direction: direction,
        rows: pass.rows, heads: heads, headWidth: headWidth)
}

func drop(_ x: inout [Float], rate: Float, _ random: CounterRandom) {
    var span = x.mutableSpan
    dropout(&span, rate: rate, random: random)
}
