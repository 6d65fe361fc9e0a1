// One event loop's share of the server: its connections, who of them watches what, the reply cache, the nearest
// deadline.
//
// Everything in here is touched on the loop only; the inbox is the one door for other threads.

import Interactions
import NIOCore
import Ports
import WireProtocol

final class LoopContext {
    let state: ServerState
    let eventLoop: any EventLoop
    let inbox: LoopInbox
    let tallies: CommandTallies
    var cache: ReplyCache
    /// Scratch for every reply made on this loop.
    var writer = ReplyWriter()
    /// Monotonic seconds at the start of the current turn.
    private(set) var now: Double

    private var connections: [UInt64: Connection] = [:]
    /// How many interests (subscription, blocked read) each connection has in a user.
    private var watchers: [UserID: [UInt64: Int]] = [:]
    private var patternReaders: Set<UInt64> = []
    private var dirty: [Connection] = []
    private var timer: (due: NIODeadline, task: Scheduled<Void>)?
    private var draining = false
    private var drained: (() -> Void)?

    init(state: ServerState, eventLoop: any EventLoop, index: Int) {
        self.state = state
        self.eventLoop = eventLoop
        tallies = state.tallies[index]
        cache = ReplyCache(bytesMax: state.configuration.limits.cacheBytesMax)
        now = state.clock.monotonicSeconds
        inbox = LoopInbox(
            hintsMax: state.configuration.limits.hintsMax, counters: state.counters)
        inbox.attach(NIOLoopBound(self, eventLoop: eventLoop))
    }

    /// Reads the clock once for everything that happens in this turn.
    func beginTurn() { now = state.clock.monotonicSeconds }

    // MARK: - Connections

    func add(_ connection: Connection) {
        connections[connection.id] = connection
        if draining { connection.drain() }
    }

    func remove(_ connection: Connection) {
        connections[connection.id] = nil
        if draining, connections.isEmpty { finishDraining() }
    }

    /// The connection has output, or room for input, that this turn's end must see to.
    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(connection)
    }

    /// Takes what other threads left and hands it round.
    func drain() {
        beginTurn()
        let content = inbox.take()
        for delivery in content.deliveries {
            if let connection = connections[delivery.connection] {
                connection.deliver(delivery)
            } else {
                state.counters.lateReplies.increase()
            }
        }
        for (user, entry) in content.feeds {
            for id in watchers[user]?.keys.sorted() ?? [] { connections[id]?.feedChanged(entry) }
        }
        for id in patternReaders {
            guard let connection = connections[id] else { continue }
            connection.missed(content.droppedHints)
            for hint in content.hints.values { connection.userChanged(hint) }
            for entry in content.feeds.values {
                let asOf = entry.recommendation.asOf
                connection.userChanged(
                    Hint(user: entry.user, asOf: asOf, skipped: entry.skipped))
            }
        }
        settle()
    }

    /// Ends a turn: every connection touched goes on reading and is flushed once.
    func settle() {
        while let connection = dirty.popLast() {
            connection.isDirty = false
            connection.settle()
        }
    }

    // MARK: - Watching

    func watch(_ user: UserID, for connection: UInt64) {
        if watchers[user] == nil { state.service.watch([user], observer: inbox) }
        watchers[user, default: [:]][connection, default: 0] += 1
    }

    func unwatch(_ user: UserID, for connection: UInt64) {
        guard var interests = watchers[user], let count = interests[connection] else { return }
        interests[connection] = count > 1 ? count - 1 : nil
        watchers[user] = interests.isEmpty ? nil : interests
        if interests.isEmpty { state.service.unwatch([user], observer: inbox) }
    }

    func watchPatterns(_ on: Bool, for connection: UInt64) {
        let before = patternReaders.isEmpty
        if on { patternReaders.insert(connection) } else { patternReaders.remove(connection) }
        if before != patternReaders.isEmpty { state.service.watchAll(before, observer: inbox) }
    }

    // MARK: - Deadlines

    /// Makes sure that `expire` runs at `due` or before.
    func arm(_ due: NIODeadline) {
        if let timer, timer.due <= due { return }
        timer?.task.cancel()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = (due, eventLoop.scheduleTask(deadline: due) { bound.value.expire() })
    }

    private func expire() {
        timer = nil
        beginTurn()
        let moment = NIODeadline.now()
        var next = NIODeadline.distantFuture
        for connection in connections.values {
            if connection.nextDeadline <= moment { connection.expire(moment) }
            next = min(next, connection.nextDeadline)
        }
        settle()
        if next < .distantFuture { arm(next) }
    }

    // MARK: - Stopping

    /// Lets every connection finish what it accepted; `done` is called when all are closed.
    func beginDraining(_ done: @escaping () -> Void) {
        draining = true
        drained = done
        for connection in Array(connections.values) { connection.drain() }
        settle()
        if connections.isEmpty { finishDraining() }
    }

    func closeAll() {
        for connection in Array(connections.values) { connection.close(reason: "stopped") }
    }

    private func finishDraining() {
        timer?.task.cancel()
        timer = nil
        inbox.detach()
        drained?()
        drained = nil
    }
}
