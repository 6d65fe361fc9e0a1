// Signals as values: blocked in every thread, taken one at a time by the thread that waits for them.

import CShims
import Glibc

@safe
struct Signals {
    enum Event { case stop, reload, none }

    private var set = sigset_t()

    /// To be called before the program starts a thread, so that all inherit the mask; by the thread that will wait.
    init() {
        let numbers = [SIGTERM, SIGINT, SIGHUP]
        unsafe sigemptyset(&set)
        for signal in numbers { unsafe sigaddset(&set, signal) }
        let code = unsafe shims_take_signals_here(numbers, Int32(numbers.count))
        precondition(code == 0, "signals cannot be blocked: errno \(code)")
        // A reader that goes away is an error of its write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
    }

    /// The next signal, or `none` after this long.
    mutating func wait(milliseconds: Int) -> Event {
        var limit = timespec()
        limit.tv_sec = milliseconds / 1_000
        limit.tv_nsec = milliseconds % 1_000 * 1_000_000
        switch unsafe sigtimedwait(&set, nil, &limit) {
        case SIGTERM, SIGINT: return .stop
        case SIGHUP: return .reload
        default: return .none
        }
    }
}
