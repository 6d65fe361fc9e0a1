// Attention with the mask as a function of query row and key row: nothing of how the kernel holds it.

#if canImport(Glibc)
    import Glibc
#endif

extension Reference {
    public struct AttentionSizes: Sendable {
        public var rows: Int
        public var keyRows: Int
        public var heads: Int
        public var keyHeads: Int
        public var width: Int
        public var scale: Double

        public init(
            rows: Int, keyRows: Int, heads: Int, keyHeads: Int, width: Int, scale: Double
        ) {
            self.rows = rows
            self.keyRows = keyRows
            self.heads = heads
            self.keyHeads = keyHeads
            self.width = width
            self.scale = scale
        }

        func query(_ row: Int, _ head: Int) -> Range<Int> {
            let start = (row * heads + head) * width
            return start..<start + width
        }

        func key(_ row: Int, _ head: Int) -> Range<Int> {
            let start = (row * keyHeads + head / (heads / keyHeads)) * width
            return start..<start + width
        }
    }

    /// Probabilities of the visible keys for one row and head; none when nothing is visible.
    private static func shares(
        _ q: [Double], _ k: [Double], _ row: Int, _ head: Int, _ sizes: AttentionSizes,
        _ sees: (Int, Int) -> Bool
    ) -> [(key: Int, share: Double)] {
        let seen = (0..<sizes.keyRows).filter { sees(row, $0) }
        let logits = seen.map { key in
            sizes.scale
                * zip(q[sizes.query(row, head)], k[sizes.key(key, head)]).reduce(0) {
                    $0 + $1.0 * $1.1
                }
        }
        let greatest = logits.max() ?? 0
        let total = logits.reduce(0) { $0 + exp($1 - greatest) }
        return zip(seen, logits).map { ($0, exp($1 - greatest) / total) }
    }

    public static func attention(
        q: [Double], k: [Double], v: [Double], _ sizes: AttentionSizes,
        sees: (_ row: Int, _ key: Int) -> Bool
    ) -> [Double] {
        var out = q.map { _ in 0.0 }
        for row in 0..<sizes.rows {
            for head in 0..<sizes.heads {
                for (key, share) in shares(q, k, row, head, sizes, sees) {
                    for (to, from) in zip(sizes.query(row, head), sizes.key(key, head)) {
                        out[to] += share * v[from]
                    }
                }
            }
        }
        return out
    }

    public static func attentionGradient(
        _ dOut: [Double], q: [Double], k: [Double], v: [Double], _ sizes: AttentionSizes,
        sees: (_ row: Int, _ key: Int) -> Bool
    ) -> (dq: [Double], dk: [Double], dv: [Double]) {
        var (dq, dk, dv) = (q.map { _ in 0.0 }, k.map { _ in 0.0 }, v.map { _ in 0.0 })
        for row in 0..<sizes.rows {
            for head in 0..<sizes.heads {
                let seen = shares(q, k, row, head, sizes, sees)
                let query = sizes.query(row, head)
                let dShares = seen.map { key, _ in
                    zip(dOut[query], v[sizes.key(key, head)]).reduce(0) { $0 + $1.0 * $1.1 }
                }
                let mean = zip(seen, dShares).reduce(0) { $0 + $1.0.share * $1.1 }
                for ((key, share), dShare) in zip(seen, dShares) {
                    let dLogit = share * (dShare - mean) * sizes.scale
                    for (at, from) in zip(query, sizes.key(key, head)) {
                        dq[at] += dLogit * k[from]
                        dk[from] += dLogit * q[at]
                        dv[from] += share * dOut[at]
                    }
                }
            }
        }
        return (dq, dk, dv)
    }
}
