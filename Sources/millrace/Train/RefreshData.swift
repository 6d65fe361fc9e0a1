// What a refresh learns and is judged by, in the order in which it happened: what the base knows, then what is new,
// then the newest events, which only judge.

import Alignment
import Evaluation
import Interactions
import ItemModel
import ModelFolders

struct RefreshData {
    /// An event that judges: its history is all that was before it.
    struct Case {
        var history: [Int32]
        var target: Int32
    }

    /// Items of the model first, in its order.
    private(set) var ids: [ItemID]
    private(set) var titles: [String]
    /// 1 for items that are ranked.
    private(set) var listed: [UInt8]
    private(set) var known: [RefreshWindow] = []
    private(set) var new: [RefreshWindow] = []
    /// Oldest first.
    private(set) var judging: [Case] = []
    /// Time of the newest event to be learnt.
    private(set) var learntUntil: Milliseconds?
    private var numbers: [ItemID: Int32] = [:]

    /// Of all events of a log.
    struct Shares {
        /// The oldest: what the base was trained on.
        var known: Double
        /// The newest of those that have happened: what judges.
        var judging: Double
        /// What has happened.
        var all: Double
        /// Instead of `known`: events up to this time are known, and `judging` is a share of the others.
        var knownUntil: Milliseconds?

        /// Where what is new begins, and where what judges does; `times` are in order.
        func borders(_ times: [Milliseconds]) -> (new: Int, judging: Int) {
            guard let knownUntil else {
                let count = Double(times.count)
                return (Int(count * known), Int(count * (all - judging)))
            }
            let border = times.firstIndex { $0 > knownUntil } ?? times.count
            return (border, border + Int(Double(times.count - border) * (1 - judging)))
        }
    }

    private init(_ base: [ItemID]) {
        ids = base
        titles = base.map(\.text)
        listed = Array(repeating: 0, count: base.count)
        for (number, id) in base.enumerated() { numbers[id] = Int32(number) }
    }

    /// The rows of the fixed split released with TCA4Rec, by the time of their targets; its selection rows judge, which
    /// are newer than all of them.
    init(
        office folder: String, base: [ItemID], known share: Double, examples: RefreshExamples,
        teacher name: String? = nil
    ) throws {
        self.init(base)
        let split = try OfficeSplit(folder: folder, test: "valid_5000.csv")
        for record in split.items { add(record) }
        var examples = examples
        let types = EventTypes([EventType(name: "review", weight: 1, seen: .never)])
        var teacher = name.flatMap { StreamedTeacher(named: $0, types: types) }
        let rows = split.trainByTime
        let border = Int(Double(rows.count) * share)
        for (index, row) in rows.enumerated() {
            if index == border {
                known = examples.take()
                try teacher?.begin(seed: 1)
            }
            let events = row.history + [row.target]
            let items = events.map { number(of: $0.item) }
            var words: [ItemTargets]?
            if teacher != nil {
                words = try events.indices.dropFirst().map {
                    try teacher?.word(after: events[..<$0].map(\.item)) ?? .none
                }
            }
            examples.learn(row: items, by: row.target.user.key, words: words)
            try teacher?.learn(events, numbers: items)
        }
        if border >= rows.count { known = examples.take() }
        new = examples.take()
        judging = split.testByTime.map { row in
            let history = row.history.map { number(of: $0.item) }
            return Case(history: history, target: number(of: row.target.item))
        }
    }

    /// Positive events of a log.
    init(
        log folder: String, base: [ItemID], shares: Shares, examples: RefreshExamples,
        teacher name: String? = nil
    ) throws {
        self.init(base)
        let log = try LoadedLog(folder: folder, seen: .always)
        var events: [Interaction] = []
        for change in log.changes {
            switch change {
            case .item(let record): add(record)
            case .interaction(let event):
                if log.types[event.type].weight > 0 { events.append(event) }
            }
        }
        var examples = examples
        var teacher = name.flatMap { StreamedTeacher(named: $0, types: log.types) }
        let (border, end) = shares.borders(events.map(\.time))
        if end > border { learntUntil = events[end - 1].time }
        events.removeLast(events.count - Int(Double(events.count) * shares.all))
        var histories: [UserID: [Int32]] = [:]
        for (index, event) in events.enumerated() {
            let item = number(of: event.item)
            let history = histories[event.user] ?? []
            if index == border {
                known = examples.take()
                try teacher?.begin(seed: 1)
            }
            if index < end {
                let word = try history.isEmpty ? nil : teacher?.word(on: event.user)
                examples.learn(item, by: event.user.key, word: word)
                try teacher?.learn(event, number: item)
            } else if !history.isEmpty, !history.contains(item) {
                judging.append(Case(history: history, target: item))
            }
            if history.last != item { histories[event.user, default: []].append(item) }
        }
        new = examples.take()
    }

    /// Makes the new events worthless: each stays where it is, with another one's item.
    mutating func shuffleItems(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var items = new.flatMap(\.items)
        for place in items.indices.dropLast() {
            items.swapAt(place, place + random.below(items.count - place))
        }
        var at = 0
        new = new.map { window in
            defer { at += window.items.count }
            return RefreshWindow(
                items: Array(items[at..<at + window.items.count]), newFrom: window.newFrom,
                teacher: window.teacher)
        }
    }

    private mutating func add(_ record: ItemRecord) {
        let place = Int(number(of: record.id))
        titles[place] = record.modelText
        listed[place] = 1
    }

    private mutating func number(of item: ItemID) -> Int32 {
        if let known = numbers[item] { return known }
        numbers[item] = Int32(ids.count)
        ids.append(item)
        titles.append(item.text)
        listed.append(0)
        return Int32(ids.count - 1)
    }
}
