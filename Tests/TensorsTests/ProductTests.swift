// Linear layers, adapters, rows, means.

import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("linear layers, adapters and rows")
struct ProductTests {
    @Test(
        "a linear layer equals its twin for few and many rows",
        arguments: [0, 1, 2, 3, 4, 5, 8, 17])
    func layer(rows: Int) {
        for (inputs, outputs) in [(1, 1), (7, 5), (16, 9), (33, 64)] {
            let x = floats(rows * inputs, seed: 1)
            let weights = floats(outputs * inputs, seed: 2)
            let bias = floats(outputs, seed: 3)
            let before = floats(rows * outputs, seed: 4)
            let product = Reference.product(
                x.doubles, weights.doubles, m: rows, n: outputs, k: inputs)
            for path in availablePaths {
                on(path) {
                    var y = [Float](repeating: .nan, count: before.count)
                    var span = y.mutableSpan
                    linear(
                        x.span, weights: weights.span, bias: bias.span, into: &span, rows: rows,
                        inputs: inputs, outputs: outputs)
                    expectClose(
                        y, product.indices.map { product[$0] + Double(bias[$0 % outputs]) })
                    var kept = before
                    var keptSpan = kept.mutableSpan
                    linear(
                        x.span, weights: weights.span, into: &keptSpan, rows: rows,
                        inputs: inputs, outputs: outputs, scale: 2, keep: 0.5)
                    expectClose(kept, zip(product, before.doubles).map { 2 * $0 + $1 / 2 })
                }
            }
        }
    }

    struct Adapter: Sendable { var rows, inputs, outputs, rank: Int }

    @Test(
        "an adapter and its gradients equal their twins",
        arguments: [
            Adapter(rows: 0, inputs: 3, outputs: 2, rank: 1),
            Adapter(rows: 1, inputs: 7, outputs: 9, rank: 2),
            Adapter(rows: 3, inputs: 16, outputs: 5, rank: 3),
            Adapter(rows: 19, inputs: 24, outputs: 33, rank: 8),
        ])
    func adapter(shape: Adapter) {
        let (rows, inputs, outputs, rank) = (shape.rows, shape.inputs, shape.outputs, shape.rank)
        let x = floats(rows * inputs, seed: 1)
        let a = floats(rank * inputs, seed: 2)
        let b = floats(outputs * rank, seed: 3)
        let before = floats(rows * outputs, seed: 4)
        let dy = floats(rows * outputs, seed: 5)
        var y = before
        var hidden = [Float](repeating: .nan, count: rows * rank)
        do {
            var ySpan = y.mutableSpan
            var hiddenSpan = hidden.mutableSpan
            lowRank(
                x.span, a: a.span, b: b.span, hidden: &hiddenSpan, into: &ySpan, rows: rows,
                inputs: inputs, outputs: outputs, rank: rank, scale: 0.5)
        }
        expectClose(
            y,
            Reference.lowRank(
                before.doubles, x: x.doubles, a: a.doubles, b: b.doubles, rows: rows,
                inputs: inputs, outputs: outputs, rank: rank, scale: 0.5))
        var dHidden = hidden
        var dx = [Float](repeating: 1, count: x.count)
        var dPair = [Float](repeating: 1, count: a.count + b.count)
        do {
            var dHiddenSpan = dHidden.mutableSpan
            var dxSpan = dx.mutableSpan
            var dPairSpan = dPair.mutableSpan
            lowRankBackward(
                dy.span, x: x.span, hidden: hidden.span, a: a.span, b: b.span,
                dHidden: &dHiddenSpan, dx: &dxSpan, dPair: &dPairSpan, rows: rows,
                inputs: inputs, outputs: outputs, rank: rank, scale: 0.5)
        }
        let gradient = Reference.lowRankGradient(
            dy.doubles, x: x.doubles, a: a.doubles, b: b.doubles, rows: rows, inputs: inputs,
            outputs: outputs, rank: rank, scale: 0.5)
        expectClose(dx, gradient.dx.map { $0 + 1 })
        expectClose(dPair, (gradient.dA + gradient.dB).map { $0 + 1 })
    }

