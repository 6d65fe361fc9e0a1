// Every kernel as the obvious loop in Double: what is meant, where `Tensors` is what is fast. Depends on nothing, so
// that an error in a kernel cannot be one here too. Gradients are written from the formulas and proved by differences.

/// The kernels' slow twins. Matrices are row-major arrays; gradients are returned, not accumulated.
public enum Reference {}

#if canImport(Glibc)
    import Glibc
#endif

/// The gradient of f at x by central differences, for functions without kinks near x.
public func numericGradient(at x: [Double], of f: ([Double]) -> Double) -> [Double] {
    x.indices.map { index in
        let step = 1e-5 * max(1, abs(x[index]))
        var (above, below) = (x, x)
        above[index] += step
        below[index] -= step
        return (f(above) - f(below)) / (2 * step)
    }
}

/// The sum of a · b, which makes a scalar of a result with b as its gradient.
public func weighed(_ a: [Double], by b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
}

/// sum((a - b)²) / sum(b²): 1e-14 or so is what rounding to floats costs. 0 when both are 0; what is not finite in
/// both is left out, in one of them makes the error infinite.
public func normalisedError(_ a: [Double], _ b: [Double]) -> Double {
    guard a.count == b.count else { return .infinity }
    var (off, all) = (0.0, 0.0)
    for (one, two) in zip(a, b) {
        if one == two {
            all += two.isFinite ? two * two : 0
        } else {
            guard one.isFinite, two.isFinite else { return .infinity }
            off += (one - two) * (one - two)
            all += two * two
        }
    }
    return off == 0 ? 0 : off / max(all, .leastNormalMagnitude)
}

extension Reference {
    public static func product(
        _ a: [Double], _ bTransposed: [Double], m: Int, n: Int, k: Int
    ) -> [Double] {
        var c = [Double](repeating: 0, count: m * n)
        for i in 0..<m {
            for j in 0..<n {
                for l in 0..<k { c[i * n + j] += a[i * k + l] * bTransposed[j * k + l] }
            }
        }
        return c
    }

    // MARK: normalisation

    public static func rmsNorm(
        _ x: [Double], gain: [Double], width: Int, epsilon: Double
    ) -> [Double] {
        var y = x
        for start in stride(from: 0, to: x.count, by: width) {
            let square = x[start..<start + width].reduce(0) { $0 + $1 * $1 } / Double(width)
            for i in 0..<width {
                y[start + i] = x[start + i] / (square + epsilon).squareRoot() * gain[i]
            }
        }
        return y
    }

    public static func rmsNormGradient(
        _ dy: [Double], x: [Double], gain: [Double], width: Int, epsilon: Double
    ) -> (dx: [Double], dGain: [Double]) {
        var dx = x
        var dGain = gain.map { _ in 0.0 }
        for start in stride(from: 0, to: x.count, by: width) {
            let square = x[start..<start + width].reduce(0) { $0 + $1 * $1 } / Double(width)
            let r = 1 / (square + epsilon).squareRoot()
            var along = 0.0
            for i in 0..<width { along += gain[i] * dy[start + i] * x[start + i] }
            for i in 0..<width {
                let at = start + i
                dx[at] = r * gain[i] * dy[at] - x[at] * r * r * r / Double(width) * along
                dGain[i] += dy[at] * x[at] * r
            }
        }
        return (dx, dGain)
    }

    // MARK: rotary positions

    /// sign -1 is the gradient.
    public static func rotate(
        _ x: [Double], positions: [Int], inverseFrequencies: [Float], heads: Int, sign: Double = 1
    ) -> [Double] {
        var y = x
        let half = inverseFrequencies.count
        for (row, position) in positions.enumerated() {
            for head in 0..<heads {
                let start = (row * heads + head) * 2 * half
                for i in 0..<half {
                    let angle = sign * Double(Float(position) * inverseFrequencies[i])
                    y[start + i] = x[start + i] * cos(angle) - x[start + half + i] * sin(angle)
                    y[start + half + i] =
                        x[start + half + i] * cos(angle) + x[start + i] * sin(angle)
                }
            }
        }
        return y
    }

    // MARK: gated unit

    public static func swiGLU(gate: [Double], up: [Double]) -> [Double] {
        zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }
    }

    public static func swiGLUGradient(
        _ dy: [Double], gate: [Double], up: [Double]
    ) -> (dGate: [Double], dUp: [Double]) {
        var (dGate, dUp) = (gate, up)
        for i in dy.indices {
            let s = 1 / (1 + exp(-gate[i]))
            dGate[i] = dy[i] * up[i] * s * (1 + gate[i] * (1 - s))
            dUp[i] = dy[i] * gate[i] * s
        }
        return (dGate, dUp)
    }
}
