// What is stored of a user's summary: who wrote it, which events it stands for, and the summary itself.
//
// It lies in the user's blob, in the section outside the digest, and is written by the commit that takes the events it
// holds out of the open block: an event is in the one or in the other, or counted as lost, whatever crashes.

public import Interactions

/// A stored summary.
public struct SummaryRecord: Sendable, Hashable {
    /// `Summariser.version` of the writer.
    public var version: UInt64
    /// Blocks it was made of: also the number of the block that comes next, from 0.
    public var blockCount: UInt64
    /// Events before the open block: held or lost.
    public var eventCount: UInt64
    /// Events among them that no summary holds.
    public var lostCount: UInt64
    /// A text in UTF-8, or what the template keeps; empty before the first block.
    public var body: [UInt8]

    public init(
        version: UInt64, blockCount: UInt64 = 0, eventCount: UInt64 = 0, lostCount: UInt64 = 0,
        body: [UInt8] = []
    ) {
        self.version = version
        self.blockCount = blockCount
        self.eventCount = eventCount
        self.lostCount = lostCount
        self.body = body
    }

    public static let bodyBytesMax = UserState.summaryBytesMax - 64
    private static let format: UInt8 = 1

    public func encoded() -> [UInt8] {
        var out = ByteWriter(reserving: body.count + 24)
        out.byte(Self.format)
        out.word64(version)
        out.varint(blockCount)
        out.varint(eventCount)
        out.varint(lostCount)
        out.append(body)
        return out.bytes
    }

    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.format else {
            throw MalformedBytes("is a summary of another version")
        }
        version = try reader.word64()
        blockCount = try reader.varint()
        eventCount = try reader.varint()
        lostCount = try reader.varint()
        body = try reader.array(count: reader.remaining)
    }
}
