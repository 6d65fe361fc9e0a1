// When a refresh is due: by time, by the number of events, or because the model's lists get worse.

import Settings

struct RefreshSchedule {
    var settings: RefreshSettings
    /// In seconds of the wall clock: the end of the last refresh, whatever came of it, or the start.
    var lastEnd: Double
    /// Events since then.
    var eventCount = 0
    /// How far the model's accuracy has fallen since it began to serve, as a share.
    var drift: Double?

    /// After a refresh the next one waits at least so long, whatever asks for it.
    static let pauseSeconds = 60.0

    /// Why a refresh is due; nil when it is not.
    func reason(now: Double) -> String? {
        guard settings.enabled else { return nil }
        let age = now - lastEnd
        let interval = settings.interval.inSeconds
        if interval > 0, age >= interval { return "interval" }
        guard age >= min(Self.pauseSeconds, interval > 0 ? interval : Self.pauseSeconds) else {
            return nil
        }
        if settings.events > 0, eventCount >= settings.events { return "events" }
        if let drift, settings.drift > 0, drift > settings.drift { return "drift" }
        return nil
    }

    /// Asks again after the pause: what was due is still.
    mutating func waitAgain(now: Double) {
        let interval = settings.interval.inSeconds
        lastEnd = now - max(0, interval - Self.pauseSeconds)
    }
}
