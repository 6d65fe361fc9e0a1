// A linear layer, y = x Wᵀ + bias, with W as published weights hold it: outputs × inputs. Few rows, as when one event
// is appended or one list scored, go to loops of our own: OpenBLAS packs W first, which costs as much as eight rows.

import CKernels

/// Up to so many rows our own loops are a quarter to five times faster than sgemm with AVX2 (outputs × inputs of
/// 64 × 64 to 10 000 × 64 and 1024 × 256: 4.4 to 5.8 times at two rows, 1.4 to 1.9 at eight); one row is as sgemv.
let fewRowsMax = 8

/// y (rows × outputs) = scale · x Wᵀ + bias + keep · y; x is rows × inputs, weights outputs × inputs, bias outputs
/// numbers or none. With `keep` 0, what y held before is not read.
public func linear(
    _ x: Span<Float>, weights: Span<Float>, bias: Span<Float> = Span(),
    into y: inout MutableSpan<Float>, rows: Int, inputs: Int, outputs: Int, scale: Float = 1,
    keep: Float = 0
) {
    precondition(
        x.count == rows * inputs && weights.count == outputs * inputs && y.count == rows * outputs
            && (bias.isEmpty || bias.count == outputs), "shapes of a linear layer")
    if rows <= fewRowsMax {
        unsafe withPointers(x, weights) { x, weights in
            unsafe y.withUnsafeMutableBufferPointer { y in
                unsafe ck_dots_many(
                    x, rows, weights, outputs, inputs, scale, keep, y.baseAddress)
            }
        }
    } else {
        multiply(
            x, .plain, weights, .transposed, into: &y, m: rows, n: outputs, k: inputs, scale: scale,
            keep: keep)
    }
    guard !bias.isEmpty else { return }
    for row in 0..<rows {
        for column in 0..<outputs { y[row * outputs + column] += bias[column] }
    }
}

/// Adds scale · dy W to dx (rows × inputs).
public func linearBackward(
    _ dy: Span<Float>, weights: Span<Float>, dx: inout MutableSpan<Float>, rows: Int, inputs: Int,
    outputs: Int, scale: Float = 1
) {
    multiply(dy, .plain, weights, into: &dx, m: rows, n: inputs, k: outputs, scale: scale, keep: 1)
}

/// Adds scale · dyᵀ x to dWeights (outputs × inputs).
public func linearBackward(
    _ dy: Span<Float>, x: Span<Float>, dWeights: inout MutableSpan<Float>, rows: Int, inputs: Int,
    outputs: Int, scale: Float = 1
) {
    multiply(
        dy, .transposed, x, into: &dWeights, m: outputs, n: inputs, k: rows, scale: scale, keep: 1)
}

/// Adds the sums of dy's columns to dBias (outputs).
public func linearBackward(
    _ dy: Span<Float>, dBias: inout MutableSpan<Float>, rows: Int, outputs: Int
) {
    precondition(dy.count == rows * outputs && dBias.count == outputs, "shapes of a bias")
    for row in 0..<rows {
        for column in 0..<outputs { dBias[column] += dy[row * outputs + column] }
    }
}
