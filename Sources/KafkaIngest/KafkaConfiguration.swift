// Everything the Kafka side can be told, as plain values with units.

public import Interactions
public import RecordDecoding

/// Settings shared by the source, the sink and the tools.
public struct KafkaConfiguration: Sendable, Hashable {
    /// `host:port`, several separated by commas.
    public var brokers: String
    public var interactionsTopic = "interactions"
    public var itemsTopic = "items"
    public var deadLetterTopic = "millrace-dead-letters"
    /// Nil: lists are not produced.
    public var feedTopic: String?
    public var groupID = "millrace"
    /// Static membership: the same name after a restart gets the same partitions back without a rebalance.
    public var groupInstanceID: String?
    /// How all producers of the interactions topic map users to partitions.
    public var partitioner: Partitioner = .murmur2
    public var interactionFields = InteractionFields()
    public var itemFields = ItemFields()
    public var eventTypes: EventTypes
    public var limits = DecodingLimits()
    /// Records read from librdkafka in one round, at most; a batch is one partition's share of a round.
    public var batchRecordsMax = 1_000
    /// How long a round that finds the stream busy waits for more. A quiet stream is never made to wait.
    public var batchWindowMilliseconds = 2
    /// Records delivered and not yet acknowledged: at this bound reading stops, at half of it it goes on.
    public var prefetchRecordsMax = 50_000
    /// The same bound in bytes of payload.
    public var prefetchBytesMax = 32 * 1_024 * 1_024
    /// How long a revocation waits for `release`.
    public var releaseWaitMilliseconds = 10_000
    /// Handed to librdkafka as they are, after our own: TLS, SASL, time-outs.
    public var settings: [String: String] = [:]

    public init(brokers: String, eventTypes: EventTypes) {
        self.brokers = brokers
        self.eventTypes = eventTypes
    }
}

extension KafkaConfiguration {
    /// What exactly-once rests on: a pass-through setting must not touch these.
    static let reservedSettings: [String: String] = [
        "bootstrap.servers": "set `brokers` instead",
        "group.id": "set the group id instead",
        "group.instance.id": "set the group instance id instead",
        "partitioner": "set the partitioner instead",
        "enable.auto.offset.store": "offsets are stored once the state is durable",
        "auto.offset.reset": "a gap in the log is reported, never skipped in silence",
        "enable.idempotence": "the producer is always idempotent",
        "enable.partition.eof": "not used",
    ]

    var sharedSettings: [(String, String)] {
        [("bootstrap.servers", brokers), ("client.id", "millrace")]
    }

    /// Throws when librdkafka does not know a pass-through setting or refuses its value.
    public func checkSettings() throws(KafkaError) {
        _ = try KafkaSettings(consumerSettings)
        _ = try KafkaSettings(producerSettings)
    }

    /// `extra` wins over our defaults; the operator's settings win over both.
    private func merged(_ own: [(String, String)]) throws(KafkaError) -> [(String, String)] {
        for key in settings.keys.sorted() {
            guard let way = Self.reservedSettings[key] else { continue }
            throw KafkaError(
                code: .invalidSetting, "the Kafka setting `\(key)` cannot be passed through: \(way)"
            )
        }
        return own + settings.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    var consumerSettings: [(String, String)] {
        get throws(KafkaError) {
            var own = sharedSettings
            own += [
                ("group.id", groupID),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("enable.auto.commit", "true"),
                ("auto.commit.interval.ms", "500"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                // librdkafka 2.0 looks again up to a second after it found its queue full, so a full queue has to
                // last that long. Its bytes are the bound; the count, which is by default 100 000 for all partitions
                // together, is a quarter of a second.
                ("queued.max.messages.kbytes", "65536"),
                ("queued.min.messages", "1000000"),
            ]
            if let groupInstanceID { own.append(("group.instance.id", groupInstanceID)) }
            return try merged(own)
        }
    }

    /// A consumer that reads chosen partitions without being a member of the group.
    func readerSettings(group suffix: String) throws(KafkaError) -> [(String, String)] {
        var own = sharedSettings
        own += [
            // librdkafka assigns nothing to a consumer without a group, even when it never joins it.
            ("group.id", "\(groupID)-\(suffix)"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", "16384"),
        ]
        return try merged(own)
    }

    var producerSettings: [(String, String)] {
        get throws(KafkaError) {
            var own = sharedSettings
            own += [
                ("enable.idempotence", "true"),
                ("partitioner", partitioner == .murmur2 ? "murmur2_random" : "consistent_random"),
                ("linger.ms", "1"),
                ("message.timeout.ms", "30000"),
                // Dead letters carry a rejected payload of any size the topic let in; the broker has the last word.
                ("message.max.bytes", "10000000"),
                ("queue.buffering.max.kbytes", "65536"),
            ]
            return try merged(own)
        }
    }
}
