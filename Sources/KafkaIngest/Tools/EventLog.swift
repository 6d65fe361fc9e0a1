// A recorded log of interactions, one JSON object a line, read as records to produce.

import Glibc
import Interactions
import RecordDecoding

/// The lines of a file as records: the key is the user, the timestamp the event's time.
public final class EventLog: Sequence, IteratorProtocol {
    public let path: String
    /// Lines that are no interaction; they are left out.
    public private(set) var rejectedLines = 0
    /// The first of them, with its number.
    public private(set) var firstRejection: String?
    private var lineNumber = 0
    private let file: Int32
    private var buffer: [UInt8] = []
    private var at = 0
    private var isAtEnd = false
    private var decoder: InteractionDecoder

    static let chunkBytes = 256 * 1_024
    /// A longer line is one rejected line.
    static let lineBytesMax = 1_024 * 1_024

    public init(path: String, configuration: KafkaConfiguration) throws(KafkaError) {
        self.path = path
        file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        decoder = InteractionDecoder(
            fields: configuration.interactionFields, types: configuration.eventTypes,
            limits: configuration.limits)
        guard file >= 0 else {
            let reason = unsafe String(cString: strerror(errno))
            throw KafkaError(code: .invalidSetting, "cannot read the log `\(path)`: \(reason)")
        }
    }

    deinit { if file >= 0 { close(file) } }

    public func next() -> BulkRecord? {
        while let line = nextLine() {
            lineNumber += 1
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) { continue }
            let outcome = decoder.decode(
                key: [UInt8]?.none, payload: line, recordTime: nil, now: DecodingLimits.timeMax)
            switch outcome {
            case .entry(.interaction(let interaction), _):
                return BulkRecord(
                    key: Array(interaction.user.text.utf8), payload: line,
                    timestamp: interaction.time)
            case .entry(.forget, _), .empty: continue
            case .rejected(let rejection):
                rejectedLines += 1
                if firstRejection == nil { firstRejection = "line \(lineNumber): \(rejection)" }
            }
        }
        return nil
    }

    private func nextLine() -> [UInt8]? {
        var searched = at
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { at = end + 1 }
                return Array(buffer[at..<end])
            }
            searched = buffer.count
            if isAtEnd {
                guard at < buffer.count else { return nil }
                defer { at = buffer.count }
                return Array(buffer[at...])
            }
            if buffer.count - at > Self.lineBytesMax {
                // Given out in pieces, none of which is an object.
                defer { at = buffer.count }
                return Array(buffer[at...])
            }
            searched -= at
            buffer.removeSubrange(..<at)
            at = 0
            fill()
        }
    }

    private func fill() {
        let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { room, count in
            var got = unsafe read(file, room.baseAddress, Self.chunkBytes)
            while got < 0 && errno == EINTR {
                got = unsafe read(file, room.baseAddress, Self.chunkBytes)
            }
            count = got < 0 ? 0 : got
        }
        if chunk.isEmpty { isAtEnd = true }
        buffer.append(contentsOf: chunk)
    }
}
