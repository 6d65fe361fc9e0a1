// How long to wait before the next attempt: doubling, bounded, and shortened at random so that instances do not march
// in step.

struct Backoff {
    private let minMilliseconds: Int
    private let maxMilliseconds: Int
    private var nextMilliseconds: Int

    init(minMilliseconds: Int, maxMilliseconds: Int) {
        self.minMilliseconds = max(1, minMilliseconds)
        self.maxMilliseconds = max(self.minMilliseconds, maxMilliseconds)
        nextMilliseconds = self.minMilliseconds
    }

    /// The pause to make now; the one after it is longer.
    mutating func pauseMilliseconds() -> Int {
        let full = nextMilliseconds
        nextMilliseconds = min(full * 2, maxMilliseconds)
        return Int.random(in: (full + 1) / 2...full)
    }

    mutating func reset() { nextMilliseconds = minMilliseconds }
}
