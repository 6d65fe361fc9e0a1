// How far a producer has run ahead of the consumers of one partition.

import Interactions

/// Bytes produced and not yet consumed. A value; knows no Kafka.
struct FlowWindow {
    private var marks: [(nextOffset: Offset, bytesBefore: Int)] = []
    private var firstMark = 0
    private var produced = 0
    private var consumed = 0

    var aheadBytes: Int { produced - consumed }

    /// A record of this size is on its way; returns the mark to hand to `delivered`.
    mutating func add(bytes: Int) -> Int {
        produced += bytes
        return produced
    }

    /// The record with this mark lies at `offset`.
    mutating func delivered(mark: Int, offset: Offset) {
        marks.append((offset + 1, mark))
    }

    /// Everything before `nextOffset` has been consumed.
    mutating func consumed(upTo nextOffset: Offset) {
        while firstMark < marks.count, marks[firstMark].nextOffset <= nextOffset {
            consumed = max(consumed, marks[firstMark].bytesBefore)
            firstMark += 1
        }
        if firstMark > 4_096 {
            marks.removeSubrange(..<firstMark)
            firstMark = 0
        }
    }
}
