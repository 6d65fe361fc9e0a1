// From the bytes of one record of the interactions topic to what it asks for, or to the reason why not.
//
// Every odd record has one stated outcome: a null payload under a key forgets the user; one without a key is empty; a
// payload without a key names its user itself; a key that contradicts the payload is rejected; late events are kept,
// since the order of the log decides; events dated later than their record are moved back to it.

public import Interactions

/// What the fields of an interaction are called.
public struct InteractionFields: Sendable, Hashable {
    public var user = "user"
    public var item = "item"
    public var type = "type"
    public var value = "value"
    public var time = "ts"
    public var eventID = "id"

    public init() {}

    var all: [String] { [user, item, type, value, time, eventID] }
}

/// How a record was read that is not quite as it should be.
public struct InteractionNotes: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The event was dated later than its record, and moved back to it.
    public static let clamped = InteractionNotes(rawValue: 1)
    /// The record had no key; the user comes from the payload.
    public static let unkeyed = InteractionNotes(rawValue: 2)
    /// The producer sent no event id: a second copy could not be told from a second event.
    public static let unidentified = InteractionNotes(rawValue: 4)
}

public enum InteractionOutcome: Sendable, Hashable {
    case entry(LogEntry, InteractionNotes)
    /// Neither key nor payload: nothing to do and nobody to do it for.
    case empty
    case rejected(Rejection)
}

/// Decodes one record after the other; reuse it, it allocates nothing but the identifiers' text.
public struct InteractionDecoder: ~Copyable, Sendable {
    private enum Field {
        static let user = 0
        static let item = 1
        static let type = 2
        static let value = 3
        static let time = 4
        static let eventID = 5
    }

    private var reader: JSONObjectReader
    private let types: EventTypes
    private let limits: DecodingLimits

    public init(
        fields: InteractionFields = InteractionFields(), types: EventTypes,
        limits: DecodingLimits = DecodingLimits()
    ) {
        reader = JSONObjectReader(names: fields.all, bytesMax: limits.interactionBytesMax)
        self.types = types
        self.limits = limits
    }

    /// `recordTime` is the record's own timestamp (nil or negative when it has none), `now` the wall clock.
    public mutating func decode(
        key: RawSpan?, payload: RawSpan?, recordTime: Milliseconds?, now: Milliseconds
    ) -> InteractionOutcome {
        do throws(Rejection) {
            let recordTime = try accepted(recordTime, now: now)
            if let payload {
                return try interaction(key: key, payload: payload, recordTime: recordTime, now: now)
            }
            guard let key, key.byteCount > 0 else { return .empty }
            return .entry(.forget(try user(key: key)), [])
        } catch {
            return .rejected(error)
        }
    }

    /// The same for bytes in arrays.
    public mutating func decode(
        key: [UInt8]?, payload: [UInt8]?, recordTime: Milliseconds?, now: Milliseconds
    ) -> InteractionOutcome {
        withBytes(key, payload) { key, payload in
            decode(key: key, payload: payload, recordTime: recordTime, now: now)
        }
    }

    private func accepted(
        _ recordTime: Milliseconds?, now: Milliseconds
    ) throws(Rejection) -> Milliseconds? {
        guard let recordTime, recordTime >= 0 else { return nil }
        guard recordTime <= now + limits.futureTolerance else {
            throw Rejection(
                .timestampInFuture,
                "the record's timestamp \(recordTime) is \(recordTime - now) ms ahead of our clock")
        }
        return recordTime
    }

