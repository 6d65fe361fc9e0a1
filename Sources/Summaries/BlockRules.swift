// Blocks: every k events of a user close one, and one summary after the other takes them in (LLM-TRSR, sections 3.3
// and 3.5 of the method: recurrent summarisation).
//
// Everything here is a step from one user's state to the next. A result is taken only for the block that comes next,
// with the events it was made of, by the writer now configured: what is late, doubled or of another life of the user
// changes nothing.

public import Interactions

/// What a summary has to take in next: a block, or several.
public struct DueBlock: Sendable, Hashable {
    /// Of the first block, from 0.
    public var number: UInt64
    /// Blocks.
    public var count = 1
    /// Hash of the blocks' events and of the summary before them: the same number after a `USER.FORGET` is another block.
    public var fingerprint: UInt64
    /// Oldest first.
    public var events: [HistoryEntry]
}

public enum BlockOutcome: Sendable, Hashable {
    case applied
    /// For another block than the next one: late, doubled, or overtaken.
    case stale
}

public struct BlockRules: Sendable, Hashable {
    /// Events a block.
    public var blockSize: Int
    /// Events that may wait for a writer; beyond it the oldest block is lost, and counted.
    public var openEventsMax: Int
    /// A writer's summary is written anew from the retained events when so many blocks were taken in since; 0 is never.
    public var repairBlocks: Int

    public static let blockSizes = 1...100

    public init(blockSize: Int = 5, openEventsMax: Int = 100, repairBlocks: Int = 0) {
        precondition(repairBlocks >= 0, "a number of blocks")
        self.repairBlocks = repairBlocks
        precondition(Self.blockSizes.contains(blockSize), "block size bounds")
        precondition(
            (blockSize...UserState.openBlockCountMax - 1).contains(openEventsMax),
            "bounds of open events")
        self.blockSize = blockSize
        self.openEventsMax = openEventsMax
    }

    /// Adds an event the user's state has already counted. Returns whether a block is due.
    @inline(__always)
    public func note(_ event: HistoryEntry, in state: inout UserState) -> Bool {
        state.openBlock.append(event)
        return state.openBlock.count >= blockSize
    }

    public func isDue(_ state: UserState) -> Bool { state.openBlock.count >= blockSize }

    /// The stored summary; nil when there is none, it cannot be read, another writer made it, or events were applied
    /// that neither it nor the open block has (summaries were off for a while).
    public func record(of state: UserState, version: UInt64) -> SummaryRecord? {
        guard !state.summary.isEmpty, let record = try? SummaryRecord(decoding: state.summary),
            record.version == version,
            record.eventCount &+ UInt64(state.openBlock.count) == state.eventCount
        else { return nil }
        return record
    }

    /// The oldest whole blocks of the open events; nil when there are fewer.
    public func dueBlock(of state: UserState, number: UInt64, count: Int = 1) -> DueBlock? {
        guard state.openBlock.count >= blockSize * count else { return nil }
        let events = Array(state.openBlock.prefix(blockSize * count))
        var bytes = ByteWriter(reserving: 16 * events.count + 16)
        bytes.word64(number)
        bytes.word64(state.eventCount &- UInt64(state.openBlock.count))
        for event in events {
            bytes.word64(event.item)
            bytes.word64(UInt64(event.seconds) << 8 | UInt64(event.type))
        }
        bytes.append(state.summary)
        return DueBlock(
            number: number, count: count, fingerprint: xxh64(bytes.bytes), events: events)
    }

    /// Takes a written summary in, if it is of what is due now. `regained` events were lost before and are in it.
    public func apply(
        body: [UInt8], block number: UInt64, count: Int = 1, fingerprint: UInt64,
        regained: UInt64 = 0, version: UInt64, to state: inout UserState
    ) -> BlockOutcome {
        var record = recordOrNew(of: state, version: version)
        guard let due = dueBlock(of: state, number: record.blockCount, count: count),
            due.number == number, due.fingerprint == fingerprint
        else { return .stale }
        record.lostCount -= min(record.lostCount, regained)
        advance(record, by: count, body: body, in: &state)
        return .applied
    }

    /// The record to go on from. Where there is none that fits, one that counts everything before as lost.
    public func recordOrNew(of state: UserState, version: UInt64) -> SummaryRecord {
        if let record = record(of: state, version: version) { return record }
        let before = state.eventCount &- min(state.eventCount, UInt64(state.openBlock.count))
        let old = state.summary.isEmpty ? nil : try? SummaryRecord(decoding: state.summary)
        return SummaryRecord(
            version: version, blockCount: old?.blockCount ?? 0, eventCount: before,
            lostCount: before)
    }

    /// The due blocks leave the open events and are held by `body`.
    private func advance(
        _ record: SummaryRecord, by count: Int, body: [UInt8], in state: inout UserState
    ) {
        var next = record
        next.blockCount &+= UInt64(count)
        next.eventCount &+= UInt64(count * blockSize)
        next.body = body
        state.openBlock.removeFirst(count * blockSize)
        state.summary = next.encoded()
    }

    /// Lets the oldest block go when too many events wait; returns how many events were lost.
    public func dropIfFull(_ state: inout UserState, version: UInt64) -> Int {
        guard state.openBlock.count > openEventsMax else { return 0 }
        var record = recordOrNew(of: state, version: version)
        record.eventCount &+= UInt64(blockSize)
        record.lostCount &+= UInt64(blockSize)
        state.openBlock.removeFirst(blockSize)
        state.summary = record.encoded()
        return blockSize
    }
}
