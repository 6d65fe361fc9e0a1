// What one connection follows: subscriptions (hints, the newest per user when it reads slowly) and at most one
// blocked XREAD.

import Interactions
import NIOCore
import Ports
import WireProtocol

/// An `XREAD BLOCK` that waits.
struct BlockedRead {
    var ticket: UInt64
    /// Where each user's feed is read from; nil means from now on.
    var after: [UserID: FeedID?]
    /// In the order asked.
    var users: [UserID]
    /// The service said that there is nothing yet.
    var confirmedEmpty = false
    /// What changed before the service had answered.
    var arrived: [FeedEntry] = []
}

struct FeedReader {
    static let prefix = "feed:"

    var users: Set<UserID> = []
    var patterns: [String] = []
    var blocked: BlockedRead?
    /// Messages wait while a reply with this ticket, the confirmation of a subscription, has not left.
    var barrier: UInt64 = 0
    /// Newest entry per subscribed user that could not be sent yet.
    var waiting: [UserID: FeedEntry] = [:]
    /// Newest hint per user that could not be sent yet, at most `hintsMax`.
    var waitingHints: [UserID: Hint] = [:]
    /// Hints left out, to be told with the next one.
    var missedHints = 0

    var subscriptionCount: Int { users.count + patterns.count }

    /// The user of a channel or stream name.
    static func user(_ channel: String) -> UserID? {
        guard channel.hasPrefix(prefix) else { return nil }
        return UserID(String(channel.dropFirst(prefix.count)))
    }

    static func channel(_ user: UserID) -> String { prefix + user.text }
}

extension Connection {
    // MARK: - Messages

    func feedChanged(_ entry: FeedEntry) {
        wakeBlockedRead(entry)
        guard feeds.users.contains(entry.user) else { return }
        if canSendMessages, feeds.waiting.isEmpty { return publish(entry) }
        var entry = entry
        if let older = feeds.waiting[entry.user] {
            entry.skipped += older.skipped + 1
            loop.state.counters.messagesCoalesced.increase()
        }
        feeds.waiting[entry.user] = entry
    }

    func userChanged(_ hint: Hint) {
        guard !feeds.patterns.isEmpty else { return }
        if canSendMessages, feeds.waitingHints.isEmpty { return publish(hint) }
        if let older = feeds.waitingHints[hint.user] {
            var hint = hint
            hint.skipped += older.skipped + 1
            feeds.waitingHints[hint.user] = hint
            loop.state.counters.messagesCoalesced.increase()
        } else if feeds.waitingHints.count < loop.state.configuration.limits.hintsMax {
            feeds.waitingHints[hint.user] = hint
        } else {
            missed(1)
        }
    }

    /// Hints that nobody kept: the next one says so.
    func missed(_ count: Int) {
        guard count > 0 else { return }
        feeds.missedHints += count
        loop.state.counters.hintsDropped.increase(by: count)
    }

    private var canSendMessages: Bool { hasRoomForMessages && slots.headTicket >= feeds.barrier }

    /// Sends messages that had to wait, as long as there is room.
    func sendWaitingMessages() {
        guard !feeds.waiting.isEmpty || !feeds.waitingHints.isEmpty else { return }
        while canSendMessages, let (user, entry) = feeds.waiting.first {
            feeds.waiting[user] = nil
            publish(entry)
        }
        while canSendMessages, let (user, hint) = feeds.waitingHints.first {
            feeds.waitingHints[user] = nil
            publish(hint)
        }
    }

    private func publish(_ entry: FeedEntry) {
        loop.state.counters.messagesSent.increase()
        observeFreshness(entry)
        send {
            $0.push(3)
            $0.bulk("message")
            $0.bulk(FeedReader.channel(entry.user))
            $0.bulk(FeedText.message(entry))
        }
    }

    private func publish(_ hint: Hint) {
        let channel = FeedReader.channel(hint.user)
        let text = FeedText.message(hint, missed: feeds.missedHints)
        for pattern in feeds.patterns where Glob.matches(pattern, channel) {
            feeds.missedHints = 0
            loop.state.counters.messagesSent.increase()
            send {
                $0.push(4)
                $0.bulk("pmessage")
                $0.bulk(pattern)
                $0.bulk(channel)
                $0.bulk(text)
            }
        }
    }

    private func send(_ body: (inout ReplyWriter) -> Void) {
        loop.writer.version = version
        loop.writer.removeAll()
        body(&loop.writer)
        write(message: loop.writer.bytes)
    }

    private func observeFreshness(_ entry: FeedEntry) {
        guard entry.causedAt > 0 else { return }
        let age = Double(loop.state.clock.wallMilliseconds - entry.causedAt) / 1_000
        loop.state.observer.observe(.freshness(seconds: max(0, age)))
    }

    // MARK: - Blocked XREAD

    func beginBlockedRead(_ read: BlockedRead) {
        feeds.blocked = read
        for user in read.users { loop.watch(user, for: id) }
    }

    func endBlockedRead() {
        guard let read = feeds.blocked else { return }
        feeds.blocked = nil
        for user in read.users { loop.unwatch(user, for: id) }
    }

    /// The service's answer to an `XREAD`: an answer, or the news that waiting begins.
    func feedsRead(_ ticket: UInt64, _ result: Result<[FeedEntry], PortError>) {
        switch result {
        case .failure(let error):
            endBlockedRead()
            let text = ErrorText.of(error)
            fill(ticket, failure: ErrorText.prefix(error)) { $0.error(text) }
        case .success(let entries) where !entries.isEmpty: finishRead(ticket, entries)
        case .success:
            guard let blocked = feeds.blocked, blocked.ticket == ticket else {
                return fill(ticket, failure: nil) { $0.nullArray() }
            }
            feeds.blocked?.confirmedEmpty = true
            if !blocked.arrived.isEmpty { finishRead(ticket, blocked.arrived) }
        }
    }

    private func wakeBlockedRead(_ entry: FeedEntry) {
        guard let blocked = feeds.blocked, let after = blocked.after[entry.user],
            after.map({ $0.epoch != entry.id.epoch || $0 < entry.id }) ?? true
        else { return }
        if blocked.confirmedEmpty {
            finishRead(blocked.ticket, [entry])
        } else {
            feeds.blocked?.arrived.removeAll { $0.user == entry.user }
            feeds.blocked?.arrived.append(entry)
        }
    }

    private func finishRead(_ ticket: UInt64, _ entries: [FeedEntry]) {
        endBlockedRead()
        if let newest = entries.last { observeFreshness(newest) }
        fill(ticket, failure: nil) { FeedText.write(entries, to: &$0) }
    }
}
