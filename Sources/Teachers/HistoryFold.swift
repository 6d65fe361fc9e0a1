// One event into one user's history, and what that changes in the statistics.
//
// The law (decision D3): the statistics are the sum, over users, of what `addAll` gives for the stored history. Every
// function here keeps that law, which the tests check against re-folding from nothing.

public import Interactions

/// How histories are bounded and read.
public struct HistoryRules: Sendable {
    public var types: EventTypes
    /// Distinct items kept a user; the oldest leaves.
    public var historyMax: Int
    /// Event ids kept a user, for de-duplication.
    public var eventKeysMax: Int
    /// Positive items within which two of a history count as together, in either direction; 0 counts none. From
    /// `historyMax` on, every pair of a history counts.
    public var cooccurrenceReach: Int

    public init(
        types: EventTypes, historyMax: Int = 512, eventKeysMax: Int = 16,
        cooccurrenceReach: Int = 0
    ) {
        precondition((1...UserState.historyCountMax).contains(historyMax), "history bounds")
        precondition((0...UserState.eventKeyCountMax).contains(eventKeysMax), "event id bounds")
        precondition((0...UserState.historyCountMax).contains(cooccurrenceReach), "reach bounds")
        self.types = types
        self.historyMax = historyMax
        self.eventKeysMax = eventKeysMax
        self.cooccurrenceReach = cooccurrenceReach
    }

    /// Names what the statistics depend on beside the histories: edits made under other rules must not be mixed with
    /// ours.
    public var fingerprint: UInt64 {
        var bytes = ByteWriter()
        for type in types.all { bytes.signed(Int64(type.weight)) }
        bytes.varint(UInt64(TransitionCounts.reach))
        // Nothing is added when nothing is counted: state of before stays readable.
        if cooccurrenceReach > 0 { bytes.varint(UInt64(cooccurrenceReach)) }
        return xxh64(bytes.bytes)
    }

    func weight(_ entry: HistoryEntry) -> Int { types.weight(of: entry.type) }
    func isPositive(_ entry: HistoryEntry) -> Bool { weight(entry) > 0 }
}

public enum FoldOutcome: Sendable, Hashable {
    case applied
    /// The event's id was seen before: nothing changed.
    case duplicate
}

extension HistoryRules {
    /// Appends an event. A repeated item moves to the end; beyond `historyMax` the oldest item leaves.
    public func append(
        _ event: Interaction, to state: inout UserState, edits: inout StatisticsEditsWriter
    ) -> FoldOutcome {
        if event.eventKey != 0, state.eventKeys.contains(event.eventKey) { return .duplicate }
        var entry = HistoryEntry(
            item: event.item.key, seconds: Self.seconds(event.time), type: event.type)
        let last = state.history.last
        if let last, last.item == entry.item, isPositive(last), isPositive(entry) {
            // The newest item again: its pairs stay, only its time and weight change.
            append(last, subtract: true, to: &edits)
            entry.repeatGap = 1
            state.history[state.history.count - 1] = entry
        } else {
            if let index = state.history.lastIndex(where: { $0.item == entry.item }) {
                entry.repeatGap = repeatGap(at: index, in: state.history)
                remove(at: index, from: &state, edits: &edits)
            } else if state.history.count >= historyMax {
                remove(at: 0, from: &state, edits: &edits)
            }
            state.history.append(entry)
            appendPairs(endingAt: state.history.count - 1, of: state.history, to: &edits)
        }
        append(entry, subtract: false, to: &edits)
        remember(event, in: &state)
        return .applied
    }

    /// Takes a user's whole contribution back: exact forgetting (promise G9).
    public func subtractAll(_ state: UserState, edits: inout StatisticsEditsWriter) {
        var rest = state
        while !rest.history.isEmpty {
            remove(at: rest.history.count - 1, from: &rest, edits: &edits)
        }
    }

    /// Gives a user's whole contribution, as if every entry had just been appended.
    public func addAll(_ state: UserState, edits: inout StatisticsEditsWriter) {
        for index in state.history.indices {
            appendPairs(endingAt: index, of: state.history, to: &edits)
            append(state.history[index], subtract: false, to: &edits)
        }
    }

    static func seconds(_ time: Milliseconds) -> UInt32 {
        UInt32(clamping: time.quotientAndRemainder(dividingBy: 1_000).quotient)
    }

