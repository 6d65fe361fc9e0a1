import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("losses")
struct LossTests {
    struct Shape: Sendable { var rows, width: Int }
    static let shapes = [
        Shape(rows: 0, width: 3), Shape(rows: 1, width: 1), Shape(rows: 3, width: 7),
        Shape(rows: 5, width: 40),
    ]

    struct Inputs {
        let x: [Float]
        let targets: [Float]
        let classes: [Int32]
        /// The second row is masked, and its numbers are not to be read.
        let weights: [Float]

        init(_ shape: Shape) {
            let (rows, width) = (shape.rows, shape.width)
            var x = floats(rows * width, seed: 1, scale: 4)
            var targets = floats(rows * width, seed: 2).map { abs($0) }
            for i in stride(from: 1, to: x.count, by: 4) { targets[i] = 0 }
            for i in stride(from: 5, to: x.count, by: 8) { x[i] = -.infinity }
            if rows > 1 { for i in width..<2 * width { x[i] = .nan } }
            self.x = x
            self.targets = targets
            classes = (0..<rows).map { Int32($0 % max(width / 4, 1) * 4 % width) }
            weights = (0..<rows).map { $0 == 1 ? 0 : 0.5 + Float($0) }
        }

        func oneHot(_ width: Int) -> [Double] {
            classes.flatMap { row in (0..<width).map { $0 == Int(row) ? 1.0 : 0 } }
        }
    }

    /// Rows of weight 0 left out, as Double has no way to not read them.
    static func readable(_ x: [Float], _ weights: [Float], width: Int) -> [Double] {
        x.indices.map { weights[$0 / width] == 0 ? 0 : Double(x[$0]) }
    }

    @Test("cross-entropy against classes and soft targets equals its twin", arguments: shapes)
    func crossEntropies(shape: Shape) {
        let (rows, width) = (shape.rows, shape.width)
        let inputs = Inputs(shape)
        let x = Self.readable(inputs.x, inputs.weights, width: width)
        let weights = inputs.weights.doubles
        for soft in [false, true] {
            let targets = soft ? inputs.targets.doubles : inputs.oneHot(width)
            var logSums = [Float](repeating: 0, count: rows)
            var dx = [Float](repeating: 1, count: x.count)
            var sums = logSums.mutableSpan
            let loss =
                soft
                ? softCrossEntropy(
                    inputs.x.span, targets: inputs.targets.span, weights: inputs.weights.span,
                    logSums: &sums, rows: rows, width: width)
                : crossEntropy(
                    inputs.x.span, classes: inputs.classes.span, weights: inputs.weights.span,
                    logSums: &sums, rows: rows, width: width)
            var dxSpan = dx.mutableSpan
            if soft {
                softCrossEntropyBackward(
                    inputs.x.span, targets: inputs.targets.span, weights: inputs.weights.span,
                    logSums: logSums.span, dLogits: &dxSpan, rows: rows, width: width)
            } else {
                crossEntropyBackward(
                    inputs.x.span, classes: inputs.classes.span, weights: inputs.weights.span,
                    logSums: logSums.span, dLogits: &dxSpan, rows: rows, width: width)
            }
            let expected = Reference.crossEntropy(
                x, targets: targets, weights: weights, width: width)
            #expect(abs(loss - expected) <= 1e-6 * max(1, abs(expected)))
            expectClose(
                dx,
                Reference.crossEntropyGradient(
                    x, targets: targets, weights: weights, width: width
                ).map { $0 + 1 })
        }
    }

