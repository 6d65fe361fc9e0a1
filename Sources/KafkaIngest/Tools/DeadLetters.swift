// Looking through the dead letters, and giving those another chance that can be applied by now.

import CRdKafka
public import Interactions
import Lanes
public import Ports
import RecordDecoding
import Synchronization

/// A record that could not be applied, with the reason and where it came from.
public struct DeadLetter: Sendable, Hashable {
    /// Where it lies in the dead-letter topic.
    public var position: LogPosition
    public var originTopic: String
    public var originPartition: PartitionIndex
    public var originOffset: Offset
    public var reason: String
    public var message: String
    public var key: [UInt8]?
    public var payload: [UInt8]?
    public var timestamp: Milliseconds?
    /// The original's own headers.
    public var headers: [KafkaHeader]
    /// The payload's size before the broker made us cut it; nil when it is whole.
    public var truncatedFromBytes: Int?

    /// As one word: `topic/partition/offset`.
    public var origin: String { "\(originTopic)/\(originPartition)/\(originOffset)" }

    init(_ message: borrowing KafkaMessage) {
        let all = message.headers
        func text(_ name: String) -> String { all.last { $0.name == name }?.text ?? "" }
        position = LogPosition(partition: message.partition, offset: message.offset)
        originTopic = text(DeadLetterHeader.topic)
        originPartition = PartitionIndex(text(DeadLetterHeader.partition)) ?? -1
        originOffset = Offset(text(DeadLetterHeader.offset)) ?? -1
        reason = text(DeadLetterHeader.exception)
        self.message = text(DeadLetterHeader.message)
        key = message.key
        payload = message.payload
        timestamp = message.timestamp
        headers = all.filter { !$0.name.hasPrefix(DeadLetterHeader.prefix) }
        truncatedFromBytes = Int(text(DeadLetterHeader.truncated))
    }
}

/// What became of the letters of one replay.
public struct DeadLetterReplay: Sendable, Hashable {
    public var read = 0
    public var replayed = 0
    /// Still not applicable, by reason; they stay where they are.
    public var refused: [String: Int] = [:]
}

/// The dead-letter topic. Calls block.
public final class DeadLetters {
    private let configuration: KafkaConfiguration
    private let clock: any Clock
    private let reader: ConsumerHandle

    static let stallSecondsMax = 15.0

    public init(
        configuration: KafkaConfiguration, clock: any Clock,
        observer: any Observer = NullObserver()
    ) throws(KafkaError) {
        self.configuration = configuration
        self.clock = clock
        let settings = try configuration.readerSettings(group: "dlq")
        reader = try ConsumerHandle(
            topic: configuration.deadLetterTopic,
            settings: settings + [("enable.partition.eof", "true")], observer: observer)
    }

    deinit { reader.close() }

    /// Visits the letters that are there now, partition by partition in order; all of them, or those that came since
    /// the last replay. `visit` returns whether to go on.
    public func visit(all: Bool = true, _ visit: (DeadLetter) -> Bool) throws(KafkaError) {
        guard var pending = try startPositions(all: all), !pending.isEmpty else { return }
        try reader.assign(
            pending.sorted { $0.key < $1.key }
                .map { StartPosition(partition: $0.key, offset: $0.value.lowerBound) },
            incremental: false)
        defer { try? reader.unassign([], incremental: false) }
        var lastNews = clock.monotonicSeconds
        while !pending.isEmpty {
            guard clock.monotonicSeconds - lastNews < Self.stallSecondsMax else {
                throw KafkaError(code: .timedOut, "the broker stopped sending dead letters")
            }
            if let event = reader.poll(waitingAtMost: 0), !event.isRecord,
                event.error.isFatal
            {
                throw event.error
            }
            guard let message = reader.nextRecord(waitingAtMost: 100) else { continue }
            lastNews = clock.monotonicSeconds
            if message.code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
                pending[message.partition] = nil
                continue
            }
            guard message.isRecord else { throw message.error }
            guard let range = pending[message.partition], message.offset < range.upperBound
            else { continue }
            if !visit(DeadLetter(message)) { return }
            if message.offset + 1 >= range.upperBound { pending[message.partition] = nil }
        }
    }

    /// Produces every letter again that decodes today, keyed by its user or item. Events without an id get the place
    /// of
    /// their original as id, so that a letter replayed twice counts once. Remembers, unless `matching` leaves some
    /// out, up to where it came.
    public func replay(
        through sink: KafkaSink, all: Bool = false, matching: (DeadLetter) -> Bool = { _ in true }
    ) throws(KafkaError) -> DeadLetterReplay {
        var replay = DeadLetterReplay()
        var next: [PartitionIndex: Offset] = [:]
        var isComplete = true
        let books = Books()
        var revival = Revival(configuration: configuration, now: clock.wallMilliseconds)
        try visit(all: all) { letter in
            replay.read += 1
            next[letter.position.partition] = letter.position.offset + 1
            guard matching(letter) else {
                isComplete = false
                return true
            }
            switch revival.record(of: letter) {
            case .success(let record):
                books.wait(below: Books.outstandingMax)
                books.begin()
                sink.send(record) { books.end($0) }
                replay.replayed += 1
            case .failure(let rejection):
                replay.refused[rejection.reason.rawValue, default: 0] += 1
            }
            return true
        }
        books.wait(below: 1)
        if let failure = books.failure { throw failure }
        if isComplete, !next.isEmpty {
            try reader.commit(next.map { StartPosition(partition: $0.key, offset: $0.value) })
        }
        return replay
    }

    /// From where to where each partition is to be read; nil when there is no such topic.
    private func startPositions(
        all: Bool
    ) throws(KafkaError) -> [PartitionIndex: Range<Offset>]? {
        let count: Int32
        do throws(KafkaError) {
            count = try reader.handle.partitionCount(of: reader.topic, waitingAtMost: 10_000)
        } catch {
            let unknown: [KafkaError.Code] = [
                .unknownTopic, KafkaError.Code(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART),
            ]
            if unknown.contains(error.code) { return nil }
            throw error
        }
        let done = all ? [:] : try reader.committed(Array(0..<count), waitingAtMost: 10_000)
        var ranges: [PartitionIndex: Range<Offset>] = [:]
        for partition in 0..<count {
            let kept = try reader.handle.watermarks(
                topic: reader.topic, partition, waitingAtMost: 10_000)
            let start = max(kept.lowerBound, done[partition] ?? 0)
            if start < kept.upperBound { ranges[partition] = start..<kept.upperBound }
        }
        return ranges
    }
}

