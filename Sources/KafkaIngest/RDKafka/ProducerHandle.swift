// The producer's one call: a record goes out, its fate comes back once.

import CRdKafka
import Interactions
import Ports
import Synchronization

/// A record on its way to the broker.
struct OutgoingRecord: Sendable {
    var topic: String
    /// Nil lets the configured partitioner decide by the key.
    var partition: PartitionIndex?
    var key: [UInt8]?
    /// Nil is a tombstone.
    var payload: [UInt8]?
    /// Nil means now.
    var timestamp: Milliseconds?
    var headers: [KafkaHeader] = []
}

typealias Delivery = @Sendable (Result<LogPosition, KafkaError>) -> Void

/// One idempotent producer. `produce` may be called from any thread; deliveries are reported inside `poll`.
final class ProducerHandle: Sendable {
    let handle: KafkaHandle
    private let reports: KafkaQueue
    private let topics = Mutex<[KafkaTopic]>([])

    init(settings: [(String, String)], observer: any Observer) throws(KafkaError) {
        handle = try KafkaHandle(.producer, settings: settings, observer: observer)
        reports = KafkaQueue(mainOf: handle)
    }

    /// Looks existing topics up, so that the first record for one does not wait for that (about a second).
    func prepare(_ names: [String]) {
        let found = names.map { KafkaTopic($0, of: handle) }
        topics.withLock { $0 = found }
    }

    /// Reports deliveries; waits for the first at most `milliseconds`.
    func poll(waitingAtMost milliseconds: Int32) {
        _ = unsafe rd_kafka_poll(handle.raw, milliseconds)
    }

    /// Ends the wait of `poll`. Any thread.
    func wake() { reports.wake() }

    /// Records not yet reported.
    var outstanding: Int { Int(unsafe rd_kafka_outq_len(handle.raw)) }

    /// Waits for what is on its way; then gives up on the rest, which is reported as failed.
    func close(waitingAtMost milliseconds: Int32) {
        _ = unsafe rd_kafka_flush(handle.raw, milliseconds)
        if outstanding > 0 {
            let everything = RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT
            _ = unsafe rd_kafka_purge(handle.raw, everything)
            _ = unsafe rd_kafka_flush(handle.raw, milliseconds)
        }
    }

    /// Copies the record into the library's queue. `delivery` is called once, inside a later poll, unless this
    /// throws.
    func produce(_ record: OutgoingRecord, _ delivery: @escaping Delivery) throws(KafkaError) {
        let box = unsafe Unmanaged.passRetained(DeliveryBox(delivery))
        let code = unsafe record.topic.withCString { topic in
            unsafe withOptionalBytes(record.key) { key in
                unsafe withOptionalBytes(record.payload) { payload in
                    unsafe send(record, topic, key, payload, box.toOpaque())
                }
            }
        }
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        unsafe box.release()
        throw KafkaError(code, "producing to `\(record.topic)`")
    }

