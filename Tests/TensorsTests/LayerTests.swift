// Norm, rotary positions, gated unit.

import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("layers")
struct LayerTests {
    struct Shape: Sendable { var rows, width: Int }
    static let shapes = [
        Shape(rows: 0, width: 4), Shape(rows: 1, width: 1), Shape(rows: 3, width: 7),
        Shape(rows: 5, width: 8), Shape(rows: 2, width: 33), Shape(rows: 17, width: 64),
    ]

    @Test("a norm and its gradient equal their twins", arguments: shapes)
    func norm(shape: Shape) {
        let (rows, width, epsilon) = (shape.rows, shape.width, 1e-5)
        let x = floats(rows * width, seed: 1)
        let gain = floats(width, seed: 2)
        let dy = floats(rows * width, seed: 3)
        var y = [Float](repeating: .nan, count: x.count)
        var reciprocals = [Float](repeating: .nan, count: rows)
        var (dx, dGain) = (floats(x.count, seed: 4), floats(width, seed: 5))
        let (dxBefore, dGainBefore) = (dx, dGain)
        do {
            var ySpan = y.mutableSpan
            var reciprocalSpan = reciprocals.mutableSpan
            rmsNorm(
                x.span, gain: gain.span, into: &ySpan, reciprocals: &reciprocalSpan, rows: rows,
                width: width, epsilon: Float(epsilon))
        }
        do {
            var dxSpan = dx.mutableSpan
            var dGainSpan = dGain.mutableSpan
            rmsNormBackward(
                dy.span, x: x.span, gain: gain.span, reciprocals: reciprocals.span, dx: &dxSpan,
                dGain: &dGainSpan, rows: rows, width: width)
        }
        expectClose(
            y, Reference.rmsNorm(x.doubles, gain: gain.doubles, width: width, epsilon: epsilon))
        let gradient = Reference.rmsNormGradient(
            dy.doubles, x: x.doubles, gain: gain.doubles, width: width, epsilon: epsilon)
        // A width of 1 leaves no gradient but epsilon's: what remains is a difference of equal numbers.
        let bound = width == 1 ? 1e-9 : kernelErrorMax
        expectClose(dx, zip(dxBefore.doubles, gradient.dx).map(+), within: bound)
        expectClose(dGain, zip(dGainBefore.doubles, gradient.dGain).map(+))
    }

    @Test("the norm's gradient is that of differences")
    func normDifferences() {
        let (width, epsilon) = (5, 1e-3)
        let (x, gain) = (floats(15, seed: 1).doubles, floats(5, seed: 2).doubles)
        let dy = floats(15, seed: 3).doubles
        let gradient = Reference.rmsNormGradient(
            dy, x: x, gain: gain, width: width, epsilon: epsilon)
        expectSame(
            gradient.dx,
            numericGradient(at: x) {
                weighed(
                    Reference.rmsNorm($0, gain: gain, width: width, epsilon: epsilon), by: dy)
            })
        expectSame(
            gradient.dGain,
            numericGradient(at: gain) {
                weighed(Reference.rmsNorm(x, gain: $0, width: width, epsilon: epsilon), by: dy)
            })
    }

    @Test("rotation equals its twin, backward undoes it", arguments: [2, 6, 16, 34])
    func rotation(headWidth: Int) {
        let positions: [Int32] = [0, 1, 77, 4096, 3]
        let (rows, heads) = (positions.count, 3)
        let inverse = rotaryInverseFrequencies(base: 10_000, headWidth: headWidth)
        let x = floats(rows * heads * headWidth, seed: 1)
        var y = x
        var cosines = [Float](repeating: 0, count: rows * headWidth / 2)
        var sines = cosines
        do {
            var cosineSpan = cosines.mutableSpan
            var sineSpan = sines.mutableSpan
            rotaryAngles(
                positions: positions.span, inverseFrequencies: inverse.span,
                cosines: &cosineSpan, sines: &sineSpan)
        }
        func turn(_ direction: RotationDirection) {
            var span = y.mutableSpan
            rotate(
                &span, cosines: cosines.span, sines: sines.span, direction: direction, rows: rows,
                heads: heads, headWidth: headWidth)
        }
        turn(.forward)
        expectClose(
            y,
            Reference.rotate(
                x.doubles, positions: positions.map(Int.init), inverseFrequencies: inverse,
                heads: heads))
        turn(.backward)
        expectClose(y, x.doubles)
    }

    @Test("the rotation's gradient is that of differences")
    func rotationDifferences() {
        let inverse = rotaryInverseFrequencies(base: 100, headWidth: 4)
        let (x, dy) = (floats(16, seed: 1).doubles, floats(16, seed: 2).doubles)
        let positions = [3, 8]
        expectSame(
            Reference.rotate(
                dy, positions: positions, inverseFrequencies: inverse, heads: 2, sign: -1),
            numericGradient(at: x) {
                weighed(
                    Reference.rotate(
                        $0, positions: positions, inverseFrequencies: inverse, heads: 2), by: dy)
            })
    }

    @Test(
        "the gated unit and its gradient equal their twins", arguments: [0, 1, 7, 8, 9, 64, 1001])
    func gated(count: Int) {
        let (gate, up) = (floats(count, seed: 1, scale: 8), floats(count, seed: 2))
        let dy = floats(count, seed: 3)
        let gradient = Reference.swiGLUGradient(
            dy.doubles, gate: gate.doubles, up: up.doubles)
        for path in availablePaths {
            var y = gate
            var (dGate, dUp) = (up, gate)
            on(path) {
                var ySpan = y.mutableSpan
                swiGLU(gate: gate.span, up: up.span, into: &ySpan)
                var dGateSpan = dGate.mutableSpan
                var dUpSpan = dUp.mutableSpan
                swiGLUBackward(
                    dy.span, gate: gate.span, up: up.span, dGate: &dGateSpan, dUp: &dUpSpan)
            }
            expectClose(y, Reference.swiGLU(gate: gate.doubles, up: up.doubles))
            expectClose(dGate, zip(up.doubles, gradient.dGate).map(+))
            expectClose(dUp, zip(gate.doubles, gradient.dUp).map(+))
        }
    }

    @Test("the gated unit's gradient is that of differences")
    func gatedDifferences() {
        let (gate, up) = (floats(9, seed: 1, scale: 3).doubles, floats(9, seed: 2).doubles)
        let dy = floats(9, seed: 3).doubles
        let gradient = Reference.swiGLUGradient(dy, gate: gate, up: up)
        expectSame(
            gradient.dGate,
            numericGradient(at: gate) { weighed(Reference.swiGLU(gate: $0, up: up), by: dy) })
        expectSame(
            gradient.dUp,
            numericGradient(at: up) { weighed(Reference.swiGLU(gate: gate, up: $0), by: dy) })
    }

    @Test("gates far out give the gate or nothing, never NaN")
    func gatedExtremes() {
        let gate: [Float] = [-1e4, -89, -88, 0, 88, 1e4, -.infinity]
        let up = [Float](repeating: 1, count: gate.count)
        var y = up
        var span = y.mutableSpan
        swiGLU(gate: gate.span, up: up.span, into: &span)
        #expect(y.dropLast().allSatisfy { $0.isFinite })
        #expect(y[5] == 1e4 && y[3] == 0 && abs(y[0]) < 1e-30)
    }
}
