// Lines for people: which observations are told, how often, and in what form.

import Foundation
import Logging
import Ports
import Testing

@testable import Telemetry

@Suite("log lines")
struct LogTests {
    let clock = ManualClock()

    @Test("observations worth telling become lines, at their level")
    func lines() {
        let sink = KeepingSink()
        let writer = LogWriter(level: .notice, sink: sink)
        let telemetry = Telemetry(clock: clock, log: writer, version: "1")
        for observation in oneOfEach { telemetry.observe(observation) }
        writer.stop()
        #expect(
            sink.lines.map(\.message) == [
                "records rejected", "ingest paused", "ingest resumed", "partitions changed",
                "fenced: another instance owns the partition",
                "offset gap: the log no longer has the record to be read next", "store trouble",
                "store works", "recovered", "started",
            ])
        #expect(telemetry.snapshot().notes.count == 12, "info is kept for the page, debug is not")
    }

    @Test("what repeats is told once in ten seconds, with how often it was held back")
    func throttle() {
        let sink = KeepingSink()
        let writer = LogWriter(level: .debug, sink: sink)
        let telemetry = Telemetry(clock: clock, log: writer, version: "1")
        func reject(_ reason: String) {
            telemetry.observe(.recordsRejected(topic: "t", reason: reason, records: 1))
        }
        for _ in 0..<50 { reject("a") }
        reject("b")
        clock.advance(11)
        reject("a")
        writer.stop()
        #expect(sink.lines.count == 3)
        #expect(sink.lines[2].fields.contains { $0 == ("untold", "49") })
        var many = LogThrottle()
        for index in 0..<1_000 { _ = many.admit("\(index)", now: 0) }
        #expect(many.admit("new", now: 0) == nil, "keys beyond the limit share one")
    }

    @Test("a slow sink loses lines and counts them, and never makes the caller wait")
    func slowSink() {
        final class StuckSink: LogSink {
            let gate = DispatchSemaphore(value: 0)
            func write(_ line: LogLine) { gate.wait() }
        }
        let sink = StuckSink()
        let writer = LogWriter(level: .info, sink: sink)
        let count = LogWriter.linesWaitingMax * 2
        for index in 0..<count { writer.write(LogLine(.info, "\(index)")) }
        #expect(writer.dropped > 0)
        for _ in 0..<count { sink.gate.signal() }
        writer.stop()
    }

    @Test("stderr gets one line each, whatever is in it")
    func standardError() throws {
        let pipe = Pipe()
        let sink = StandardErrorSink(
            clock: clock, descriptor: pipe.fileHandleForWriting.fileDescriptor)
        sink.write(
            LogLine(.warning, "two\nlines", [("user", "a b"), ("n", "1"), ("x", "\u{1B}[31m")]))
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(
            text == "2023-11-14T22:15:00.000Z warning two lines user=\"a b\" n=1 x=\" [31m\"\n")
    }

    @Test("the journal gets fields by which it can be searched")
    func journal() {
        let line = LogLine(
            .error, "fenced", [("partition", "3"), ("rate-limit é", "x\ny")], file: "A.swift",
            line: 7)
        let fields = JournalSink.fields(of: line)
        #expect(fields[0] == "MESSAGE=fenced partition=3 rate-limit é=\"x y\"")
        #expect(fields.contains("PRIORITY=3"))
        #expect(fields.contains("CODE_FILE=A.swift"))
        #expect(fields.contains("CODE_LINE=7"))
        #expect(fields.contains("MILLRACE_PARTITION=3"))
        #expect(fields.contains("MILLRACE_RATE_LIMIT___=x\ny"))
        // Sending is safe without a journal.
        JournalSink().write(line)
        #expect(!JournalSink.isConnected(journalStream: nil))
        #expect(!JournalSink.isConnected(journalStream: "1:2"))
        #expect(!JournalSink.isConnected(journalStream: "x"))
    }

    @Test("long messages and many fields are cut")
    func cut() {
        let long = String(repeating: "é", count: 10_000)
        let fields = (0..<100).map { ("k\($0)", "v") }
        let made = JournalSink.fields(of: LogLine(.info, long, fields))
        #expect(made.count == 3 + LogText.fieldsMax)
        #expect(LogText.cut(long).utf8.count <= LogText.valueBytesMax)
    }

    @Test("times are written as UTC dates")
    func times() {
        #expect(UTCTime.text(0) == "1970-01-01T00:00:00.000Z")
        #expect(UTCTime.text(951_827_696_789) == "2000-02-29T12:34:56.789Z")
        #expect(UTCTime.text(4_107_542_399_999) == "2100-02-28T23:59:59.999Z")
        for odd in [Int64.min, -1, Int64.max] { _ = UTCTime.text(odd) }
    }

    @Test("swift-log's lines come out of the same writer")
    func swiftLog() {
        let sink = KeepingSink()
        let writer = LogWriter(level: .info, sink: sink)
        var logger = Logger(label: "x") { _ in LineLogHandler(writer: writer) }
        logger[metadataKey: "a"] = "1"
        logger.debug("not told")
        logger.error("told", metadata: ["b": "2"])
        writer.levelMin = .debug
        logger.debug("told now")
        writer.stop()
        #expect(sink.lines.map(\.message) == ["told", "told now"])
        #expect(sink.lines[0].fields.map(\.0) == ["a", "b"])
        #expect(sink.lines[0].severity == .error)
    }
}
