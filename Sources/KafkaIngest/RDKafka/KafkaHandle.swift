// rd_kafka_t with an owner: one instance of the library, its threads and its connections.

import CRdKafka
import Interactions
import Ports

/// One librdkafka instance, consumer or producer.
@safe
final class KafkaHandle: @unchecked Sendable {
    // Unchecked because the library's handles may be used from any thread; the pointers never change.
    let raw: OpaquePointer
    let events: HandleEvents
    private let retained: Unmanaged<HandleEvents>

    enum Kind {
        case producer
        case consumer
    }

    init(
        _ kind: Kind, settings pairs: [(String, String)], observer: any Observer
    ) throws(KafkaError) {
        let settings = try KafkaSettings(pairs)
        let events = HandleEvents(observer: observer)
        let retained = unsafe Unmanaged.passRetained(events)
        let (handle, message) = unsafe withErrorText { text, size in
            unsafe settings.withRaw { raw -> (OpaquePointer?, taken: Bool) in
                unsafe HandleEvents.install(in: raw, retained)
                let type: rd_kafka_type_t
                switch kind {
                case .producer:
                    type = RD_KAFKA_PRODUCER
                    unsafe rd_kafka_conf_set_dr_msg_cb(raw, reportDelivery)
                case .consumer:
                    type = RD_KAFKA_CONSUMER
                    unsafe HandleEvents.installRebalance(in: raw)
                }
                let made = unsafe rd_kafka_new(type, raw, text, size)
                return unsafe (made, taken: made != nil)
            }
        }
        guard let handle = unsafe handle else {
            unsafe retained.release()
            throw KafkaError(code: .invalidSetting, "librdkafka refuses the settings: \(message)")
        }
        unsafe raw = handle
        self.events = events
        unsafe self.retained = retained
    }

    deinit {
        events.close()
        unsafe rd_kafka_destroy(raw)
        unsafe retained.release()
    }

    /// How many partitions the topic has. Asks the broker and waits at most `milliseconds`.
    func partitionCount(of topic: String, waitingAtMost milliseconds: Int32) throws(KafkaError)
        -> Int32
    {
        guard let handle = unsafe rd_kafka_topic_new(raw, topic, nil) else {
            throw KafkaError(rd_kafka_last_error(), "opening topic `\(topic)`")
        }
        defer { unsafe rd_kafka_topic_destroy(handle) }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(raw, 0, handle, &metadata, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe metadata else {
            throw KafkaError(code, "asking for the partitions of topic `\(topic)`")
        }
        defer { unsafe rd_kafka_metadata_destroy(found) }
        guard unsafe found.pointee.topic_cnt > 0, let first = unsafe found.pointee.topics else {
            throw KafkaError(code: .unknownTopic, "topic `\(topic)` does not exist: create it")
        }
        guard unsafe first.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR,
            unsafe first.pointee.partition_cnt > 0
        else {
            throw KafkaError(unsafe first.pointee.err, "topic `\(topic)`")
        }
        return unsafe first.pointee.partition_cnt
    }

    /// The first offset the broker still has and the one the next record will get. Waits at most `milliseconds`.
    func watermarks(
        topic: String, _ partition: PartitionIndex, waitingAtMost milliseconds: Int32
    ) throws(KafkaError) -> Range<Offset> {
        var low: Int64 = 0
        var high: Int64 = 0
        let code = unsafe rd_kafka_query_watermark_offsets(
            raw, topic, partition, &low, &high, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, low <= high else {
            throw KafkaError(code, "asking for the offsets of `\(topic)` \(partition)")
        }
        return low..<high
    }

    /// The high watermark as of the last fetch, or nil before the first.
    func knownHighWatermark(topic: String, _ partition: PartitionIndex) -> Offset? {
        var low: Int64 = 0
        var high: Int64 = 0
        let code = unsafe rd_kafka_get_watermark_offsets(raw, topic, partition, &low, &high)
        return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : nil
    }
}
