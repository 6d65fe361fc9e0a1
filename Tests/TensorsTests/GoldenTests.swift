// Kernels against PyTorch: Tests/Fixtures/kernels.json, written by generate_kernels.py beside it.

import Foundation
import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("golden files of PyTorch")
struct GoldenTests {
    struct File: Decodable {
        var version: Int
        var cases: [String: Case]
    }
    struct Case: Decodable {
        var inputs: [String: [Double]]
        var output: [Double]
        var gradients: [String: [Double]]

        func floats(_ name: String) throws -> [Float] {
            try #require(inputs[name]).map { Float($0) }
        }
        func gradient(_ name: String) throws -> [Double] { try #require(gradients[name]) }
    }

    static func golden(_ name: String) throws -> Case {
        let url = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Fixtures/kernels.json")
        let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
        #expect(file.version == 1)
        return try #require(file.cases[name])
    }

    static func zeros(_ like: [Float]) -> [Float] { like.map { _ in 0 } }

    @Test("norm")
    func norm() throws {
        let golden = try Self.golden("norm")
        let (x, gain) = (try golden.floats("x"), try golden.floats("gain"))
        let d = try golden.floats("d")
        var (y, reciprocals) = (Self.zeros(x), [Float](repeating: 0, count: 3))
        var (dx, dGain) = (Self.zeros(x), Self.zeros(gain))
        var ySpan = y.mutableSpan
        var reciprocalSpan = reciprocals.mutableSpan
        rmsNorm(
            x.span, gain: gain.span, into: &ySpan, reciprocals: &reciprocalSpan, rows: 3,
            width: 10, epsilon: 1e-5)
        var dxSpan = dx.mutableSpan
        var dGainSpan = dGain.mutableSpan
        rmsNormBackward(
            d.span, x: x.span, gain: gain.span, reciprocals: reciprocals.span, dx: &dxSpan,
            dGain: &dGainSpan, rows: 3, width: 10)
        expectClose(y, golden.output)
        expectClose(dx, try golden.gradient("x"))
        expectClose(dGain, try golden.gradient("gain"))
    }

    @Test("rotary positions")
    func rotary() throws {
        let golden = try Self.golden("rotary")
        var (x, d) = (try golden.floats("x"), try golden.floats("d"))
        let positions: [Int32] = [0, 5, 131]
        let inverse = rotaryInverseFrequencies(base: 10_000, headWidth: 6)
        var (cosines, sines) = ([Float](repeating: 0, count: 9), [Float](repeating: 0, count: 9))
        var cosineSpan = cosines.mutableSpan
        var sineSpan = sines.mutableSpan
        rotaryAngles(
            positions: positions.span, inverseFrequencies: inverse.span, cosines: &cosineSpan,
            sines: &sineSpan)
        var xSpan = x.mutableSpan
        rotate(&xSpan, cosines: cosines.span, sines: sines.span, rows: 3, heads: 2, headWidth: 6)
        var dSpan = d.mutableSpan
        rotate(
            &dSpan, cosines: cosines.span, sines: sines.span, direction: .backward, rows: 3,
            heads: 2, headWidth: 6)
        // The frequencies are floats in both, but rounded once more or less in their making: an angle of 131 shows it.
        expectClose(x, golden.output, within: 1e-10)
        expectClose(d, try golden.gradient("x"), within: 1e-10)
    }

    @Test("gated unit")
    func gated() throws {
        let golden = try Self.golden("gated")
        let (gate, up) = (try golden.floats("gate"), try golden.floats("up"))
        let d = try golden.floats("d")
        var (y, dGate, dUp) = (Self.zeros(gate), Self.zeros(gate), Self.zeros(gate))
        var ySpan = y.mutableSpan
        swiGLU(gate: gate.span, up: up.span, into: &ySpan)
        var dGateSpan = dGate.mutableSpan
        var dUpSpan = dUp.mutableSpan
        swiGLUBackward(
            d.span, gate: gate.span, up: up.span, dGate: &dGateSpan, dUp: &dUpSpan)
        expectClose(y, golden.output)
        expectClose(dGate, try golden.gradient("gate"))
        expectClose(dUp, try golden.gradient("up"))
    }

