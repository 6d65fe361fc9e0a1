// Rows of tables by index, and means over runs of rows.

/// y's row r = table's row indices[r], zeros where that is -1; table is of rows of `width`, y indices.count × width.
public func gatherRows(
    _ table: Span<Float>, _ indices: Span<Int32>, into y: inout MutableSpan<Float>, width: Int
) {
    precondition(width > 0 && y.count == indices.count * width, "shapes of rows")
    for row in 0..<indices.count {
        guard indices[row] != -1 else {
            for column in 0..<width { y[row * width + column] = 0 }
            continue
        }
        let from = table.extracting(Int(indices[row]) * width..<(Int(indices[row]) + 1) * width)
        for column in 0..<width { y[row * width + column] = from[column] }
    }
}

/// Adds dy's row r to dTable's row indices[r], in order: an index that stands twice gets both, and -1 none.
public func scatterAddRows(
    _ dy: Span<Float>, _ indices: Span<Int32>, into dTable: inout MutableSpan<Float>, width: Int
) {
    precondition(width > 0 && dy.count == indices.count * width, "shapes of rows")
    for row in 0..<indices.count where indices[row] != -1 {
        let from = dy.extracting(row * width..<(row + 1) * width)
        let start = Int(indices[row]) * width
        for column in 0..<width { dTable[start + column] += from[column] }
    }
}

/// y's row s = the mean of x's rows offsets[s] ..< offsets[s + 1]; 0 for a run of none. y is (offsets.count - 1) ×
/// width.
public func meanPool(
    _ x: Span<Float>, offsets: Span<Int32>, into y: inout MutableSpan<Float>, width: Int
) {
    let runs = checkedRuns(offsets, rows: x.count, width: width)
    precondition(y.count == runs * width, "shapes of pooling")
    for run in 0..<runs {
        let rows = Int(offsets[run])..<Int(offsets[run + 1])
        let share = rows.isEmpty ? 0 : 1 / Float(rows.count)
        for column in 0..<width { y[run * width + column] = 0 }
        for row in rows {
            let from = x.extracting(row * width..<(row + 1) * width)
            for column in 0..<width { y[run * width + column] += from[column] }
        }
        for column in 0..<width { y[run * width + column] *= share }
    }
}

/// Adds to dx: every row of a run its share of the run's dy.
public func meanPoolBackward(
    _ dy: Span<Float>, offsets: Span<Int32>, dx: inout MutableSpan<Float>, width: Int
) {
    let runs = checkedRuns(offsets, rows: dx.count, width: width)
    precondition(dy.count == runs * width, "shapes of pooling")
    for run in 0..<runs {
        let rows = Int(offsets[run])..<Int(offsets[run + 1])
        let share = rows.isEmpty ? 0 : 1 / Float(rows.count)
        let from = dy.extracting(run * width..<(run + 1) * width)
        for row in rows {
            for column in 0..<width { dx[row * width + column] += share * from[column] }
        }
    }
}

private func checkedRuns(_ offsets: Span<Int32>, rows count: Int, width: Int) -> Int {
    precondition(width > 0 && !offsets.isEmpty && offsets[0] >= 0, "offsets of runs")
    for run in 1..<offsets.count { precondition(offsets[run] >= offsets[run - 1], "runs in order") }
    precondition(Int(offsets[offsets.count - 1]) * width <= count, "runs of rows there are")
    return offsets.count - 1
}
