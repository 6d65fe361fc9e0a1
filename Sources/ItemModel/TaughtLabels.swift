// Teachers' words in the item head's softmax over candidates: what they change of the plain loss and of its gradients,
// added where they have mass (LabelCorrection). Nothing is added with alpha 0 or without a word.

import Alignment
import Tensors

/// What was added to the plain loss.
struct TaughtLabels {
    /// Sums over rows of the loss's change, plain and times the rows' weights.
    var loss = 0.0
    var weightedLoss = 0.0
    /// Sum over rows of the teacher's share in the label.
    var alpha = 0.0
    /// Gradient of the scale that multiplies state · candidate before the temperature divides.
    var dScale = 0.0

    /// - Parameters:
    ///   - teachers: a word on each row's target; none where there is no opinion.
    ///   - places: column of an item; none when it is no candidate.
    ///   - logits: rows × candidates, divided by the temperature.
    init(
        _ teachers: [ItemTargets], places: [Int32: Int32], classes: [Int32], weights: [Float],
        logits: [Float], states: [Float], candidates: [Float], shape: SampledSoftmaxShape,
        _ settings: AlignmentSettings, dStates: inout [Float], dCandidates: inout [Float]
    ) throws(AlignmentError) {
        let (columns, width) = (shape.candidates, shape.width)
        for (row, teacher) in teachers.enumerated()
        where weights[row] > 0 && !teacher.items.isEmpty {
            alpha += settings.alpha(evidence: Double(teacher.evidence))
            let line = logits.span.extracting(row * columns..<(row + 1) * columns)
            let correction = try teacher.correction(
                logits: line, gold: Int(classes[row]), column: { places[$0].map(Int.init) },
                settings)
            loss += correction.loss
            weightedLoss += correction.loss * Double(weights[row])
            for (column, change) in correction.entries {
                let weighted = change * weights[row]
                let factor = weighted * shape.scale
                dScale += Double(weighted * line[column] / shape.scale) / settings.temperature
                for place in 0..<width {
                    dStates[row * width + place] += factor * candidates[column * width + place]
                    dCandidates[column * width + place] += factor * states[row * width + place]
                }
            }
        }
    }
}
