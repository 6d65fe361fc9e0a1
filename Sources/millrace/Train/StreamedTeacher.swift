// A collaborative teacher on its way through a log (TCA4Rec's targets for the item head). Asked just before an event,
// it knows nothing of it and nothing after it: counts go on event by event, and what has to be solved is solved from
// all events before the new ones, so it speaks on the new ones alone.

import Alignment
import Evaluation
import Glibc
import Interactions
import Teachers

struct StreamedTeacher {
    /// What a teacher's scores are: counts and shares, which are parts of a whole, or logits.
    private let isLogit: Bool
    private let isLive: Bool
    private var teacher: any Teacher
    private var statistics = Statistics(halfLivesSeconds: [halfLifeSeconds])
    private let rules: HistoryRules
    private var states: [UserID: UserState] = [:]
    /// Histories that are nobody's.
    private var rows: [UserState] = []
    private var scores = SparseScores()
    /// The caller's number of each item of the statistics.
    private var numbers: [Int32] = []
    private var count = 0

    /// Items of a word, the heaviest.
    static let keptMax = 64
    /// Of popularity: what the daemon counts by.
    private static let halfLifeSeconds: Int64 = 61_200
    private static let reach = 50

    /// Every teacher of ours but the one that others store.
    static let names = TeacherRegistry.all.filter { $0.material != .external }.map { $0.name }

    /// Nil for a name nobody has.
    init?(named name: String, types: EventTypes) {
        guard Self.names.contains(name), let teacher = TeacherRegistry.teacher(named: name) else {
            return nil
        }
        self.teacher = teacher
        isLive = teacher.isLive
        isLogit = name == SASRec.name
        rules = HistoryRules(
            types: types,
            cooccurrenceReach: type(of: teacher).readsCooccurrence ? Self.reach : 0)
    }

    /// What it says about the user's next item, by the caller's numbers; evidence is all it has seen.
    mutating func word(on user: UserID) throws -> ItemTargets {
        guard let state = states[user] else { return .none }
        return try word(TeacherUser(state, rules: rules))
    }

    /// The same of a history that is nobody's, oldest first.
    mutating func word(after history: some Sequence<ItemID>) throws -> ItemTargets {
        try word(TeacherUser(items: history.reversed().map(\.key)))
    }

    private mutating func word(_ user: TeacherUser) throws -> ItemTargets {
        guard teacher.version > 0, !user.items.isEmpty else { return .none }
        scores.begin(statistics.items.count)
        teacher.score(user, from: statistics, into: &scores)
        var best = Heaviest(Self.keptMax)
        for item in scores.touched where isLogit || scores[item] > 0 {
            best.add(scores[item], numbers[Int(item)])
        }
        let top = best.rows.map(\.score).max() ?? 0
        let counts = best.rows.map {
            (item: $0.item, count: Float(isLogit ? exp($0.score - top) : $0.score / top))
        }
        guard !counts.isEmpty else { return .none }
        return try ItemTargets(counts: counts, evidence: Float(count))
    }

    /// Counts an event; `number` is the caller's of its item.
    mutating func learn(_ event: Interaction, number: Int32) throws {
        var state = states.removeValue(forKey: event.user) ?? UserState()
        try fold(event, number, into: &state)
        states[event.user] = state
    }

    /// Counts a history after which nothing follows.
    mutating func learn(_ row: [Interaction], numbers: [Int32]) throws {
        var state = UserState()
        for (event, number) in zip(row, numbers) { try fold(event, number, into: &state) }
        if !isLive { rows.append(state) }
    }

    private mutating func fold(
        _ event: Interaction, _ number: Int32, into state: inout UserState
    ) throws {
        var edits = StatisticsEditsWriter()
        guard rules.append(event, to: &state, edits: &edits) == .applied else { return }
        try statistics.apply(edits.finish(nextOffset: nil, fingerprint: rules.fingerprint))
        let own = Int(statistics.number(of: event.item.key))
        while numbers.count <= own { numbers.append(-1) }
        numbers[own] = number
        count += 1
    }

    /// All that comes from now on is new: what has to be solved is solved from what was.
    mutating func begin(seed: UInt64) throws {
        guard !isLive else { return }
        var histories = Histories()
        for row in rows { histories.append(row, rules: rules) }
        for user in states.keys.sorted() {
            if let state = states[user] { histories.append(state, rules: rules) }
        }
        guard histories.count > 0 else { return }
        var progress = ProgressBar("solving \(teacher.name)", total: 100)
        teacher = try teacher.solved(
            from: TeacherMaterial(
                statistics: statistics, histories: histories, version: 1, seed: seed)
        ) {
            progress.update(Int(100 * $0))
            return true
        }
        progress.finish()
        teacher.bind(to: statistics.items)
    }
}

/// The greatest scores, found in one pass.
private struct Heaviest {
    private(set) var rows: [(score: Double, item: Int32)] = []
    private let countMax: Int
    private var least = (score: Double.infinity, place: 0)

    init(_ countMax: Int) { self.countMax = countMax }

    mutating func add(_ score: Double, _ item: Int32) {
        if rows.count < countMax {
            rows.append((score, item))
        } else if score > least.score {
            rows[least.place] = (score, item)
        } else {
            return
        }
        guard rows.count == countMax else { return }
        least = (rows[0].score, 0)
        for (place, row) in rows.enumerated() where row.score < least.score {
            least = (row.score, place)
        }
    }
}
