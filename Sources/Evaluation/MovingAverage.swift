// Accuracy over time: the mean of the latest scored events, taken every so often.

/// One point of an accuracy curve.
public struct SeriesPoint: Sendable, Hashable {
    /// Scored events up to here.
    public var events: Int
    public var time: Int64
    public var mean: Double
    public var standardError: Double
}

/// The mean over the last `window` values, one point every `step` values once the window is full.
public struct MovingAverage: Sendable {
    public let window: Int
    public let step: Int
    public private(set) var points: [SeriesPoint] = []
    private var ring: [Double] = []
    private var count = 0

    public init(window: Int, step: Int) {
        precondition(window > 0 && step > 0, "a window and a step are positive")
        self.window = window
        self.step = step
        ring.reserveCapacity(window)
    }

    public mutating func add(_ value: Double, time: Int64) {
        if ring.count < window {
            ring.append(value)
        } else {
            ring[count % window] = value
        }
        count += 1
        guard ring.count == window, (count - window) % step == 0 else { return }
        let mean = ring.reduce(0, +) / Double(window)
        let variance =
            ring.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(window - 1, 1))
        points.append(
            SeriesPoint(
                events: count, time: time, mean: mean,
                standardError: (variance / Double(window)).squareRoot()))
    }

    /// About 100 points over a run of `events`, each the mean of a tenth of them.
    public static func fitting(events: Int) -> MovingAverage {
        MovingAverage(window: max(events / 10, 1), step: max(events / 100, 1))
    }
}
