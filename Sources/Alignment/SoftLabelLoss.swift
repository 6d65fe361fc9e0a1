// One softmax with a soft label: y = (1 - alpha) [v = gold] + alpha Q(v), p = softmax(z / tau).
//
//   log of expectation   L = -log sum y p    dL/dz = (p - r) / tau   with r = y p / sum y p, the label's posterior
//   soft cross-entropy   L = -sum y log p    dL/dz = (p - y) / tau
//
// With alpha = 0 both are -log p(gold), bit for bit: entries of y that are 0 take no part in any sum. All arithmetic is
// in Double; only logits and gradients of the Float version are narrow.

import TokenTrie

/// The label of one softmax. `slots` are indices in its logits, in any order, each at most once.
public struct SoftLabel {
    public var gold: Int
    /// Where the teacher's mass lies; nil when share i belongs to logit i.
    public var slots: [Int32]?
    /// The teacher's distribution; empty when it has no opinion, which makes the label plain.
    public var teacher: [Double]
    /// Share of the teacher in the label.
    public var alpha: Double

    public init(gold: Int, slots: [Int32]? = nil, teacher: [Double] = [], alpha: Double = 0) {
        self.gold = gold
        self.slots = slots
        self.teacher = teacher
        self.alpha = alpha
    }
}

/// The loss of one softmax, and its gradient with respect to the logits.
///
/// - Parameters:
///   - logits: those the softmax is over: of a node's children (masked), of the vocabulary, or of items.
///   - temperature: tau.
///   - gradient: `weight` × dL/dlogit is added to it; as long as `logits`.
/// - Returns: L, without the weight.
/// - Throws: `logit` for a logit that is not finite; nothing is added then.
public func softLabelLoss(
    _ loss: AlignmentLoss, logits: Span<Double>, label: SoftLabel, temperature: Double,
    weight: Double = 1, gradient: inout MutableSpan<Double>
) throws(AlignmentError) -> Double {
    precondition(gradient.count == logits.count, "one gradient a logit")
    precondition(logits.indices.contains(label.gold), "the target is one of the logits")
    precondition(label.teacher.isEmpty || label.slots != nil || label.teacher.count == logits.count)
    var greatest = -Double.infinity
    for index in logits.indices {
        guard logits[index].isFinite else { throw .logit(index: index, logits[index]) }
        greatest = max(greatest, logits[index])
    }
    var scaled: [Double] = []
    scaled.reserveCapacity(logits.count)
    for index in logits.indices { scaled.append((logits[index] - greatest) / temperature) }
    var exponentials = scaled
    exponentiate(&exponentials, shift: 0, scale: 1)
    let sum = exponentials.reduce(0, +)
    let logSum = logarithm(sum)
    for index in logits.indices {
        gradient[index] += weight * (exponentials[index] / sum) / temperature
    }
    let entries = label.entries
    switch loss {
    case .logOfExpectation:
        // log sum y e, relative to its own greatest term: it may be far below that of all logits.
        var top = -Double.infinity
        for (slot, share) in entries { top = max(top, logarithm(share) + scaled[slot]) }
        var inner = 0.0
        for (slot, share) in entries { inner += exponential(logarithm(share) + scaled[slot] - top) }
        for (slot, share) in entries {
            let posterior = exponential(logarithm(share) + scaled[slot] - top) / inner
            gradient[slot] -= weight * posterior / temperature
        }
        return logSum - (top + logarithm(inner))
    case .softCrossEntropy:
        var value = 0.0
        for (slot, share) in entries {
            value += share * (logSum - scaled[slot])
            gradient[slot] -= weight * share / temperature
        }
        return value
    }
}

/// The same with narrow logits and gradients, for the softmax over `row` of them (over all when nil).
public func softLabelLoss(
    _ loss: AlignmentLoss, logits: Span<Float>, row: Range<Int>? = nil, label: SoftLabel,
    temperature: Double, weight: Double = 1, gradient: inout MutableSpan<Float>
) throws(AlignmentError) -> Double {
    let row = row ?? logits.indices
    var wide: [Double] = []
    wide.reserveCapacity(row.count)
    for index in row { wide.append(Double(logits[index])) }
    var wideGradient = [Double](repeating: 0, count: row.count)
    var span = wideGradient.mutableSpan
    let value = try softLabelLoss(
        loss, logits: wide.span, label: label, temperature: temperature, weight: weight,
        gradient: &span)
    for index in row { gradient[index] += Float(wideGradient[index - row.lowerBound]) }
    return value
}

extension SoftLabel {
    /// Logits with a share above 0, each once.
    fileprivate var entries: [(slot: Int, share: Double)] {
        guard alpha > 0, !teacher.isEmpty else { return [(gold, 1)] }
        var entries: [(slot: Int, share: Double)] = []
        entries.reserveCapacity(teacher.count + 1)
        var hasGold = false
        for (index, q) in teacher.enumerated() {
            let slot = slots.map { Int($0[index]) } ?? index
            var share = alpha * q
            if slot == gold {
                share += 1 - alpha
                hasGold = true
            }
            if share > 0 { entries.append((slot, share)) }
        }
        if !hasGold, alpha < 1 { entries.append((gold, 1 - alpha)) }
        return entries
    }
}
