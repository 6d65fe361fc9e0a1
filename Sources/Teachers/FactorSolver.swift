// The work of ImplicitALS: one side of the matrix solved row by row while the other is fixed.

import Interactions
import Tensors

/// The user-item matrix, by users and by items.
struct FactorMatrix {
    let items: ModelItems
    let users: FactorSide
    let columns: FactorSide

    init(_ histories: Histories, alpha: Float) {
        items = ModelItems(histories.items.keys)
        let index = items.index
        let rows = histories.items.keys.map { index.number(of: $0) ?? 0 }
        let byUser = FactorSide(
            starts: histories.starts, others: histories.entries.map { rows[Int($0)] },
            confidences: histories.weights.map { $0 * alpha })
        users = byUser
        columns = byUser.transposed(count: items.count)
    }
}

/// For each row, which rows of the other side it met, and the confidence above 1 of each meeting.
struct FactorSide {
    let starts: [Int]
    let others: [Int32]
    let confidences: [Float]

    var count: Int { starts.count - 1 }

    /// The same meetings by the other side's rows.
    func transposed(count other: Int) -> FactorSide {
        var otherStarts = [Int](repeating: 0, count: other + 1)
        for row in others { otherStarts[Int(row) + 1] += 1 }
        for row in 0..<other { otherStarts[row + 1] += otherStarts[row] }
        var next = otherStarts
        var rows = [Int32](repeating: 0, count: others.count)
        var values = [Float](repeating: 0, count: others.count)
        for row in 0..<count {
            for at in starts[row]..<starts[row + 1] {
                let place = next[Int(others[at])]
                next[Int(others[at])] += 1
                rows[place] = Int32(row)
                values[place] = confidences[at]
            }
        }
        return FactorSide(starts: otherStarts, others: rows, confidences: values)
    }

    /// Solves every row exactly; `fixed` are the factors of the other side.
    ///
    /// With base = L L^T, z = L^-1 y and x = L^-T v, a row's system is (I + sum of (c - 1) z z^T) v = sum of c z: the
    /// part that all rows share is done once for all, before and after.
    func solve(
        _ factors: inout [Float], given fixed: [Float], _ parameters: ALSParameters,
        progress: (Double) -> Bool
    ) throws(SolveFailure) {
        let d = parameters.factorCount
        var root = FactorSolver.base(
            fixed, factorCount: d, regularisation: parameters.regularisation)
        do {
            var span = root.mutableSpan
            try factorise(&span, n: d)
        } catch {
            throw .unsolvable("ALS: \(error)")
        }
        let fixedCount = fixed.count / d
        var fixed = fixed
        var fixedSpan = fixed.mutableSpan
        solveTriangle(factor: root.span, n: d, rightSides: &fixedSpan, count: fixedCount)
        var identity = [Float](repeating: 0, count: d * d)
        for index in 0..<d { identity[index * d + index] = 1 }
        var solver = FactorSolver(factorCount: d)
        for row in 0..<count {
            if row % 1_024 == 0, !progress(Double(row) / Double(max(count, 1))) {
                throw .cancelled
            }
            let met = starts[row]..<starts[row + 1]
            guard
                let solution = solver.row(
                    from: fixed.span, base: identity, isIdentity: true, rows: others[met],
                    confidences: confidences[met])
            else {
                throw .unsolvable("ALS: a row is singular; a larger regularisation mends it")
            }
            for index in 0..<d { factors[row * d + index] = solution[index] }
        }
        var span = factors.mutableSpan
        solveTriangle(factor: root.span, .transposed, n: d, rightSides: &span, count: count)
    }
}

/// Scratch memory of one row's system.
struct FactorSolver {
    /// Below it, the reciprocal in `shortRow` would lose digits.
    private static let confidenceMin: Float = 1e-3
    /// Rows gathered for one product.
    private static let blockRows = 256

    private let factorCount: Int
    private var matrix: [Float]
    private var gathered: [Float]

    init(factorCount: Int) {
        self.factorCount = factorCount
        matrix = []
        gathered = []
        matrix.reserveCapacity(factorCount * factorCount)
    }

