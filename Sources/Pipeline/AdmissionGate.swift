// Who may join the queue before the engine: nobody whose turn would come too late, and no more than a bound.
//
// A queue that is longer than its requests' time only makes late what could have been answered. So the door asks how
// long the queue takes (its length times what a turn took of late) and turns a request away at once when that is more
// than its share of the deadline; who is let in is counted until answered. The engine's lane alone measures.

import Ports
import Synchronization

final class AdmissionGate: Sendable {
    /// Let in, not begun.
    private let waiting = Atomic<Int>(0)
    /// Let in, not answered.
    private let held = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)
    /// What a turn took of late in the cheapest way, with all that was done between; in nanoseconds. Dearer turns do
    /// not count: when the line gets long, they are not taken.
    private let turnNanoseconds = Atomic<UInt64>(0)
    /// When the latest turn began, and whether it counts: others wait, and it is in haste. Written on the lane only.
    private let begunNanoseconds = Atomic<UInt64>(0)
    private let isTurnMeasured = Atomic<Bool>(false)
    private let heldMax: Int

    /// `heldMax` requests are under way at most.
    init(heldMax: Int) { self.heldMax = heldMax }

    var waitingCount: Int { waiting.load(ordering: .relaxed) }
    var heldCount: Int { held.load(ordering: .relaxed) }
    var refusedCount: Int { refused.load(ordering: .relaxed) }
    var turnSeconds: Double { Double(turnNanoseconds.load(ordering: .relaxed)) / 1e9 }

    /// How long a request that joins now will wait, in seconds.
    var expectedWaitSeconds: Double { Double(waitingCount) * turnSeconds }

    /// Lets a request in that must be begun within `seconds`; else says why not.
    func enter(toBeginWithin seconds: Double) -> PortError? {
        let count = held.wrappingAdd(1, ordering: .relaxed).newValue
        let wait = expectedWaitSeconds
        guard count <= heldMax, wait <= seconds else {
            held.wrappingSubtract(1, ordering: .relaxed)
            refused.wrappingAdd(1, ordering: .relaxed)
            let waiting = waitingCount
            return PortError(
                .busy,
                count > heldMax
                    ? "\(heldMax) requests are under way already (serving.requests-max); try again"
                    : "\(waiting) requests wait, for about \(Int(wait * 1_000)) ms: try again, or "
                        + "give a longer DEADLINE")
        }
        waiting.wrappingAdd(1, ordering: .relaxed)
        return nil
    }

    /// A request's turn has come: called on the lane, in the order of turns. `isPressed`: it has waited so long that it
    /// will be answered in the cheapest way.
    func begin(atNanoseconds now: UInt64, isPressed: Bool) {
        let isLine = waiting.wrappingSubtract(1, ordering: .relaxed).oldValue > 1
        let before = begunNanoseconds.load(ordering: .relaxed)
        let smoothed = turnNanoseconds.load(ordering: .relaxed)
        if isTurnMeasured.load(ordering: .relaxed), now > before {
            let next = smoothed - smoothed / 16 + (now - before) / 16
            turnNanoseconds.store(next, ordering: .relaxed)
        } else if !isLine {
            // Nobody waits: what turns took when somebody did is soon forgotten.
            turnNanoseconds.store(smoothed - smoothed / 16, ordering: .relaxed)
        }
        begunNanoseconds.store(now, ordering: .relaxed)
        isTurnMeasured.store(isLine && isPressed, ordering: .relaxed)
    }

    /// A request is answered.
    func leave() { held.wrappingSubtract(1, ordering: .relaxed) }
}
