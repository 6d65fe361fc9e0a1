// The k largest of n without sorting n: a heap of the k best so far with the worst on top. Most scores lose against
// that one, sixteen at a time. Equal scores go by the lower index; a NaN is worse than every number, -infinity too.

/// Writes the indices of the largest scores, best first; as many as `indices` holds, or as there are scores. Returns
/// how many were written.
@discardableResult
public func topK(_ scores: Span<Float>, into indices: inout MutableSpan<Int32>) -> Int {
    let count = min(indices.count, scores.count)
    precondition(scores.count <= Int(Int32.max), "indices of 32 bits")
    guard count > 0 else { return 0 }
    for index in 0..<count { indices[index] = Int32(index) }
    for start in stride(from: count / 2 - 1, through: 0, by: -1) {
        sink(start, among: count, in: &indices, scores)
    }
    var next = count
    while next < scores.count {
        let worst = scores[Int(indices[0])]
        // A later equal loses, so only what is greater enters; a NaN gives way to any number.
        next = firstAbove(worst, in: scores, from: next)
        guard next < scores.count else { break }
        indices[0] = Int32(next)
        sink(0, among: count, in: &indices, scores)
        next += 1
    }
    // The worst to the end, again and again: best first.
    for end in stride(from: count - 1, to: 0, by: -1) {
        indices.swapAt(0, end)
        sink(0, among: end, in: &indices, scores)
    }
    return count
}

private func firstAbove(_ worst: Float, in scores: Span<Float>, from start: Int) -> Int {
    var next = start
    if worst.isNaN {
        while next < scores.count, scores[next].isNaN { next += 1 }
        return next
    }
    unsafe scores.withUnsafeBytes { bytes in
        while next + 16 <= scores.count {
            let lanes = unsafe bytes.loadUnaligned(
                fromByteOffset: next * 4, as: SIMD16<Float>.self)
            if any(lanes .> worst) { break }
            next += 16
        }
    }
    while next < scores.count, !(scores[next] > worst) { next += 1 }
    return next
}

/// Whether score a stands below score b in the list.
private func isWorse(_ a: Int32, _ b: Int32, _ scores: Span<Float>) -> Bool {
    let (one, two) = (scores[Int(a)], scores[Int(b)])
    if one < two { return true }
    if one > two { return false }
    if one.isNaN != two.isNaN { return one.isNaN }
    return a > b
}

/// Restores the heap, worst on top, below `start`.
private func sink(
    _ start: Int, among count: Int, in heap: inout MutableSpan<Int32>, _ scores: Span<Float>
) {
    var parent = start
    while true {
        var child = 2 * parent + 1
        guard child < count else { return }
        if child + 1 < count, isWorse(heap[child + 1], heap[child], scores) { child += 1 }
        guard isWorse(heap[child], heap[parent], scores) else { return }
        heap.swapAt(child, parent)
        parent = child
    }
}
