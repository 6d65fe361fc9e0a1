// How a teacher enters the labels, as options of the commands that train.

import Alignment
import ArgumentParser

struct LabelOptions: ParsableArguments {
    enum Loss: String, ExpressibleByArgument, CaseIterable {
        case softCrossEntropy = "soft-cross-entropy"
        case logOfExpectation = "log-of-expectation"
    }

    @Option(help: "Share of the teacher in the labels, at full evidence.") var alpha = 0.6
    @Option(help: "Evidence, in counts, at which half of alpha is left; 0: alpha everywhere.")
    var evidenceHalf = 10.0
    @Option(
        help: "How the teacher enters: soft-cross-entropy or log-of-expectation (as published).")
    var loss: Loss = .softCrossEntropy
    @Option(help: "Divisor of the logits in the loss.") var temperature = 1.0

    /// Nil without a teacher; numbers out of range are refused even then.
    func alignment(isTaught: Bool) throws(AlignmentError) -> AlignmentSettings? {
        let settings = try AlignmentSettings(
            loss: loss == .softCrossEntropy ? .softCrossEntropy : .logOfExpectation,
            isMasked: false, alpha: alpha, temperature: temperature, evidenceHalf: evidenceHalf)
        return isTaught ? settings : nil
    }

    /// What a training that goes on compares.
    var text: String { "\(alpha) \(evidenceHalf) \(loss) \(temperature)" }
}
