// Whether a candidate is not worse than what serves, decided event by event (the gate of a refresh). A bet against "it
// is worse by more than the margin": the capital grows with evidence to the contrary, and if the candidate is worse it
// exceeds 1 / error with a probability of at most `error`, however often one looks (Waudby-Smith & Ramdas 2023,
// "Estimating means of bounded random variables by betting"; Ville's inequality). No number of events is fixed before.

public struct NotWorseTest: Sendable {
    /// Mean difference an event, in the differences' unit, that is still called not worse.
    public let margin: Double
    /// Probability of passing a candidate that is worse by more than the margin.
    public let error: Double
    /// Differences are cut here on both sides, so that no single event decides; the claim is about the cut ones.
    public let cut: Double
    public private(set) var count = 0
    /// Events at which the bet was won; nil as long as it is not.
    public private(set) var passedAt: Int?
    /// The capital's logarithm, and its largest so far.
    public private(set) var logCapital = 0.0
    private var sum = 0.0
    private var squares = 0.0

    public init(margin: Double = 0.01, error: Double = 0.05, cut: Double = 2) {
        precondition(margin >= 0 && error > 0 && error < 1 && cut > margin, "sizes of a test")
        self.margin = margin
        self.error = error
        self.cut = cut
    }

    public var hasPassed: Bool { passedAt != nil }

    /// Takes the candidate's log-likelihood of an event minus that of what serves, in the order of the events. What is
    /// not finite counts as the worst.
    public mutating func add(_ difference: Double) {
        let value = difference.isFinite ? min(cut, max(-cut, difference)) : -cut
        // In [0, 1], where "worse by more than the margin" is a mean below `null`.
        let share = (value + cut) / (2 * cut)
        let null = (cut - margin) / (2 * cut)
        // The stake rests on the events before only; pseudo-observations keep it small at first.
        let seen = Double(count) + 1
        let mean = (sum + 0.5) / seen
        let variance = max(1e-6, (squares + 0.25) / seen)
        let edge = mean - null
        let stake = min(0.5 / null, max(0, edge / (variance + edge * edge)))
        logCapital += Numbers.log(1 + stake * (share - null))
        count += 1
        sum += share
        squares += (share - mean) * (share - mean)
        if passedAt == nil, logCapital >= -Numbers.log(error) { passedAt = count }
    }
}