    @Test("attention", arguments: ["causal", "intra", "interWithSelf"])
    func attentions(rule: String) throws {
        let golden = try Self.golden("attention.\(rule)")
        let layout = AttentionTests.Layout([[2, 3, 1], [4]])
        let visible = try (0..<10).map { row in
            try #require(
                AttentionTests.Rule.allCases.first { "\($0)" == rule }
            ).visible(row, layout)
        }
        let shape = AttentionShape(rows: 10, keyRows: 10, heads: 4, keyHeads: 2, headWidth: 3)
        let (q, k) = (try golden.floats("q"), try golden.floats("k"))
        let (v, d) = (try golden.floats("v"), try golden.floats("d"))
        var (out, logSums) = (Self.zeros(q), [Float](repeating: 0, count: shape.logSumCount))
        var outSpan = out.mutableSpan
        var sumSpan = logSums.mutableSpan
        attention(
            q: q.span, k: k.span, v: v.span, visible: visible.span, into: &outSpan,
            logSums: &sumSpan, shape: shape)
        var (dq, dk, dv) = (Self.zeros(q), Self.zeros(k), Self.zeros(v))
        var dqSpan = dq.mutableSpan
        var dkSpan = dk.mutableSpan
        var dvSpan = dv.mutableSpan
        attentionBackward(
            d.span, q: q.span, k: k.span, v: v.span, visible: visible.span,
            logSums: logSums.span, dq: &dqSpan, dk: &dkSpan, dv: &dvSpan, shape: shape)
        expectClose(out, golden.output)
        expectClose(dq, try golden.gradient("q"))
        expectClose(dk, try golden.gradient("k"))
        expectClose(dv, try golden.gradient("v"))
    }

    @Test("soft cross-entropy")
    func loss() throws {
        let golden = try Self.golden("softCrossEntropy")
        let (x, targets) = (try golden.floats("x"), try golden.floats("targets"))
        let weights = try golden.floats("weights")
        var (logSums, dx) = (Self.zeros(weights), Self.zeros(x))
        var sumSpan = logSums.mutableSpan
        let loss = softCrossEntropy(
            x.span, targets: targets.span, weights: weights.span, logSums: &sumSpan, rows: 4,
            width: 9)
        var dxSpan = dx.mutableSpan
        softCrossEntropyBackward(
            x.span, targets: targets.span, weights: weights.span, logSums: logSums.span,
            dLogits: &dxSpan, rows: 4, width: 9)
        expectClose([Float(loss)], golden.output)
        expectClose(dx, try golden.gradient("x"))
    }

    @Test("adapter")
    func adapter() throws {
        let golden = try Self.golden("lowRank")
        let (x, w) = (try golden.floats("x"), try golden.floats("w"))
        let (a, b) = (try golden.floats("a"), try golden.floats("b"))
        let d = try golden.floats("d")
        var (y, hidden) = (Self.zeros(d), [Float](repeating: 0, count: 10))
        var ySpan = y.mutableSpan
        linear(x.span, weights: w.span, into: &ySpan, rows: 5, inputs: 7, outputs: 6)
        var hiddenSpan = hidden.mutableSpan
        lowRank(
            x.span, a: a.span, b: b.span, hidden: &hiddenSpan, into: &ySpan, rows: 5, inputs: 7,
            outputs: 6, rank: 2, scale: 0.5)
        var dx = Self.zeros(x)
        var dxSpan = dx.mutableSpan
        // The base's part of dx is the linear layer's.
        linearBackward(d.span, weights: w.span, dx: &dxSpan, rows: 5, inputs: 7, outputs: 6)
        var (dHidden, dPair) = (hidden, Self.zeros(a + b))
        var dHiddenSpan = dHidden.mutableSpan
        var dPairSpan = dPair.mutableSpan
        lowRankBackward(
            d.span, x: x.span, hidden: hidden.span, a: a.span, b: b.span,
            dHidden: &dHiddenSpan, dx: &dxSpan, dPair: &dPairSpan, rows: 5, inputs: 7,
            outputs: 6, rank: 2, scale: 0.5)
        expectClose(y, golden.output)
        expectClose(dx, try golden.gradient("x"))
        expectClose(Array(dPair[..<a.count]), try golden.gradient("a"))
        expectClose(Array(dPair[a.count...]), try golden.gradient("b"))
    }

    @Test("ten steps of AdamW")
    func optimiser() throws {
        let golden = try Self.golden("adamW")
        var p = try golden.floats("parameters")
        let gradients = try golden.floats("gradients")
        var (m, v) = (Self.zeros(p), Self.zeros(p))
        var steps = AdamWSteps(
            AdamWSettings(beta1: 0.9, beta2: 0.98, epsilon: 1e-8, decay: 0.1))
        for step in 0..<10 {
            steps.begin(learningRate: 0.01 * Float(step + 1))
            let part = Array(gradients[step * 11..<(step + 1) * 11])
            var pSpan = p.mutableSpan
            var mSpan = m.mutableSpan
            var vSpan = v.mutableSpan
            adamW(&pSpan, gradients: part.span, m: &mSpan, v: &vSpan, steps: steps)
        }
        expectClose(p, golden.output)
    }
}
