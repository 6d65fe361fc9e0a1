// rd_kafka_topic_partition_list_t with an owner.

import CRdKafka
import Interactions
import Ports

/// Partitions of one topic, each with an offset.
@safe
struct PartitionList: ~Copyable {
    let raw: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?

    init(topic: String, _ positions: [StartPosition]) {
        unsafe raw = rd_kafka_topic_partition_list_new(Int32(clamping: positions.count))
        for position in positions {
            let slot = unsafe rd_kafka_topic_partition_list_add(raw, topic, position.partition)
            unsafe slot?.pointee.offset = position.offset ?? Int64(RD_KAFKA_OFFSET_BEGINNING)
        }
    }

    init(topic: String, partitions: [PartitionIndex]) {
        self.init(topic: topic, partitions.map { StartPosition(partition: $0, offset: nil) })
    }

    /// A subscription: the whole topic.
    init(subscribing topic: String) {
        unsafe raw = rd_kafka_topic_partition_list_new(1)
        unsafe rd_kafka_topic_partition_list_add(raw, topic, RD_KAFKA_PARTITION_UA)
    }

    deinit { unsafe rd_kafka_topic_partition_list_destroy(raw) }

    /// The offsets now in the list, where there are any.
    var offsets: [PartitionIndex: Offset] {
        var offsets: [PartitionIndex: Offset] = [:]
        for index in 0..<Int(unsafe raw?.pointee.cnt ?? 0) {
            guard let element = unsafe raw?.pointee.elems[index] else { continue }
            if unsafe element.offset >= 0 { unsafe offsets[element.partition] = element.offset }
        }
        return offsets
    }

    static func partitions(
        of list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    ) -> [PartitionIndex] {
        (0..<Int(unsafe list.pointee.cnt)).map { unsafe list.pointee.elems[$0].partition }
    }
}