    private mutating func interaction(
        key: RawSpan?, payload: RawSpan, recordTime: Milliseconds?, now: Milliseconds
    ) throws(Rejection) -> InteractionOutcome {
        try reader.read(payload)
        var notes: InteractionNotes = []
        var named = try reader.identifierText(Field.user).flatMap { UserID($0) }
        // The key alone will do: it is what decides where the record is.
        if named == nil, let key, key.byteCount > 0 { named = try self.user(key: key) }
        guard let user = named else { throw reader.missing(Field.user) }
        guard let item = try reader.identifierText(Field.item).flatMap({ ItemID($0) })
        else { throw reader.missing(Field.item) }
        if let key, key.byteCount > 0 {
            guard key == user.text else { throw mismatch(key, user) }
        } else {
            notes.insert(.unkeyed)
        }
        let type = try typeIndex()
        let time = try eventTime(recordTime: recordTime, now: now, notes: &notes)
        let eventKey = try eventKey()
        if eventKey == 0 { notes.insert(.unidentified) }
        let value = try reader.number(Field.value)
        let interaction = Interaction(
            user: user, item: item, type: type, time: time, eventKey: eventKey, value: value)
        return .entry(.interaction(interaction), notes)
    }

    private func typeIndex() throws(Rejection) -> EventType.Index {
        guard !reader.isAbsent(Field.type) else { throw reader.missing(Field.type) }
        guard let name = try reader.shortText(Field.type, bytesMax: Identifier.bytesMax),
            let index = types.index(named: name)
        else {
            let known = types.all.map(\.name).joined(separator: ", ")
            throw Rejection(
                .unknownType,
                "`\(reader.name(Field.type))` is \"\(excerpt(reader.text(Field.type)))\"; "
                    + "configured are \(known)"
            )
        }
        return index
    }

    private func eventTime(
        recordTime: Milliseconds?, now: Milliseconds, notes: inout InteractionNotes
    ) throws(Rejection) -> Milliseconds {
        guard let time = try reader.time(Field.time, atLeast: limits.timeMin) else {
            guard let recordTime else {
                throw Rejection(
                    .missingField,
                    "`\(reader.name(Field.time))` is absent and the record has no timestamp")
            }
            return recordTime
        }
        guard time > (recordTime ?? now) + limits.futureTolerance else { return time }
        guard let recordTime else {
            throw Rejection(
                .timestampInFuture,
                "`\(reader.name(Field.time))` is \(time), \(time - now) ms ahead of our clock")
        }
        notes.insert(.clamped)
        return recordTime
    }

    /// The hash of the event id, never 0 unless there is none.
    private func eventKey() throws(Rejection) -> UInt64 {
        guard let text = try reader.identifierText(Field.eventID) else { return 0 }
        return max(1, xxh64(text))
    }

    private func user(key: RawSpan) throws(Rejection) -> UserID {
        guard let text = text(of: key) else {
            throw Rejection(.invalidUTF8, "the key is not UTF-8")
        }
        guard let user = UserID(text) else {
            throw Rejection(
                .invalidIdentifier,
                "the key has \(key.byteCount) bytes; 1 to \(Identifier.bytesMax) are accepted")
        }
        return user
    }

    private func mismatch(_ key: RawSpan, _ user: UserID) -> Rejection {
        let shown =
            text(of: key).map { "\"\(excerpt($0))\"" } ?? "\(key.byteCount) bytes, not UTF-8"
        return Rejection(
            .keyMismatch,
            "the key is \(shown), `\(reader.name(Field.user))` is \"\(excerpt(user.text))\"")
    }
}

/// Whether the bytes are the text's UTF-8.
func == (bytes: RawSpan, text: String) -> Bool {
    text.withBytes { utf8 in
        guard bytes.byteCount == utf8.count else { return false }
        for index in utf8.indices
        where unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) != utf8[index] {
            return false
        }
        return true
    }
}

/// The text that the bytes encode, or nil when they are not UTF-8.
func text(of bytes: RawSpan) -> String? {
    unsafe bytes.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
}

/// Lends two optional arrays as bytes.
func withBytes<Result>(
    _ first: [UInt8]?, _ second: [UInt8]?, _ body: (RawSpan?, RawSpan?) -> Result
) -> Result {
    switch (first, second) {
    case (nil, nil): body(nil, nil)
    case (nil, let second?): unsafe body(nil, second.span.bytes)
    case (let first?, nil): unsafe body(first.span.bytes, nil)
    case (let first?, let second?): unsafe body(first.span.bytes, second.span.bytes)
    }
}
