// A server that fails again and again is left alone for a while, then tried with one question.

/// Times are monotonic milliseconds of the caller.
struct CircuitBreaker: Sendable {
    static let failuresMax = 5
    static let pauseMilliseconds: Int64 = 15_000

    private var failures = 0
    private var openUntil: Int64?
    private var isProbing = false

    /// Whether a question may be asked now; if so, `ended` has to follow.
    mutating func admit(now: Int64) -> Bool {
        guard let until = openUntil else { return true }
        guard now >= until, !isProbing else { return false }
        isProbing = true
        return true
    }

    mutating func ended(wasAnswered: Bool, now: Int64) {
        isProbing = false
        guard !wasAnswered else {
            failures = 0
            openUntil = nil
            return
        }
        failures += 1
        if failures >= Self.failuresMax { openUntil = now + Self.pauseMilliseconds }
    }
}
