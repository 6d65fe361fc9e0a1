// How the engine's lane reaches an event loop: everything is left in a box, and only the first one to leave something
// wakes the loop. A burst of replies costs one wake-up, and each connection is flushed once.

import Interactions
import NIOCore
import Ports
import Synchronization
import WireProtocol

/// A reply on its way to the slot that waits for it.
struct Delivery: Sendable {
    enum Body: Sendable {
        case encode(@Sendable (inout ReplyWriter) -> Void)
        /// The answer to an `XREAD`, which may decide to wait on.
        case feeds(Result<[FeedEntry], PortError>)
    }

    var connection: UInt64
    var ticket: UInt64
    var body: Body
    /// The prefix of the error it is, for the observer.
    var failure: String?
    /// What answered, for the observer.
    var rung = ""
    /// Under which version of which user the reply may be given again.
    var cacheTag: (user: UserID, version: UInt64)?
}

/// A change without a list, for `PSUBSCRIBE`.
struct Hint: Sendable {
    var user: UserID
    var asOf: AsOf
    var skipped: Int
}

final class LoopInbox: FeedObserver {
    struct Content {
        var deliveries: [Delivery] = []
        /// Newest entry per user; bounded by the users this loop watches.
        var feeds: [UserID: FeedEntry] = [:]
        /// Newest change per user, at most `hintsMax`.
        var hints: [UserID: Hint] = [:]
        /// Changes that found `hints` full.
        var droppedHints = 0

        var isEmpty: Bool {
            deliveries.isEmpty && feeds.isEmpty && hints.isEmpty && droppedHints == 0
        }
    }

    private struct State {
        var content = Content()
        var target: NIOLoopBound<LoopContext>?
    }

    private let state = Mutex(State())
    private let hintsMax: Int
    private let counters: Counters

    init(hintsMax: Int, counters: Counters) {
        self.hintsMax = hintsMax
        self.counters = counters
    }

    func attach(_ target: NIOLoopBound<LoopContext>) { state.withLock { $0.target = target } }

    /// Ends the cycle of references between box and loop; what comes later is dropped.
    func detach() { state.withLock { $0 = State() } }

    func take() -> Content {
        state.withLock { state in
            var content = Content()
            swap(&content, &state.content)
            return content
        }
    }

    func deliver(_ delivery: Delivery) { leave { $0.deliveries.append(delivery) } }

    func feedChanged(_ entry: FeedEntry) {
        leave { content in
            var entry = entry
            if let waiting = content.feeds[entry.user] {
                entry.skipped += waiting.skipped + 1
                counters.messagesCoalesced.increase()
            }
            content.feeds[entry.user] = entry
        }
    }

    func userChanged(_ user: UserID, asOf: AsOf) {
        leave { content in
            if let waiting = content.hints[user] {
                content.hints[user] = Hint(user: user, asOf: asOf, skipped: waiting.skipped + 1)
                counters.messagesCoalesced.increase()
            } else if content.hints.count < hintsMax {
                content.hints[user] = Hint(user: user, asOf: asOf, skipped: 0)
            } else {
                content.droppedHints += 1
            }
        }
    }

    private func leave(_ change: (inout Content) -> Void) {
        let wake: NIOLoopBound<LoopContext>? = state.withLock { state in
            guard let target = state.target else { return nil }
            let first = state.content.isEmpty
            change(&state.content)
            return first ? target : nil
        }
        if let wake { wake.eventLoop.execute { wake.value.drain() } }
    }
}
