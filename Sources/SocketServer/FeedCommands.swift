// XREAD, SUBSCRIBE and their relatives, answered the way Redis answers them.

import Interactions
import Ports
import WireProtocol

/// `XREAD`, taken apart.
private struct ReadQuery {
    var count: Int
    /// Nil: answer at once. 0: wait for ever.
    var blockMilliseconds: Int?
    var cursors: [FeedCursor]
}

extension Connection {
    func xread(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let query = try reader.readQuery(limits: loop.state.configuration.limits)
            let ticket: UInt64
            if let milliseconds = query.blockMilliseconds {
                ticket = open(
                    milliseconds: milliseconds == 0 ? nil : milliseconds,
                    atDeadline: .nullArray)
                beginBlockedRead(
                    BlockedRead(
                        ticket: ticket,
                        after: Dictionary(
                            query.cursors.map { ($0.user, $0.after) }, uniquingKeysWith: { $1 }),
                        users: query.cursors.map(\.user)))
            } else {
                let standard = loop.state.configuration.times.readDeadlineMilliseconds
                ticket = open(
                    frame: request.withFrame { Array(span: $0) },
                    milliseconds: standard)
            }
            loop.state.service.readFeeds(query.cursors, count: query.count) {
                [inbox = loop.inbox, id] result in
                inbox.deliver(Delivery(connection: id, ticket: ticket, body: .feeds(result)))
            }
        }
    }

    // MARK: - Channels

    func subscribe(_ request: Request) {
        answering { () throws(ArgumentError) in
            var users: [UserID] = []
            for index in 1..<request.count {
                guard let name = request.text(index), let user = FeedReader.user(name) else {
                    throw ArgumentError(
                        "ERR no channel '\(request.shown(index))': channels are feed:<user>")
                }
                users.append(user)
            }
            try checkRoom(users.count)
            for user in users {
                if feeds.users.insert(user).inserted { loop.watch(user, for: id) }
                confirm("subscribe", FeedReader.channel(user))
            }
        }
    }

    func psubscribe(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            var patterns: [String] = []
            while !reader.isAtEnd { patterns.append(try reader.pattern()) }
            try checkRoom(patterns.count)
            for pattern in patterns {
                if !feeds.patterns.contains(pattern) { feeds.patterns.append(pattern) }
                loop.watchPatterns(true, for: id)
                confirm("psubscribe", pattern)
            }
        }
    }

    private func checkRoom(_ count: Int) throws(ArgumentError) {
        let most = loop.state.configuration.limits.subscriptionsMax
        guard feeds.subscriptionCount + count <= most else {
            throw ArgumentError("ERR a connection may have \(most) subscriptions; use another one")
        }
    }

    func unsubscribe(_ request: Request) {
        var names = (1..<request.count).map { request.shown($0, bytesMax: .max) }
        if names.isEmpty { names = feeds.users.sorted().map(FeedReader.channel) }
        if names.isEmpty { confirm("unsubscribe", nil) }
        for name in names {
            if let user = FeedReader.user(name), feeds.users.remove(user) != nil {
                feeds.waiting[user] = nil
                loop.unwatch(user, for: id)
            }
            confirm("unsubscribe", name)
        }
    }

    func punsubscribe(_ request: Request) {
        var names = (1..<request.count).map { request.shown($0, bytesMax: .max) }
        if names.isEmpty { names = feeds.patterns }
        if names.isEmpty { confirm("punsubscribe", nil) }
        for name in names {
            feeds.patterns.removeAll { $0 == name }
            if feeds.patterns.isEmpty { endPatterns() }
            confirm("punsubscribe", name)
        }
    }

    func unsubscribeAll() {
        for user in feeds.users { loop.unwatch(user, for: id) }
        feeds.users = []
        feeds.waiting = [:]
        feeds.patterns = []
        endPatterns()
    }

    private func endPatterns() {
        feeds.waitingHints = [:]
        feeds.missedHints = 0
        loop.watchPatterns(false, for: id)
    }

    /// Tells how many subscriptions there are now; messages wait until this has left.
    private func confirm(_ kind: String, _ name: String?) {
        let count = feeds.subscriptionCount
        reply {
            $0.push(3)
            $0.bulk(kind)
            if let name { $0.bulk(name) } else { $0.null() }
            $0.integer(count)
        }
        feeds.barrier = slots.nextTicket
        client.channels = feeds.users.count
        client.patterns = feeds.patterns.count
        recordClient()
    }
}

extension ArgumentReader {
    static let patternBytesMax = 512

    mutating func pattern() throws(ArgumentError) -> String {
        let pattern = try text("pattern")
        guard pattern.utf8.count <= Self.patternBytesMax else {
            throw ArgumentError(
                "ERR pattern has \(pattern.utf8.count) bytes: "
                    + "at most \(Self.patternBytesMax) are accepted")
        }
        return pattern
    }

    /// `[COUNT n] [BLOCK ms] STREAMS feed:<user> ... id ...`
    fileprivate mutating func readQuery(
        limits: SocketLimits
    ) throws(ArgumentError) -> ReadQuery {
        var query = ReadQuery(count: limits.feedEntriesMax, blockMilliseconds: nil, cursors: [])
        while !take("STREAMS") {
            if take("COUNT") {
                let count = try integer()
                if count > 0 { query.count = min(count, limits.feedEntriesMax) }
            } else if take("BLOCK") {
                query.blockMilliseconds = try block()
            } else {
                throw .syntax
            }
        }
        let names = request.count - next
        guard names > 0, names % 2 == 0 else {
            throw ArgumentError(
                "ERR Unbalanced 'xread' list of streams: "
                    + "for each stream key an ID or '$' must be specified.")
        }
        for index in next..<next + names / 2 {
            guard let name = request.text(index), let user = FeedReader.user(name) else {
                throw ArgumentError(
                    "ERR no stream '\(request.shown(index))': streams are feed:<user>")
            }
            query.cursors.append(
                FeedCursor(user: user, after: try position(index + names / 2)))
        }
        return query
    }

    private mutating func block() throws(ArgumentError) -> Int {
        guard !isAtEnd, let milliseconds = request.integer(next) else {
            throw ArgumentError("ERR timeout is not an integer or out of range")
        }
        guard milliseconds >= 0 else { throw ArgumentError("ERR timeout is negative") }
        guard milliseconds <= Self.blockMillisecondsMax else {
            throw ArgumentError("ERR timeout is out of range")
        }
        next += 1
        return milliseconds
    }

    /// About a hundred years, so that adding it to a clock cannot overflow.
    private static let blockMillisecondsMax = 100 * 366 * 24 * 3_600 * 1_000

    private func position(_ index: Int) throws(ArgumentError) -> FeedID? {
        let text = request.shown(index)
        if text == "$" { return nil }
        guard let id = FeedID(text) else {
            throw ArgumentError("ERR Invalid stream ID specified as stream command argument")
        }
        return id
    }
}
