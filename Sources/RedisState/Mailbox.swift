// The way from any thread to a worker that waits: steps in order, one wake-up for a run of them.

import Lanes
import Synchronization

final class Mailbox: Sendable {
    private struct State {
        var steps: [Step] = []
        var depth = 0
        var deadline: Double?
    }

    private let state = Mutex(State())
    private let semaphore = Semaphore()

    /// Steps not settled yet.
    var depth: Int { state.withLock { $0.depth } }

    /// Returns false once the box is closed.
    func put(_ step: Step) -> Bool {
        let wake: Bool? = state.withLock { state in
            guard state.deadline == nil else { return nil }
            state.steps.append(step)
            state.depth += 1
            return state.steps.count == 1
        }
        if wake == true { semaphore.signal() }
        return wake != nil
    }

    /// Moves what arrived to the end of `queue`, after waiting for it at most so long; returns the deadline set by
    /// `close`.
    func take(into queue: inout [Step], waitingMilliseconds: Int) -> Double? {
        if waitingMilliseconds > 0, state.withLock({ $0.steps.isEmpty }) {
            _ = semaphore.wait(milliseconds: waitingMilliseconds)
        }
        return state.withLock { state in
            queue.append(contentsOf: state.steps)
            state.steps.removeAll(keepingCapacity: true)
            return state.deadline
        }
    }

    func settled(_ count: Int) { state.withLock { $0.depth -= count } }

    /// Lets nothing more in and tells the worker to be done by `deadline` (monotonic seconds).
    func close(deadline: Double) {
        state.withLock { $0.deadline = min($0.deadline ?? deadline, deadline) }
        semaphore.signal()
    }
}
