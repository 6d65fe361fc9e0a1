// What librdkafka answered, as a value that says what to do about it.

import CRdKafka
import Ports

/// A refusal or failure of the broker or the library.
public struct KafkaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// librdkafka's code: the broker's are positive, the library's own negative.
    public struct Code: Sendable, Hashable {
        public var rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }
        init(_ code: rd_kafka_resp_err_t) { rawValue = code.rawValue }

        public static let invalidSetting = Code(RD_KAFKA_RESP_ERR__INVALID_ARG)
        public static let queueFull = Code(RD_KAFKA_RESP_ERR__QUEUE_FULL)
        public static let timedOut = Code(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        public static let tooLarge = Code(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        public static let unknownTopic = Code(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)

        public var name: String { unsafe String(cString: rd_kafka_err2name(raw)) }
        public var meaning: String { unsafe String(cString: rd_kafka_err2str(raw)) }
        var raw: rd_kafka_resp_err_t { rd_kafka_resp_err_t(rawValue) }
    }

    public var code: Code
    /// Names the thing, the value and the way out.
    public var reason: String

    public init(code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    init(_ code: rd_kafka_resp_err_t, _ doing: String) {
        self.code = Code(code)
        reason = "\(doing): \(self.code.meaning) (\(self.code.name))"
    }

    public var description: String { reason }

    /// Whether waiting cannot help: somebody has to change a permission, a topic or a setting.
    public var isFatal: Bool { Self.fatal.contains(code.rawValue) }

    /// Whether the same call may work later.
    public var isRetriable: Bool { Self.retriable.contains(code.rawValue) }

    private static let fatal: Set<Int32> = [
        RD_KAFKA_RESP_ERR__FATAL.rawValue,
        RD_KAFKA_RESP_ERR__AUTHENTICATION.rawValue,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED.rawValue,
        RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED.rawValue,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED.rawValue,
        RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED.rawValue,
        RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID.rawValue,
    ]

    private static let retriable: Set<Int32> = [
        RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue,
        RD_KAFKA_RESP_ERR__MSG_TIMED_OUT.rawValue,
        RD_KAFKA_RESP_ERR__TIMED_OUT.rawValue,
        RD_KAFKA_RESP_ERR__TRANSPORT.rawValue,
        RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue,
        RD_KAFKA_RESP_ERR__PURGE_QUEUE.rawValue,
        RD_KAFKA_RESP_ERR__PURGE_INFLIGHT.rawValue,
        RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC.rawValue,
        RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION.rawValue,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE.rawValue,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION.rawValue,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT.rawValue,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS.rawValue,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND.rawValue,
        RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED.rawValue,
    ]

    /// The same in the domain's terms.
    var portError: PortError {
        if code == .timedOut { return PortError(.timeout, reason) }
        return PortError(isRetriable ? .unavailable : .refused, reason)
    }
}
