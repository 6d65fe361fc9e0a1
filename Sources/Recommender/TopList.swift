// The best k of a stream of scored items: a bounded min-heap with a total order, so that equal scores always rank
// alike.

import Teachers

/// An item and its score; ties go to the smaller key, which is the same on every instance.
struct Candidate {
    var number: KeyIndex.Number
    var key: UInt64
    var score: Double

    static func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
        left.score != right.score ? left.score > right.score : left.key < right.key
    }
}

struct TopList {
    private(set) var heap: [Candidate] = []
    private let limit: Int
    /// The least score that could still enter.
    private var threshold: Double

    init(limit: Int) {
        self.limit = limit
        threshold = limit > 0 ? -.infinity : .infinity
        heap.reserveCapacity(limit)
    }

    var isFull: Bool { heap.count == limit }

    /// Whether a candidate of this score could still enter; exact for scores that differ, permissive for ties.
    func admits(_ score: Double) -> Bool { score >= threshold }

    /// Exact, also for ties.
    func admits(_ score: Double, _ key: UInt64) -> Bool {
        heap.count < limit
            || Candidate.precedes(Candidate(number: 0, key: key, score: score), heap[0])
    }

    mutating func offer(_ candidate: Candidate) {
        if heap.count < limit {
            heap.append(candidate)
            siftUp(heap.count - 1)
        } else if Candidate.precedes(candidate, heap[0]) {
            heap[0] = candidate
            siftDown(among: limit)
        }
        if heap.count == limit { threshold = heap[0].score }
    }

    /// Best first, in the heap's own memory: the worst of what is left goes behind it.
    consuming func sorted() -> [Candidate] {
        for last in heap.indices.reversed() {
            heap.swapAt(0, last)
            siftDown(among: last)
        }
        return heap
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard Candidate.precedes(heap[parent], heap[child]) else { return }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func siftDown(among count: Int) {
        var heap = heap.mutableSpan
        let falling = heap[0]
        var parent = 0
        while 2 * parent + 1 < count {
            var child = 2 * parent + 1
            if child + 1 < count, Candidate.precedes(heap[child], heap[child + 1]) { child += 1 }
            guard Candidate.precedes(falling, heap[child]) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = falling
    }
}
