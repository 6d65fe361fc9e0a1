// What a batch of events changes in the statistics, as data (decision D3).
//
// The fold does not touch counts: it writes edits, and the same bytes are applied here, stored with the commit, and
// applied again by recovery and by other instances. Edits are integers added or subtracted, so they commute, and the
// negative of an edit undoes it exactly.
//
// Stored form: version, fingerprint of the rules, next offset + 1 (0 = none), the batch's distinct item keys, then
// the operations.

public import Interactions

/// One operation on the statistics.
public enum StatisticsOperation: Sendable, Hashable {
    /// Adds (or subtracts) the pairs i < j of `items` with i <= `leftMax` and j >= `rightMin`, each weighted by its
    /// gap j - i.
    case pairs(subtract: Bool, items: [ItemKey], leftMax: Int, rightMin: Int)
    /// Adds (or subtracts) one history entry: its item's count and decayed popularity, and, when it was repeated
    /// `repeatGap` items later, the pair it makes with itself.
    case entry(subtract: Bool, item: ItemKey, seconds: UInt32, weight: Int, repeatGap: UInt8)
    /// Adds (or subtracts) 1 to the co-occurrence of `item` with each of `others`.
    case together(subtract: Bool, item: ItemKey, others: [ItemKey])
    /// Changes nothing counted: the combiner learns from the event that comes next.
    case observed(ObservedEvent)
}

/// Collects operations into their stored form.
public struct StatisticsEditsWriter: Sendable {
    private var numbers = KeyIndex()
    private var body = ByteWriter()
    private var operationCount = 0
    private var version = StatisticsEdits.formatVersion

    public init() {}

    public var isEmpty: Bool { operationCount == 0 }

    public mutating func append(_ operation: StatisticsOperation) {
        operationCount += 1
        switch operation {
        case .pairs(let subtract, let items, let leftMax, let rightMin):
            pairs(subtract: subtract, items: items[...], leftMax: leftMax, rightMin: rightMin)
        case .entry(let subtract, let item, let seconds, let weight, let repeatGap):
            body.byte(subtract ? 3 : 2)
            body.varint(UInt64(numbers.insert(item)))
            body.varint(UInt64(seconds))
            body.signed(Int64(weight))
            body.byte(repeatGap)
        case .together(let subtract, let item, let others):
            guard !others.isEmpty else { return }
            body.byte(subtract ? 5 : 4)
            body.varint(UInt64(others.count))
            body.varint(UInt64(numbers.insert(item)))
            for other in others { body.varint(UInt64(numbers.insert(other))) }
        case .observed(let event): observed(event)
        }
    }

    private mutating func observed(_ event: ObservedEvent) {
        let summary = event.user.summary
        version = max(
            version,
            summary.isEmpty ? StatisticsEdits.observedVersion : StatisticsEdits.summaryVersion)
        body.byte(
            summary.isEmpty ? StatisticsEdits.observedTag : StatisticsEdits.observedSummaryTag)
        if !summary.isEmpty {
            body.varint(UInt64(summary.count))
            body.append(summary)
        }
        body.word64(event.user.key)
        body.signed(event.time)
        body.varint(event.user.lastSeconds.map { UInt64($0) + 1 } ?? 0)
        body.varint(UInt64(event.user.historyCount))
        body.varint(UInt64(event.user.history.count))
        body.varint(UInt64(numbers.insert(event.item)))
        for entry in event.user.history {
            let marks: UInt64 = (entry.isPositive ? 1 : 0) | (entry.isHidden ? 2 : 0)
            body.varint(UInt64(numbers.insert(entry.item)) << 2 | marks)
        }
    }

    private mutating func pairs(
        subtract: Bool, items: ArraySlice<ItemKey>, leftMax: Int, rightMin: Int
    ) {
        body.byte(subtract ? 1 : 0)
        body.varint(UInt64(items.count))
        body.varint(UInt64(leftMax))
        body.varint(UInt64(rightMin))
        for item in items { body.varint(UInt64(numbers.insert(item))) }
    }

    /// The stored form, or no bytes when there was no operation. The writer is empty afterwards.
    public mutating func finish(nextOffset: Offset?, fingerprint: UInt64) -> [UInt8] {
        defer { self = StatisticsEditsWriter() }
        guard !isEmpty else { return [] }
        var out = ByteWriter(reserving: 16 + numbers.count * 8 + body.bytes.count)
        out.byte(version)
        out.word64(fingerprint)
        out.varint(nextOffset.map { UInt64($0) &+ 1 } ?? 0)
        out.varint(UInt64(numbers.count))
        out.words64(numbers.keys)
        out.append(body.bytes)
        return out.bytes
    }
}

/// Reads stored edits one operation at a time.
public struct StatisticsEdits {
    static let formatVersion: UInt8 = 1
    /// The same with observed events among the operations; written only when there are any.
    static let observedVersion: UInt8 = 2
    static let observedTag: UInt8 = 6
    /// The same with summaries in front of some of them.
    static let summaryVersion: UInt8 = 3
    static let observedSummaryTag: UInt8 = 7
    /// Pairs are counted within this many positions, so no operation needs more items than both sides and the middle.
    public static let windowCountMax = 2 * TransitionCounts.reach + 1
    /// Co-occurrence never leaves a history.
    public static let othersCountMax = UserState.historyCountMax

