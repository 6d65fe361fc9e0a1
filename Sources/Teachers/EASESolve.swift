// Solving EASE^R from integer counts: whole, by Cholesky and inverse; or column by column over neighbourhoods.
//
// Rows are in ascending order of item key and the counts are exact, so the same histories give the same bits, however
// they arrived, on one machine with one number of BLAS threads.

import Interactions
import Tensors

/// The items that take part, and G among them.
struct EASEProblem {
    let items: ModelItems
    private let statistics: Statistics
    /// Row of each item number, -1 for items that take no part; and back.
    private let rows: [Int32]
    private let numbers: [KeyIndex.Number]

    init(_ statistics: Statistics, countMin: Int) {
        self.statistics = statistics
        let part = (0..<statistics.items.count).filter {
            statistics.counts[$0] >= Int64(max(countMin, 1))
        }
        items = ModelItems(part.map { statistics.items.keys[$0] })
        numbers = items.index.keys.compactMap { statistics.items.number(of: $0) }
        var rows = [Int32](repeating: -1, count: statistics.items.count)
        for (row, number) in numbers.enumerated() { rows[Int(number)] = Int32(row) }
        self.rows = rows
    }

    // MARK: - Dense

    /// B, row by row. One buffer of 4 * items^2 bytes is everything: Gram, factor, inverse and weights in turn.
    func dense(lambda: Double, progress: (Double) -> Bool) throws(SolveFailure) -> [Float] {
        let n = items.count
        var a = [Float](repeating: 0, count: n * n)
        fillLowerTriangle(&a, lambda: lambda)
        guard progress(0.05) else { throw .cancelled }
        do {
            var span = a.mutableSpan
            try factorise(&span, n: n)
        } catch {
            throw Self.notSolvable(error)
        }
        guard progress(0.35) else { throw .cancelled }
        do {
            var span = a.mutableSpan
            try invert(factor: &span, n: n)
        } catch {
            throw Self.notSolvable(error)
        }
        guard progress(0.95) else { throw .cancelled }
        Self.divide(&a, n: n)
        return a
    }

    private func fillLowerTriangle(_ a: inout [Float], lambda: Double) {
        let n = items.count
        var span = a.mutableSpan
        let rows = rows.span
        for (row, number) in numbers.enumerated() {
            statistics.cooccurrences.row(number).forEachPositive { other, count in
                let column = Int(rows[Int(other)])
                if column >= 0, column < row { span[row * n + column] = Float(count) }
            }
            span[row * n + row] = Float(Double(statistics.counts[Int(number)]) + lambda)
        }
    }

    /// From the lower triangle of P to the whole of B, in place, tile by tile so that both triangles stay in the cache.
    private static func divide(_ a: inout [Float], n: Int) {
        let tile = 64
        var scale = [Float](repeating: 0, count: n)
        for row in 0..<n { scale[row] = -1 / a[row * n + row] }
        var span = a.mutableSpan
        for top in stride(from: 0, to: n, by: tile) {
            for left in stride(from: 0, through: top, by: tile) {
                for row in top..<min(top + tile, n) {
                    for column in left..<min(left + tile, row) {
                        let value = span[row * n + column]
                        span[row * n + column] = value * scale[column]
                        span[column * n + row] = value * scale[row]
                    }
                }
            }
        }
        for row in 0..<n { span[row * n + row] = 0 }
    }

    private static func notSolvable(_ error: NotPositiveDefinite) -> SolveFailure {
        .unsolvable(
            "EASE: \(error). Counts within a short reach need not be a Gram matrix: count whole "
                + "histories, or raise lambda")
    }

    // MARK: - Neighbourhoods

    /// For each item b, w = (G_SS + lambda I)^-1 G_Sb over S, the items that are most often together with b for how
    /// frequent they are. Memory and time grow with items * countMax, not with items^2.
    func neighbourhoods(
        lambda: Double, countMax: Int, progress: (Double) -> Bool
    ) throws(SolveFailure) -> EASE.Weights {
        var columns = SparseColumns(count: items.count)
        var a: [Double] = []
        for target in 0..<items.count {
            if target % 1_024 == 0 {
                guard progress(Double(target) / Double(items.count)) else { throw .cancelled }
            }
            let near = companions(of: target, countMax: countMax)
            guard !near.isEmpty else {
                columns.append([], [])
                continue
            }
            let m = near.count
            a.removeAll(keepingCapacity: true)
            a.append(contentsOf: repeatElement(0, count: m * m))
            var right = near.map { Double(statistics.cooccurrences[numbers[target], $0.number]) }
            for (row, one) in near.enumerated() {
                let counts = statistics.cooccurrences.row(one.number)
                for column in 0..<row { a[row * m + column] = Double(counts[near[column].number]) }
                a[row * m + row] = Double(statistics.counts[Int(one.number)]) + lambda
            }
            do {
                var matrix = a.mutableSpan
                try factorise(&matrix, n: m)
            } catch {
                throw Self.notSolvable(error)
            }
            var side = right.mutableSpan
            solve(factor: a.span, n: m, rightSides: &side, count: 1)
            columns.append(near.map { rows[Int($0.number)] }, right.map { Float($0) })
        }
        return columns.transposed()
    }

    /// The strongest companions by G[a, b] / sqrt(n(a)), ties to the smaller row.
    private func companions(
        of target: Int, countMax: Int
    ) -> [(number: KeyIndex.Number, strength: Double)] {
        var found: [(number: KeyIndex.Number, strength: Double)] = []
        statistics.cooccurrences.row(numbers[target]).forEachPositive { other, count in
            guard rows[Int(other)] >= 0 else { return }
            let scale = Double(statistics.counts[Int(other)]).squareRoot()
            found.append((number: other, strength: Double(count) / scale))
        }
        found.sort { left, right in
            left.strength != right.strength
                ? left.strength > right.strength
                : rows[Int(left.number)] < rows[Int(right.number)]
        }
        return Array(found.prefix(countMax))
    }
}

/// Columns of a sparse square matrix, collected one after the other.
private struct SparseColumns {
    private let count: Int
    private var starts = [0]
    private var rows: [Int32] = []
    private var values: [Float] = []

    init(count: Int) { self.count = count }

    mutating func append(_ newRows: [Int32], _ newValues: [Float]) {
        rows.append(contentsOf: newRows)
        values.append(contentsOf: newValues)
        starts.append(rows.count)
    }

    /// The same matrix by rows, columns ascending: a counting sort.
    func transposed() -> EASE.Weights {
        var rowStarts = [Int](repeating: 0, count: count + 1)
        for row in rows { rowStarts[Int(row) + 1] += 1 }
        for row in 0..<count { rowStarts[row + 1] += rowStarts[row] }
        var next = rowStarts
        var columns = [Int32](repeating: 0, count: rows.count)
        var sorted = [Float](repeating: 0, count: rows.count)
        for column in 0..<count {
            for at in starts[column]..<starts[column + 1] {
                let row = Int(rows[at])
                columns[next[row]] = Int32(column)
                sorted[next[row]] = values[at]
                next[row] += 1
            }
        }
        return .sparse(starts: rowStarts, columns: columns, values: sorted)
    }
}
