// What a model is trained and judged on: histories as numbers of items.

import Alignment
import Evaluation
import Interactions
import Settings
import Summaries

struct ItemDataset {
    struct Case {
        var history: [Int32]
        var target: Int32
        /// The summary that was stored just before; empty without.
        var summary = ""
    }

    /// A history to learn from, and what was stored before its first item: the summary, and the items before as a
    /// history holds them.
    struct Sequence {
        var items: [Int32]
        var summary = ""
        var older: [Int32] = []
    }

    var ids: [ItemID] = []
    var titles: [String] = []
    /// 1 for items that are ranked.
    var listed: [UInt8] = []
    var train: [Sequence] = []
    /// Whose each of them is.
    var users: [UInt64] = []
    var validation: [Case] = []
    /// Empty for a log unless wanted: `millrace eval` judges a model event by event there.
    var test: [Case] = []
    /// Whether items of the history are ranked too.
    var ranksSeen = false
    private var numbers: [ItemID: Int32] = [:]
    /// By number; nil for items without a record.
    private var traits: [ItemTraits?] = []

    /// The fixed split released with TCA4Rec: train, selection and test rows. Of the train rows the oldest share only,
    /// when it is not all. What stands before the last `historyMax` items of a row is in its summary; there every whole
    /// block counts, because rows are too short for several.
    init(office folder: String, historyMax: Int, share: Double = 1) throws {
        let split = try OfficeSplit(folder: folder, test: "test_5000.csv")
        let selection = try OfficeSplit(folder: folder, test: "valid_5000.csv")
        for record in split.items { add(record) }
        let rows =
            share < 1
            ? Array(split.trainByTime.prefix(Int(Double(split.train.count) * share))) : split.train
        train = rows.map { row in
            let all = (row.history + [row.target]).map { number(of: $0.item) }
            let before = all.dropLast(historyMax + 1)
            return Sequence(
                items: Array(all.dropFirst(before.count)), summary: summary(of: before),
                older: Self.stored(before))
        }
        users = rows.map(\.target.user.key)
        validation = selection.test.map { one(of: $0) }
        test = split.test.map { one(of: $0) }
        ranksSeen = true
    }

    /// Every item once, at its last place; the newest as the daemon keeps them by default.
    static func stored(_ items: some BidirectionalCollection<Int32>) -> [Int32] {
        var seen: Set<Int32> = []
        return items.reversed().filter { seen.insert($0).inserted }.prefix(storedMax).reversed()
    }

    static let storedMax = EngineSettings().historyMax

    private func summary(of items: some Swift.Sequence<Int32>) -> String {
        SummaryTrail.text(items.map { traits[Int($0)] })
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
            case .interaction(let event): events.append(event)
            }
        }
        // Borders are among the positive events; the others are for summaries alone.
        var positive = events.indices.filter { log.types[events[$0].type].weight > 0 }
        if share < 1 { positive.removeLast(positive.count - Int(Double(positive.count) * share)) }
        let end = positive.count - Int(Double(positive.count) * testShare)
        let border = end - Int(Double(positive.count) * validationShare)
        var pasts: [UserID: Past] = [:]
        var place = 0
        for event in events[..<((positive.last ?? -1) + 1)] {
            let weight = log.types.weight(of: event.type)
            var past = pasts.removeValue(forKey: event.user) ?? Past()
            if weight > 0 {
                let item = number(of: event.item)
                if place < border {
                    past.learn(item, windowMax: historyMax)
                } else {
                    if !past.history.isEmpty, !past.history.contains(item) {
                        let one = Case(
                            history: past.history, target: item, summary: past.summary.text)
                        if place < end { validation.append(one) } else { test.append(one) }
                    }
                    past.history.append(item)
                }
                place += 1
            }
            past.summary.note(
                numbers[event.item].flatMap { traits[Int($0)] }, weight: weight)
            pasts[event.user] = past
        }
        for (user, past) in pasts.sorted(by: { $0.key < $1.key }) {
            let pieces = past.sequences.filter { $0.items.count > 1 }
            train += pieces
            users += pieces.map { _ in user.key }
        }
    }

    /// A user while the log goes by.
    private struct Past {
        var history: [Int32] = []
        var summary = SummaryTrail()
        /// Pieces of the history to learn from; each begins with the last item of the one before.
        var sequences: [Sequence] = []

        mutating func learn(_ item: Int32, windowMax: Int) {
            guard history.last != item else { return }
            history.append(item)
            if !sequences.isEmpty { sequences[sequences.count - 1].items.append(item) }
            if (history.count - 1).isMultiple(of: windowMax) {
                sequences.append(
                    Sequence(
                        items: [item], summary: summary.text,
                        older: ItemDataset.stored(history.dropLast())))
            }
        }
    }

    /// What others did after each item of the training histories: a word on every target, of which the user's own
    /// events are no part.
    func transitions() -> [[ItemTargets]] {
        var counts = TransitionCounts()
        for (sequence, user) in zip(train, users) {
            for (item, next) in zip(sequence.items, sequence.items.dropFirst()) {
                counts.add(next, after: item, by: user)
            }
        }
        return zip(train, users).map { sequence, user in
            sequence.items.dropLast().map { counts.targets(after: $0, leavingOut: user) }
        }
    }

    private mutating func add(_ record: ItemRecord) {
        guard numbers[record.id] == nil else { return }
        numbers[record.id] = Int32(titles.count)
        ids.append(record.id)
        titles.append(record.modelText)
        listed.append(1)
        traits.append(ItemTraits(record))
    }

    private mutating func number(of item: ItemID) -> Int32 {
        if let known = numbers[item] { return known }
        numbers[item] = Int32(titles.count)
        ids.append(item)
        titles.append(item.text)
        listed.append(0)
        traits.append(nil)
        return Int32(titles.count - 1)
    }

    private mutating func one(of row: SequenceRow) -> Case {
        let history = row.history.map { number(of: $0.item) }
        return Case(
            history: history, target: number(of: row.target.item), summary: summary(of: history))
    }
}

extension ItemRecord {
    /// What the model reads of an item.
    var modelText: String { title }
}
