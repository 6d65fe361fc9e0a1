// The summariser that needs no language model: counts of traits, rendered to a short text.

public import Interactions

/// A user's summary in the template's structured form, and its text.
public struct TemplateSummariser: Summariser {
    public init() {}

    public var name: String { "template" }
    /// Changes with the rules by which traits are taken, counted, kept or stored.
    public var version: UInt64 { 0x7465_6D70_6C61_0002 }

    /// Whole blocks that are left open before they are folded, all at once: reading and writing a profile costs more
    /// than adding to it, and one block after the other gives the same bytes.
    public static let blocksAtOnce = 4

    /// An event as the template counts it.
    public struct Event: Sendable {
        /// Nil while the catalogue does not know the item: the event then tells nothing.
        public var traits: ItemTraits?
        /// The event type's weight; negative turns away.
        public var weight: Int

        public init(traits: ItemTraits?, weight: Int) {
            self.traits = traits
            self.weight = weight
        }
    }

    /// The body after one more block. A body that cannot be read counts as empty.
    public func body(after body: [UInt8], block number: UInt64, _ events: [Event]) -> [UInt8] {
        var profile = profile(body)
        profile.add(block: number, events)
        return profile.encoded()
    }

    /// The hierarchical path: one body of bodies of parts of the same history.
    public func merged(_ bodies: [[UInt8]]) -> [UInt8] {
        var whole = InterestProfile()
        for body in bodies { whole.merge(profile(body)) }
        return whole.encoded()
    }

    /// The text of a summary as it lies in a user's state; empty when there is none, or another writer made it.
    public func text(ofStored bytes: [UInt8]) -> String {
        guard let record = try? SummaryRecord(decoding: bytes), record.version == version else {
            return ""
        }
        return text(of: record.body)
    }

    func profile(_ body: [UInt8]) -> InterestProfile {
        (try? InterestProfile(decoding: body)) ?? InterestProfile()
    }

    /// Adds an event the user's state has already counted, and closes the blocks when `blocksAtOnce` are whole. Returns
    /// how many were closed.
    public func note(
        _ entry: HistoryEntry, in state: inout UserState, rules: BlockRules,
        blocksAtOnce: Int = Self.blocksAtOnce, event: (HistoryEntry) -> Event
    ) -> Int {
        guard rules.note(entry, in: &state),
            state.openBlock.count >= rules.blockSize * blocksAtOnce
        else { return 0 }
        return closeBlocks(of: &state, rules: rules, event: event)
    }

    /// Closes every whole block of the open events. Returns how many.
    public func closeBlocks(
        of state: inout UserState, rules: BlockRules, event: (HistoryEntry) -> Event
    ) -> Int {
        guard rules.isDue(state) else { return 0 }
        var record =
            rules.record(of: state, version: version)
            ?? fromHistory(state, rules: rules, event: event)
        var profile = profile(record.body)
        let count = state.openBlock.count / rules.blockSize
        for block in 0..<count {
            let events = state.openBlock[(block * rules.blockSize)...].prefix(rules.blockSize)
            profile.add(block: record.blockCount, events.map(event))
            record.blockCount &+= 1
        }
        state.openBlock.removeFirst(count * rules.blockSize)
        record.eventCount &+= UInt64(count * rules.blockSize)
        record.body = profile.encoded()
        state.summary = record.encoded()
        return count
    }

    /// A user who has a history but no summary that can be continued: what the history still holds is folded anew.
    private func fromHistory(
        _ state: UserState, rules: BlockRules, event: (HistoryEntry) -> Event
    ) -> SummaryRecord {
        let open = Set(state.openBlock.map(\.item))
        let entries = state.history.filter { !open.contains($0.item) }
        var record = rules.recordOrNew(of: state, version: version)
        record.body = []
        record.blockCount = 0
        record.lostCount = record.eventCount &- min(record.eventCount, UInt64(entries.count))
        var profile = InterestProfile()
        for start in stride(from: 0, to: entries.count, by: rules.blockSize) {
            let block = entries[start..<min(start + rules.blockSize, entries.count)]
            profile.add(block: record.blockCount, block.map(event))
            record.blockCount &+= 1
        }
        record.body = profile.encoded()
        return record
    }
}
