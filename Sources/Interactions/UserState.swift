// What is kept of a user: the last distinct items, recent event ids, a count. Small, versioned, byte for byte the
// same for the same events, whatever the batches they came in: digests are taken of these bytes.
//
// Stored form: 'M', version, then sections (tag, varint length, payload). A section this version does not know is
// kept as it is and written back, so that state of later versions (summaries, teacher vectors) joins without a format
// break.

/// One remembered interaction: 13 bytes that matter, 16 in memory.
public struct HistoryEntry: Sendable, Hashable {
    public var item: ItemKey
    /// Seconds since 1970.
    public var seconds: UInt32
    public var type: EventType.Index
    /// How many distinct items back the item stood when it was last repeated: 1 is twice in a row, 0 is never (or
    /// long ago). Repeats are evidence of their own: without them rules lose a fifth of their hits where people buy
    /// again.
    public var repeatGap: UInt8

    public init(item: ItemKey, seconds: UInt32, type: EventType.Index, repeatGap: UInt8 = 0) {
        self.item = item
        self.seconds = seconds
        self.type = type
        self.repeatGap = repeatGap
    }
}

/// A user's state: pure value, equal bytes for equal events.
public struct UserState: Sendable, Hashable {
    /// Distinct items, oldest first; a repeated item moves to the end.
    public var history: [HistoryEntry] = []
    /// Keys of the newest events that carried an id, oldest first: a repeated production counts once.
    public var eventKeys: [UInt64] = []
    /// Events applied, repeats and evicted ones included.
    public var eventCount: UInt64 = 0
    /// Sections of other versions, as stored, in their order.
    public var otherSections: [UInt8] = []
    /// Events that no summary holds yet, oldest first, repeats included; without repeat gaps.
    public var openBlock: [HistoryEntry] = []
    /// What holds the events before, as module Summaries stores it; empty when there is none.
    public var summary: [UInt8] = []

    public init() {}

    public var isEmpty: Bool { history.isEmpty && eventCount == 0 && otherSections.isEmpty }
}

extension UserState {
    public static let formatVersion: UInt8 = 1
    public static let historyCountMax = 4_096
    public static let eventKeyCountMax = 256
    public static let openBlockCountMax = 1_024
    public static let summaryBytesMax = 64 << 10

    private static let magic: UInt8 = 0x4D
    /// Added to the number of open events where they are stored by their places in the history.
    private static let openBlockMark = 8_192
    /// Set in a type byte that is followed by a repeat gap; types are numbered below 64.
    private static let repeatFlag: UInt8 = 0x80
    /// An item, a type, a repeat gap, and a difference of two times, which takes 33 bits and its sign.
    private static let entryBytesMax = 8 + 1 + 1 + 5
    private enum Section {
        static let history: UInt8 = 1
        static let eventKeys: UInt8 = 2
        static let eventCount: UInt8 = 3
        static let summary: UInt8 = 64
    }

    /// The stored form.
    public func encoded() -> [UInt8] {
        var body = ByteWriter(reserving: Self.entryBytesMax * history.count + 4)
        Self.encode(history, into: &body)
        var out = ByteWriter(reserving: 40 + body.bytes.count + 8 * eventKeys.count)
        out.byte(Self.magic)
        out.byte(Self.formatVersion)
        Self.append(Section.history, body, to: &out)
        if !eventKeys.isEmpty {
            out.byte(Section.eventKeys)
            out.varint(UInt64(8 * eventKeys.count))
            out.words64(eventKeys)
        }
        body.removeAll()
        body.varint(eventCount)
        Self.append(Section.eventCount, body, to: &out)
        out.append(otherSections)
        if !openBlock.isEmpty || !summary.isEmpty {
            body.removeAll()
            encodeOpenBlock(into: &body)
            body.append(summary)
            Self.append(Section.summary, body, to: &out)
        }
        return out.bytes
    }

    /// How many bytes of a stored form the digest is taken of: all but the derived section.
    public static func digestedCount(of bytes: [UInt8]) -> Int {
        var reader = ByteReader(bytes)
        do throws(MalformedBytes) {
            _ = try reader.byte()
            _ = try reader.byte()
            while reader.remaining > 0 {
                let start = reader.position
                let tag = try reader.byte()
                if tag == Section.summary { return start }
                try reader.skip(try reader.count(max: reader.remaining))
            }
        } catch {}
        return bytes.count
    }

    private static func append(_ tag: UInt8, _ body: ByteWriter, to out: inout ByteWriter) {
        out.byte(tag)
        out.varint(UInt64(body.bytes.count))
        out.append(body.bytes)
    }

    /// Open events are the newest ones, so most are entries of the history: those are written as their places, counted
    /// back from its end, others after a zero.
    private func encodeOpenBlock(into body: inout ByteWriter) {
        body.varint(UInt64(Self.openBlockMark + openBlock.count))
        var previous: Int64 = 0
        for (index, entry) in openBlock.enumerated() {
            if let place = place(of: entry, near: openBlock.count - index) {
                body.varint(UInt64(place))
            } else {
                body.varint(0)
                body.word64(entry.item)
                body.byte(entry.type)
                body.signed(Int64(entry.seconds) - previous)
            }
            previous = Int64(entry.seconds)
        }
    }

