// Matrix products and factorisations of OpenBLAS on spans: shapes are checked here, once, and nowhere else is a
// pointer of a caller handed to C.
//
// Matrices are row-major and dense: element (r, c) of an m × n matrix is at r * n + c.

import COpenBLAS

/// How many threads OpenBLAS may use in this process. Serving uses 1; solves and training may use more. Process-wide:
/// set it before the first product, from one place.
public func setLinearAlgebraThreads(_ count: Int) {
    precondition(count >= 1, "at least one thread")
    openblas_set_num_threads(Int32(clamping: count))
}

/// Whether a matrix takes part as it is or transposed.
public enum Transposition: Sendable {
    case plain
    case transposed

    var cblas: CBLAS_TRANSPOSE { self == .plain ? CblasNoTrans : CblasTrans }
}

/// c (m × n) = scale · a · b + keep · c, where a is m × k (k × m when transposed) and b is k × n (n × k when
/// transposed). With `keep` 0, what c held before is not read.
public func multiply(
    _ a: Span<Float>, _ aTransposition: Transposition = .plain, _ b: Span<Float>,
    _ bTransposition: Transposition = .plain, into c: inout MutableSpan<Float>, m: Int, n: Int,
    k: Int, scale: Float = 1, keep: Float = 0
) {
    precondition(a.count == m * k && b.count == k * n && c.count == m * n, "shapes of a product")
    guard m > 0, n > 0 else { return }
    let lda = Int32(aTransposition == .plain ? k : m)
    let ldb = Int32(bTransposition == .plain ? n : k)
    unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in
            unsafe c.withUnsafeMutableBufferPointer { c in
                unsafe cblas_sgemm(
                    CblasRowMajor, aTransposition.cblas, bTransposition.cblas, Int32(m), Int32(n),
                    Int32(k), scale, a.baseAddress, max(lda, 1), b.baseAddress, max(ldb, 1), keep,
                    c.baseAddress, Int32(n))
            }
        }
    }
}

/// y (m) = scale · a · x + keep · y, where a is m × n (or n × m, taken transposed).
public func multiply(
    _ a: Span<Float>, _ transposition: Transposition = .plain, vector x: Span<Float>,
    into y: inout MutableSpan<Float>, m: Int, n: Int, scale: Float = 1, keep: Float = 0
) {
    precondition(a.count == m * n && x.count == n && y.count == m, "shapes of a product")
    guard m > 0 else { return }
    let rows = Int32(transposition == .plain ? m : n)
    let columns = Int32(transposition == .plain ? n : m)
    unsafe a.withUnsafeBufferPointer { a in
        unsafe x.withUnsafeBufferPointer { x in
            unsafe y.withUnsafeMutableBufferPointer { y in
                unsafe cblas_sgemv(
                    CblasRowMajor, transposition.cblas, rows, columns, scale, a.baseAddress,
                    max(columns, 1), x.baseAddress, 1, keep, y.baseAddress, 1)
            }
        }
    }
}

/// The lower triangle of c (n × n) = scale · aᵀ · a + keep · c, where a is k × n. The upper triangle stays as it was.
public func gram(
    _ a: Span<Float>, into c: inout MutableSpan<Float>, n: Int, k: Int, scale: Float = 1,
    keep: Float = 0
) {
    precondition(a.count == k * n && c.count == n * n, "shapes of a Gram matrix")
    guard n > 0 else { return }
    unsafe a.withUnsafeBufferPointer { a in
        unsafe c.withUnsafeMutableBufferPointer { c in
            unsafe cblas_ssyrk(
                CblasRowMajor, CblasLower, CblasTrans, Int32(n), Int32(k), scale, a.baseAddress,
                Int32(n), keep, c.baseAddress, Int32(n))
        }
    }
}
