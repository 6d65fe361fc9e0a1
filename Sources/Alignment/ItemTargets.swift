// The same teacher for the item head. A product of next-token shares along a path is the item's share, so what the
// tokenizer says token by token is, for a head that scores whole items, this distribution over items.

/// A teacher's distribution over items for one history position, and how much evidence it rests on.
public struct ItemTargets: Sendable, Equatable {
    /// Ascending item numbers with mass.
    public let items: [Int32]
    /// Sum to 1; empty when the teacher knows nothing.
    public let shares: [Float]
    /// In counts.
    public let evidence: Float

    /// From counts of what followed (without a popularity floor: a row without counts is no opinion). Counts must
    /// leave out the example's own user, else the target teaches itself. `evidence`: that of a teacher whose numbers
    /// are shares of something else; nil: the counts' sum.
    public init(
        counts: [(item: Int32, count: Float)], evidence: Float? = nil
    ) throws(AlignmentError) {
        for (item, count) in counts where !(count >= 0 && count.isFinite) {
            throw .score(item: item, count)
        }
        let rows = counts.filter { $0.count > 0 }.sorted { $0.item < $1.item }
        for index in rows.indices.dropFirst() where rows[index].item == rows[index - 1].item {
            throw .repeatedItem(rows[index].item)
        }
        let total = rows.reduce(0.0) { $0 + Double($1.count) }
        items = rows.map(\.item)
        shares = rows.map { Float(Double($0.count) / total) }
        self.evidence = evidence ?? Float(total)
    }

    init(items: [Int32], shares: [Float], evidence: Float) {
        self.items = items
        self.shares = shares
        self.evidence = evidence
    }

    /// Soft-label loss of a softmax over items (all, or a sampled set that holds the target).
    ///
    /// - Parameters:
    ///   - logits: one for each column of the head's output.
    ///   - gold: column of the target.
    ///   - column: the column of an item; nil when it was not sampled. The teacher's mass is renormalised over the
    ///     items that have one; when none has, the label is plain.
    ///   - gradient: `weight` × the gradient is added to it.
    public func loss(
        logits: Span<Float>, gold: Int, column: (Int32) -> Int?, _ settings: AlignmentSettings,
        weight: Double = 1, gradient: inout MutableSpan<Float>
    ) throws(AlignmentError) -> Double {
        guard gradient.count == logits.count else {
            throw .count(what: "gradients", expected: logits.count, received: gradient.count)
        }
        guard gold >= 0, gold < logits.count else {
            throw .count(what: "columns", expected: gold + 1, received: logits.count)
        }
        var label = SoftLabel(
            gold: gold, alpha: settings.alpha(evidence: Double(evidence)))
        if label.alpha > 0 {
            var slots: [Int32] = []
            var total = 0.0
            for (item, share) in zip(items, shares) {
                guard let column = column(item), column >= 0, column < logits.count else {
                    continue
                }
                slots.append(Int32(column))
                label.teacher.append(Double(share))
                total += Double(share)
            }
            label.slots = slots
            if total > 0 {
                for index in label.teacher.indices { label.teacher[index] /= total }
            } else {
                label.teacher = []
            }
        }
        return try softLabelLoss(
            settings.loss, logits: logits, label: label, temperature: settings.temperature,
            weight: weight, gradient: &gradient)
    }
}
