// What librdkafka calls back with, kept until the owner of the handle asks for it.
//
// Rebalance and error callbacks run inside a poll on the owner's lane, log callbacks on any thread. None of them
// acts: a rebalance waits for our answer in any case (the group stays in that state until assign or unassign is
// called), so noting it down and returning lets the lane answer whenever the stored offsets are known.

import CRdKafka
import Interactions
import Ports
import Synchronization

/// The events of one handle.
final class HandleEvents: Sendable {
    enum Event: Sendable {
        case assigned([PartitionIndex])
        case revoked([PartitionIndex], lost: Bool)
        case trouble(KafkaError)
    }

    /// Told and not yet taken, at most; further trouble is dropped, rebalances are one at a time.
    static let pendingMax = 256

    private let pending = Mutex<[Event]>([])
    private let closing = Atomic<Bool>(false)
    private let observer: any Observer

    init(observer: any Observer) { self.observer = observer }

    func add(_ event: Event) {
        pending.withLock { pending in
            if case .trouble(let error) = event, !error.isFatal, pending.count >= Self.pendingMax {
                return
            }
            pending.append(event)
        }
    }

    /// Everything since the last call, in order.
    func take() -> [Event] {
        pending.withLock { pending in
            defer { pending.removeAll(keepingCapacity: true) }
            return pending
        }
    }

    /// From now on revocations are answered at once: nobody is left to ask.
    func close() { closing.store(true, ordering: .releasing) }
    var isClosing: Bool { closing.load(ordering: .acquiring) }

    func log(level: Int32, facility: String, message: String) {
        // A dictionary of settings serves consumers and producers; that each ignores the other's is no news.
        guard facility != "CONFWARN" else { return }
        let severity: Observation.Severity =
            level <= 3 ? .error : level == 4 ? .warning : level <= 6 ? .notice : .debug
        observer.observe(.note(severity, "librdkafka: \(message)", [("facility", facility)]))
    }

    /// Tells librdkafka to call back with this object, which outlives the handle.
    static func install(in settings: OpaquePointer?, _ owner: Unmanaged<HandleEvents>) {
        unsafe rd_kafka_conf_set_opaque(settings, owner.toOpaque())
        unsafe rd_kafka_conf_set_log_cb(settings, logged)
        unsafe rd_kafka_conf_set_error_cb(settings, failed)
    }

    /// Consumers only.
    static func installRebalance(in settings: OpaquePointer?) {
        unsafe rd_kafka_conf_set_rebalance_cb(settings, rebalanced)
    }
}

private func events(_ opaque: UnsafeMutableRawPointer?) -> HandleEvents? {
    guard let opaque = unsafe opaque else { return nil }
    return unsafe Unmanaged<HandleEvents>.fromOpaque(opaque).takeUnretainedValue()
}

private func logged(
    handle: OpaquePointer?, level: Int32, facility: UnsafePointer<CChar>?,
    message: UnsafePointer<CChar>?
) {
    guard let handle = unsafe handle, let facility = unsafe facility,
        let message = unsafe message, let events = unsafe events(rd_kafka_opaque(handle))
    else { return }
    unsafe events.log(
        level: level, facility: String(cString: facility), message: String(cString: message))
}

private func failed(
    handle: OpaquePointer?, code: Int32, reason: UnsafePointer<CChar>?,
    opaque: UnsafeMutableRawPointer?
) {
    guard let events = unsafe events(opaque) else { return }
    var text = unsafe reason.map { unsafe String(cString: $0) } ?? ""
    if code == RD_KAFKA_RESP_ERR__FATAL.rawValue {
        let (cause, detail) = unsafe withErrorText { buffer, size in
            unsafe rd_kafka_fatal_error(handle, buffer, size)
        }
        text = "\(detail) (\(KafkaError.Code(cause).name))"
    }
    events.add(.trouble(KafkaError(code: KafkaError.Code(rawValue: code), text)))
}

private func rebalanced(
    handle: OpaquePointer?, code: rd_kafka_resp_err_t,
    list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?, opaque: UnsafeMutableRawPointer?
) {
    guard let events = unsafe events(opaque), let list = unsafe list else { return }
    let isKnown =
        code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
        || code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS
    if events.isClosing || !isKnown {
        let cooperative =
            unsafe String(cString: rd_kafka_rebalance_protocol(handle)) == "COOPERATIVE"
        if cooperative, isKnown {
            unsafe rd_kafka_error_destroy(rd_kafka_incremental_unassign(handle, list))
        } else {
            unsafe rd_kafka_assign(handle, nil)
        }
        if !isKnown { events.add(.trouble(KafkaError(code, "rebalancing the group"))) }
        return
    }
    let partitions = unsafe PartitionList.partitions(of: list)
    if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
        events.add(.assigned(partitions))
    } else {
        let lost = unsafe rd_kafka_assignment_lost(handle) != 0
        events.add(.revoked(partitions, lost: lost))
    }
}
