// Symmetric positive definite systems through LAPACK. A row-major lower triangle is LAPACK's upper one; which half is
// read is said at each function.

import COpenBLAS

/// The matrix is not positive definite: the leading minor of this order (counted from 1) is not positive.
public struct NotPositiveDefinite: Error, Equatable, CustomStringConvertible {
    public var order: Int

    public init(order: Int) { self.order = order }

    public var description: String {
        "matrix is not positive definite: its leading minor of order \(order) is not positive; "
            + "a larger ridge makes it so"
    }
}

/// Replaces the lower triangle of a (n × n, row-major) by its Cholesky factor L with a = L Lᵀ.
public func factorise(_ a: inout MutableSpan<Double>, n: Int) throws(NotPositiveDefinite) {
    precondition(a.count == n * n, "a square matrix")
    guard n > 0 else { return }
    var order = Int32(n)
    var info: Int32 = 0
    var lda = Int32(n)
    unsafe a.withUnsafeMutableBufferPointer { a in
        unsafe dpotrf_("U", &order, a.baseAddress, &lda, &info)
    }
    if info > 0 { throw NotPositiveDefinite(order: Int(info)) }
    precondition(info == 0, "arguments of dpotrf")
}

/// Replaces the lower triangle of a factor (as `factorise` left it) by that of the inverse of the matrix.
public func invert(factor a: inout MutableSpan<Double>, n: Int) throws(NotPositiveDefinite) {
    precondition(a.count == n * n, "a square matrix")
    guard n > 0 else { return }
    var order = Int32(n)
    var info: Int32 = 0
    var lda = Int32(n)
    unsafe a.withUnsafeMutableBufferPointer { a in
        unsafe dpotri_("U", &order, a.baseAddress, &lda, &info)
    }
    if info > 0 { throw NotPositiveDefinite(order: Int(info)) }
    precondition(info == 0, "arguments of dpotri")
}

/// Solves a x = b for `count` right-hand sides in place, given the factor of a; each right-hand side is n numbers in a
/// row.
public func solve(
    factor a: Span<Double>, n: Int, rightSides b: inout MutableSpan<Double>, count: Int
) {
    precondition(a.count == n * n && b.count == n * count, "shapes of a solve")
    guard n > 0, count > 0 else { return }
    var order = Int32(n)
    var sides = Int32(count)
    var info: Int32 = 0
    var lda = Int32(n)
    var ldb = Int32(n)
    unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeMutableBufferPointer { b in
            unsafe dpotrs_(
                "U", &order, &sides, a.baseAddress, &lda, b.baseAddress, &ldb, &info)
        }
    }
    precondition(info == 0, "arguments of dpotrs")
}

// MARK: - Single precision

/// `factorise` in single precision: half the memory and twice the speed, about seven digits less the condition.
public func factorise(_ a: inout MutableSpan<Float>, n: Int) throws(NotPositiveDefinite) {
    precondition(a.count == n * n, "a square matrix")
    guard n > 0 else { return }
    var order = Int32(n)
    var info: Int32 = 0
    var lda = Int32(n)
    unsafe a.withUnsafeMutableBufferPointer { a in
        unsafe spotrf_("U", &order, a.baseAddress, &lda, &info)
    }
    if info > 0 { throw NotPositiveDefinite(order: Int(info)) }
    precondition(info == 0, "arguments of spotrf")
}

/// `invert` in single precision.
public func invert(factor a: inout MutableSpan<Float>, n: Int) throws(NotPositiveDefinite) {
    precondition(a.count == n * n, "a square matrix")
    guard n > 0 else { return }
    var order = Int32(n)
    var info: Int32 = 0
    var lda = Int32(n)
    unsafe a.withUnsafeMutableBufferPointer { a in
        unsafe spotri_("U", &order, a.baseAddress, &lda, &info)
    }
    if info > 0 { throw NotPositiveDefinite(order: Int(info)) }
    precondition(info == 0, "arguments of spotri")
}

/// `solve` in single precision.
public func solve(
    factor a: Span<Float>, n: Int, rightSides b: inout MutableSpan<Float>, count: Int
) {
    precondition(a.count == n * n && b.count == n * count, "shapes of a solve")
    guard n > 0, count > 0 else { return }
    var order = Int32(n)
    var sides = Int32(count)
    var info: Int32 = 0
    var lda = Int32(n)
    var ldb = Int32(n)
    unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeMutableBufferPointer { b in
            unsafe spotrs_(
                "U", &order, &sides, a.baseAddress, &lda, b.baseAddress, &ldb, &info)
        }
    }
    precondition(info == 0, "arguments of spotrs")
}

/// Solves L x = b for `count` right-hand sides in place, given the factor L of a (as `factorise` left it), or Lᵀ x = b
/// when transposed; each right-hand side is n numbers in a row. After both, x solves a x = b.
public func solveTriangle(
    factor a: Span<Float>, _ transposition: Transposition = .plain, n: Int,
    rightSides b: inout MutableSpan<Float>, count: Int
) {
    precondition(a.count == n * n && b.count == n * count, "shapes of a solve")
    guard n > 0, count > 0 else { return }
    // Right-hand sides are rows: X Lᵀ = B for the plain system.
    let side = transposition == .plain ? Transposition.transposed : .plain
    unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeMutableBufferPointer { b in
            unsafe cblas_strsm(
                CblasRowMajor, CblasRight, CblasLower, side.cblas, CblasNonUnit, Int32(count),
                Int32(n), 1, a.baseAddress, Int32(n), b.baseAddress, Int32(n))
        }
    }
}
