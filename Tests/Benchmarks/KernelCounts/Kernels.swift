// The kernels at the sizes of the default model: 512 rows, width 64, 2 heads, 160 inner.

import Tensors

private let rows = 512
private let width = 64
private let shape = AttentionShape(rows: 512, keyRows: 512, heads: 2, keyHeads: 2, headWidth: 32)
/// Items of ten tokens; histories of 32 pooled items.
private let intra = (0..<512).map { VisibleKeys.intra(segmentStart: $0 / 10 * 10, row: $0) }
private let inter = (0..<512).map {
    VisibleKeys.inter(sequenceStart: $0 / 32 * 32, segmentStart: $0, row: $0, withSelf: true)
}
private let causal = (0..<512).map { VisibleKeys.causal(sequenceStart: 0, row: $0) }

let kernels: [Kernel] = [
    Kernel(name: "rmsNorm", prepare: norm), Kernel(name: "rmsNormBackward", prepare: normBackward),
    Kernel(name: "rotate", prepare: rotation), Kernel(name: "swiGLU", prepare: gated),
    Kernel(name: "swiGLUBackward", prepare: gatedBackward),
    Kernel(name: "attention.intra") { attend(intra) },
    Kernel(name: "attention.inter") { attend(inter) },
    Kernel(name: "attention.causal") { attend(causal) },
    Kernel(name: "attentionBackward.inter") { attendBackward(inter) },
    Kernel(name: "softmax", prepare: probabilities),
    Kernel(name: "crossEntropy", prepare: loss), Kernel(name: "adamW", prepare: optimiser),
    Kernel(name: "linear.1") { product(1, 10_000) }, Kernel(name: "linear.8") { product(8, 160) },
    Kernel(name: "linear.512") { product(512, 160) }, Kernel(name: "lowRank", prepare: adapter),
    Kernel(name: "topK", prepare: list), Kernel(name: "gatherRows", prepare: gather),
    Kernel(name: "scatterAddRows", prepare: scatter), Kernel(name: "meanPool", prepare: pool),
    Kernel(name: "dropout", prepare: drop),
]

private func norm() -> () -> Void {
    let (x, gain) = (numbers(rows * width), numbers(width))
    var (y, reciprocals) = (x, numbers(rows))
    return {
        var ySpan = y.mutableSpan
        var reciprocalSpan = reciprocals.mutableSpan
        rmsNorm(
            x.span, gain: gain.span, into: &ySpan, reciprocals: &reciprocalSpan, rows: rows,
            width: width, epsilon: 1e-6)
    }
}

private func normBackward() -> () -> Void {
    let (x, dy, gain) = (numbers(rows * width), numbers(rows * width, 2), numbers(width))
    let reciprocals = numbers(rows)
    var (dx, dGain) = (x, gain)
    return {
        var dxSpan = dx.mutableSpan
        var dGainSpan = dGain.mutableSpan
        rmsNormBackward(
            dy.span, x: x.span, gain: gain.span, reciprocals: reciprocals.span, dx: &dxSpan,
            dGain: &dGainSpan, rows: rows, width: width)
    }
}

private func rotation() -> () -> Void {
    var x = numbers(rows * width)
    let (cosines, sines) = (numbers(rows * 16), numbers(rows * 16, 2))
    return {
        var span = x.mutableSpan
        rotate(
            &span, cosines: cosines.span, sines: sines.span, rows: rows, heads: 2, headWidth: 32)
    }
}

private func gated() -> () -> Void {
    let (gate, up) = (numbers(rows * 160), numbers(rows * 160, 2))
    var y = gate
    return {
        var span = y.mutableSpan
        swiGLU(gate: gate.span, up: up.span, into: &span)
    }
}

private func gatedBackward() -> () -> Void {
    let (gate, up, dy) = (numbers(rows * 160), numbers(rows * 160, 2), numbers(rows * 160, 3))
    var (dGate, dUp) = (gate, up)
    return {
        var dGateSpan = dGate.mutableSpan
        var dUpSpan = dUp.mutableSpan
        swiGLUBackward(
            dy.span, gate: gate.span, up: up.span, dGate: &dGateSpan, dUp: &dUpSpan)
    }
}

private func attend(_ visible: [VisibleKeys]) -> () -> Void {
    let (q, k) = (numbers(rows * width), numbers(rows * width, 2))
    let v = numbers(rows * width, 3)
    var (out, logSums) = (q, numbers(rows * 2))
    return {
        var outSpan = out.mutableSpan
        var sumSpan = logSums.mutableSpan
        attention(
            q: q.span, k: k.span, v: v.span, visible: visible.span, into: &outSpan,
            logSums: &sumSpan, shape: shape)
    }
}

