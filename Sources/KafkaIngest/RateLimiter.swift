// The same trouble told again and again helps nobody: once, then a count.

/// Lets one message a key through per interval and counts the others.
struct RateLimiter {
    private struct State {
        var nextSeconds: Double
        var suppressed: Int
    }

    static let keysMax = 64
    let intervalSeconds: Double
    private var states: [String: State] = [:]

    init(intervalSeconds: Double) { self.intervalSeconds = intervalSeconds }

    /// How many were suppressed since the last one, or nil when this one is to be suppressed as well.
    mutating func admit(_ key: String, now: Double) -> Int? {
        guard let state = states[key] else {
            if states.count >= Self.keysMax { states.removeAll() }
            states[key] = State(nextSeconds: now + intervalSeconds, suppressed: 0)
            return 0
        }
        if now < state.nextSeconds {
            states[key]?.suppressed += 1
            return nil
        }
        states[key] = State(nextSeconds: now + intervalSeconds, suppressed: 0)
        return state.suppressed
    }
}
