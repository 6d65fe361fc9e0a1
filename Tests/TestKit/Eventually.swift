// Waiting for a real process: a condition is polled until it holds or the deadline passes; nothing ever just sleeps.

/// Polls `condition` until it holds; returns whether it did within the limit.
public func eventually(
    within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while true {
        if try await condition() { return true }
        if clock.now >= deadline { return false }
        try? await clock.sleep(for: .milliseconds(5))
    }
}
