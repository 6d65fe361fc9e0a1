// What a refresh learns and is judged by, in the order in which it happened: what the base knows, then what is new,
// then the newest events, which only judge.

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
    private var numbers: [ItemID: Int32] = [:]

    struct Shares {
        /// Of the events, oldest first: what the base was trained on.
        var known: Double
        /// Of the events, newest: what judges.
        var judging: Double
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
        office folder: String, base: [ItemID], known share: Double, examples: RefreshExamples
    ) throws {
        self.init(base)
        let split = try OfficeSplit(folder: folder, test: "valid_5000.csv")
        for record in split.items { add(record) }
        var examples = examples
        let rows = split.trainByTime
        let border = Int(Double(rows.count) * share)
        for (index, row) in rows.enumerated() {
            if index == border { known = examples.take() }
            let items = (row.history + [row.target]).map { number(of: $0.item) }
            examples.learn(row: items, by: row.target.user.key)
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
        log folder: String, base: [ItemID], shares: Shares, examples: RefreshExamples
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
        let border = Int(Double(events.count) * shares.known)
        let end = events.count - Int(Double(events.count) * shares.judging)
        var histories: [UserID: [Int32]] = [:]
        for (index, event) in events.enumerated() {
            let item = number(of: event.item)
            let history = histories[event.user] ?? []
            if index == border { known = examples.take() }
            if index < end {
                examples.learn(item, by: event.user.key)
            } else if !history.isEmpty, !history.contains(item) {
                judging.append(Case(history: history, target: item))
            }
            if history.last != item { histories[event.user, default: []].append(item) }
        }
        new = examples.take()
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
