// Numbers for metrics, readable from any thread.

import Synchronization

final class StoreCounters: Sendable {
    let connects = Atomic<Int>(0)
    let retries = Atomic<Int>(0)
}
