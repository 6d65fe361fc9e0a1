// How long things took: one HDR histogram for good, and two short ones that show the last seconds.
//
// Prometheus wants cumulative counts under fixed bounds, people want recent percentiles; both are read from the
// same recordings, which cost two array increments each.

import Histogram

/// Seconds in, bucket counts and percentiles out. Not thread-safe: its owner locks.
struct LatencyRecorder: Sendable {
    /// Upper bounds of the exported buckets, in microseconds.
    static let boundsMicroseconds: [UInt64] = [
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000, 60_000_000,
    ]
    /// What is longer counts as this long.
    static let microsecondsMax: UInt64 = 3_600_000_000
    /// A recent percentile covers between one and two of these.
    static let windowSeconds = 10.0

    private var total = Self.empty()
    private(set) var sumSeconds = 0.0
    private var recent: (now: Histogram<UInt32>, before: Histogram<UInt32>)?
    private var windowEnd = 0.0

    /// `keepingRecent` false saves the memory of the recent histograms (about 26 KiB).
    init(keepingRecent: Bool = true) {
        if keepingRecent { recent = (Self.emptyRecent(), Self.emptyRecent()) }
    }

    var count: UInt64 { total.totalCount }

    mutating func record(seconds: Double, now: Double) {
        let seconds =
            seconds.isFinite ? min(max(seconds, 0), Double(Self.microsecondsMax) / 1e6) : 0
        let microseconds = min(max(UInt64(seconds * 1e6), 1), Self.microsecondsMax)
        total.record(microseconds)
        sumSeconds += seconds
        turn(now)
        recent?.now.record(microseconds)
    }

    /// Recordings of at most each of `boundsMicroseconds`.
    func cumulativeCounts() -> [UInt64] {
        var counts: [UInt64] = []
        var running: UInt64 = 0
        var iterator = total.recordedValues().makeIterator()
        var value = iterator.next()
        for bound in Self.boundsMicroseconds {
            while let reached = value, total.lowestEquivalentForValue(reached.value) <= bound {
                running += reached.countAddedInThisIterationStep
                value = iterator.next()
            }
            counts.append(running)
        }
        return counts
    }

    /// Seconds not exceeded by this share (0...100) of the recent recordings; nil when there are none.
    mutating func recentPercentile(_ percentile: Double, now: Double) -> Double? {
        turn(now)
        guard let recent else { return nil }
        var both = recent.now
        both.add(recent.before)
        guard both.totalCount > 0 else { return nil }
        return Double(both.valueAtPercentile(percentile)) / 1e6
    }

    /// Seconds not exceeded by this share of all recordings; nil when there are none.
    func percentile(_ percentile: Double) -> Double? {
        total.totalCount == 0 ? nil : Double(total.valueAtPercentile(percentile)) / 1e6
    }

    private mutating func turn(_ now: Double) {
        guard now >= windowEnd, let latest = recent?.now else { return }
        let isNext = now < windowEnd + Self.windowSeconds
        recent = (Self.emptyRecent(), isNext ? latest : Self.emptyRecent())
        windowEnd = now + Self.windowSeconds
    }

    private static func empty() -> Histogram<UInt64> {
        Histogram(
            lowestDiscernibleValue: 1, highestTrackableValue: microsecondsMax,
            numberOfSignificantValueDigits: .two)
    }

    private static func emptyRecent() -> Histogram<UInt32> {
        Histogram(
            lowestDiscernibleValue: 1, highestTrackableValue: microsecondsMax,
            numberOfSignificantValueDigits: .two)
    }
}
