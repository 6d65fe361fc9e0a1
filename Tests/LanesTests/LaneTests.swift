import Lanes
import Synchronization
import TestKit
import Testing

private final class Tally {
    var count = 0
}

@Suite("A lane")
struct LaneTests {
    @Test("jobs run in order on its own thread, those queued when it is stopped too")
    func orderAndStop() {
        let lane = Lane(name: "order")
        let seen = Mutex<[Int]>([])
        let strangers = Atomic(0)
        for index in 0..<1_000 {
            lane.run {
                if !lane.isCurrent { strangers.add(1, ordering: .relaxed) }
                seen.withLock { $0.append(index) }
            }
        }
        lane.stop()
        #expect(seen.withLock { $0 } == Array(0..<1_000))
        #expect(strangers.load(ordering: .relaxed) == 0)
        #expect(!lane.isCurrent)
    }

    @Test("a job that ends its own lane still runs on it, and so do those behind it")
    func finish() {
        let lane = Lane(name: "finish")
        let done = Semaphore()
        let here = Mutex<[Bool]>([])
        lane.run {
            lane.run {
                here.withLock { $0.append(lane.isCurrent) }
                done.signal()
            }
            lane.finish()
            here.withLock { $0.append(lane.isCurrent) }
        }
        #expect(done.wait(milliseconds: 20_000))
        #expect(here.withLock { $0 } == [true, true])
    }

    @Test("what is bound to a lane is reached by the jobs that outlast the call of stop")
    func boundValue() {
        let lane = Lane(name: "bound")
        let bound = LaneBound(Tally(), on: lane)
        let count = Atomic(0)
        for _ in 0..<10_000 {
            lane.run {
                bound.value.count += 1
                count.store(bound.value.count, ordering: .relaxed)
            }
        }
        lane.stop()
        #expect(count.load(ordering: .relaxed) == 10_000)
    }
}
