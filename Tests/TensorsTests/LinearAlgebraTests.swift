import Tensors
import TestKit
import Testing

@Suite("matrix products and factorisations")
struct LinearAlgebraTests {
    /// Numbers without a pattern, the same in every run.
    static func numbers(_ count: Int, seed: Int = 1) -> [Float] {
        (0..<count).map { Float((($0 + seed) * 7919) % 101 - 50) / 50 }
    }

    @Test(
        "a product equals the sum of its definition, transposed or not",
        arguments: [(1, 1, 1), (3, 5, 2), (17, 4, 9), (0, 3, 2), (2, 3, 0)])
    func product(m: Int, n: Int, k: Int) {
        for aTransposition in [Transposition.plain, .transposed] {
            for bTransposition in [Transposition.plain, .transposed] {
                let a = Self.numbers(m * k)
                let b = Self.numbers(k * n, seed: 5)
                let before = Self.numbers(m * n, seed: 9)
                var c = before
                var span = c.mutableSpan
                multiply(
                    a.span, aTransposition, b.span, bTransposition, into: &span, m: m, n: n, k: k,
                    scale: 2, keep: 0.5)
                for row in 0..<m {
                    for column in 0..<n {
                        var sum = 0.5 * Double(before[row * n + column])
                        for inner in 0..<k {
                            let left =
                                aTransposition == .plain ? a[row * k + inner] : a[inner * m + row]
                            let right =
                                bTransposition == .plain
                                ? b[inner * n + column] : b[column * k + inner]
                            sum += 2 * Double(left) * Double(right)
                        }
                        #expect(abs(Double(c[row * n + column]) - sum) < 1e-5)
                    }
                }
            }
        }
    }

    @Test("a matrix times a vector equals the product with one column")
    func vector() {
        let (m, n) = (7, 5)
        for transposition in [Transposition.plain, .transposed] {
            let a = Self.numbers(m * n)
            let x = Self.numbers(n, seed: 3)
            var y = [Float](repeating: 1, count: m)
            var other = y
            var ySpan = y.mutableSpan
            multiply(a.span, transposition, vector: x.span, into: &ySpan, m: m, n: n, keep: 1)
            var otherSpan = other.mutableSpan
            multiply(
                a.span, transposition, x.span, into: &otherSpan, m: m, n: 1, k: n, keep: 1)
            for (one, two) in zip(y, other) { #expect(abs(one - two) < 1e-5) }
        }
    }

    @Test("a Gram matrix fills the lower triangle only")
    func lowerTriangle() {
        let (n, k) = (4, 6)
        let a = Self.numbers(k * n)
        var c = [Float](repeating: 99, count: n * n)
        var span = c.mutableSpan
        gram(a.span, into: &span, n: n, k: k)
        for row in 0..<n {
            for column in 0..<n {
                guard column <= row else {
                    #expect(c[row * n + column] == 99)
                    continue
                }
                let sum = (0..<k).reduce(0.0) {
                    $0 + Double(a[$1 * n + row]) * Double(a[$1 * n + column])
                }
                #expect(abs(Double(c[row * n + column]) - sum) < 1e-5)
            }
        }
    }

    /// aᵀ a + ridge, full.
    static func positiveDefinite(_ n: Int) -> [Double] {
        let a = numbers(n * n).map(Double.init)
        var result = [Double](repeating: 0, count: n * n)
        for row in 0..<n {
            for column in 0..<n {
                result[row * n + column] =
                    (0..<n).reduce(row == column ? 1.0 : 0) {
                        $0 + a[$1 * n + row] * a[$1 * n + column]
                    }
            }
        }
        return result
    }

    @Test("factor, solve and inverse agree with the matrix they came from", arguments: [1, 2, 9])
    func cholesky(n: Int) throws {
        let matrix = Self.positiveDefinite(n)
        var factor = matrix
        var span = factor.mutableSpan
        try factorise(&span, n: n)
        let right = Self.numbers(2 * n, seed: 4).map(Double.init)
        var solution = right
        var solutionSpan = solution.mutableSpan
        solve(factor: factor.span, n: n, rightSides: &solutionSpan, count: 2)
        for side in 0..<2 {
            for row in 0..<n {
                let sum = (0..<n).reduce(0.0) {
                    $0 + matrix[row * n + $1] * solution[side * n + $1]
                }
                #expect(abs(sum - right[side * n + row]) < 1e-9)
            }
        }
        var inverse = factor
        var inverseSpan = inverse.mutableSpan
        try invert(factor: &inverseSpan, n: n)
        for row in 0..<n {
            for column in 0...row {
                let sum = (0..<n).reduce(0.0) {
                    let other = max(column, $1) * n + min(column, $1)
                    return $0 + matrix[row * n + $1] * inverse[other]
                }
                #expect(abs(sum - (row == column ? 1 : 0)) < 1e-9)
            }
        }
    }

    @Test(
        "single precision agrees with double; two triangles make a solve", arguments: [1, 3, 8, 33])
    func singlePrecision(n: Int) throws {
        let matrix = Self.positiveDefinite(n)
        var reference = matrix
        var referenceSpan = reference.mutableSpan
        try factorise(&referenceSpan, n: n)
        var expected = Self.numbers(3 * n, seed: 4).map(Double.init)
        var expectedSpan = expected.mutableSpan
        solve(factor: reference.span, n: n, rightSides: &expectedSpan, count: 3)
        var factor = matrix.map { Float($0) }
        var span = factor.mutableSpan
        try factorise(&span, n: n)
        var whole = Self.numbers(3 * n, seed: 4)
        var halves = whole
        var wholeSpan = whole.mutableSpan
        solve(factor: factor.span, n: n, rightSides: &wholeSpan, count: 3)
        var halvesSpan = halves.mutableSpan
        solveTriangle(factor: factor.span, n: n, rightSides: &halvesSpan, count: 3)
        solveTriangle(factor: factor.span, .transposed, n: n, rightSides: &halvesSpan, count: 3)
        for (index, value) in expected.enumerated() {
            #expect(abs(Double(whole[index]) - value) < 1e-4)
            #expect(abs(Double(halves[index]) - value) < 1e-4)
        }
        var inverse = factor
        var inverseSpan = inverse.mutableSpan
        try invert(factor: &inverseSpan, n: n)
        var expectedInverse = reference
        var expectedInverseSpan = expectedInverse.mutableSpan
        try invert(factor: &expectedInverseSpan, n: n)
        for row in 0..<n {
            for column in 0...row {
                let at = row * n + column
                #expect(abs(Double(inverse[at]) - expectedInverse[at]) < 1e-4)
            }
        }
        var indefinite: [Float] = [1, 0, 0, -1]
        #expect(throws: NotPositiveDefinite(order: 2)) {
            var span = indefinite.mutableSpan
            try factorise(&span, n: 2)
        }
    }

    @Test("a matrix that is not positive definite is refused with the order of the minor")
    func indefinite() {
        var matrix: [Double] = [1, 0, 0, -1]
        #expect(throws: NotPositiveDefinite(order: 2)) {
            var span = matrix.mutableSpan
            try factorise(&span, n: 2)
        }
    }
}
