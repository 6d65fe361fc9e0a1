// What followed what lately, with the times: the evidence of rules and neighbours that fade by the clock.
//
// Sums that decay at read time cannot be kept as one number for two time scales and an exact undo, and only the latest
// evidence counts. So every item keeps its latest pairs as they happened, a bounded number of them, and a reader weighs
// each by its age. A pair is taken out again when its event is subtracted.

import Interactions

/// The latest pairs of each item, both directions, by item number.
public struct RecentPairs: Sendable {
    /// Pairs kept an item; the oldest leaves.
    public static let pairsMax = 256

    struct Pair: Sendable, Hashable {
        var other: KeyIndex.Number
        var seconds: UInt32
        /// Positions between the two; negative when the other came first.
        var gap: Int8
    }

    private(set) var rows: [[Pair]] = []
    /// Where the oldest pair of a row stands; only full ones turn.
    private(set) var heads: [Int] = []
    /// When an item had its first event known here; `UInt32.max` before it.
    private(set) var firsts: [UInt32] = []
    /// Over all items; from `pairCountMax` on, a row only replaces its own oldest pair.
    public private(set) var pairCount = 0
    public let pairCountMax: Int

    public init(pairCountMax: Int = 50_000_000) { self.pairCountMax = pairCountMax }

    public mutating func reserve(_ count: Int) {
        guard rows.count < count else { return }
        let added = count - rows.count
        rows.append(contentsOf: repeatElement([], count: added))
        heads.append(contentsOf: repeatElement(0, count: added))
        firsts.append(contentsOf: repeatElement(.max, count: added))
    }

    /// Seconds of an item's first event; nil when none is known.
    public func firstSeconds(_ item: KeyIndex.Number) -> UInt32? {
        Int(item) < firsts.count && firsts[Int(item)] != .max ? firsts[Int(item)] : nil
    }

    /// `window` is in history order and ends with the item that came at `seconds`.
    mutating func add(_ window: [KeyIndex.Number], seconds: UInt32) {
        guard let item = window.last else { return }
        for (place, other) in window.dropLast().enumerated() {
            let gap = Int8(clamping: window.count - 1 - place)
            put(Pair(other: item, seconds: seconds, gap: gap), in: Int(other))
            put(Pair(other: other, seconds: seconds, gap: -gap), in: Int(item))
        }
    }

    mutating func see(_ item: KeyIndex.Number, seconds: UInt32) {
        firsts[Int(item)] = min(firsts[Int(item)], seconds)
    }

    /// Takes out what `item` made with `others` at `seconds`.
    mutating func remove(_ item: KeyIndex.Number, seconds: UInt32, others: [KeyIndex.Number]) {
        for other in others where other != item {
            drop(from: Int(other)) { $0.other == item && $0.seconds == seconds && $0.gap > 0 }
            drop(from: Int(item)) { $0.other == other && $0.seconds == seconds && $0.gap < 0 }
        }
    }

    private mutating func put(_ pair: Pair, in row: Int) {
        let held = rows[row].count
        if held < Self.pairsMax, pairCount < pairCountMax {
            straighten(row)
            rows[row].append(pair)
            pairCount += 1
        } else if held > 0 {
            rows[row][heads[row]] = pair
            heads[row] = (heads[row] + 1) % held
        }
    }

    private mutating func drop(from row: Int, _ isGone: (Pair) -> Bool) {
        guard rows[row].contains(where: isGone) else { return }
        let before = rows[row].count
        straighten(row)
        rows[row].removeAll(where: isGone)
        pairCount += rows[row].count - before
    }

    /// The oldest stands first again, so that a row can grow and shrink.
    private mutating func straighten(_ row: Int) {
        guard heads[row] > 0 else { return }
        rows[row] = Array(rows[row][heads[row]...] + rows[row][..<heads[row]])
        heads[row] = 0
    }