    /// Where the history has an open event, counted back from its end (1 is the newest); nil when it has not. An event
    /// that `later` others at most have followed stands no farther back.
    private func place(of entry: HistoryEntry, near later: Int) -> Int? {
        for place in stride(from: min(later, history.count), to: 0, by: -1) {
            let known = history[history.count - place]
            if known.item == entry.item {
                return known.seconds == entry.seconds && known.type == entry.type ? place : nil
            }
        }
        return nil
    }

    private func openEntries(
        from reader: inout ByteReader
    ) throws(MalformedBytes) -> [HistoryEntry] {
        let start = reader
        let count = try reader.count(max: Self.openBlockMark + Self.openBlockCountMax)
        guard count >= Self.openBlockMark else {
            // As it was stored before places were.
            reader = start
            var entries = try Self.readEntries(from: &reader, countMax: Self.openBlockCountMax)
            for index in entries.indices { entries[index].repeatGap = 0 }
            return entries
        }
        var entries: [HistoryEntry] = []
        var seconds: Int64 = 0
        for _ in 0..<(count - Self.openBlockMark) {
            let place = try reader.count(max: history.count)
            if place > 0 {
                var entry = history[history.count - place]
                entry.repeatGap = 0
                entries.append(entry)
                seconds = Int64(entry.seconds)
                continue
            }
            let item = try reader.word64()
            let type = try reader.byte()
            seconds = seconds &+ (try reader.signed())
            guard let time = UInt32(exactly: seconds) else {
                throw MalformedBytes("an open event's time is out of range")
            }
            entries.append(HistoryEntry(item: item, seconds: time, type: type))
        }
        return entries
    }

    private static func encode(_ entries: [HistoryEntry], into body: inout ByteWriter) {
        body.varint(UInt64(entries.count))
        body.append(atMost: entryBytesMax * entries.count) { (room: consuming MutableRawSpan) in
            var place = 0
            var previous: Int64 = 0
            for entry in entries {
                room.word64(entry.item, at: &place)
                room.byte(entry.type | (entry.repeatGap > 0 ? repeatFlag : 0), at: &place)
                if entry.repeatGap > 0 { room.byte(entry.repeatGap, at: &place) }
                room.signed(Int64(entry.seconds) - previous, at: &place)
                previous = Int64(entry.seconds)
            }
            return place
        }
    }

    /// Reads the stored form; throws for anything this version cannot read.
    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        self.init()
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.magic else {
            throw MalformedBytes("is not a user's state: the first byte is wrong")
        }
        let version = try reader.byte()
        guard version == Self.formatVersion else {
            throw MalformedBytes(
                "has format \(version), this version reads \(Self.formatVersion): upgrade first")
        }
        while reader.remaining > 0 {
            let tag = try reader.byte()
            let count = try reader.count(max: reader.remaining)
            let end = reader.position + count
            try readSection(tag, count: count, from: &reader)
            guard reader.position == end else {
                throw MalformedBytes("section \(tag) has the wrong length")
            }
        }
    }

    private mutating func readSection(
        _ tag: UInt8, count: Int, from reader: inout ByteReader
    ) throws(MalformedBytes) {
        switch tag {
        case Section.history:
            guard history.isEmpty else { throw MalformedBytes("has two histories") }
            history = try Self.readEntries(from: &reader, countMax: Self.historyCountMax)
        case Section.eventKeys:
            guard count % 8 == 0, count / 8 <= Self.eventKeyCountMax, eventKeys.isEmpty else {
                throw MalformedBytes("the event id section has \(count) bytes")
            }
            for _ in 0..<(count / 8) { eventKeys.append(try reader.word64()) }
        case Section.eventCount: eventCount = try reader.varint()
        case Section.summary:
            let end = reader.position + count
            guard openBlock.isEmpty, summary.isEmpty else {
                throw MalformedBytes("has two summaries")
            }
            openBlock = try openEntries(from: &reader)
            guard (0...Self.summaryBytesMax).contains(end - reader.position) else {
                throw MalformedBytes("the summary section has \(count) bytes")
            }
            summary = try reader.array(count: end - reader.position)
        default:
            var kept = ByteWriter()
            kept.byte(tag)
            kept.varint(UInt64(count))
            kept.append(try reader.array(count: count))
            otherSections.append(contentsOf: kept.bytes)
        }
    }

    private static func readEntries(
        from reader: inout ByteReader, countMax: Int
    ) throws(MalformedBytes) -> [HistoryEntry] {
        var entries: [HistoryEntry] = []
        let count = try reader.count(max: countMax)
        guard count * 10 <= reader.remaining else { throw MalformedBytes("ends too early") }
        entries.reserveCapacity(count + 1)
        var seconds: Int64 = 0
        for _ in 0..<count {
            let item = try reader.word64()
            let typeAndFlag = try reader.byte()
            let gap = typeAndFlag & repeatFlag != 0 ? try reader.byte() : 0
            seconds = seconds &+ (try reader.signed())
            guard let time = UInt32(exactly: seconds) else {
                throw MalformedBytes("an entry's time is out of range")
            }
            entries.append(
                HistoryEntry(
                    item: item, seconds: time, type: typeAndFlag & ~repeatFlag, repeatGap: gap))
        }
        return entries
    }
}
