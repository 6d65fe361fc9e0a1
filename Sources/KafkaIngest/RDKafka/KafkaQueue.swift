// rd_kafka_queue_t with an owner: where records and events wait for their lane.

import CRdKafka

/// One queue of a handle.
@safe
final class KafkaQueue: @unchecked Sendable {
    // Unchecked because the library's queues may be used from any thread; the pointer never changes.
    let raw: OpaquePointer
    private let handle: KafkaHandle

    init(of handle: KafkaHandle) {
        self.handle = handle
        unsafe raw = rd_kafka_queue_new(handle.raw)
    }

    /// The queue that a producer's delivery reports go to.
    init(mainOf handle: KafkaHandle) {
        self.handle = handle
        unsafe raw = rd_kafka_queue_get_main(handle.raw)
    }

    /// The queue that a consumer's events go to.
    init?(eventsOf handle: KafkaHandle) {
        guard let found = unsafe rd_kafka_queue_get_consumer(handle.raw) else { return nil }
        self.handle = handle
        unsafe raw = found
    }

    deinit {
        unsafe rd_kafka_queue_cb_event_enable(raw, nil, nil)
        unsafe rd_kafka_queue_destroy(raw)
    }

    /// Ends the wait that goes on in this queue, or the next one. Any thread.
    func wake() { unsafe rd_kafka_queue_yield(raw) }

    /// Wakes `other` whenever something arrives here; `other` has to live longer.
    func wakesAlso(_ other: KafkaQueue) {
        unsafe rd_kafka_queue_cb_event_enable(
            raw, { _, target in unsafe rd_kafka_queue_yield(OpaquePointer(target)) },
            UnsafeMutableRawPointer(other.raw))
    }
}

/// One record or one error, destroyed with this value.
@safe
struct KafkaMessage: ~Copyable {
    let raw: UnsafeMutablePointer<rd_kafka_message_t>

    init?(adopting raw: UnsafeMutablePointer<rd_kafka_message_t>?) {
        guard let raw = unsafe raw else { return nil }
        unsafe self.raw = raw
    }

    deinit { unsafe rd_kafka_message_destroy(raw) }

    /// Hands the message to somebody who will destroy it.
    consuming func givingUp() -> UnsafeMutablePointer<rd_kafka_message_t> {
        let raw = unsafe raw
        discard self
        return unsafe raw
    }

    var isRecord: Bool { unsafe raw.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR }
    var code: rd_kafka_resp_err_t { unsafe raw.pointee.err }
    var partition: Int32 { unsafe raw.pointee.partition }
    var offset: Int64 { unsafe raw.pointee.offset }
    var bytes: Int { unsafe raw.pointee.len }

    /// Nil when the record has none.
    var timestamp: Int64? {
        var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let value = unsafe rd_kafka_message_timestamp(raw, &type)
        return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || value < 0 ? nil : value
    }

    var error: KafkaError {
        let text = unsafe rd_kafka_message_errstr(raw).map { unsafe String(cString: $0) } ?? ""
        return KafkaError(code: KafkaError.Code(code), text)
    }

    func withContents<Result>(_ body: (RawSpan?, RawSpan?) -> Result) -> Result {
        let key = unsafe UnsafeRawBufferPointer(
            start: raw.pointee.key, count: raw.pointee.key == nil ? 0 : raw.pointee.key_len)
        let payload = unsafe UnsafeRawBufferPointer(
            start: raw.pointee.payload, count: raw.pointee.payload == nil ? 0 : raw.pointee.len)
        return unsafe body(
            raw.pointee.key == nil ? nil : key.bytes,
            raw.pointee.payload == nil ? nil : payload.bytes)
    }

    var key: [UInt8]? {
        guard let start = unsafe raw.pointee.key else { return nil }
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: raw.pointee.key_len))
    }

    var payload: [UInt8]? {
        guard let start = unsafe raw.pointee.payload else { return nil }
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: raw.pointee.len))
    }

    var headers: [KafkaHeader] {
        var list: OpaquePointer?
        guard unsafe rd_kafka_message_headers(raw, &list) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            return []
        }
        var headers: [KafkaHeader] = []
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while unsafe rd_kafka_header_get_all(list, headers.count, &name, &value, &size)
            == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe name
        {
            let bytes = unsafe value.map {
                unsafe [UInt8](UnsafeRawBufferPointer(start: $0, count: size))
            }
            unsafe headers.append(KafkaHeader(name: String(cString: found), value: bytes))
        }
        return headers
    }
}

/// One header of a record.
public struct KafkaHeader: Sendable, Hashable {
    public var name: String
    public var value: [UInt8]?

    public init(name: String, value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    init(_ name: String, _ text: String) {
        self.name = name
        value = Array(text.utf8)
    }

    var text: String? { value.map { String(decoding: $0, as: UTF8.self) } }
}
