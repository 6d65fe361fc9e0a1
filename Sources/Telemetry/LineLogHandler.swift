// swift-log's way into the same lines: what the executable and libraries log looks like what the daemon observes.

public import Logging
import Ports

/// `LoggingSystem.bootstrap { _ in LineLogHandler(writer: writer) }`
public struct LineLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level = .trace
    private let writer: LogWriter

    public init(writer: LogWriter) { self.writer = writer }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let severity = Self.severity(event.level)
        guard severity >= writer.levelMin else { return }
        let merged = metadata.merging(event.metadata ?? [:]) { $1 }
        var fields = merged.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
        if let error = event.error { fields.append(("error", "\(error)")) }
        writer.write(
            LogLine(severity, "\(event.message)", fields, file: event.file, line: event.line))
    }

    private static func severity(_ level: Logger.Level) -> Observation.Severity {
        switch level {
        case .trace, .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error, .critical: .error
        }
    }
}