    @Test("the loss of an expectation equals its twin, its gradient that of differences")
    func expectation() {
        let (rows, width) = (3, 7)
        let x = floats(rows * width, seed: 1, scale: 3)
        let targets = Inputs(Shape(rows: rows, width: width)).targets
        let weights: [Float] = [1, 0, 2]
        var logSums = [Float](repeating: 0, count: rows)
        var targetSums = logSums
        var dx = [Float](repeating: 0, count: x.count)
        var sums = logSums.mutableSpan
        var ofTargets = targetSums.mutableSpan
        let loss = expectationLoss(
            x.span, targets: targets.span, weights: weights.span, logSums: &sums,
            targetLogSums: &ofTargets, rows: rows, width: width)
        var dxSpan = dx.mutableSpan
        expectationLossBackward(
            x.span, targets: targets.span, weights: weights.span, logSums: logSums.span,
            targetLogSums: targetSums.span, dLogits: &dxSpan, rows: rows, width: width)
        func value(_ x: [Double]) -> Double {
            Reference.expectationLoss(
                x, targets: targets.doubles, weights: weights.doubles, width: width)
        }
        #expect(abs(loss - value(x.doubles)) < 1e-5)
        expectClose(dx, numericGradient(at: x.doubles, of: value))
    }

    @Test("the gradient of cross-entropy is that of differences")
    func differences() {
        let x = floats(12, seed: 1).doubles
        let targets = floats(12, seed: 2).doubles.map { abs($0) }
        let weights = [1.0, 0, 3]
        expectSame(
            Reference.crossEntropyGradient(x, targets: targets, weights: weights, width: 4),
            numericGradient(at: x) {
                Reference.crossEntropy($0, targets: targets, weights: weights, width: 4)
            })
    }

    @Test("sampled softmax and its gradients, log-q or not", arguments: [false, true])
    func sampled(corrected: Bool) {
        let (rows, count, width) = (6, 11, 5)
        let shape = SampledSoftmaxShape(rows: rows, candidates: count, width: width, scale: 1.5)
        let states = floats(rows * width, seed: 1)
        let vectors = floats(count * width, seed: 2)
        let logQ = corrected ? floats(count, seed: 3) : []
        let classes: [Int32] = [0, 10, 3, 3, 7, 1]
        let weights: [Float] = [1, 1, 0, 2, 1, 0.5]
        var logits = [Float](repeating: 0, count: rows * count)
        var logSums = [Float](repeating: 0, count: rows)
        var (dLogits, dStates, dVectors) = (logits, states.map { _ in Float(0) }, vectors)
        dVectors = dVectors.map { _ in 0 }
        var logitSpan = logits.mutableSpan
        var sumSpan = logSums.mutableSpan
        let loss = sampledSoftmax(
            states: states.span, candidates: vectors.span, logQ: logQ.span,
            classes: classes.span, weights: weights.span, logits: &logitSpan, logSums: &sumSpan,
            shape: shape)
        var dLogitSpan = dLogits.mutableSpan
        var dStateSpan = dStates.mutableSpan
        var dVectorSpan = dVectors.mutableSpan
        let dScale = sampledSoftmaxBackward(
            states: states.span, candidates: vectors.span, logQ: logQ.span,
            classes: classes.span, weights: weights.span, logits: logits.span,
            logSums: logSums.span, dLogits: &dLogitSpan, dStates: &dStateSpan,
            dCandidates: &dVectorSpan, shape: shape)
        let targets = classes.flatMap { row in (0..<count).map { $0 == Int(row) ? 1.0 : 0 } }
        func value(_ states: [Double], _ vectors: [Double], _ scale: Double) -> Double {
            let product = Reference.product(states, vectors, m: rows, n: count, k: width)
            let logits = product.indices.map {
                scale * product[$0] - (corrected ? Double(logQ[$0 % count]) : 0)
            }
            return Reference.crossEntropy(
                logits, targets: targets, weights: weights.doubles, width: count)
        }
        let (s, v) = (states.doubles, vectors.doubles)
        #expect(abs(loss - value(s, v, 1.5)) < 1e-5)
        expectClose(dStates, numericGradient(at: s) { value($0, v, 1.5) })
        expectClose(dVectors, numericGradient(at: v) { value(s, $0, 1.5) })
        let slope = numericGradient(at: [1.5]) { value(s, v, $0[0]) }[0]
        #expect(abs(dScale - slope) < 1e-5)
    }
}
