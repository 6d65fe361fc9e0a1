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

    init(limit: Int) {
        self.limit = limit
        heap.reserveCapacity(limit)
    }

    var isFull: Bool { heap.count == limit }

    /// Whether a candidate of this score could still enter; exact for scores that differ, permissive for ties.
    func admits(_ score: Double) -> Bool { heap.count < limit || score >= heap[0].score }

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
            siftDown()
        }
    }

    /// Best first.
    consuming func sorted() -> [Candidate] { heap.sorted(by: Candidate.precedes) }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard Candidate.precedes(heap[parent], heap[child]) else { return }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var worst = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if Candidate.precedes(heap[worst], heap[child]) { worst = child }
            }
            if worst == parent { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }
}
