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

    public init(items: [Int32], newFrom: Int = 0, teacher: [ItemTargets] = []) {
        precondition(items.count > 1 && items.indices.contains(newFrom), "an item to learn")
        self.items = items
        self.newFrom = newFrom
        self.teacher = teacher
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
    private let historyMax: Int
    private let isTaught: Bool
    private var counts = TransitionCounts()
    private var histories: [UInt64: [Int32]] = [:]
    /// Of each user whose history goes on: how many items at its end are new, and the teacher's words on the targets.
    private var open: [UInt64: (newCount: Int, targets: [ItemTargets])] = [:]

    /// `historyMax`: items that the model reads.
    public init(historyMax: Int, isTaught: Bool) {
        precondition(historyMax > 0, "a model that reads histories")
        self.historyMax = historyMax
        self.isTaught = isTaught
    }

    /// The next event. `word`: another teacher's, who does not know the event; without one the transitions speak.
    public mutating func learn(_ item: Int32, by user: UInt64, word: ItemTargets? = nil) {
        let last = histories[user]?.last
        guard last != item else { return }
        var end = open[user] ?? (0, [])
        end.newCount += 1
        if let last {
            end.targets.append(
                isTaught ? word ?? counts.targets(after: last, leavingOut: user) : .none)
        }
        open[user] = end
        append(item, user)
        if end.targets.count >= max(1, historyMax / 2) { close(user) }
    }

    /// A history given as a whole, after which nothing follows: a row of a fixed split. `words` as above, one a target.
    public mutating func learn(row items: [Int32], by user: UInt64, words: [ItemTargets]? = nil) {
        let kept = Array(items.suffix(historyMax + 1))
        guard kept.count > 1 else { return }
        let targets =
            isTaught
            ? words.map { Array($0.suffix(kept.count - 1)) }
                ?? kept.dropLast().map { counts.targets(after: $0, leavingOut: user) } : []
        windows.append(RefreshWindow(items: kept, teacher: targets))
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
        let kept = 2 * historyMax
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
                teacher: isTaught ? end.targets : []))
    }
}
