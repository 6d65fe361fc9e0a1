// How a writer takes in what is due: one block after the summary so far (recurrent), or the summaries of several parts,
// merged (hierarchical: section 3.4 of the method). Parts are asked about side by side, which is the quicker way through
// a long history; and what is written anew from the events does not carry the errors of many rewritings.

public import Interactions

/// What a writer is asked for the blocks that are due.
public struct SummaryPlan: Sendable, Hashable {
    /// What is held when it is done.
    public var due: DueBlock
    /// Events of each part, oldest first; empty for the recurrent step.
    public var parts: [[HistoryEntry]] = []
    /// Whether the summary so far is the first of those that are merged: it holds events that no part has.
    public var keepsPrevious = true
    /// Events in the parts that no summary held before.
    public var regained: UInt64 = 0

    public var isHierarchical: Bool { !parts.isEmpty }

    /// Parts of one merge at most: what its question may hold.
    public static let partsMax = 16
    /// Whole blocks that wait from which on they are parts of a merge, not steps one after the other.
    public static let waitingBlocksMin = 4
}

extension BlockRules {
    /// Nil when no block is due. Without `mayMerge` it is the recurrent step.
    public func plan(
        of state: UserState, _ record: SummaryRecord, mayMerge: Bool = true
    ) -> SummaryPlan? {
        let waiting = state.openBlock.count / blockSize
        let isFirst = record.body.isEmpty
        let isRepair =
            repairBlocks > 0 && record.blockCount > 0
            && record.blockCount.isMultiple(of: UInt64(repairBlocks))
        let older = isFirst || isRepair ? retained(state) : []
        let isLong =
            mayMerge && waiting > 0
            && (waiting >= SummaryPlan.waitingBlocksMin || older.count >= blockSize)
        let count = isLong ? min(waiting, SummaryPlan.partsMax) : 1
        guard
            let due = dueBlock(of: state, number: record.blockCount, count: count)
        else { return nil }
        var plan = SummaryPlan(due: due)
        guard isLong else { return plan }
        plan.parts = parts(older + due.events)
        // A repair from all that was held replaces it; what the history no longer has is in the old text alone.
        plan.keepsPrevious = !isFirst && record.eventCount > UInt64(older.count)
        plan.regained = plan.keepsPrevious ? 0 : min(record.lostCount, UInt64(older.count))
        return plan
    }

    /// Entries of the history that are not open.
    private func retained(_ state: UserState) -> [HistoryEntry] {
        let open = Set(state.openBlock.map(\.item))
        return state.history.filter { !open.contains($0.item) }
    }

    /// Whole blocks a part, as few as the limit of parts allows.
    private func parts(_ events: [HistoryEntry]) -> [[HistoryEntry]] {
        let blocks = (events.count + blockSize - 1) / blockSize
        let size = blockSize * ((blocks + SummaryPlan.partsMax - 1) / SummaryPlan.partsMax)
        return stride(from: 0, to: events.count, by: size).map {
            Array(events[$0..<min($0 + size, events.count)])
        }
    }
}
