// The real clock: the only place of the program that reads one for the pipeline.

import Glibc
import Interactions
import Ports

struct SystemClock: Clock {
    var wallMilliseconds: Milliseconds {
        let time = Self.read(CLOCK_REALTIME)
        return Milliseconds(time.tv_sec) * 1_000 + Milliseconds(time.tv_nsec) / 1_000_000
    }

    var monotonicSeconds: Double {
        let time = Self.read(CLOCK_MONOTONIC)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return time
    }
}
