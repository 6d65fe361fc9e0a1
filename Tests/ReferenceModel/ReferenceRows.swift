// Adapters, rows, lists.

extension Reference {
    /// y + scale · (x Aᵀ) Bᵀ.
    public static func lowRank(
        _ y: [Double], x: [Double], a: [Double], b: [Double], rows: Int, inputs: Int,
        outputs: Int, rank: Int, scale: Double
    ) -> [Double] {
        let hidden = product(x, a, m: rows, n: rank, k: inputs)
        let added = product(hidden, b, m: rows, n: outputs, k: rank)
        return zip(y, added).map { $0 + scale * $1 }
    }

    public static func transposed(_ x: [Double], rows: Int, columns: Int) -> [Double] {
        (0..<columns).flatMap { column in (0..<rows).map { x[$0 * columns + column] } }
    }

    public static func lowRankGradient(
        _ dy: [Double], x: [Double], a: [Double], b: [Double], rows: Int, inputs: Int,
        outputs: Int, rank: Int, scale: Double
    ) -> (dx: [Double], dA: [Double], dB: [Double]) {
        let hidden = product(x, a, m: rows, n: rank, k: inputs)
        let bT = transposed(b, rows: outputs, columns: rank)
        let dHidden = product(dy, bT, m: rows, n: rank, k: outputs).map { scale * $0 }
        let dyT = transposed(dy, rows: rows, columns: outputs)
        let hiddenT = transposed(hidden, rows: rows, columns: rank)
        let dB = product(dyT, hiddenT, m: outputs, n: rank, k: rows).map { scale * $0 }
        let dHiddenT = transposed(dHidden, rows: rows, columns: rank)
        let xT = transposed(x, rows: rows, columns: inputs)
        let dA = product(dHiddenT, xT, m: rank, n: inputs, k: rows)
        let aT = transposed(a, rows: rank, columns: inputs)
        return (product(dHidden, aT, m: rows, n: inputs, k: rank), dA, dB)
    }

    /// Indices by falling score, equal ones by rising index, NaN last.
    public static func topK(_ scores: [Double], _ count: Int) -> [Int] {
        let order = scores.indices.sorted { one, two in
            if scores[one].isNaN != scores[two].isNaN { return scores[two].isNaN }
            if scores[one] == scores[two] || scores[one].isNaN { return one < two }
            return scores[one] > scores[two]
        }
        return Array(order.prefix(count))
    }

    public static func meanPool(_ x: [Double], offsets: [Int], width: Int) -> [Double] {
        zip(offsets, offsets.dropFirst()).flatMap { start, end in
            (0..<width).map { column in
                (start..<end).reduce(0.0) { $0 + x[$1 * width + column] }
                    / Double(max(end - start, 1))
            }
        }
    }
}
