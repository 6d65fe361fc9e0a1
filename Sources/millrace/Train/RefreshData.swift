// What a refresh learns and is judged by, in the order in which it happened: what the base knows, then what is new,
// then the newest events, which only judge.

import Alignment
import Evaluation
import Interactions
import ItemModel
import ModelFolders
import Summaries

struct RefreshData {
    /// An event that judges: its history is all that was before it.
    struct Case {
        var history: [Int32]
        var target: Int32
        /// As it was stored then; empty without one, and where no model reads it.
        var summary = ""
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
    /// Texts of the windows' summaries, by their numbers.
    private(set) var summaries: [String] = []
    private var numbers: [ItemID: Int32] = [:]
    private var summaryNumbers: [String: Int32] = [:]
    /// By number; nil for items without a record.
    private var traits: [ItemTraits?]

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
        traits = Array(repeating: nil, count: base.count)
        for (number, id) in base.enumerated() { numbers[id] = Int32(number) }
    }

    /// The rows of the fixed split released with TCA4Rec, by the time of their targets; its selection rows judge, which
    /// are newer than all of them.
    init(
        office folder: String, base: [ItemID], known share: Double, examples: RefreshExamples,
        teacher name: String? = nil, summarises: Bool = false
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
            let before = summarises ? items.dropLast(examples.historyMax + 1) : []
            examples.learn(
                row: items, by: row.target.user.key, words: words,
                summary: number(of: SummaryTrail.text(before.map { traits[Int($0)] })))
            try teacher?.learn(events, numbers: items)
        }
        if border >= rows.count { known = examples.take() }
        new = examples.take()
        judging = split.testByTime.map { row in
            let history = row.history.map { number(of: $0.item) }
            return Case(
                history: history, target: number(of: row.target.item),
                summary: summarises ? SummaryTrail.text(history.map { traits[Int($0)] }) : "")
        }
    }

    /// Positive events of a log, and where it `summarises` the summaries that were stored before each.
    init(
        log folder: String, base: [ItemID], shares: Shares, examples: RefreshExamples,
        teacher name: String? = nil, summarises: Bool = false
    ) throws {
        self.init(base)
        let log = try LoadedLog(folder: folder, seen: .always)
        var events: [Interaction] = []
        for change in log.changes {
            switch change {
            case .item(let record): add(record)
            case .interaction(let event): events.append(event)
            }
        }
        // Borders are among the positive events; the others are for summaries alone.
        let times = events.filter { log.types.weight(of: $0.type) > 0 }.map(\.time)
        let (border, end) = shares.borders(times)
        if end > border { learntUntil = times[end - 1] }
        let count = Int(Double(times.count) * shares.all)
        var past = Past(
            examples, teacher: name.flatMap { StreamedTeacher(named: $0, types: log.types) })
        var place = 0
        for event in events where place < count {
            let weight = log.types.weight(of: event.type)
            if weight > 0 {
                if place == border {
                    known = past.examples.take()
                    try past.teacher?.begin(seed: 1)
                }
                try add(event, isLearnt: place < end, &past)
                place += 1
            }
            if summarises {
                past.summaries[event.user, default: SummaryTrail()].note(
                    numbers[event.item].flatMap { traits[Int($0)] }, weight: weight)
            }
        }
        new = past.examples.take()
    }

    /// The users while the log goes by.
    private struct Past {
        var examples: RefreshExamples
        var teacher: StreamedTeacher?
        var histories: [UserID: [Int32]] = [:]
        var summaries: [UserID: SummaryTrail] = [:]

        init(_ examples: RefreshExamples, teacher: StreamedTeacher?) {
            self.examples = examples
            self.teacher = teacher
        }
    }

    /// A positive event, after what was before it and before what it adds to that.
    private mutating func add(_ event: Interaction, isLearnt: Bool, _ past: inout Past) throws {
        let item = number(of: event.item)
        let history = past.histories[event.user] ?? []
        let summary = past.summaries[event.user]?.text ?? ""
        if isLearnt {
            let word = try history.isEmpty ? nil : past.teacher?.word(on: event.user)
            past.examples.learn(item, by: event.user.key, word: word, summary: number(of: summary))
            try past.teacher?.learn(event, number: item)
        } else if !history.isEmpty, !history.contains(item) {
            judging.append(Case(history: history, target: item, summary: summary))
        }
        if history.last != item { past.histories[event.user, default: []].append(item) }
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
            var window = window
            window.items = Array(items[at..<at + window.items.count])
            return window
        }
    }

    private mutating func add(_ record: ItemRecord) {
        let place = Int(number(of: record.id))
        titles[place] = record.modelText
        listed[place] = 1
        traits[place] = ItemTraits(record)
    }

    private mutating func number(of item: ItemID) -> Int32 {
        if let known = numbers[item] { return known }
        numbers[item] = Int32(ids.count)
        ids.append(item)
        titles.append(item.text)
        listed.append(0)
        traits.append(nil)
        return Int32(ids.count - 1)
    }

    /// -1 for none.
    private mutating func number(of summary: String) -> Int32 {
        guard !summary.isEmpty else { return -1 }
        if let known = summaryNumbers[summary] { return known }
        summaryNumbers[summary] = Int32(summaries.count)
        summaries.append(summary)
        return Int32(summaries.count - 1)
    }
}
