// Records that cannot be applied where they are: copies for the dead letters, and moves to where they belong.
//
// Dead letters carry the header names of Kafka Connect, so that tools made for those read ours.

import Interactions
import RecordDecoding

/// The headers of a dead letter.
enum DeadLetterHeader {
    static let topic = "__connect.errors.topic"
    static let partition = "__connect.errors.partition"
    static let offset = "__connect.errors.offset"
    static let connector = "__connect.errors.connector.name"
    static let task = "__connect.errors.task.id"
    static let stage = "__connect.errors.stage"
    static let decoder = "__connect.errors.class.name"
    static let exception = "__connect.errors.exception.class.name"
    static let message = "__connect.errors.exception.message"
    /// The size of the original payload, when the broker would not take all of it.
    static let truncated = "millrace.truncated.from.bytes"
    static let prefix = "__connect.errors."
}

/// On a record that was moved to its user's partition: `topic/partition/offset` of the original.
let movedHeader = "millrace.moved.from"

extension KafkaMessage {
    /// Where the record is, as one word: names it for good, so it can serve as an event id.
    func place(in topic: String) -> String { "\(topic)/\(partition)/\(offset)" }

    /// The copy that goes to the dead letters: key, payload, headers and timestamp as they came.
    func deadLetter(
        _ rejection: Rejection, from topic: String, to deadLetterTopic: String, group: String
    ) -> OutgoingRecord {
        let inherited = headers.filter { !$0.name.hasPrefix(DeadLetterHeader.prefix) }
        let added = [
            KafkaHeader(DeadLetterHeader.topic, topic),
            KafkaHeader(DeadLetterHeader.partition, String(partition)),
            KafkaHeader(DeadLetterHeader.offset, String(offset)),
            KafkaHeader(DeadLetterHeader.connector, group),
            KafkaHeader(DeadLetterHeader.task, "0"),
            KafkaHeader(DeadLetterHeader.stage, "VALUE_CONVERTER"),
            KafkaHeader(DeadLetterHeader.decoder, "millrace.RecordDecoding"),
            KafkaHeader(DeadLetterHeader.exception, rejection.reason.rawValue),
            KafkaHeader(DeadLetterHeader.message, rejection.detail),
        ]
        return OutgoingRecord(
            topic: deadLetterTopic, key: key, payload: payload, timestamp: timestamp,
            headers: inherited + added)
    }

    /// The copy that goes to `home`, keyed by its user. An event without an id gets its place as id: when we crash
    /// between producing the copy and committing the original, the second copy counts as the same event. A record
    /// that was moved before stays where it is (nil): two instances with different ideas of home would play ball with
    /// it.
    func moved(
        to home: PartitionIndex, of user: UserID, in topic: String, notes: InteractionNotes,
        eventIDField: String
    ) -> OutgoingRecord? {
        var headers = headers
        guard !headers.contains(where: { $0.name == movedHeader }) else { return nil }
        headers.append(KafkaHeader(movedHeader, place(in: topic)))
        var payload = payload
        if notes.contains(.unidentified), let original = payload {
            payload = appending(eventIDField, place(in: topic), toObject: original)
        }
        return OutgoingRecord(
            topic: topic, partition: home, key: Array(user.text.utf8), payload: payload,
            timestamp: timestamp, headers: headers)
    }
}

extension OutgoingRecord {
    /// How much of a payload is kept when the broker refuses the whole.
    static let truncatedBytesMax = 64 * 1_024

    /// The same dead letter with the beginning of its payload, or nil when it was cut before.
    func truncated() -> OutgoingRecord? {
        guard let payload, payload.count > Self.truncatedBytesMax else { return nil }
        var shorter = self
        shorter.payload = Array(payload.prefix(Self.truncatedBytesMax))
        shorter.headers.append(KafkaHeader(DeadLetterHeader.truncated, String(payload.count)))
        return shorter
    }
}
