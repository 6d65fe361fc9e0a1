// Writes to the log: interactions, tombstones and items from our clients, dead letters and moved records from the
// source.
//
// One idempotent producer; a lane of its own waits for the broker's acknowledgements.

public import Interactions
import Lanes
public import Ports
import RecordDecoding
import Synchronization

/// The log's writing end. Completions run on the sink's lane.
public final class KafkaSink: RecordSink {
    private let configuration: KafkaConfiguration
    private let producer: ProducerHandle
    private let observer: any Observer
    private let lane = Lane(name: "kafka-sink")
    private let open = Atomic<Bool>(true)

    /// Throws when librdkafka refuses a setting; connects in the background.
    public init(
        configuration: KafkaConfiguration, observer: any Observer
    ) throws(KafkaError) {
        self.configuration = configuration
        self.observer = observer
        producer = try ProducerHandle(
            settings: configuration.producerSettings, observer: observer)
        serve(producer, while: { [weak self] in self?.tick() ?? false })
    }

    public func produce(
        _ interaction: ProducedInteraction,
        completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void
    ) {
        if let value = interaction.value, !value.isFinite {
            refuse("the value \(value) is not a finite number", completion)
            return
        }
        let record = OutgoingRecord(
            topic: configuration.interactionsTopic, key: Array(interaction.user.text.utf8),
            payload: json(interaction))
        send(record) { completion($0.mapError(\.portError)) }
    }

    public func produceForget(
        _ user: UserID, completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void
    ) {
        let record = OutgoingRecord(
            topic: configuration.interactionsTopic, key: Array(user.text.utf8), payload: nil)
        send(record) { completion($0.mapError(\.portError)) }
    }

    public func produceItem(
        _ id: ItemID, json: [UInt8]?,
        completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void
    ) {
        let record = OutgoingRecord(
            topic: configuration.itemsTopic, key: Array(id.text.utf8), payload: json)
        send(record) { completion($0.mapError(\.portError)) }
    }

    public func produce(
        _ entry: FeedEntry,
        completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void
    ) {
        guard let topic = configuration.feedTopic else {
            return refuse("lists are not produced (feeds.topic)", completion)
        }
        let record = OutgoingRecord(
            topic: topic, key: Array(entry.user.text.utf8), payload: json(entry))
        send(record) { completion($0.mapError(\.portError)) }
    }

    /// Waits for what is on its way, at most this long each for delivering and for giving up; then stops the lane.
    /// Not to be called on the sink's lane.
    public func close(waitingAtMostMilliseconds milliseconds: Int = 5_000) {
        guard open.exchange(false, ordering: .acquiringAndReleasing) else { return }
        producer.wake()
        lane.run { [producer] in producer.close(waitingAtMost: Int32(clamping: milliseconds)) }
        lane.stop()
    }

    deinit {
        if lane.isCurrent {
            open.store(false, ordering: .releasing)
            lane.finish()
        } else {
            close(waitingAtMostMilliseconds: 0)
        }
    }

    /// The topics are known to exist: from now on the first record for one need not wait. Not before, since a
    /// producer that asks for a topic may thereby create it.
    func topicsExist() {
        producer.prepare([configuration.interactionsTopic, configuration.itemsTopic])
    }

    /// Sends one record; `delivery` is called once, on the sink's lane.
    func send(_ record: OutgoingRecord, _ delivery: @escaping Delivery) {
        guard open.load(ordering: .acquiring) else {
            delivery(.failure(KafkaError(code: .timedOut, "the sink is closed")))
            return
        }
        do throws(KafkaError) {
            try producer.produce(record, delivery)
        } catch {
            lane.run { delivery(.failure(error)) }
            producer.wake()
        }
    }

    private func refuse(
        _ reason: String,
        _ completion: @escaping @Sendable (Result<LogPosition, PortError>) -> Void
    ) {
        lane.run { completion(.failure(PortError(.refused, reason))) }
        producer.wake()
    }

    private func json(_ interaction: ProducedInteraction) -> [UInt8] {
        let fields = configuration.interactionFields
        var object = JSONObjectWriter()
        object.add(fields.user, interaction.user.text)
        object.add(fields.item, interaction.item.text)
        object.add(fields.type, interaction.type)
        object.add(fields.time, interaction.time)
        if let eventID = interaction.eventID { object.add(fields.eventID, eventID) }
        if let value = interaction.value { object.add(fields.value, value) }
        return object.finished()
    }

    /// With the entry's id: who has met it has met the record before.
    private func json(_ entry: FeedEntry) -> [UInt8] {
        let list = entry.recommendation
        var object = JSONObjectWriter()
        object.add("user", entry.user.text)
        object.add("id", entry.id.description)
        object.add("items", list.items.map(\.id.text))
        object.add("rung", list.rung)
        if let model = list.model { object.add("model", model) }
        object.add("partition", Int64(list.asOf.partition))
        object.add("offset", list.asOf.nextOffset)
        object.add("user_time", list.asOf.userTime)
        return object.finished()
    }

    /// Polls once and enqueues itself again, so that other jobs of the lane get their turn in between.
    private func serve(_ producer: ProducerHandle, while going: @escaping @Sendable () -> Bool) {
        let lane = lane
        lane.run { Self.round(lane, producer, going) }
    }

    private static func round(
        _ lane: Lane, _ producer: ProducerHandle, _ going: @escaping @Sendable () -> Bool
    ) {
        producer.poll(waitingAtMost: 100)
        guard going() else { return }
        lane.run { round(lane, producer, going) }
    }

    /// Passes trouble on; says whether the sink is still open.
    private func tick() -> Bool {
        for case .trouble(let error) in producer.handle.events.take() {
            let severity: Observation.Severity = error.isFatal ? .error : .warning
            observer.observe(
                .note(severity, "Kafka producer: \(error.reason)", [("code", error.code.name)]))
        }
        return open.load(ordering: .acquiring)
    }
}
