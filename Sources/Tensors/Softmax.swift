// Softmax and its logarithm, row by row. A logit of -infinity is a masked column: its probability is 0. A row of which
// every column is masked has probabilities 0 and log-sum-exp -infinity; it is not NaN.

import CKernels

/// log(sum(exp(x))); -infinity when every x is, or there is none.
public func logSumExp(_ x: Span<Float>) -> Float {
    unsafe x.withUnsafeBufferPointer { x in
        let greatest = unsafe ck_max(x.baseAddress, x.count)
        guard greatest > -.infinity else { return greatest }
        return unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: x.count) {
            let sum = unsafe ck_exp_sum(x.baseAddress, x.count, greatest, $0.baseAddress)
            return greatest + Float(Libm.log(Double(sum)))
        }
    }
}

/// y = softmax(x) for each of rows; x and y are rows × width.
public func softmax(
    _ x: Span<Float>, into y: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(x.count == rows * width && y.count == x.count, "shapes of a softmax")
    for row in 0..<rows {
        let from = x.extracting(row * width..<(row + 1) * width)
        var to = y._mutatingExtracting(row * width..<(row + 1) * width)
        let sum = exponentials(of: from, into: &to)
        if sum > 0 { scale(&to, by: 1 / sum) }
    }
}

/// Adds to dx, given dy and the probabilities y: dx = y (dy - sum(y dy)).
public func softmaxBackward(
    _ dy: Span<Float>, y: Span<Float>, dx: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(
        y.count == rows * width && dy.count == y.count && dx.count == y.count,
        "shapes of a softmax")
    for row in 0..<rows {
        let place = row * width..<(row + 1) * width
        let (above, share) = (dy.extracting(place), y.extracting(place))
        var below = dx._mutatingExtracting(place)
        let mean = dotProduct(above, share)
        for index in 0..<width { below[index] += share[index] * (above[index] - mean) }
    }
}

/// y = x - logSumExp(x) for each of rows.
public func logSoftmax(
    _ x: Span<Float>, into y: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(x.count == rows * width && y.count == x.count, "shapes of a softmax")
    for row in 0..<rows {
        let from = x.extracting(row * width..<(row + 1) * width)
        var to = y._mutatingExtracting(row * width..<(row + 1) * width)
        let logSum = logSumExp(from)
        let shift = logSum > -.infinity ? logSum : 0
        for index in 0..<width { to[index] = from[index] - shift }
    }
}

/// Adds to dx, given dy and the logarithms y: dx = dy - exp(y) sum(dy). A masked column takes part in neither.
public func logSoftmaxBackward(
    _ dy: Span<Float>, y: Span<Float>, dx: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(
        y.count == rows * width && dy.count == y.count && dx.count == y.count,
        "shapes of a softmax")
    var shares = [Float](repeating: 0, count: width)
    for row in 0..<rows {
        let place = row * width..<(row + 1) * width
        let (above, logs) = (dy.extracting(place), y.extracting(place))
        var below = dx._mutatingExtracting(place)
        var share = shares.mutableSpan
        exponentials(of: logs, shift: 0, into: &share)
        var total: Float = 0
        for index in 0..<width where logs[index] > -.infinity { total += above[index] }
        for index in 0..<width where logs[index] > -.infinity {
            below[index] += above[index] - share[index] * total
        }
    }
}

/// y = exp(x - shift); returns the sum. Without a shift the greatest x is taken (0 when all are masked).
@discardableResult
func exponentials(
    of x: Span<Float>, shift: Float? = nil, into y: inout MutableSpan<Float>
) -> Float {
    precondition(x.count == y.count, "vectors of one length")
    return unsafe x.withUnsafeBufferPointer { x in
        unsafe y.withUnsafeMutableBufferPointer { y in
            var by = shift ?? (unsafe ck_max(x.baseAddress, x.count))
            if by == -.infinity { by = 0 }
            return unsafe ck_exp_sum(x.baseAddress, x.count, by, y.baseAddress)
        }
    }
}
