// The consumer's calls, each with its result checked.
//
// Records do not travel through the consumer's own queue: every partition is forwarded to `records`, so that reading
// can stop (back-pressure) while the consumer is still polled for rebalances and for its liveness. Pausing partitions
// instead would make librdkafka throw away and fetch again what it holds each time.

import CRdKafka
import Interactions
import Ports

/// One consumer of one topic. Everything but `wake` belongs on the owner's lane.
final class ConsumerHandle: Sendable {
    let handle: KafkaHandle
    let topic: String
    let records: KafkaQueue
    private let control: KafkaQueue?

    init(
        topic: String, settings: [(String, String)], observer: any Observer
    ) throws(KafkaError) {
        handle = try KafkaHandle(.consumer, settings: settings, observer: observer)
        self.topic = topic
        unsafe rd_kafka_poll_set_consumer(handle.raw)
        records = KafkaQueue(of: handle)
        control = KafkaQueue(eventsOf: handle)
    }

    /// Ends a wait in `nextRecords` or `poll`, or prevents the next one. Any thread.
    func wake() {
        records.wake()
        control?.wake()
    }

    /// Waits in `queue` end when this consumer has something.
    func wakes(_ queue: KafkaQueue) {
        control?.wakesAlso(queue)
        if queue !== records { records.wakesAlso(queue) }
    }

    func stopWaking() {
        unsafe rd_kafka_queue_cb_event_enable(records.raw, nil, nil)
        if let control { unsafe rd_kafka_queue_cb_event_enable(control.raw, nil, nil) }
    }

    var isCooperative: Bool {
        guard let name = unsafe rd_kafka_rebalance_protocol(handle.raw) else { return false }
        return unsafe String(cString: name) == "COOPERATIVE"
    }

    func subscribe() throws(KafkaError) {
        let list = PartitionList(subscribing: topic)
        let code = unsafe rd_kafka_subscribe(handle.raw, list.raw)
        try check(code, "subscribing to `\(topic)`")
    }

    /// Answers a rebalance, or chooses partitions without one: from now on these are read.
    func assign(_ positions: [StartPosition], incremental: Bool) throws(KafkaError) {
        forward(positions.map(\.partition))
        let list = PartitionList(topic: topic, positions)
        if incremental {
            try unsafe check(rd_kafka_incremental_assign(handle.raw, list.raw), "taking partitions")
        } else {
            try check(unsafe rd_kafka_assign(handle.raw, list.raw), "taking partitions")
        }
    }

    func unassign(_ partitions: [PartitionIndex], incremental: Bool) throws(KafkaError) {
        let list = PartitionList(topic: topic, partitions: partitions)
        if incremental {
            try unsafe check(
                rd_kafka_incremental_unassign(handle.raw, list.raw), "giving up partitions")
        } else {
            try check(unsafe rd_kafka_assign(handle.raw, nil), "giving up partitions")
        }
    }

    /// Notes what may be committed to the group: advisory, so a failure is of no consequence.
    func storeOffsets(_ offsets: [StartPosition]) {
        let list = PartitionList(topic: topic, offsets)
        _ = unsafe rd_kafka_offsets_store(handle.raw, list.raw)
    }

    /// Commits now and waits for it.
    func commit(_ offsets: [StartPosition]) throws(KafkaError) {
        let list = PartitionList(topic: topic, offsets)
        try check(unsafe rd_kafka_commit(handle.raw, list.raw, 0), "committing offsets")
    }

    /// What the group has committed. Waits at most `milliseconds`.
    func committed(
        _ partitions: [PartitionIndex], waitingAtMost milliseconds: Int32
    ) throws(KafkaError) -> [PartitionIndex: Offset] {
        let list = PartitionList(topic: topic, partitions: partitions)
        let code = unsafe rd_kafka_committed(handle.raw, list.raw, milliseconds)
        try check(code, "asking for committed offsets")
        return list.offsets
    }

    /// Serves the library's callbacks and returns an error event, or nil. Waits at most `milliseconds`.
    func poll(waitingAtMost milliseconds: Int32) -> KafkaMessage? {
        unsafe KafkaMessage(adopting: rd_kafka_consumer_poll(handle.raw, milliseconds))
    }

    /// The next record, waiting for it at most `milliseconds`.
    func nextRecord(waitingAtMost milliseconds: Int32) -> KafkaMessage? {
        unsafe KafkaMessage(adopting: rd_kafka_consume_queue(records.raw, milliseconds))
    }

    /// Leaves the group; partitions are given up without asking.
    func close() {
        handle.events.close()
        stopWaking()
        _ = unsafe rd_kafka_consumer_close(handle.raw)
    }

    /// Sends the partitions' records to `records`. To be repeated for some time after an assignment: when the library
    /// ends an earlier fetch of the same partition, it undoes this, at a time of its own choosing. Nothing is lost:
    /// records wait in the partition's own queue until they are forwarded.
    func forward(_ partitions: some Sequence<PartitionIndex>) {
        for partition in partitions {
            guard let queue = unsafe rd_kafka_queue_get_partition(handle.raw, topic, partition)
            else { continue }
            unsafe rd_kafka_queue_forward(queue, records.raw)
            unsafe rd_kafka_queue_destroy(queue)
        }
    }

    private func check(_ code: rd_kafka_resp_err_t, _ doing: String) throws(KafkaError) {
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        throw KafkaError(code, doing)
    }

    private func check(_ error: OpaquePointer?, _ doing: String) throws(KafkaError) {
        guard let error = unsafe error else { return }
        defer { unsafe rd_kafka_error_destroy(error) }
        throw KafkaError(unsafe rd_kafka_error_code(error), doing)
    }
}

/// Room for the messages of one round.
@safe
struct MessageBuffer: ~Copyable {
    private let slots: UnsafeMutableBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>

    init(capacity: Int) {
        unsafe slots = .allocate(capacity: capacity)
        unsafe slots.initialize(repeating: nil)
    }

    deinit { unsafe slots.deallocate() }

    var capacity: Int { unsafe slots.count }

    /// Fills the buffer from `from` on and returns how many arrived within `milliseconds`.
    mutating func fill(from: Int, _ queue: KafkaQueue, within milliseconds: Int32) -> Int {
        guard from < capacity, let start = unsafe slots.baseAddress else { return 0 }
        let count = unsafe rd_kafka_consume_batch_queue(
            queue.raw, milliseconds, start + from, capacity - from)
        return max(0, count)
    }

    mutating func put(_ message: consuming KafkaMessage) {
        unsafe slots[0] = message.givingUp()
    }

    /// Moves a message out of the buffer.
    mutating func take(_ index: Int) -> KafkaMessage? {
        defer { unsafe slots[index] = nil }
        return unsafe KafkaMessage(adopting: slots[index])
    }
}