    /// Adds what followed `recent` (newest first), each pair worth 1 / gap, halved with every `halfLife` seconds of
    /// age: recency of the source times its pairs over their sum and `prior`.
    public func addFollowers(
        of recent: [KeyIndex.Number], now: Int64, halfLife: Double, prior: Double,
        to scores: inout SparseScores
    ) {
        var worths: [(item: KeyIndex.Number, amount: Double)] = []
        worths.reserveCapacity(Self.pairsMax)
        for (age, item) in recent.enumerated() where Int(item) < rows.count {
            let row = rows[Int(item)]
            var sum = prior
            worths.removeAll(keepingCapacity: true)
            for pair in row where pair.gap > 0 {
                let worth = Self.fade(now - Int64(pair.seconds), halfLife) / Double(pair.gap)
                worths.append((pair.other, worth))
                sum += worth
            }
            scores.add(worths, factor: 1 / (Double(1 + age) * sum))
        }
    }

    /// Adds what was together with `recent`, in either order; `norm` gives the square root of an item's weight.
    public func addNeighbours(
        of recent: [KeyIndex.Number], now: Int64, halfLife: Double, decay: Double,
        norm: (KeyIndex.Number) -> Double, to scores: inout SparseScores
    ) {
        var worths: [(item: KeyIndex.Number, amount: Double)] = []
        worths.reserveCapacity(Self.pairsMax)
        var weight = 1.0
        for item in recent where Int(item) < rows.count {
            let own = norm(item)
            worths.removeAll(keepingCapacity: true)
            for pair in rows[Int(item)] {
                let worth = Self.fade(now - Int64(pair.seconds), halfLife)
                worths.append((pair.other, weight * worth / (own * norm(pair.other))))
            }
            scores.add(worths, factor: 1)
            weight *= decay
        }
    }

    /// 2 ^ -(age / halfLife): shifts and a square only, the same on every machine.
    @inline(__always)
    static func fade(_ age: Int64, _ halfLife: Double) -> Double {
        guard age > 0 else { return 1 }
        let periods = Double(age) / halfLife
        guard periods < 60 else { return .leastNormalMagnitude }
        let whole = Int(periods)
        let rest = periods - Double(whole)
        // The chord of 2^-x bent by its curvature: within .3 %, and exactly 1/2 at the end.
        let part = 1 - rest * (0.5 + 0.170_573_8 * (1 - rest))
        return part / Double(1 << whole)
    }
}

// MARK: - Checkpoint

extension RecentPairs {
    /// One item's row as it lies in memory: sums over it are the same to the last bit afterwards.
    func append(_ item: Int, to out: inout ByteWriter) {
        out.varint(firsts[item] == .max ? 0 : UInt64(firsts[item]) + 1)
        out.varint(UInt64(rows[item].count))
        out.varint(UInt64(heads[item]))
        var seconds: Int64 = 0
        for pair in rows[item] {
            out.varint(UInt64(pair.other))
            out.signed(Int64(pair.seconds) - seconds)
            out.byte(UInt8(bitPattern: pair.gap))
            seconds = Int64(pair.seconds)
        }
    }

    mutating func restore(
        _ item: Int, itemCount: Int, from reader: inout ByteReader
    ) throws(MalformedBytes) {
        let first = try reader.count(max: Int(UInt32.max))
        firsts[item] = first == 0 ? .max : UInt32(first - 1)
        let count = try reader.count(max: Self.pairsMax)
        heads[item] = try reader.count(max: max(count - 1, 0))
        var seconds: Int64 = 0
        for _ in 0..<count {
            let other = try reader.count(max: itemCount - 1)
            seconds = seconds &+ (try reader.signed())
            let gap = Int8(bitPattern: try reader.byte())
            guard (0...Int64(UInt32.max)).contains(seconds), gap != 0 else {
                throw MalformedBytes("a pair has no place in time or order")
            }
            rows[item].append(
                Pair(other: KeyIndex.Number(other), seconds: UInt32(seconds), gap: gap))
        }
        pairCount += count
    }
}
