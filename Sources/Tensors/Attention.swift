// Masked attention over ragged sequences. Rows of all sequences stand one after the other, without padding; what a
// query may see is not a mask but two runs of key rows. With causal order and contiguous segments every rule of the
// item-aware decoder is one: its own segment so far; all before its segment; the same and itself; everything so far;
// any of them with a run of sink keys in front. Two runs cost 16 bytes a query where a mask costs a bit a pair, skip
// what is not seen instead of computing and discarding it, and are the same thing when keys are a cache and queries
// its newest rows. (What would need three runs, a sink, a window that slid and oneself, has two in a cache: evicted
// rows are not there.)
//
// A query that sees nothing gets 0, and no gradient (rule E3), never NaN. Heads are grouped: query head h reads key
// head h / (heads / keyHeads). Probabilities are not kept: the backward pass recomputes them from the log-sum-exp of
// each row and head, which costs one more product and saves rows × keys numbers.

import CKernels

/// The rows of the keys that one query sees, as at most two runs, disjoint, either of them possibly empty.
public struct VisibleKeys: BitwiseCopyable, Equatable, Sendable {
    // As `ck_visible`.
    private var firstStart: Int32
    private var firstEnd: Int32
    private var secondStart: Int32
    private var secondEnd: Int32

    public init(_ first: Range<Int>, _ second: Range<Int> = 0..<0) {
        precondition(!first.overlaps(second), "a key is seen once")
        precondition(
            first.lowerBound >= 0 && second.lowerBound >= 0
                && max(first.upperBound, second.upperBound) <= Int(Int32.max), "rows of keys")
        (firstStart, firstEnd) = (Int32(first.lowerBound), Int32(first.upperBound))
        (secondStart, secondEnd) = (Int32(second.lowerBound), Int32(second.upperBound))
    }

    public static var none: VisibleKeys { VisibleKeys(0..<0) }

    public var first: Range<Int> { Int(firstStart)..<Int(firstEnd) }
    public var second: Range<Int> { Int(secondStart)..<Int(secondEnd) }
    public var count: Int { first.count + second.count }

    /// Everything of the sequence up to and with the row itself.
    public static func causal(sequenceStart: Int, row: Int) -> VisibleKeys {
        VisibleKeys(sequenceStart..<row + 1)
    }

    /// The row's own segment up to and with itself, and the sink's rows.
    public static func intra(segmentStart: Int, row: Int, sink: Range<Int> = 0..<0) -> VisibleKeys {
        sink.contains(segmentStart)
            ? VisibleKeys(sink.lowerBound..<row + 1) : VisibleKeys(sink, segmentStart..<row + 1)
    }

    /// What stands before the row's segment: strict, or with the row itself. Sink rows at the sequence's start are
    /// among them.
    public static func inter(
        sequenceStart: Int, segmentStart: Int, row: Int, withSelf: Bool = false
    ) -> VisibleKeys {
        VisibleKeys(sequenceStart..<segmentStart, withSelf ? row..<row + 1 : 0..<0)
    }
}

/// Sizes common to the passes of attention.
public struct AttentionShape: Equatable, Sendable {
    /// Rows of queries, and of keys and values.
    public var rows: Int
    public var keyRows: Int
    public var heads: Int
    /// Divides `heads`.
    public var keyHeads: Int
    public var headWidth: Int
    /// Multiplies q · k; 1 / sqrt(headWidth) as a rule.
    public var scale: Float

    public init(
        rows: Int, keyRows: Int, heads: Int, keyHeads: Int, headWidth: Int, scale: Float? = nil
    ) {
        precondition(
            rows >= 0 && keyRows >= 0 && headWidth > 0 && keyHeads > 0
                && heads.isMultiple(of: keyHeads), "shapes of attention")
        self.rows = rows
        self.keyRows = keyRows
        self.heads = heads
        self.keyHeads = keyHeads
        self.headWidth = headWidth
        self.scale = scale ?? 1 / Float(headWidth).squareRoot()
    }

    /// Numbers in q and the output; in k and v; in the log-sums.
    public var queryCount: Int { rows * heads * headWidth }
    public var keyCount: Int { keyRows * keyHeads * headWidth }
    public var logSumCount: Int { rows * heads }

    var c: ck_attention_shape {
        ck_attention_shape(
            rows: rows, heads: heads, kv_heads: keyHeads, dim: headWidth, scale: scale)
    }

    /// The most keys one row sees; traps when a row sees what is not there.
    func mostSeen(_ visible: Span<VisibleKeys>) -> Int {
        precondition(visible.count == rows, "one VisibleKeys a row of queries")
        var most = 0
        for row in 0..<rows {
            let keys = visible[row]
            precondition(
                max(keys.first.upperBound, keys.second.upperBound) <= keyRows, "rows of keys")
            most = max(most, keys.count)
        }
        return most
    }
}

/// out (rows × heads × headWidth) = softmax(scale · q kᵀ over the visible keys) v. q is shaped as out, k and v are
/// keyRows × keyHeads × headWidth, logSums rows × heads: kept for the way back.
public func attention(
    q: Span<Float>, k: Span<Float>, v: Span<Float>, visible: Span<VisibleKeys>,
    into out: inout MutableSpan<Float>, logSums: inout MutableSpan<Float>, shape: AttentionShape
) {
    precondition(
        q.count == shape.queryCount && out.count == q.count && k.count == shape.keyCount
            && v.count == k.count && logSums.count == shape.logSumCount, "shapes of attention")
    let scratchCount = shape.mostSeen(visible)
    unsafe withPointers(q, k, v) { q, k, v in
        unsafe visible.withUnsafeBytes { visible in
            unsafe withMutablePointers(&out, &logSums) { out, logSums in
                unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: scratchCount) {
                    unsafe ck_attention(
                        shape.c, q, k, v,
                        visible.baseAddress?.assumingMemoryBound(to: ck_visible.self), out,
                        logSums, $0.baseAddress)
                }
            }
        }
    }
}

/// Adds to dq, dk and dv, given the gradient of the output and what `attention` was given and kept.
public func attentionBackward(
    _ dOut: Span<Float>, q: Span<Float>, k: Span<Float>, v: Span<Float>,
    visible: Span<VisibleKeys>, logSums: Span<Float>, dq: inout MutableSpan<Float>,
    dk: inout MutableSpan<Float>, dv: inout MutableSpan<Float>, shape: AttentionShape
) {
    precondition(
        q.count == shape.queryCount && dOut.count == q.count && dq.count == q.count
            && k.count == shape.keyCount && v.count == k.count && dk.count == k.count
            && dv.count == k.count && logSums.count == shape.logSumCount, "shapes of attention")
    let scratchCount = 2 * shape.mostSeen(visible)
    unsafe withPointers(q, k, v) { q, k, v in
        unsafe withPointers(dOut, logSums) { dOut, logSums in
            unsafe visible.withUnsafeBytes { visible in
                unsafe withMutablePointers(&dq, &dk, &dv) { dq, dk, dv in
                    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: scratchCount) {
                        unsafe ck_attention_backward(
                            shape.c, dOut, q, k, v,
                            visible.baseAddress?.assumingMemoryBound(to: ck_visible.self),
                            logSums, dq, dk, dv, $0.baseAddress)
                    }
                }
            }
        }
    }
}
