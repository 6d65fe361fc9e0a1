// Which partitions are ours, and how far along: the group's rebalances on one side, the pipeline's answers on the
// other.
//
// librdkafka waits in a rebalance until assign or unassign is called, however long that takes, and keeps its place in
// the group meanwhile. So both are answered late on purpose: assign once every partition has its stored offset,
// unassign once the pipeline has settled what it holds, or when the time for that is over.

import Interactions
import Ports

/// The partitions of one group member. A value; knows no Kafka.
struct Assignment {
    enum Action: Equatable {
        /// Read these from these offsets; answers the rebalance.
        case assign([StartPosition])
        /// Give these up; answers the rebalance.
        case unassign([PartitionIndex])
        /// Go on reading these elsewhere.
        case move([StartPosition])
    }

    /// Given by the group; the offset is known once `begin` was called.
    private var waiting: [PartitionIndex: StartPosition?] = [:]
    private var isAnswerDue = false
    private(set) var reading: Set<PartitionIndex> = []
    /// Taken by the group, still being settled.
    private var releasing: Set<PartitionIndex> = []
    private var revoked: [PartitionIndex] = []
    private var releaseDeadline: Double?

    var owned: [PartitionIndex] { (Set(waiting.keys).union(reading)).sorted() }

    mutating func assigned(_ partitions: [PartitionIndex]) -> [Action] {
        isAnswerDue = true
        for partition in partitions { waiting.updateValue(nil, forKey: partition) }
        return answerIfComplete()
    }

    mutating func begin(_ positions: [StartPosition]) -> [Action] {
        var moved: [StartPosition] = []
        for position in positions {
            if waiting[position.partition] != nil {
                waiting.updateValue(position, forKey: position.partition)
            } else if reading.contains(position.partition) {
                moved.append(position)
            }
        }
        return (moved.isEmpty ? [] : [.move(moved)]) + answerIfComplete()
    }

    /// `deadline` is when the wait for `release` ends, in monotonic seconds.
    mutating func revoked(
        _ partitions: [PartitionIndex], lost: Bool, deadline: Double
    ) -> [Action] {
        // What was never begun has nothing to settle.
        let settling = reading.intersection(partitions)
        for partition in partitions { waiting.removeValue(forKey: partition) }
        reading.subtract(partitions)
        if waiting.isEmpty { isAnswerDue = false }
        revoked += partitions
        releasing = lost ? [] : settling
        releaseDeadline = deadline
        return finishIfSettled()
    }

    mutating func release(_ partitions: [PartitionIndex]) -> [Action] {
        releasing.subtract(partitions)
        return finishIfSettled()
    }

    /// To be called now and then: the wait for `release` is bounded.
    mutating func expire(now: Double) -> [Action] {
        guard let releaseDeadline, now >= releaseDeadline else { return [] }
        releasing = []
        return finishIfSettled()
    }

    var isSettled: Bool { releaseDeadline == nil }

    private mutating func answerIfComplete() -> [Action] {
        guard isAnswerDue else { return [] }
        let positions = waiting.values.compactMap { $0 }.sorted { $0.partition < $1.partition }
        guard positions.count == waiting.count else { return [] }
        isAnswerDue = false
        waiting = [:]
        reading.formUnion(positions.map(\.partition))
        return [.assign(positions)]
    }

    private mutating func finishIfSettled() -> [Action] {
        guard releaseDeadline != nil, releasing.isEmpty else { return [] }
        releaseDeadline = nil
        defer { revoked = [] }
        return [.unassign(revoked)]
    }
}