private func attendBackward(_ visible: [VisibleKeys]) -> () -> Void {
    let (q, k) = (numbers(rows * width), numbers(rows * width, 2))
    let (v, dOut) = (numbers(rows * width, 3), numbers(rows * width, 4))
    let logSums = [Float](repeating: 4, count: rows * 2)
    var (dq, dk, dv) = (q, k, v)
    return {
        var dqSpan = dq.mutableSpan
        var dkSpan = dk.mutableSpan
        var dvSpan = dv.mutableSpan
        attentionBackward(
            dOut.span, q: q.span, k: k.span, v: v.span, visible: visible.span,
            logSums: logSums.span, dq: &dqSpan, dk: &dkSpan, dv: &dvSpan, shape: shape)
    }
}

private func probabilities() -> () -> Void {
    let x = numbers(64 * 4000)
    var y = x
    return {
        var span = y.mutableSpan
        softmax(x.span, into: &span, rows: 64, width: 4000)
    }
}

private func loss() -> () -> Void {
    let (x, weights) = (numbers(64 * 1280), [Float](repeating: 1, count: 64))
    let classes = (0..<64).map { Int32($0 * 20) }
    var (logSums, dx) = (weights, x)
    return {
        var sumSpan = logSums.mutableSpan
        _ = crossEntropy(
            x.span, classes: classes.span, weights: weights.span, logSums: &sumSpan, rows: 64,
            width: 1280)
        var dxSpan = dx.mutableSpan
        crossEntropyBackward(
            x.span, classes: classes.span, weights: weights.span, logSums: logSums.span,
            dLogits: &dxSpan, rows: 64, width: 1280)
    }
}

private func optimiser() -> () -> Void {
    var (p, m) = (numbers(rows * width), numbers(rows * width, 2))
    var v = m.map { $0 * $0 }
    let gradients = numbers(rows * width, 3)
    var steps = AdamWSteps(AdamWSettings())
    steps.begin(learningRate: 1e-3)
    return {
        var pSpan = p.mutableSpan
        var mSpan = m.mutableSpan
        var vSpan = v.mutableSpan
        adamW(&pSpan, gradients: gradients.span, m: &mSpan, v: &vSpan, steps: steps)
    }
}

private func product(_ rows: Int, _ outputs: Int) -> () -> Void {
    let (x, weights) = (numbers(rows * width), numbers(outputs * width, 2))
    var y = [Float](repeating: 0, count: rows * outputs)
    return {
        var span = y.mutableSpan
        linear(
            x.span, weights: weights.span, into: &span, rows: rows, inputs: width,
            outputs: outputs)
    }
}

private func adapter() -> () -> Void {
    let (x, a, b) = (numbers(rows * width), numbers(8 * width, 2), numbers(8 * width, 3))
    var (y, hidden) = (x, numbers(rows * 8))
    return {
        var ySpan = y.mutableSpan
        var hiddenSpan = hidden.mutableSpan
        lowRank(
            x.span, a: a.span, b: b.span, hidden: &hiddenSpan, into: &ySpan, rows: rows,
            inputs: width, outputs: width, rank: 8, scale: 2)
    }
}

private func list() -> () -> Void {
    let scores = numbers(10_000)
    var indices = [Int32](repeating: 0, count: 50)
    return {
        var span = indices.mutableSpan
        topK(scores.span, into: &span)
    }
}

private func gather() -> () -> Void {
    let table = numbers(4000 * width)
    let indices = (0..<rows).map { Int32($0 * 7919 % 4000) }
    var y = numbers(rows * width)
    return {
        var span = y.mutableSpan
        gatherRows(table.span, indices.span, into: &span, width: width)
    }
}

private func scatter() -> () -> Void {
    let dy = numbers(rows * width)
    let indices = (0..<rows).map { Int32($0 * 7919 % 4000) }
    var table = numbers(4000 * width)
    return {
        var span = table.mutableSpan
        scatterAddRows(dy.span, indices.span, into: &span, width: width)
    }
}

private func pool() -> () -> Void {
    let x = numbers(rows * width)
    let offsets = (0...51).map { Int32($0 * 10) }
    var y = numbers(51 * width)
    return {
        var span = y.mutableSpan
        meanPool(x.span, offsets: offsets.span, into: &span, width: width)
    }
}

private func drop() -> () -> Void {
    var x = numbers(rows * width)
    return {
        var span = x.mutableSpan
        dropout(&span, rate: 0.2, random: CounterRandom(seed: 1))
    }
}
