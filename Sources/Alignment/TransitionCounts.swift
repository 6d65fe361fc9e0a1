// A teacher of the past: what came right after an item in the histories of other users, up to now. Counts only, without
// a popularity floor: where nobody went on, there is no opinion and the label stays plain (accuracy.md has the
// measurement; see docs/refresh.md). Asked before an event is counted, it knows nothing of it and nothing after it.

/// Transitions between consecutive items, and each user's own share of them.
public struct TransitionCounts: Sendable {
    private struct Own: Hashable {
        var user: UInt64
        var item: Int32
    }

    private var all: [Int32: [Int32: Int32]] = [:]
    private var own: [Own: [Int32]] = [:]
    public private(set) var count = 0

    public init() {}

    /// Counts an event: `next` came right after `item`.
    public mutating func add(_ next: Int32, after item: Int32, by user: UInt64) {
        all[item, default: [:]][next, default: 0] += 1
        own[Own(user: user, item: item), default: []].append(next)
        count += 1
    }

    /// What others did after `item`, as a teacher for an event of `user` that has not been counted.
    public func targets(after item: Int32, leavingOut user: UInt64) -> ItemTargets {
        guard var counts = all[item] else { return .none }
        for next in own[Own(user: user, item: item)] ?? [] { counts[next, default: 0] -= 1 }
        let rows = counts.filter { $0.value > 0 }.sorted { $0.key < $1.key }
        let total = rows.reduce(0) { $0 + Double($1.value) }
        guard total > 0 else { return .none }
        return ItemTargets(
            items: rows.map(\.key), shares: rows.map { Float(Double($0.value) / total) },
            evidence: Float(total))
    }
}

extension ItemTargets {
    /// No opinion: the label is plain.
    public static let none = ItemTargets(items: [], shares: [], evidence: 0)
}
