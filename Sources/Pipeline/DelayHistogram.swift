// Delays of a queue as INFO shows them: counts by powers of two, so that a percentile is known to a factor of two.

import Ports

struct DelayHistogram {
    /// Upper bound of the first, in milliseconds; each further one is twice as wide.
    private static let firstBound = 0.0625
    private static let bucketCount = 22

    private var counts = [UInt64](repeating: 0, count: Self.bucketCount)
    private(set) var count: UInt64 = 0

    mutating func record(milliseconds: Double) {
        var bound = Self.firstBound
        var bucket = 0
        while milliseconds > bound, bucket < Self.bucketCount - 1 {
            bound *= 2
            bucket += 1
        }
        counts[bucket] += 1
        count += 1
    }

    /// A bound in milliseconds that this share (0...1) of the delays does not exceed; 0 when there were none.
    func percentile(_ share: Double) -> Double {
        guard count > 0 else { return 0 }
        let wanted = UInt64((share * Double(count)).rounded(.up))
        var sum: UInt64 = 0
        var bound = Self.firstBound
        for bucket in counts {
            sum += bucket
            if sum >= wanted { return bound }
            bound *= 2
        }
        return bound
    }

    func lines(named name: String) -> [InfoLine] {
        [("p50", 0.5), ("p99", 0.99)].map {
            InfoLine("\(name)_\($0.0)_ms_at_most", "\(percentile($0.1))")
        }
    }
}
