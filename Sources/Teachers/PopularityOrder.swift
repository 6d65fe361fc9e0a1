// The most popular items in order, kept as events arrive.
//
// A list needs the best items that the user has not seen, so a few hundred places are enough; keeping only those
// makes an event cost a short shift instead of a sort, at any size of catalogue.

import Interactions

/// The top of the popularity order: by value, then by key, so that every instance agrees.
public struct PopularityOrder: Sendable {
    /// Enough to fill the longest list past the longest history most users have; a full scan serves the rest.
    public static let heldMax = 2_048

    /// The first of them, whose shares a list looks at one by one; no other item has a greater share than their last.
    public static let leaderCount = 64

    public private(set) var top: [KeyIndex.Number] = []
    /// Whether `top` holds every item there is.
    public private(set) var isComplete = true
    private var place: [Int32] = []
    private var isStale = true
    private var epoch: UInt64 = 0
    private let count: Int
    /// No item outside `top` precedes this one, while there are such items.
    private var bound = Rank(value: 0, key: 0)

    /// `count`: items held at most, at least 1.
    public init(count: Int = Self.heldMax) {
        precondition(count > 0, "an order of something")
        self.count = count
    }

    private struct Rank {
        var value: Int64
        var key: ItemKey

        func precedes(_ other: Rank) -> Bool {
            value != other.value ? value > other.value : key < other.key
        }
    }

    private static func rank(_ item: KeyIndex.Number, _ statistics: Statistics) -> Rank {
        Rank(
            value: statistics.popularity.values[Int(item)], key: statistics.items.keys[Int(item)])
    }

    /// Whether an item is in `top`.
    @inline(__always)
    public func holds(_ item: KeyIndex.Number) -> Bool {
        Int(item) < place.count && place[Int(item)] >= 0
    }

    public var leaders: ArraySlice<KeyIndex.Number> { top.prefix(Self.leaderCount) }

    /// Whether an item is one of `leaders`.
    public func leads(_ item: KeyIndex.Number) -> Bool {
        holds(item) && Int(place[Int(item)]) < Self.leaderCount
    }

    /// Tells the order that the values of these items changed, all that changed since the last call.
    public mutating func touch(_ items: [KeyIndex.Number], in statistics: Statistics) {
        guard !isStale, epoch == statistics.popularityEpoch else {
            isStale = true
            return
        }
        if place.count < statistics.items.count {
            place.append(
                contentsOf: repeatElement(-1, count: statistics.items.count - place.count))
        }
        // Worst first down, then best first up: none is held up by one that is not in its place yet.
        let changed = items.filter(holds).sorted { Self.precedes($0, $1, statistics) }
        for item in changed.reversed() { sink(from: Int(place[Int(item)]), statistics) }
        for item in changed { rise(from: Int(place[Int(item)]), statistics) }
        if let last = changed.last, statistics.popularity.values[Int(last)] <= 0 { isStale = true }
        for item in items where !isStale && !holds(item) { enter(item, statistics) }
        if !isComplete, let last = top.last, bound.precedes(Self.rank(last, statistics)) {
            isStale = true
        }
    }

    /// Brings the order up to date; cheap unless time moved on or something sank.
    public mutating func refresh(_ statistics: Statistics) {
        if !isStale, epoch == statistics.popularityEpoch { return }
        let values = statistics.popularity.values
        let keys = statistics.items.keys
        var all = (0..<KeyIndex.Number(statistics.items.count)).filter { values[Int($0)] > 0 }
        isComplete = all.count <= count
        let before: (KeyIndex.Number, KeyIndex.Number) -> Bool = { left, right in
            let (a, b) = (values[Int(left)], values[Int(right)])
            return a != b ? a > b : keys[Int(left)] < keys[Int(right)]
        }
        if !isComplete {
            let cut = Self.cut(values: all.map { values[Int($0)] }, keeping: count)
            all.removeAll { values[Int($0)] < cut }
        }
        all.sort(by: before)
        top = Array(all.prefix(count))
        if let last = top.last { bound = Self.rank(last, statistics) }
        place = Array(repeating: -1, count: statistics.items.count)
        for (at, item) in top.enumerated() { place[Int(item)] = Int32(at) }
        epoch = statistics.popularityEpoch
        isStale = false
    }

    /// A value that at least `count` of `values` reach: a quick-select by halves of the value range.
    private static func cut(values: [Int64], keeping count: Int) -> Int64 {
        var low: Int64 = 0
        var high = values.max() ?? 0
        while low < high {
            let middle = low + (high - low + 1) / 2
            let reached = values.reduce(0) { $0 + ($1 >= middle ? 1 : 0) }
            if reached >= count { low = middle } else { high = middle - 1 }
        }
        return low
    }

    private mutating func enter(_ item: KeyIndex.Number, _ statistics: Statistics) {
        let value = statistics.popularity.values[Int(item)]
        guard value > 0 else { return }
        if top.count < count {
            guard isComplete else {
                isStale = true
                return
            }
            top.append(item)
        } else {
            guard let last = top.last else { return }
            let enters = Self.precedes(item, last, statistics)
            let outside = Self.rank(enters ? last : item, statistics)
            if isComplete || outside.precedes(bound) { bound = outside }
            isComplete = false
            guard enters else { return }
            place[Int(last)] = -1
            top[top.count - 1] = item
        }
        rise(from: top.count - 1, statistics)
    }

    private mutating func rise(from start: Int, _ statistics: Statistics) {
        var at = start
        let item = top[at]
        while at > 0, Self.precedes(item, top[at - 1], statistics) {
            top[at] = top[at - 1]
            place[Int(top[at])] = Int32(at)
            at -= 1
        }
        top[at] = item
        place[Int(item)] = Int32(at)
    }

    private mutating func sink(from start: Int, _ statistics: Statistics) {
        var at = start
        let item = top[at]
        while at + 1 < top.count, Self.precedes(top[at + 1], item, statistics) {
            top[at] = top[at + 1]
            place[Int(top[at])] = Int32(at)
            at += 1
        }
        top[at] = item
        place[Int(item)] = Int32(at)
    }

    private static func precedes(
        _ left: KeyIndex.Number, _ right: KeyIndex.Number, _ statistics: Statistics
    ) -> Bool {
        rank(left, statistics).precedes(rank(right, statistics))
    }
}
