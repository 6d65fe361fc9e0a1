// A Kafka broker for development, demonstrations and tests: librdkafka's mock cluster.
//
// It listens on 127.0.0.1 on ports of its own choosing, keeps the newest 5 MiB of each partition in memory and
// forgets everything when it ends. Real brokers wake a waiting fetch; this one does not, so consumers set
// `fetch.wait.max.ms` low.

import CRdKafka
import Glibc
import Interactions
import Ports

/// A broker inside this process.
@safe
public final class DevelopmentBroker: @unchecked Sendable {
    // Unchecked because the mock cluster takes calls from any thread; the pointer never changes.
    private let cluster: OpaquePointer
    private let handle: KafkaHandle
    /// What clients connect to.
    public let bootstrapServers: String

    /// Settings a client of this broker should have for latency: see the top of the file.
    public static let clientSettings = ["fetch.wait.max.ms": "5"]
    /// What a partition keeps, so how far a producer may run ahead of its consumers.
    public static let partitionBytesMax = 5 * 1_024 * 1_024

    public init(topics: [(name: String, partitions: Int32)], brokers: Int = 1) throws(KafkaError) {
        handle = try KafkaHandle(.producer, settings: [], observer: NullObserver())
        guard let made = unsafe rd_kafka_mock_cluster_new(handle.raw, Int32(clamping: brokers)),
            let servers = unsafe rd_kafka_mock_cluster_bootstraps(made)
        else {
            throw KafkaError(
                code: .invalidSetting, "no development broker could be started (\(brokers) brokers)"
            )
        }
        unsafe cluster = made
        unsafe bootstrapServers = String(cString: servers)
        for topic in topics { try createTopic(topic.name, partitions: topic.partitions) }
    }

    deinit { unsafe rd_kafka_mock_cluster_destroy(cluster) }

    public func createTopic(_ name: String, partitions: Int32) throws(KafkaError) {
        let code = unsafe rd_kafka_mock_topic_create(cluster, name, partitions, 1)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code, "creating topic `\(name)` with \(partitions) partitions")
        }
    }

    /// Closes all connections and takes no new ones, or takes them again.
    public func setDown(_ down: Bool) {
        if down {
            _ = unsafe rd_kafka_mock_broker_set_down(cluster, -1)
        } else {
            _ = unsafe rd_kafka_mock_broker_set_up(cluster, -1)
        }
    }

    /// The next `count` requests of this kind fail. Kinds and codes are the Kafka protocol's numbers: produce is 0,
    /// fetch 1.
    public func failNext(_ count: Int, requestsOfKind kind: Int16, with code: KafkaError.Code) {
        let codes = [rd_kafka_resp_err_t](repeating: code.raw, count: count)
        unsafe rd_kafka_mock_push_request_errors_array(cluster, kind, codes.count, codes)
    }

    /// Asking for the topic fails with this code from now on; nil lets it succeed again.
    public func fail(topic: String, with code: KafkaError.Code?) {
        let raw = code?.raw ?? RD_KAFKA_RESP_ERR_NO_ERROR
        unsafe rd_kafka_mock_topic_set_error(cluster, topic, raw)
    }

    public func setRoundTrip(milliseconds: Int) {
        _ = unsafe rd_kafka_mock_broker_set_rtt(cluster, -1, Int32(clamping: milliseconds))
    }
}

/// Serves until there are no more commands. `announce` gets the bootstrap servers first, then one answer a command:
/// `down <ms>` takes the broker away for a while, `error <kind> <code> <count>` makes requests fail, `rtt <ms>` slows
/// answers.
public func runDevelopmentBroker(
    topics: [(name: String, partitions: Int32)], brokers: Int,
    announce: (String) -> Void, nextCommand: () -> String?
) throws(KafkaError) {
    let broker = try DevelopmentBroker(topics: topics, brokers: brokers)
    announce(broker.bootstrapServers)
    while let line = nextCommand() {
        let words = line.split(separator: " ")
        let numbers = words.dropFirst().compactMap { Int32($0) }
        switch (words.first, numbers.count) {
        case ("down", 1):
            broker.setDown(true)
            usleep(UInt32(clamping: numbers[0]) * 1_000)
            broker.setDown(false)
            announce("up")
        case ("error", 3):
            broker.failNext(
                Int(numbers[2]), requestsOfKind: Int16(clamping: numbers[0]),
                with: KafkaError.Code(rawValue: numbers[1]))
            announce("ok")
        case ("rtt", 1):
            broker.setRoundTrip(milliseconds: Int(numbers[0]))
            announce("ok")
        default:
            announce(
                "unknown command `\(line)`: down <ms> | error <kind> <code> <count> | rtt <ms>")
        }
    }
}
