// Sums over vectors. Swift never reorders additions of floats, so the lanes are written out; that also fixes the order.

import CKernels

/// The sum of a · b, element by element.
public func dotProduct(_ a: Span<Float>, _ b: Span<Float>) -> Float {
    precondition(a.count == b.count, "vectors of one length")
    var result: Float = 0
    unsafe withPointers(a, b) { left, right in
        unsafe ck_dots(left, right, 0, 1, a.count, 1, &result)
    }
    return result
}

/// The sum of a · b · c, element by element.
func tripleProduct(_ a: Span<Float>, _ b: Span<Float>, _ c: Span<Float>) -> Float {
    precondition(a.count == b.count && b.count == c.count, "vectors of one length")
    var lanes = SIMD8<Float>(repeating: 0)
    var index = 0
    while index + 8 <= a.count {
        for lane in 0..<8 {
            lanes[lane] += a[index + lane] * b[index + lane] * c[index + lane]
        }
        index += 8
    }
    var sum = lanes.sum()
    while index < a.count {
        sum += a[index] * b[index] * c[index]
        index += 1
    }
    return sum
}

/// The sum of squares in Double, for a norm over many buffers.
public func squaredNorm(_ x: Span<Float>) -> Double {
    var lanes = SIMD4<Double>(repeating: 0)
    var index = 0
    while index + 4 <= x.count {
        for lane in 0..<4 {
            let value = Double(x[index + lane])
            lanes[lane] += value * value
        }
        index += 4
    }
    var sum = lanes.sum()
    while index < x.count {
        sum += Double(x[index]) * Double(x[index])
        index += 1
    }
    return sum
}

/// y += scale · x.
public func add(_ x: Span<Float>, to y: inout MutableSpan<Float>, scale: Float = 1) {
    precondition(x.count == y.count, "vectors of one length")
    for index in 0..<x.count { y[index] += scale * x[index] }
}

/// x = scale · x.
public func scale(_ x: inout MutableSpan<Float>, by scale: Float) {
    for index in 0..<x.count { x[index] *= scale }
}