    private func send(
        _ record: OutgoingRecord, _ topic: UnsafePointer<CChar>, _ key: UnsafeRawBufferPointer,
        _ payload: UnsafeRawBufferPointer, _ tag: UnsafeMutableRawPointer
    ) -> rd_kafka_resp_err_t {
        let headers = record.headers.isEmpty ? nil : unsafe made(record.headers)
        let code = unsafe withUnsafeTemporaryAllocation(of: rd_kafka_vu_t.self, capacity: 8) {
            fields in
            unsafe fields.initialize(repeating: rd_kafka_vu_t())
            unsafe fields[0].vtype = RD_KAFKA_VTYPE_TOPIC
            unsafe fields[0].u.cstr = topic
            unsafe fields[1].vtype = RD_KAFKA_VTYPE_PARTITION
            unsafe fields[1].u.i32 = record.partition ?? RD_KAFKA_PARTITION_UA
            unsafe fields[2].vtype = RD_KAFKA_VTYPE_KEY
            unsafe fields[2].u.mem = .init(
                ptr: UnsafeMutableRawPointer(mutating: key.baseAddress), size: key.count)
            unsafe fields[3].vtype = RD_KAFKA_VTYPE_VALUE
            unsafe fields[3].u.mem = .init(
                ptr: UnsafeMutableRawPointer(mutating: payload.baseAddress), size: payload.count)
            unsafe fields[4].vtype = RD_KAFKA_VTYPE_TIMESTAMP
            unsafe fields[4].u.i64 = record.timestamp ?? 0
            unsafe fields[5].vtype = RD_KAFKA_VTYPE_MSGFLAGS
            unsafe fields[5].u.i = RD_KAFKA_MSG_F_COPY
            unsafe fields[6].vtype = RD_KAFKA_VTYPE_OPAQUE
            unsafe fields[6].u.ptr = tag
            unsafe fields[7].vtype = RD_KAFKA_VTYPE_HEADERS
            unsafe fields[7].u.headers = headers
            let count = unsafe headers == nil ? 7 : 8
            let error = unsafe rd_kafka_produceva(handle.raw, fields.baseAddress, count)
            guard let error = unsafe error else { return RD_KAFKA_RESP_ERR_NO_ERROR }
            defer { unsafe rd_kafka_error_destroy(error) }
            return unsafe rd_kafka_error_code(error)
        }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR, let headers = unsafe headers {
            unsafe rd_kafka_headers_destroy(headers)
        }
        return code
    }

    private func made(_ headers: [KafkaHeader]) -> OpaquePointer? {
        let list = unsafe rd_kafka_headers_new(headers.count)
        for header in headers {
            unsafe withOptionalBytes(header.value) { value in
                _ = unsafe rd_kafka_header_add(
                    list, header.name, -1, value.baseAddress, value.count)
            }
        }
        return unsafe list
    }
}

/// rd_kafka_topic_t with an owner: as long as one exists, the library knows the topic's leaders.
@safe
private final class KafkaTopic: @unchecked Sendable {
    // Unchecked because the pointer never changes and is used only here.
    private let raw: OpaquePointer?
    private let handle: KafkaHandle

    init(_ name: String, of handle: KafkaHandle) {
        self.handle = handle
        unsafe raw = rd_kafka_topic_new(handle.raw, name, nil)
    }

    deinit {
        if let raw = unsafe raw { unsafe rd_kafka_topic_destroy(raw) }
    }
}

private final class DeliveryBox: Sendable {
    let report: Delivery
    init(_ report: @escaping Delivery) { self.report = report }
}

/// librdkafka's delivery callback: the fate of one record.
func reportDelivery(
    handle: OpaquePointer?, message: UnsafePointer<rd_kafka_message_t>?,
    opaque: UnsafeMutableRawPointer?
) {
    guard let message = unsafe message?.pointee, let tag = unsafe message._private else { return }
    let box = unsafe Unmanaged<DeliveryBox>.fromOpaque(tag).takeRetainedValue()
    if unsafe message.err == RD_KAFKA_RESP_ERR_NO_ERROR {
        box.report(
            .success(
                LogPosition(
                    partition: unsafe message.partition, offset: unsafe message.offset)))
    } else {
        let topic = unsafe rd_kafka_topic_name(message.rkt).map { unsafe String(cString: $0) }
        box.report(
            .failure(KafkaError(unsafe message.err, "producing to `\(topic ?? "")`")))
    }
}

/// A null pointer for nil, a real one for bytes, even for none: Kafka tells null from empty.
private func withOptionalBytes<Result>(
    _ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer) -> Result
) -> Result {
    guard let bytes else { return unsafe body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    guard bytes.isEmpty else {
        return unsafe bytes.withUnsafeBytes { unsafe body($0) }
    }
    return unsafe withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { room in
        unsafe body(UnsafeRawBufferPointer(start: room.baseAddress, count: 0))
    }
}
