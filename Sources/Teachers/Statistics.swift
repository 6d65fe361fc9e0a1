// Everything counted over all users: item counts, transitions, decayed popularity. A pure function of the stored
// histories.

public import Interactions

/// The statistics of all partitions together. A value: a copy is a consistent snapshot, and costs only the rows that
/// change after it.
public struct Statistics: Sendable {
    public private(set) var items = KeyIndex()
    /// How many histories hold the item (with a positive event).
    public private(set) var counts: [Int64] = []
    public private(set) var transitions: TransitionCounts
    /// Holds nothing unless the rules of history count it.
    public private(set) var cooccurrences: CooccurrenceCounts
    /// One for each configured half-life; the first serves.
    public private(set) var popularities: [DecayedPopularity]
    /// Changes whenever the order of popularity may have changed for items that are not being touched.
    public private(set) var popularityEpoch: UInt64 = 0
    /// The latest pairs with their times, when somebody reads them.
    public private(set) var recent: RecentPairs?
    /// What the step before said, until the event it belongs to is known.
    private var opened: [KeyIndex.Number] = []
    private var closed: (item: KeyIndex.Number, seconds: UInt32)?

    public init(halfLivesSeconds: [Int64], pairCountMax: Int = 50_000_000) {
        precondition(!halfLivesSeconds.isEmpty, "at least one half-life")
        transitions = TransitionCounts(pairCountMax: pairCountMax)
        cooccurrences = CooccurrenceCounts(pairCountMax: pairCountMax)
        popularities = halfLivesSeconds.map { DecayedPopularity(halfLifeSeconds: $0) }
    }

    public var popularity: DecayedPopularity { popularities[0] }

    /// Keeps the latest pairs from now on, unless they are kept already.
    public mutating func keepRecentPairs() {
        guard recent == nil else { return }
        var pairs = RecentPairs(pairCountMax: transitions.pairCountMax)
        pairs.reserve(items.count)
        recent = pairs
    }

    /// The number of an item, which is added when it is new.
    public mutating func number(of key: ItemKey) -> KeyIndex.Number {
        let number = items.insert(key)
        if items.count > counts.count {
            counts.append(0)
            transitions.reserve(items.count)
            for index in popularities.indices { popularities[index].reserve(items.count) }
            recent?.reserve(items.count)
        }
        return number
    }

    /// Applies stored edits, or takes them back; calls `touched` for every item whose popularity changed. Edits of
    /// others must have passed `StatisticsEdits.check`: those that cannot be read are applied as far as they can.
    public mutating func apply(
        _ bytes: [UInt8], undo: Bool = false, touched: (KeyIndex.Number) -> Void = { _ in }
    ) throws(MalformedBytes) {
        guard !bytes.isEmpty else { return }
        var application = try begin(bytes, undo: undo)
        while try advance(&application, touched: touched) != nil {}
    }

    /// Edits on their way into the statistics.
    public struct Application {
        fileprivate var edits: StatisticsEdits
        fileprivate let undo: Bool
        fileprivate let numbers: [KeyIndex.Number]
        fileprivate var places: [Int] = []
        fileprivate var window: [KeyIndex.Number] = []
    }

    public mutating func begin(
        _ bytes: [UInt8], undo: Bool
    ) throws(MalformedBytes) -> Application {
        let edits = try StatisticsEdits(bytes)
        // Each distinct item is looked up once, however often the batch names it.
        return Application(edits: edits, undo: undo, numbers: edits.keys.map { number(of: $0) })
    }

    /// Applies all up to the next observed event, which has not come yet; nil when everything is applied.
    public mutating func advance(
        _ application: inout Application, touched: (KeyIndex.Number) -> Void
    ) throws(MalformedBytes) -> ObservedEvent? {
        let undo = application.undo
        var places = application.places
        var window = application.window
        application.places = []
        application.window = []
        defer {
            application.places = places
            application.window = window
        }
        while let step = try application.edits.next(&places) {
            switch step {
            case .pairs(let subtract, let leftMax, let rightMin):
                window.removeAll(keepingCapacity: true)
                for place in places { window.append(application.numbers[place]) }
                transitions.apply(
                    sign: subtract != undo ? -1 : 1, items: window, leftMax: leftMax,
                    rightMin: rightMin)
                if recent != nil {
                    note(window, isTaken: subtract != undo, leftMax: leftMax, rightMin: rightMin)
                }
            case .entry(let subtract, let place, let seconds, let weight, let repeatGap):
                let number = application.numbers[place]
                apply(entry: number, seconds: seconds, weight: weight, subtract: subtract != undo)
                if weight > 0 {
                    transitions.applyRepeat(
                        sign: subtract != undo ? -1 : 1, item: number, gap: Int(repeatGap))
                }
                if recent != nil, weight > 0 {
                    note(number, seconds: seconds, isTaken: subtract != undo)
                }
                touched(number)
            case .together(let subtract, let place):
                cooccurrences.reserve(items.count)
                for other in places {
                    cooccurrences.add(
                        application.numbers[place], application.numbers[other],
                        subtract != undo ? -1 : 1)
                }
            case .observed(let event):
                // What was learnt is not taken back.
                if !undo { return event }
            }
        }
        return nil
    }

    /// Pairs come before their event when it is appended, and after it when it is subtracted.
    private mutating func note(
        _ window: [KeyIndex.Number], isTaken: Bool, leftMax: Int, rightMin: Int
    ) {
        if isTaken, let closed, leftMax < window.count, window[leftMax] == closed.item {
            recent?.remove(closed.item, seconds: closed.seconds, others: window)
        }
        closed = nil
        // Sharing the storage of `window` would cost the next one storage of its own.
        opened.removeAll(keepingCapacity: true)
        if !isTaken, rightMin == window.count - 1 { opened.append(contentsOf: window) }
    }

    private mutating func note(_ item: KeyIndex.Number, seconds: UInt32, isTaken: Bool) {
        if isTaken {
            closed = (item: item, seconds: seconds)
        } else {
            if opened.last == item { recent?.add(opened, seconds: seconds) }
            recent?.see(item, seconds: seconds)
        }
        opened.removeAll(keepingCapacity: true)
    }

    private mutating func apply(
        entry item: KeyIndex.Number, seconds: UInt32, weight: Int, subtract: Bool
    ) {
        if weight > 0 { counts[Int(item)] &+= subtract ? -1 : 1 }
        let amount = Int64(subtract ? -weight : weight)
        for index in popularities.indices {
            let moved = popularities[index].add(item, seconds: seconds, weight: amount)
            // The first is `popularity`; the others order no items.
            if moved, index == 0 { popularityEpoch &+= 1 }
        }
    }

    // MARK: - Restoring a checkpoint

    mutating func restore(item: KeyIndex.Number, count: Int64) { counts[Int(item)] = count }

    mutating func restore(recent pairs: RecentPairs) { recent = pairs }

    mutating func restore(row: KeyIndex.Number, column: KeyIndex.Number, amount: Int64) {
        transitions.add(row, column, amount)
    }

    mutating func restore(together item: KeyIndex.Number, _ other: KeyIndex.Number, count: Int64) {
        cooccurrences.reserve(items.count)
        cooccurrences.add(item, other, count)
    }

    mutating func restore(
        popularity index: Int, item: KeyIndex.Number, period: Int64, sum: Int64
    ) {
        popularities[index].restore(item, period: period, sum: sum)
        popularityEpoch &+= 1
    }

    mutating func restore(popularity index: Int, newest: Int64?) {
        popularities[index].restore(newest: newest)
    }
}