    @Test("the adapter's gradients are those of differences")
    func adapterDifferences() {
        let (rows, inputs, outputs, rank) = (2, 4, 3, 2)
        let x = floats(8, seed: 1).doubles
        let a = floats(8, seed: 2).doubles
        let b = floats(6, seed: 3).doubles
        let dy = floats(6, seed: 4).doubles
        let zero = dy.map { _ in 0.0 }
        func value(_ x: [Double], _ a: [Double], _ b: [Double]) -> Double {
            weighed(
                Reference.lowRank(
                    zero, x: x, a: a, b: b, rows: rows, inputs: inputs, outputs: outputs,
                    rank: rank, scale: 2), by: dy)
        }
        let gradient = Reference.lowRankGradient(
            dy, x: x, a: a, b: b, rows: rows, inputs: inputs, outputs: outputs, rank: rank,
            scale: 2)
        expectSame(gradient.dx, numericGradient(at: x) { value($0, a, b) })
        expectSame(gradient.dA, numericGradient(at: a) { value(x, $0, b) })
        expectSame(gradient.dB, numericGradient(at: b) { value(x, a, $0) })
    }

    @Test("an adapter whose B is zero leaves the base's bits", arguments: [1, 3, 40])
    func silent(rows: Int) {
        let (x, a) = (floats(rows * 24, seed: 1), floats(8 * 24, seed: 2))
        let b = [Float](repeating: 0, count: 33 * 8)
        let weights = floats(33 * 24, seed: 3)
        var base = [Float](repeating: 0, count: rows * 33)
        var baseSpan = base.mutableSpan
        linear(
            x.span, weights: weights.span, into: &baseSpan, rows: rows, inputs: 24, outputs: 33)
        var y = base
        var hidden = [Float](repeating: 0, count: rows * 8)
        var ySpan = y.mutableSpan
        var hiddenSpan = hidden.mutableSpan
        lowRank(
            x.span, a: a.span, b: b.span, hidden: &hiddenSpan, into: &ySpan, rows: rows,
            inputs: 24, outputs: 33, rank: 8, scale: 2)
        #expect(y.map(\.bitPattern) == base.map(\.bitPattern))
    }

    @Test(
        "rows gathered and given back: an index that stands twice gets both, and -1 is zeros that nobody gets"
    )
    func rows() {
        let table = floats(5 * 3, seed: 1)
        let indices: [Int32] = [4, -1, 0, 4]
        var y = [Float](repeating: 7, count: 12)
        var ySpan = y.mutableSpan
        gatherRows(table.span, indices.span, into: &ySpan, width: 3)
        #expect(y == Array(table[12..<15] + [0, 0, 0] + table[0..<3] + table[12..<15]))
        for column in 3..<6 { y[column] = .nan }
        var back = [Float](repeating: 1, count: 15)
        var backSpan = back.mutableSpan
        scatterAddRows(y.span, indices.span, into: &backSpan, width: 3)
        for column in 0..<3 {
            #expect(back[12 + column] == (1 + table[12 + column]) + table[12 + column])
            #expect(back[column] == 1 + table[column])
            #expect(back[3 + column] == 1)
        }
    }

    @Test(
        "means over runs and their gradient equal their twins; an empty run is zero",
        arguments: [1, 8, 13])
    func means(width: Int) {
        let offsets = [1, 1, 4, 5, 5, 9]
        let small = offsets.map(Int32.init)
        let x = floats(10 * width, seed: 1)
        let dy = floats(5 * width, seed: 2)
        var y = [Float](repeating: .nan, count: 5 * width)
        var dx = [Float](repeating: 1, count: x.count)
        var ySpan = y.mutableSpan
        meanPool(x.span, offsets: small.span, into: &ySpan, width: width)
        var dxSpan = dx.mutableSpan
        meanPoolBackward(dy.span, offsets: small.span, dx: &dxSpan, width: width)
        expectClose(y, Reference.meanPool(x.doubles, offsets: offsets, width: width))
        let differences = numericGradient(at: x.doubles) {
            weighed(Reference.meanPool($0, offsets: offsets, width: width), by: dy.doubles)
        }
        expectClose(dx, differences.map { $0 + 1 })
    }
}
