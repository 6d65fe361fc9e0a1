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

    var sum: Int { counts.values.reduce(0, +) }

    /// Returns the new count.
    @discardableResult
    mutating func add(_ count: Int, to label: Label) -> Int {
        let label = counts[label] != nil || counts.count < labelsMax ? label : overflow
        let new = (counts[label] ?? 0).addingReportingOverflow(max(0, count))
        counts[label] = new.overflow ? .max : new.partialValue
        return counts[label] ?? 0
    }
}
