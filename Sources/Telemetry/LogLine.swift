// Log lines: to the systemd journal with fields that can be searched, or to stderr one line each.
//
// Lines are written on a lane of their own, because a full journal or pipe blocks and an observer must not. The queue
// is bounded; what does not fit is dropped and counted, never waited for.

import CSystemd
import Glibc
import Lanes
public import Ports
import Synchronization

public struct LogLine: Sendable {
    public var severity: Observation.Severity
    public var message: String
    public var fields: [(String, String)]
    /// Where in the source it came from, when known.
    public var file: String?
    public var line: UInt?

    public init(
        _ severity: Observation.Severity, _ message: String, _ fields: [(String, String)] = [],
        file: String? = nil, line: UInt? = nil
    ) {
        self.severity = severity
        self.message = message
        self.fields = fields
        self.file = file
        self.line = line
    }
}

/// Where lines end up.
public protocol LogSink: Sendable {
    func write(_ line: LogLine)
}

/// Filters by level, then hands lines to a sink on a lane.
public final class LogWriter: Sendable {
    public static let linesWaitingMax = 4_096

    private let lane: Lane
    private let sink: any LogSink
    private let level: Atomic<Int>
    private let droppedCount = Atomic<Int>(0)

    public init(level: Observation.Severity, sink: any LogSink) {
        self.sink = sink
        self.level = Atomic(level.rawValue)
        lane = Lane(name: "log")
    }

    public var levelMin: Observation.Severity {
        get { Observation.Severity(rawValue: level.load(ordering: .relaxed)) ?? .info }
        set { level.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// Lines lost because the sink was too slow.
    public var dropped: Int { droppedCount.load(ordering: .relaxed) }

    public func write(_ line: LogLine) {
        guard line.severity >= levelMin else { return }
        guard lane.depth < Self.linesWaitingMax else {
            droppedCount.wrappingAdd(1, ordering: .relaxed)
            return
        }
        lane.run { [sink] in sink.write(line) }
    }

    /// Writes what is waiting; returns when that is done. Nothing may be written afterwards.
    public func stop() { lane.stop() }
}

/// One line each: time, severity, message, `key=value`.
public struct StandardErrorSink: LogSink {
    private let clock: any Clock
    private let descriptor: Int32

    public init(clock: any Clock, descriptor: Int32 = 2) {
        self.clock = clock
        self.descriptor = descriptor
    }

    public func write(_ line: LogLine) {
        let text =
            "\(UTCTime.text(clock.wallMilliseconds)) \(line.severity) \(LogText.withFields(line))\n"
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// Structured fields to journald; see systemd.journal-fields(7).
public struct JournalSink: LogSink {
    public init() {}

    public func write(_ line: LogLine) {
        var storage: [UInt8] = []
        var ends: [Int] = []
        for field in Self.fields(of: line) {
            storage += Array(field.utf8)
            ends.append(storage.count)
        }
        unsafe storage.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var start = 0
            var vectors: [iovec] = unsafe []
            for end in ends {
                unsafe vectors.append(iovec(iov_base: base + start, iov_len: end - start))
                start = end
            }
            _ = unsafe sd_journal_sendv(vectors, Int32(vectors.count))
        }
    }

    /// `NAME=value`, in order.
    static func fields(of line: LogLine) -> [String] {
        var fields = [
            "MESSAGE=\(LogText.withFields(line))", "PRIORITY=\(priority(line.severity))",
            "SYSLOG_IDENTIFIER=millrace",
        ]
        if let file = line.file { fields.append("CODE_FILE=\(file)") }
        if let number = line.line { fields.append("CODE_LINE=\(number)") }
        for (name, value) in line.fields.prefix(LogText.fieldsMax) {
            fields.append("MILLRACE_\(LogText.journalName(name))=\(LogText.cut(value))")
        }
        return fields
    }

    /// syslog(3).
    private static func priority(_ severity: Observation.Severity) -> Int32 {
        switch severity {
        case .debug: LOG_DEBUG
        case .info: LOG_INFO
        case .notice: LOG_NOTICE
        case .warning: LOG_WARNING
        case .error: LOG_ERR
        }
    }

    /// Whether stderr is the journal: `journalStream` is `$JOURNAL_STREAM`, `device:inode` (systemd.exec(5)).
    public static func isConnected(journalStream: String?) -> Bool {
        var status = stat()
        guard let parts = journalStream?.split(separator: ":"), parts.count == 2,
            unsafe fstat(STDERR_FILENO, &status) == 0
        else { return false }
        return UInt(parts[0]) == status.st_dev && UInt(parts[1]) == status.st_ino
    }
}

enum LogText {
    static let fieldsMax = 32
    static let valueBytesMax = 4_096

    /// Message and fields on one line, control characters replaced.
    static func withFields(_ line: LogLine) -> String {
        var text = oneLine(cut(line.message))
        for (name, value) in line.fields.prefix(fieldsMax) {
            let value = oneLine(cut(value))
            text +=
                value.contains(" ") || value.isEmpty ? " \(name)=\"\(value)\"" : " \(name)=\(value)"
        }
        return text
    }

    /// At most `valueBytesMax` bytes, whole scalars.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > valueBytesMax else { return text }
        return String(decoding: Array(text.utf8.prefix(valueBytesMax - 4)), as: UTF8.self) + "..."
    }

    static func oneLine(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 32 || $0 == 127 }) else { return text }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
    }

    /// Journal field names: upper case letters, digits, underscore; at most 64 with the prefix.
    static func journalName(_ name: String) -> String {
        let bytes = name.utf8.prefix(48).map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 32
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
