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
    /// What a turn took of late, with all that was done between; in nanoseconds.
    private let turnNanoseconds = Atomic<UInt64>(0)
    /// When the latest turn began, and whether others waited then; written on the lane only.
    private let begunNanoseconds = Atomic<UInt64>(0)
    private let wasLine = Atomic<Bool>(false)
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

    /// A request's turn has come: called on the lane, in the order of turns.
    func begin(atNanoseconds now: UInt64) {
        let before = begunNanoseconds.load(ordering: .relaxed)
        // Others stood in line when the latest turn began: what passed since is what that turn took. Where nobody
        // stood, nobody waited for it, however long ago that is.
        let isLine = waiting.wrappingSubtract(1, ordering: .relaxed).oldValue > 1
        let turn = wasLine.load(ordering: .relaxed) && now > before ? now - before : 0
        let smoothed = turnNanoseconds.load(ordering: .relaxed)
        turnNanoseconds.store(smoothed - smoothed / 16 + turn / 16, ordering: .relaxed)
        begunNanoseconds.store(now, ordering: .relaxed)
        wasLine.store(isLine, ordering: .relaxed)
    }

    /// A request is answered.
    func leave() { held.wrappingSubtract(1, ordering: .relaxed) }
}
