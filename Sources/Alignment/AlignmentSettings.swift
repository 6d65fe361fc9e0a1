// The choices of TCA4Rec, published and otherwise, in one place.

/// Temperatures of models and teachers; what is outside makes exponentials meaningless.
let temperatures = 1e-6...1e6

/// How the soft label enters the loss.
public enum AlignmentLoss: Sendable, Hashable, CaseIterable {
    /// -log sum_v y(v) p(v), as published (TCA4Rec, arXiv 2601.18457). For one context its minimum is all mass on the
    /// label's greatest entry: it forgives siblings the teacher likes rather than matching a distribution.
    case logOfExpectation
    /// -sum_v y(v) log p(v): true distillation, with its minimum at p = y.
    case softCrossEntropy
}

public struct AlignmentSettings: Sendable, Equatable {
    public let loss: AlignmentLoss
    /// Whether the softmax is over the children of the trie node (MSL, arXiv 2504.04178) or the whole vocabulary.
    public let isMasked: Bool
    /// Share of the teacher in the label, 0...1.
    public let alpha: Double
    /// Divisor of the model's logits (tau).
    public let temperature: Double
    /// With h > 0, alpha is scaled at each position by e / (e + h), e being the teacher's evidence there in counts:
    /// the example's evidence times the share of it below the prefix. 0: alpha everywhere.
    public let evidenceHalf: Double

    public init(
        loss: AlignmentLoss, isMasked: Bool, alpha: Double, temperature: Double,
        evidenceHalf: Double = 0
    ) throws(AlignmentError) {
        guard 0...1 ~= alpha else { throw .alpha(alpha) }
        guard temperatures ~= temperature else { throw .temperature(temperature) }
        guard evidenceHalf >= 0, evidenceHalf.isFinite else { throw .evidence(evidenceHalf) }
        self.loss = loss
        self.isMasked = isMasked
        self.alpha = alpha
        self.temperature = temperature
        self.evidenceHalf = evidenceHalf
    }

    /// Alpha where the teacher has `evidence`.
    public func alpha(evidence: Double) -> Double {
        evidenceHalf == 0 ? alpha : alpha * (evidence / (evidence + evidenceHalf))
    }
}
