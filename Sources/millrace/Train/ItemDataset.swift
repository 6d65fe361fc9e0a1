// What a model is trained and judged on: histories as numbers of items.

import Alignment
import Evaluation
import Interactions

struct ItemDataset {
    struct Case {
        var history: [Int32]
        var target: Int32
    }

    var ids: [ItemID] = []
    var titles: [String] = []
    /// 1 for items that are ranked.
    var listed: [UInt8] = []
    var train: [[Int32]] = []
    /// Whose each of them is.
    var users: [UInt64] = []
    var validation: [Case] = []
    /// Empty for a log unless wanted: `millrace eval` judges a model event by event there.
    var test: [Case] = []
    /// Whether items of the history are ranked too.
    var ranksSeen = false
    private var numbers: [ItemID: Int32] = [:]

    /// The fixed split released with TCA4Rec: train, selection and test rows. Of the train rows the oldest share only,
    /// when it is not all.
    init(office folder: String, share: Double = 1) throws {
        let split = try OfficeSplit(folder: folder, test: "test_5000.csv")
        let selection = try OfficeSplit(folder: folder, test: "valid_5000.csv")
        for record in split.items { add(record) }
        let rows =
            share < 1
            ? Array(split.trainByTime.prefix(Int(Double(split.train.count) * share))) : split.train
        train = rows.map { ($0.history + [$0.target]).map { number(of: $0.item) } }
        users = rows.map(\.target.user.key)
        validation = selection.test.map { one(of: $0) }
        test = split.test.map { one(of: $0) }
        ranksSeen = true
    }

    /// A log: histories of positive events, of the oldest `share` of them; the newest of those are for the test, and
    /// what epochs are chosen by comes before it.
    init(
        log folder: String, validationShare: Double, testShare: Double, historyMax: Int,
        share: Double = 1
    ) throws {
        let log = try LoadedLog(folder: folder, seen: .always)
        var events: [Interaction] = []
        for change in log.changes {
            switch change {
            case .item(let record): add(record)
            case .interaction(let event):
                if log.types[event.type].weight > 0 { events.append(event) }
            }
        }
        if share < 1 { events.removeLast(events.count - Int(Double(events.count) * share)) }
        let end = events.count - Int(Double(events.count) * testShare)
        let border = end - Int(Double(events.count) * validationShare)
        var histories: [UserID: [Int32]] = [:]
        for event in events[..<border] {
            let item = number(of: event.item)
            if histories[event.user]?.last != item {
                histories[event.user, default: []].append(item)
            }
        }
        for (user, history) in histories.sorted(by: { $0.key < $1.key }) where history.count > 1 {
            for start in stride(from: 0, to: history.count - 1, by: historyMax) {
                train.append(Array(history[start..<min(history.count, start + historyMax + 1)]))
                users.append(user.key)
            }
        }
        for (index, event) in events.enumerated().dropFirst(border) {
            let item = number(of: event.item)
            let history = histories[event.user] ?? []
            if !history.isEmpty, !history.contains(item) {
                let one = Case(history: history, target: item)
                if index < end { validation.append(one) } else { test.append(one) }
            }
            histories[event.user, default: []].append(item)
        }
    }

    /// What others did after each item of the training histories: a word on every target, of which the user's own
    /// events are no part.
    func transitions() -> [[ItemTargets]] {
        var counts = TransitionCounts()
        for (history, user) in zip(train, users) {
            for (item, next) in zip(history, history.dropFirst()) {
                counts.add(next, after: item, by: user)
            }
        }
        return zip(train, users).map { history, user in
            history.dropLast().map { counts.targets(after: $0, leavingOut: user) }
        }
    }

    private mutating func add(_ record: ItemRecord) {
        guard numbers[record.id] == nil else { return }
        numbers[record.id] = Int32(titles.count)
        ids.append(record.id)
        titles.append(record.modelText)
        listed.append(1)
    }

    private mutating func number(of item: ItemID) -> Int32 {
        if let known = numbers[item] { return known }
        numbers[item] = Int32(titles.count)
        ids.append(item)
        titles.append(item.text)
        listed.append(0)
        return Int32(titles.count - 1)
    }

    private mutating func one(of row: SequenceRow) -> Case {
        let history = row.history.map { number(of: $0.item) }
        return Case(history: history, target: number(of: row.target.item))
    }
}

extension ItemRecord {
    /// What the model reads of an item.
    var modelText: String { title }
}