    /// Of the `HistoryRules` under which the edits were made.
    public let fingerprint: UInt64
    public let nextOffset: Offset?
    /// The batch's distinct items.
    let keys: [ItemKey]
    private var reader: ByteReader

    public init(_ bytes: [UInt8]) throws(MalformedBytes) {
        reader = ByteReader(bytes)
        let version = try reader.byte()
        guard (Self.formatVersion...Self.summaryVersion).contains(version) else {
            throw MalformedBytes("statistics edits have format \(version): upgrade first")
        }
        fingerprint = try reader.word64()
        let next = try reader.varint()
        guard let offset = Offset(exactly: next) else {
            throw MalformedBytes("an offset of \(next)")
        }
        nextOffset = offset == 0 ? nil : offset - 1
        let count = try reader.count(max: reader.remaining / 8)
        var keys: [ItemKey] = []
        keys.reserveCapacity(count)
        for _ in 0..<count { keys.append(try reader.word64()) }
        self.keys = keys
    }

    /// Throws unless every operation can be read. Whoever applies edits from elsewhere asks first, so that damaged
    /// ones leave no trace; our own need not pay for it (7 % of an event).
    public func check() throws(MalformedBytes) {
        var rest = self
        var items: [Int] = []
        while try rest.next(&items) != nil {}
    }

    /// The next operation, nil after the last.
    public mutating func next() throws(MalformedBytes) -> StatisticsOperation? {
        var places: [Int] = []
        switch try next(&places) {
        case .pairs(let subtract, let leftMax, let rightMin):
            return .pairs(
                subtract: subtract, items: places.map { keys[$0] }, leftMax: leftMax,
                rightMin: rightMin)
        case .entry(let subtract, let place, let seconds, let weight, let repeatGap):
            return .entry(
                subtract: subtract, item: keys[place], seconds: seconds, weight: weight,
                repeatGap: repeatGap)
        case .together(let subtract, let place):
            return .together(
                subtract: subtract, item: keys[place], others: places.map { keys[$0] })
        case .observed(let event): return .observed(event)
        case nil: return nil
        }
    }

    /// An operation that names items by their places in `keys`; items of pairs and others of an item are handed over
    /// beside it.
    enum Step {
        case pairs(subtract: Bool, leftMax: Int, rightMin: Int)
        case entry(subtract: Bool, place: Int, seconds: UInt32, weight: Int, repeatGap: UInt8)
        case together(subtract: Bool, place: Int)
        case observed(ObservedEvent)
    }

    /// The next operation, nil after the last; `items` keeps its storage from one to the next.
    mutating func next(_ items: inout [Int]) throws(MalformedBytes) -> Step? {
        guard reader.remaining > 0 else { return nil }
        let tag = try reader.byte()
        switch tag {
        case 0, 1:
            let count = try reader.count(max: Self.windowCountMax)
            let leftMax = try reader.count(max: count)
            let rightMin = try reader.count(max: count)
            items.removeAll(keepingCapacity: true)
            for _ in 0..<count { items.append(try place()) }
            return .pairs(subtract: tag == 1, leftMax: leftMax, rightMin: rightMin)
        case 2, 3:
            let place = try place()
            let seconds = try reader.count(max: Int(UInt32.max))
            let weight = try reader.signed()
            guard EventType.weightBounds.contains(Int(weight)) else {
                throw MalformedBytes("a weight of \(weight)")
            }
            return .entry(
                subtract: tag == 3, place: place, seconds: UInt32(seconds), weight: Int(weight),
                repeatGap: try reader.byte())
        case 4, 5:
            let count = try reader.count(max: Self.othersCountMax)
            let place = try place()
            items.removeAll(keepingCapacity: true)
            for _ in 0..<count { items.append(try self.place()) }
            return .together(subtract: tag == 5, place: place)
        case Self.observedTag: return .observed(try observed())
        case Self.observedSummaryTag:
            let count = try reader.count(max: UserState.summaryBytesMax)
            let summary = try reader.array(count: count)
            var event = try observed()
            event.user.summary = summary
            return .observed(event)
        default: throw MalformedBytes("operation \(tag) of statistics edits is unknown")
        }
    }

    private mutating func observed() throws(MalformedBytes) -> ObservedEvent {
        let key = try reader.word64()
        let time = try reader.signed()
        let last = try reader.count(max: Int(UInt32.max) + 1)
        let historyCount = try reader.count(max: UserState.historyCountMax)
        let count = try reader.count(max: min(ObservedEvent.historyMax, historyCount))
        let item = keys[try place()]
        var history: [ObservedUser.Entry] = []
        history.reserveCapacity(count)
        for _ in 0..<count {
            let word = try reader.count(max: keys.count * 4 - 1)
            history.append(
                .init(item: keys[word >> 2], isPositive: word & 1 == 1, isHidden: word & 2 == 2))
        }
        return ObservedEvent(
            user: ObservedUser(
                key: key, history: history, historyCount: historyCount,
                lastSeconds: last == 0 ? nil : UInt32(last - 1)), item: item, time: time)
    }

    private mutating func place() throws(MalformedBytes) -> Int {
        let place = try reader.count(max: Int(Int32.max))
        guard place < keys.count else { throw MalformedBytes("an item number is out of range") }
        return place
    }
}
