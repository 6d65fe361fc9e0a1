// What a refresh learns from: windows of histories, each target with what a teacher of the past says about it.

public import Alignment

/// A window of one user's history.
public struct RefreshWindow: Sendable, Equatable {
    /// Oldest first; two at least.
    public var items: [Int32]
    /// Place of the first item that the base did not count. Those before are context alone.
    public var newFrom: Int
    /// The teacher's word on each of the targets, items[learnFrom...]; empty without a teacher.
    public var teacher: [ItemTargets]
    /// Items before the window, oldest first, each once; none for a model that does not read them.
    public var older: [Int32]
    /// Number of the summary that was stored before the first target; -1 for none.
    public var summary: Int32

    public init(
        items: [Int32], newFrom: Int = 0, teacher: [ItemTargets] = [], older: [Int32] = [],
        summary: Int32 = -1
    ) {
        precondition(items.count > 1 && items.indices.contains(newFrom), "an item to learn")
        self.items = items
        self.newFrom = newFrom
        self.teacher = teacher
        self.older = older
        self.summary = summary
        precondition(teacher.isEmpty || teacher.count == targetCount, "a word on every target")
    }

    /// Place of the first target.
    public var learnFrom: Int { max(1, newFrom) }

    public var targetCount: Int { items.count - learnFrom }
}

/// Makes windows from events in the order in which they happened. Every history is what was before the event, and so is
/// what the teacher knows: events that come later change nothing of what has been made.
public struct RefreshExamples: Sendable {
    private var windows: [RefreshWindow] = []
    /// Items of the model's window.
    public let historyMax: Int
    private let olderMax: Int
    private let isTaught: Bool
    private var counts = TransitionCounts()
    private var histories: [UInt64: [Int32]] = [:]
    /// Of each user whose history goes on: how many items at its end are new, the teacher's words on the targets, and
    /// the summary before the first of them.
    private var open: [UInt64: (newCount: Int, targets: [ItemTargets], summary: Int32)] = [:]

    /// `historyMax`: items of the model's window; `olderMax`: items before it, 0 for a model that does not read them.
    public init(historyMax: Int, isTaught: Bool, olderMax: Int = 0) {
        precondition(historyMax > 0 && olderMax >= 0, "a model that reads histories")
        self.historyMax = historyMax
        self.olderMax = olderMax
        self.isTaught = isTaught
    }

    /// The next event. `word`: another teacher's, who does not know the event; without one the transitions speak.
    /// `summary`: the number of the user's summary as it was stored just before.
    public mutating func learn(
        _ item: Int32, by user: UInt64, word: ItemTargets? = nil, summary: Int32 = -1
    ) {
        let last = histories[user]?.last
        guard last != item else { return }
        var end = open[user] ?? (0, [], summary)
        end.newCount += 1
        if let last {
            end.targets.append(
                isTaught ? word ?? counts.targets(after: last, leavingOut: user) : .none)
        }
        open[user] = end
        append(item, user)
        if end.targets.count >= max(1, historyMax / 2) { close(user) }
    }

    /// A history given as a whole, after which nothing follows: a row of a fixed split. `words` as above, one a target;
    /// `summary` as it was before the window.
    public mutating func learn(
        row items: [Int32], by user: UInt64, words: [ItemTargets]? = nil, summary: Int32 = -1
    ) {
        let kept = Array(items.suffix(historyMax + 1))
        guard kept.count > 1 else { return }
        let targets =
            isTaught
            ? words.map { Array($0.suffix(kept.count - 1)) }
                ?? kept.dropLast().map { counts.targets(after: $0, leavingOut: user) } : []
        windows.append(
            RefreshWindow(
                items: kept, teacher: targets, older: older(items.dropLast(kept.count)),
                summary: summary))
        guard isTaught else { return }
        for (item, next) in zip(kept, kept.dropFirst()) {
            counts.add(next, after: item, by: user)
        }
    }

    /// The windows of all events since the last time, and begins new ones: histories go on, as context.
    public mutating func take() -> [RefreshWindow] {
        for user in open.keys.sorted() { close(user) }
        defer { windows = [] }
        return windows
    }

    private mutating func append(_ item: Int32, _ user: UInt64) {
        let last = histories[user]?.last
        guard last != item else { return }
        if isTaught, let last { counts.add(item, after: last, by: user) }
        histories[user, default: []].append(item)
        let kept = max(2 * historyMax, historyMax + 1 + olderMax)
        if let count = histories[user]?.count, count > 2 * kept {
            histories[user]?.removeFirst(count - kept)
        }
    }

    private mutating func close(_ user: UInt64) {
        guard let end = open.removeValue(forKey: user), let history = histories[user],
            !end.targets.isEmpty
        else { return }
        let window = Array(history.suffix(historyMax + 1))
        windows.append(
            RefreshWindow(
                items: window, newFrom: window.count - end.newCount,
                teacher: isTaught ? end.targets : [],
                older: older(history.dropLast(window.count)), summary: end.summary))
    }

    /// The newest of what was before, every item once, at its last place.
    private func older(_ items: ArraySlice<Int32>) -> [Int32] {
        var seen: Set<Int32> = []
        return items.suffix(olderMax).reversed().filter { seen.insert($0).inserted }.reversed()
    }
}
