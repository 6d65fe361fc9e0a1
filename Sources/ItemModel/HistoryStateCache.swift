// States of the users asked for last, so that a request after one new event computes one row. Bounded; the user who
// was not asked for longest goes first. States of one model version only: another version has another cache.

import Tensors
import Transformer

/// Owned by the lane that serves.
public struct HistoryStateCache {
    public let capacity: Int
    /// Rows computed since the start, and requests that needed none.
    public private(set) var rowCount = 0
    public private(set) var hitCount = 0
    public private(set) var rebuildCount = 0
    public private(set) var evictedCount = 0

    private struct Entry {
        var state: HistoryState
        var summaryKey: UInt64
        var usedAt: UInt64
    }

    private let parameters: ItemModelParameters
    private let frequencies: [Float]
    private var traces: [BlockTrace]
    private var entries: [UInt64: Entry] = [:]
    private var clock: UInt64 = 0

    public init(_ parameters: ItemModelParameters, capacity: Int) {
        precondition(capacity > 0, "room for a user at least")
        self.parameters = parameters
        self.capacity = capacity
        frequencies = rotaryInverseFrequencies(
            base: parameters.layout.shape.rotaryBase,
            headWidth: parameters.layout.shape.block.headWidth)
        traces = Array(repeating: BlockTrace(), count: parameters.layout.inter.count)
    }

    public var count: Int { entries.count }
    public var bytes: Int { entries.values.reduce(0) { $0 + $1.state.bytes } }

    public mutating func removeAll() { entries.removeAll() }

    /// The state of a user with this history (numbers of items, oldest first, each once). Nil for an empty history.
    /// `vector` gives the vector of an item's number. `summaryKey` names the summary's text; under another one the
    /// state is built anew, with the vector that `summary` gives, if any. Where items before the window have gone or
    /// come otherwise than by sliding, their mean is made anew, and the window stays.
    public mutating func state(
        of user: UInt64, history: [Int32], summaryKey: UInt64 = 0,
        summary: () -> [Float] = { [] }, vector: (Int32) -> [Float]
    ) -> HistoryState? {
        let window = history.suffix(parameters.layout.shape.historyMax)
        guard !window.isEmpty else { return nil }
        clock += 1
        let isRead = parameters.layout.olderNorm != nil
        let older = isRead ? history.dropLast(window.count) : []
        let entry = entries.removeValue(forKey: user)
        var state = entry?.state
        if let known = state?.items, state?.isWornOut == false, entry?.summaryKey == summaryKey,
            let fresh = Self.appended(
                window, to: known, historyMax: parameters.layout.shape.historyMax)
        {
            if fresh.isEmpty { hitCount += 1 }
            for item in fresh { append(item, &state, vector) }
            if isRead, state?.older.digest != OlderSum.digest(of: older) {
                rowCount += 2
                state?.replace(
                    older: OlderSum(older, vector: vector), vector: vector,
                    parameters: parameters, frequencies: frequencies, traces: &traces)
            }
        } else {
            rebuildCount += 1
            state = HistoryState(
                parameters.layout, summary: summary(), older: OlderSum(older, vector: vector))
            for item in window { append(item, &state, vector) }
        }
        guard let state else { return nil }
        if entries.count >= capacity { evict() }
        entries[user] = Entry(state: state, summaryKey: summaryKey, usedAt: clock)
        return state
    }

    private mutating func append(
        _ item: Int32, _ state: inout HistoryState?, _ vector: (Int32) -> [Float]
    ) {
        rowCount += 1
        state?.append(
            item, vector: vector, parameters: parameters, frequencies: frequencies,
            traces: &traces)
    }

    /// What has been appended to `known` to make it `window`, where a window of more than `historyMax` items slides;
    /// nil when something else has happened, or nothing of `known` is left.
    static func appended(
        _ window: ArraySlice<Int32>, to known: [Int32], historyMax: Int
    ) -> ArraySlice<Int32>? {
        for count in 0..<window.count where min(known.count + count, historyMax) == window.count {
            let kept = window.dropLast(count)
            if known.suffix(kept.count).elementsEqual(kept) { return window.suffix(count) }
        }
        return nil
    }

    /// Makes room for many at once: looking for the oldest is not done for each.
    private mutating func evict() {
        let removed = max(1, capacity / 8)
        let oldest = entries.map { (user: $0.key, at: $0.value.usedAt) }.sorted { $0.at < $1.at }
        for entry in oldest.prefix(removed) { entries[entry.user] = nil }
        evictedCount += removed
    }
}