    /// The factors of a row that met these rows of `fixed`; nil when the system is singular in single precision.
    mutating func row(
        from fixed: Span<Float>, base: [Float], isIdentity: Bool = false, rows: ArraySlice<Int32>,
        confidences: ArraySlice<Float>
    ) -> [Float]? {
        let d = factorCount
        if isIdentity, rows.count <= d / 2,
            confidences.allSatisfy({ $0 > Self.confidenceMin })
        {
            return shortRow(from: fixed, rows: rows, confidences: confidences)
        }
        // Held here while it is written: spans of two members at once would be two accesses to all of self.
        var matrix = self.matrix
        self.matrix = []
        defer { self.matrix = matrix }
        matrix.removeAll(keepingCapacity: true)
        matrix.append(contentsOf: base)
        var right = [Float](repeating: 0, count: d)
        var at = rows.startIndex
        while at < rows.endIndex {
            let end = min(at + Self.blockRows, rows.endIndex)
            gather(fixed, rows[at..<end], confidences[at..<end], right: &right)
            var target = matrix.mutableSpan
            gram(gathered.span, into: &target, n: d, k: end - at, keep: 1)
            at = end
        }
        do {
            var target = matrix.mutableSpan
            try factorise(&target, n: d)
        } catch {
            return nil
        }
        var side = right.mutableSpan
        solve(factor: matrix.span, n: d, rightSides: &side, count: 1)
        return right.allSatisfy(\.isFinite) ? right : nil
    }

    /// The same for a row that met few, by a system of their number instead of the factors': v = sum of w z with
    /// (K + D^-1) w = D^-1 c, where K are the products of the z and D the extra confidences.
    private mutating func shortRow(
        from fixed: Span<Float>, rows: ArraySlice<Int32>, confidences: ArraySlice<Float>
    ) -> [Float]? {
        let d = factorCount
        let k = rows.count
        var result = [Float](repeating: 0, count: d)
        guard k > 0 else { return result }
        var gathered = self.gathered
        var matrix = self.matrix
        self.gathered = []
        self.matrix = []
        defer {
            self.gathered = gathered
            self.matrix = matrix
        }
        Self.resize(&gathered, to: k * d)
        Self.resize(&matrix, to: k * k)
        var columns = gathered.mutableSpan
        var right = [Float](repeating: 0, count: k)
        for (place, row) in rows.enumerated() {
            let source = fixed.extracting((Int(row) * d)..<((Int(row) + 1) * d))
            for index in 0..<d { columns[place * d + index] = source[index] }
        }
        var system = matrix.mutableSpan
        multiply(
            gathered.span, .plain, gathered.span, .transposed, into: &system, m: k, n: k, k: d)
        for (place, extra) in confidences.enumerated() {
            system[place * k + place] += 1 / extra
            right[place] = (1 + extra) / extra
        }
        do { try factorise(&system, n: k) } catch { return nil }
        var side = right.mutableSpan
        solve(factor: matrix.span, n: k, rightSides: &side, count: 1)
        var sum = result.mutableSpan
        multiply(gathered.span, .transposed, vector: right.span, into: &sum, m: d, n: k)
        return result.allSatisfy(\.isFinite) ? result : nil
    }

    private static func resize(_ values: inout [Float], to count: Int) {
        guard values.count != count else { return }
        values.removeAll(keepingCapacity: true)
        values.append(contentsOf: repeatElement(0, count: count))
    }

    /// Rows times the root of their extra confidence, so that their Gram matrix is the sum of (c - 1) y y^T; and the
    /// sum of c y.
    private mutating func gather(
        _ fixed: Span<Float>, _ rows: ArraySlice<Int32>, _ confidences: ArraySlice<Float>,
        right: inout [Float]
    ) {
        let d = factorCount
        Self.resize(&gathered, to: rows.count * d)
        var target = gathered.mutableSpan
        var sum = right.mutableSpan
        for (place, (row, extra)) in zip(rows, confidences).enumerated() {
            let source = fixed.extracting((Int(row) * d)..<((Int(row) + 1) * d))
            let root = extra.squareRoot()
            let whole = 1 + extra
            Tensors.add(source, to: &sum, scale: whole)
            var slot = target._mutatingExtracting((place * d)..<((place + 1) * d))
            for index in 0..<d { slot[index] = root * source[index] }
        }
    }

    /// Y^T Y + regularisation I, lower triangle.
    static func base(_ factors: [Float], factorCount d: Int, regularisation: Double) -> [Float] {
        var base = [Float](repeating: 0, count: d * d)
        var span = base.mutableSpan
        gram(factors.span, into: &span, n: d, k: factors.count / d)
        for index in 0..<d { span[index * d + index] += Float(regularisation) }
        return base
    }

    /// Starting factors in -0.01 ... 0.01, a pure function of key, place and seed: the same item starts alike whatever
    /// else there is.
    static func drawn(_ keys: [ItemKey], factorCount: Int, seed: UInt64) -> [Float] {
        var values: [Float] = []
        values.reserveCapacity(keys.count * factorCount)
        for key in keys {
            for place in 0..<factorCount {
                // SplitMix64's finaliser over a distinct word for each number.
                var word = key ^ (seed &* 0x9E37_79B9_7F4A_7C15)
                word &+= UInt64(place + 1) &* 0xBF58_476D_1CE4_E5B9
                word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
                word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
                word ^= word >> 31
                values.append((Float(word >> 40) / Float(1 << 23) - 1) * 0.01)
            }
        }
        return values
    }
}
