// Counters by label, with a bound on how many labels there can be: labels may come from outside.

/// Not thread-safe: its owner locks.
struct LabelledCounts<Label: Hashable & Sendable>: Sendable {
    private(set) var counts: [Label: Int] = [:]
    let labelsMax: Int
    /// What further labels are counted under.
    let overflow: Label

    init(labelsMax: Int, overflow: Label) {
        self.labelsMax = labelsMax
        self.overflow = overflow
    }

    var sum: Int {
        var sum = 0
        for count in counts.values { sum.count(count) }
        return sum
    }

    mutating func add(_ count: Int, to label: Label) {
        let label = counts[label] != nil || counts.count < labelsMax ? label : overflow
        counts[label, default: 0].count(count)
    }
}

extension Int {
    /// Adds what a counter can add: nothing negative, and never past the end.
    mutating func count(_ amount: Int) {
        let sum = addingReportingOverflow(Swift.max(0, amount))
        self = sum.overflow ? .max : sum.partialValue
    }
}
