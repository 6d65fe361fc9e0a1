// Why a record cannot be applied: a stable word for machines, a sentence for people.

/// The answer to a record that asks for something we cannot or must not do. It goes to the dead letters, never away.
public struct Rejection: Error, Sendable, Hashable, CustomStringConvertible {
    /// Stable: metrics, dead letters and scripts depend on these words.
    public enum Reason: String, Sendable, CaseIterable {
        case payloadTooLarge = "payload-too-large"
        case invalidUTF8 = "invalid-utf8"
        case invalidJSON = "invalid-json"
        case notAnObject = "not-an-object"
        case missingField = "missing-field"
        case wrongType = "wrong-type"
        case invalidIdentifier = "invalid-identifier"
        case invalidTime = "invalid-time"
        case invalidValue = "invalid-value"
        case timestampInFuture = "timestamp-in-future"
        case unknownType = "unknown-type"
        case keyMismatch = "key-mismatch"
        case fieldTooLong = "field-too-long"
        case tooManyValues = "too-many-values"
        /// Was already moved once to where another instance thinks it belongs: the instances disagree on the
        /// partitions.
        case partitionMismatch = "partition-mismatch"
    }

    public var reason: Reason
    /// Names the field, the value and what would be accepted.
    public var detail: String

    public init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    public var description: String { "\(reason.rawValue): \(detail)" }
}

/// A value from outside, cut to a length fit for a message.
func excerpt(_ text: String) -> String {
    let bytesMax = 64
    guard text.utf8.count > bytesMax else { return text }
    return String(decoding: text.utf8.prefix(bytesMax), as: UTF8.self) + "…"
}
