// A thread that calls at regular intervals: the daemon's only timer outside the event loops.

import CShims
import Glibc
import Synchronization

public final class Ticker: Sendable {
    private let stopping = Semaphore()
    private let thread = Mutex<pthread_t?>(nil)

    public init() {}

    /// Calls `body` every so often, on a thread of its own, until `stop`.
    public func start(everyMilliseconds interval: Int, _ body: @escaping @Sendable () -> Void) {
        thread.withLock { slot in
            precondition(slot == nil, "a ticker is started once")
            slot = spawnThread { [stopping] in
                _ = unsafe shims_name_current_thread("ticker")
                while !stopping.wait(milliseconds: interval) { body() }
            }
        }
    }

    /// Returns when no further call will come.
    public func stop() {
        guard let handle = thread.withLock({ $0.take() }) else { return }
        stopping.signal()
        pthread_join(handle, nil)
    }
}
