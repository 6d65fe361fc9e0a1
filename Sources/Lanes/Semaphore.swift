// A counting semaphore over sem_t: how one thread waits for another without Dispatch.

import Glibc

/// Signals are never lost: a wait after a signal returns at once.
@safe
public final class Semaphore: @unchecked Sendable {
    // Unchecked because sem_t is made to be shared by threads; the pointer itself never changes.
    private let raw: UnsafeMutablePointer<sem_t>

    public init() {
        unsafe raw = .allocate(capacity: 1)
        let code = unsafe sem_init(raw, 0, 0)
        precondition(code == 0, "sem_init failed")
    }

    deinit {
        unsafe sem_destroy(raw)
        unsafe raw.deallocate()
    }

    public func signal() { _ = unsafe sem_post(raw) }

    public func wait() {
        while unsafe sem_wait(raw) != 0 && errno == EINTR {}
    }

    /// Waits at most this long; returns whether it was signalled.
    public func wait(milliseconds: Int) -> Bool {
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &deadline)
        let nanoseconds = deadline.tv_nsec + (milliseconds % 1_000) * 1_000_000
        deadline.tv_sec += milliseconds / 1_000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        while true {
            if unsafe sem_timedwait(raw, &deadline) == 0 { return true }
            if errno != EINTR { return false }
        }
    }
}
