// Events, items, users, digests: what goes to the log, and what is known.

import Interactions
import Ports
import WireProtocol

extension Connection {
    func addEvent(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            var event = ProducedInteraction(
                user: try reader.user(), item: try reader.item(), type: try reader.eventType(),
                time: loop.state.clock.wallMilliseconds)
            while !reader.isAtEnd {
                if reader.take("TS") {
                    event.time = Milliseconds(try reader.integer())
                    guard event.time >= 0 else { throw .notInteger }
                } else if reader.take("ID") {
                    event.eventID = try reader.eventID()
                } else if reader.take("VALUE") {
                    event.value = try reader.double()
                } else {
                    throw .syntax
                }
            }
            loop.state.service.addEvent(event, reply: positionLater(request))
        }
    }

    func setItem(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let item = try reader.item()
            let json = request.bytes(2)
            if let problem = loop.state.configuration.itemProblem(json) {
                throw ArgumentError("ERR the record of item '\(item)' is refused: \(problem)")
            }
            loop.state.service.setItem(item, json: json, reply: positionLater(request))
        }
    }

    func deleteItem(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let item = try reader.item()
            loop.state.service.setItem(item, json: nil, reply: positionLater(request))
        }
    }

    func getItem(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let item = try reader.item()
            let statistics = reader.take("WITHSTATS")
            guard reader.isAtEnd else { throw .syntax }
            let reply = later(request) {
                (view: ItemView?, writer: inout ReplyWriter) in
                DataText.write(view, statistics: statistics, to: &writer)
            }
            loop.state.service.item(item, reply: reply)
        }
    }

    func getUser(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let user = try reader.user()
            let reply = later(request) {
                (view: UserView?, writer: inout ReplyWriter) in
                DataText.write(view, of: user, to: &writer)
            }
            loop.state.service.user(user, reply: reply)
        }
    }

    func getSummary(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let user = try reader.user()
            let reply = later(request) {
                (view: SummaryView?, writer: inout ReplyWriter) in
                DataText.write(view, to: &writer)
            }
            loop.state.service.summary(of: user, reply: reply)
        }
    }

    func forgetUser(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            loop.state.service.forget(try reader.user(), reply: positionLater(request))
        }
    }

    func prequential(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let (from, count) = try reader.journalRequest()
            let reply = later(request) { (page: JournalPage, writer: inout ReplyWriter) in
                writer.map(3)
                writer.field("next", page.next)
                writer.field("dropped", page.droppedCount)
                writer.field("lines", page.lines)
            }
            loop.state.service.journal(from: UInt64(from), count: count, reply: reply)
        }
    }

    func digest(_ request: Request) {
        answering { () throws(ArgumentError) in
            var partition: PartitionIndex?
            if request.count > 2 { throw .syntax }
            if request.count == 2 {
                guard let index = request.integer(1).flatMap({ PartitionIndex(exactly: $0) }),
                    index >= 0
                else { throw .notInteger }
                partition = index
            }
            let reply = later(request) {
                (view: DigestView, writer: inout ReplyWriter) in
                DataText.write(view, to: &writer)
            }
            loop.state.service.digest(partition, reply: reply)
        }
    }

    /// Where a produced record went: `partition:offset`.
    private func positionLater(_ request: Request) -> ServiceReply<LogPosition> {
        later(request) { (position: LogPosition, writer: inout ReplyWriter) in
            writer.bulk(position.description)
        }
    }
}

extension ArgumentReader {
    static let eventTypeBytesMax = 64
    static let eventIDBytesMax = 256

    mutating func eventType() throws(ArgumentError) -> String {
        try bounded("event type", bytesMax: Self.eventTypeBytesMax)
    }

    mutating func eventID() throws(ArgumentError) -> String {
        try bounded("event id", bytesMax: Self.eventIDBytesMax)
    }

    private mutating func bounded(
        _ what: String, bytesMax: Int
    ) throws(ArgumentError) -> String {
        let text = try text(what)
        guard (1...bytesMax).contains(text.utf8.count) else {
            throw ArgumentError(
                "ERR \(what) has \(text.utf8.count) bytes: 1 to \(bytesMax) are accepted")
        }
        return text
    }
}

/// How views of state look on the wire.
enum DataText {
    static func write(_ view: ItemView?, statistics: Bool, to writer: inout ReplyWriter) {
        guard let view else { return writer.null() }
        if statistics {
            writer.map(4)
            writer.bulk("json")
        }
        if let json = view.json { writer.bulk(json) } else { writer.null() }
        guard statistics else { return }
        writer.field("available", view.available)
        writer.field("count", view.count)
        writer.field("popularity", view.popularity)
    }

    static func write(_ view: UserView?, of user: UserID, to writer: inout ReplyWriter) {
        guard let view else { return writer.null() }
        writer.map(view.summary == nil ? 5 : 6)
        writer.field("user", user.text)
        writer.field("events", view.eventCount)
        writer.field("bytes", view.bytes)
        writer.bulk("history")
        writer.array(view.history.count)
        for event in view.history {
            writer.array(3)
            writer.bulk(event.item)
            writer.bulk(event.type)
            writer.integer(event.time)
        }
        if let summary = view.summary {
            writer.bulk("summary")
            write(summary, to: &writer)
        }
        writer.bulk("asof")
        ListText.write(view.asOf, rung: nil, to: &writer)
    }

    static func write(_ view: SummaryView?, to writer: inout ReplyWriter) {
        guard let view else { return writer.null() }
        writer.map(7)
        writer.field("text", view.text)
        writer.field("summariser", view.summariser)
        writer.field("version", String(view.version, radix: 16))
        writer.field("blocks", view.blockCount)
        writer.field("held", view.heldCount)
        writer.field("lost", view.lostCount)
        writer.field("open", view.openCount)
    }

    static func write(_ view: DigestView, to writer: inout ReplyWriter) {
        writer.map(2)
        writer.field("statistics", view.statistics)
        writer.bulk("partitions")
        writer.array(view.partitions.count)
        for partition in view.partitions {
            writer.map(4)
            writer.field("partition", partition.partition)
            writer.field("offset", partition.nextOffset)
            writer.field("digest", partition.digest.description)
            writer.field("users", partition.userCount)
        }
    }
}