/// Decides whether a letter can be applied today.
private struct Revival: ~Copyable {
    private let configuration: KafkaConfiguration
    private let now: Milliseconds
    private var decoder: InteractionDecoder
    private var itemDecoder: ItemDecoder

    init(configuration: KafkaConfiguration, now: Milliseconds) {
        self.configuration = configuration
        self.now = now
        decoder = InteractionDecoder(
            fields: configuration.interactionFields, types: configuration.eventTypes,
            limits: configuration.limits)
        itemDecoder = ItemDecoder(
            fields: configuration.itemFields, limits: configuration.limits)
    }

    mutating func record(of letter: DeadLetter) -> Result<OutgoingRecord, Rejection> {
        if let size = letter.truncatedFromBytes {
            return .failure(Rejection(.payloadTooLarge, "cut from \(size) bytes"))
        }
        if letter.originTopic == configuration.itemsTopic { return item(letter) }
        return interaction(letter)
    }

    private mutating func item(_ letter: DeadLetter) -> Result<OutgoingRecord, Rejection> {
        let id: ItemID
        switch itemDecoder.decode(key: [UInt8]?.none, payload: letter.payload) {
        case .change(.set(let record, json: _)): id = record.id
        case .change(.withdraw(let item)): id = item
        case .empty: return .failure(Rejection(.missingField, "there is no payload"))
        case .rejected(let rejection): return .failure(rejection)
        }
        return .success(revived(letter, key: id.text, payload: letter.payload))
    }

    /// The key may be what was wrong, so the payload alone decides.
    private mutating func interaction(_ letter: DeadLetter) -> Result<OutgoingRecord, Rejection> {
        let outcome = decoder.decode(
            key: letter.payload == nil ? letter.key : nil, payload: letter.payload,
            recordTime: letter.timestamp, now: now)
        switch outcome {
        case .entry(let entry, let notes):
            var payload = letter.payload
            if notes.contains(.unidentified), let original = payload {
                payload = appending(
                    configuration.interactionFields.eventID, letter.origin, toObject: original)
            }
            return .success(revived(letter, key: entry.user.text, payload: payload))
        case .empty: return .failure(Rejection(.missingField, "there is neither key nor payload"))
        case .rejected(let rejection): return .failure(rejection)
        }
    }

    private func revived(
        _ letter: DeadLetter, key: String, payload: [UInt8]?
    ) -> OutgoingRecord {
        OutgoingRecord(
            topic: letter.originTopic, key: Array(key.utf8), payload: payload,
            timestamp: letter.timestamp,
            headers: letter.headers.filter { $0.name != movedHeader })
    }
}

/// Counts records that are on their way to the broker.
private final class Books: Sendable {
    static let outstandingMax = 10_000

    private struct State {
        var outstanding = 0
        var failure: KafkaError?
    }

    private let state = Mutex(State())
    private let semaphore = Semaphore()

    func begin() { state.withLock { $0.outstanding += 1 } }

    func end(_ result: Result<LogPosition, KafkaError>) {
        state.withLock { state in
            state.outstanding -= 1
            if case .failure(let error) = result { state.failure = state.failure ?? error }
        }
        semaphore.signal()
    }

    func wait(below count: Int) {
        while state.withLock({ $0.outstanding }) >= count { semaphore.wait() }
    }

    var failure: KafkaError? { state.withLock { $0.failure } }
}
