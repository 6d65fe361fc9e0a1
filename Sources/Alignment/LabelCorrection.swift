// What a soft label changes of the plain loss. Both losses differ from -log p(gold) in a few entries of the label only,
// and not in the sum over all items: so the softmax is that of plain training, in floats and by the fast kernel, and
// the teacher's part is added where the teacher has mass. With alpha = 0 nothing is added, hence not a bit changes.
//
//   log of expectation   L - plain = z(gold) - log sum y e^z     dL/dz - plain = [gold] - r
//   soft cross-entropy   L - plain = z(gold) - sum y z           dL/dz - plain = [gold] - y

import TokenTrie

/// To be added to the loss of one softmax and to the gradient of its logits (those already divided by tau).
public struct LabelCorrection: Sendable, Equatable {
    public var loss = 0.0
    /// Columns and what is added there; each column once.
    public var entries: [(column: Int, change: Float)] = []

    public init() {}

    public static func == (a: Self, b: Self) -> Bool {
        a.loss == b.loss && a.entries.elementsEqual(b.entries, by: { $0 == $1 })
    }
}

extension ItemTargets {
    /// The correction for a target, of a softmax over items or over a sampled set of them that holds the target.
    ///
    /// - Parameters:
    ///   - logits: one for each column, divided by the settings' temperature.
    ///   - gold: column of the target.
    ///   - column: the column of an item; nil when it was not sampled. The teacher's mass is renormalised over the
    ///     items that have one; when none has, the label is plain.
    public func correction(
        logits: Span<Float>, gold: Int, column: (Int32) -> Int?, _ settings: AlignmentSettings
    ) throws(AlignmentError) -> LabelCorrection {
        guard gold >= 0, gold < logits.count else {
            throw .count(what: "columns", expected: gold + 1, received: logits.count)
        }
        var result = LabelCorrection()
        let alpha = settings.alpha(evidence: Double(evidence))
        guard alpha > 0 else { return result }
        var label: [(column: Int, share: Double)] = []
        var total = 0.0
        for (item, share) in zip(items, shares) {
            guard let column = column(item), column >= 0, column < logits.count else { continue }
            label.append((column, Double(share)))
            total += Double(share)
        }
        guard total > 0 else { return result }
        var hasGold = false
        for index in label.indices {
            label[index].share *= alpha / total
            if label[index].column == gold {
                label[index].share += 1 - alpha
                hasGold = true
            }
        }
        if !hasGold { label.append((gold, 1 - alpha)) }
        for (column, _) in label where !logits[column].isFinite {
            throw .logit(index: column, Double(logits[column]))
        }
        let own = Double(logits[gold])
        switch settings.loss {
        case .softCrossEntropy:
            for (column, share) in label { result.loss += share * (own - Double(logits[column])) }
        case .logOfExpectation:
            var posterior = 0.0
            var greatest = -Double.infinity
            for (column, share) in label where share > 0 {
                greatest = max(greatest, Double(logits[column]))
            }
            for index in label.indices {
                label[index].share *= exponential(Double(logits[label[index].column]) - greatest)
                posterior += label[index].share
            }
            for index in label.indices { label[index].share /= posterior }
            result.loss = own - greatest - logarithm(posterior)
        }
        result.entries = label.map { ($0.column, Float(($0.column == gold ? 1 : 0) - $0.share)) }
        return result
    }
}
