// What will happen in a simulated shop, soonest first.

import Interactions

struct ShopAgenda: Sendable {
    /// Where a visit stands.
    struct Step: Sendable {
        var user: Int
        var category: Int
        var previous: Int?
        var viewsLeft: Int
    }

    enum Entry: Sendable {
        case visit
        case trend
        case arrival
        case withdrawal
        case view(Step)
        /// Something that follows a view: user, item, what.
        case follow(Int, Int, ShopEventType)
    }

    private struct Planned: Sendable {
        var time: Milliseconds
        /// Breaks ties in the order of planning.
        var number: UInt64
        var entry: Entry

        func precedes(_ other: Planned) -> Bool {
            time != other.time ? time < other.time : number < other.number
        }
    }

    private var heap: [Planned] = []
    private var added: UInt64 = 0

    mutating func add(_ entry: Entry, at time: Milliseconds) {
        heap.append(Planned(time: time, number: added, entry: entry))
        added += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next() -> (Milliseconds, Entry)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.entry)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var soonest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].precedes(heap[soonest]) {
                soonest = child
            }
            if soonest == parent { return }
            heap.swapAt(parent, soonest)
            parent = soonest
        }
    }
}