    private func remember(_ event: Interaction, in state: inout UserState) {
        state.eventCount &+= 1
        guard event.eventKey != 0, eventKeysMax > 0 else { return }
        if state.eventKeys.count >= eventKeysMax {
            state.eventKeys.removeFirst(state.eventKeys.count - eventKeysMax + 1)
        }
        state.eventKeys.append(event.eventKey)
    }

    private func append(
        _ entry: HistoryEntry, subtract: Bool, to edits: inout StatisticsEditsWriter
    ) {
        edits.append(
            .entry(
                subtract: subtract, item: entry.item, seconds: entry.seconds,
                weight: weight(entry), repeatGap: entry.repeatGap))
    }

    /// How far back, in positive items, the entry at `index` stands; 0 beyond the reach of rules.
    private func repeatGap(at index: Int, in history: [HistoryEntry]) -> UInt8 {
        let gap = 1 + history[(index + 1)...].reduce(0) { $0 + (isPositive($1) ? 1 : 0) }
        return gap <= TransitionCounts.reach ? UInt8(gap) : 0
    }

    /// The pairs that the entry at `index` makes with the positive ones before it.
    private func appendPairs(
        endingAt index: Int, of history: [HistoryEntry], to edits: inout StatisticsEditsWriter
    ) {
        guard isPositive(history[index]) else { return }
        var window = before(index, in: history, reach: TransitionCounts.reach)
        guard !window.isEmpty else { return }
        window.append(history[index].item)
        let last = window.count - 1
        edits.append(.pairs(subtract: false, items: window, leftMax: last - 1, rightMin: last))
        guard cooccurrenceReach > 0 else { return }
        edits.append(
            .together(
                subtract: false, item: history[index].item,
                others: before(index, in: history, reach: cooccurrenceReach)))
    }

    /// Removes an entry: its own pairs go, and pairs that spanned it come one position closer.
    private func remove(
        at index: Int, from state: inout UserState, edits: inout StatisticsEditsWriter
    ) {
        let entry = state.history[index]
        append(entry, subtract: true, to: &edits)
        if isPositive(entry) {
            let left = before(index, in: state.history, reach: TransitionCounts.reach)
            let right = after(index, in: state.history, reach: TransitionCounts.reach)
            if left.count + right.count > 0 {
                edits.append(
                    .pairs(
                        subtract: true, items: left + [entry.item] + right, leftMax: left.count,
                        rightMin: left.count))
            }
            if !left.isEmpty, !right.isEmpty {
                edits.append(
                    .pairs(
                        subtract: false, items: left + right, leftMax: left.count - 1,
                        rightMin: left.count))
            }
            if cooccurrenceReach > 0 { part(from: index, in: state.history, edits: &edits) }
        }
        state.history.remove(at: index)
    }

    /// The item at `index` is no longer together with anything, and pairs that stood one position too far apart across
    /// it are together now.
    private func part(
        from index: Int, in history: [HistoryEntry], edits: inout StatisticsEditsWriter
    ) {
        let left = before(index, in: history, reach: cooccurrenceReach)
        let right = after(index, in: history, reach: cooccurrenceReach)
        guard left.count + right.count > 0 else { return }
        edits.append(.together(subtract: true, item: history[index].item, others: left + right))
        for (place, item) in right.enumerated() {
            // At `place + 1` after the item, so its partner stood at `reach + 1 - (place + 1)` before.
            let distance = cooccurrenceReach - place
            guard distance <= left.count else { continue }
            edits.append(
                .together(subtract: false, item: item, others: [left[left.count - distance]]))
        }
    }

    /// Up to `reach` positive items before `index`, oldest first.
    private func before(_ index: Int, in history: [HistoryEntry], reach: Int) -> [ItemKey] {
        var found: [ItemKey] = []
        found.reserveCapacity(min(reach, index) + 1)
        var position = index - 1
        while position >= 0, found.count < reach {
            if isPositive(history[position]) { found.append(history[position].item) }
            position -= 1
        }
        found.reverse()
        return found
    }

    /// Up to `reach` positive items after `index`, oldest first.
    private func after(_ index: Int, in history: [HistoryEntry], reach: Int) -> [ItemKey] {
        var found: [ItemKey] = []
        found.reserveCapacity(min(reach, history.count - index) + 1)
        var position = index + 1
        while position < history.count, found.count < reach {
            if isPositive(history[position]) { found.append(history[position].item) }
            position += 1
        }
        return found
    }
}
