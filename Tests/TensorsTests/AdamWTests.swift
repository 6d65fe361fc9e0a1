import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("AdamW, clipping, schedule")
struct AdamWTests {
    static let settings = AdamWSettings(beta1: 0.9, beta2: 0.98, epsilon: 1e-8, decay: 0.01)

    @Test("five steps equal the twin's", arguments: [0, 1, 7, 64])
    func dense(count: Int) {
        let before = floats(count, seed: 1)
        let gradients = (0..<5).map { floats(count, seed: 10 + UInt64($0)) }
        let rates: [Float] = [0.01, 0.02, 0.03, 0.02, 0.01]
        var (p, m, v) = (before, before.map { _ in Float(0) }, before.map { _ in Float(0) })
        var steps = AdamWSteps(Self.settings)
        for (gradient, rate) in zip(gradients, rates) {
            steps.begin(learningRate: rate)
            var pSpan = p.mutableSpan
            var mSpan = m.mutableSpan
            var vSpan = v.mutableSpan
            adamW(&pSpan, gradients: gradient.span, m: &mSpan, v: &vSpan, steps: steps)
        }
        expectClose(
            p,
            Reference.adamW(
                before.doubles, gradients: gradients.map(\.doubles),
                learningRates: rates.doubles, beta1: 0.9, beta2: 0.98, epsilon: 1e-8,
                decay: 0.01))
    }

    @Test(
        "rows brought up to date late have the bits of the dense update",
        arguments: [Float(0), 0.01])
    func lazy(decay: Float) {
        var settings = Self.settings
        settings.decay = decay
        let (rows, width) = (6, 5)
        var random = SeededRandom(seed: 3)
        var denseP = floats(30, seed: 1)
        var denseM = [Float](repeating: 0, count: 30)
        var denseV = denseM
        var (lazyP, lazyM, lazyV) = (denseP, denseM, denseV)
        var done = [Int](repeating: 0, count: rows)
        var steps = AdamWSteps(settings)

        func catchUp(_ row: Int, through: Int) {
            var p = Array(lazyP[row * width..<(row + 1) * width])
            var m = Array(lazyM[row * width..<(row + 1) * width])
            var v = Array(lazyV[row * width..<(row + 1) * width])
            var pSpan = p.mutableSpan
            var mSpan = m.mutableSpan
            var vSpan = v.mutableSpan
            adamWCatchUp(
                &pSpan, m: &mSpan, v: &vSpan, done: done[row], through: through, steps: steps)
            lazyP.replaceSubrange(row * width..<(row + 1) * width, with: p)
            lazyM.replaceSubrange(row * width..<(row + 1) * width, with: m)
            lazyV.replaceSubrange(row * width..<(row + 1) * width, with: v)
            done[row] = through
        }

        for step in 0..<40 {
            // The last row never has a gradient.
            let touched = (0..<rows - 1).filter { _ in random.chance(0.2) }
            var gradient = [Float](repeating: 0, count: rows * width)
            for row in touched {
                for i in 0..<width {
                    gradient[row * width + i] = Float(random.below(200)) / 100 - 1
                }
            }
            for row in touched { catchUp(row, through: step) }
            steps.begin(learningRate: 0.01 + Float(step) / 1000)
            var pSpan = denseP.mutableSpan
            var mSpan = denseM.mutableSpan
            var vSpan = denseV.mutableSpan
            adamW(&pSpan, gradients: gradient.span, m: &mSpan, v: &vSpan, steps: steps)
            for row in touched {
                let place = row * width..<(row + 1) * width
                var (p, m, v) = (Array(lazyP[place]), Array(lazyM[place]), Array(lazyV[place]))
                var pRow = p.mutableSpan
                var mRow = m.mutableSpan
                var vRow = v.mutableSpan
                let part = Array(gradient[place])
                adamW(&pRow, gradients: part.span, m: &mRow, v: &vRow, steps: steps)
                lazyP.replaceSubrange(place, with: p)
                lazyM.replaceSubrange(place, with: m)
                lazyV.replaceSubrange(place, with: v)
                done[row] = step + 1
            }
        }
        for row in 0..<rows { catchUp(row, through: 40) }
        #expect(lazyP == denseP && lazyM == denseM && lazyV == denseV)
    }

    @Test("gradients above the limit are brought to it, others left alone")
    func clipping() {
        let gradient: [Float] = [3, 4, 0, 0, 0]
        #expect(squaredNorm(gradient.span) == 25)
        #expect(clipFactor(norm: 5, limit: 1) == 0.2)
        #expect(clipFactor(norm: 0.5, limit: 1) == 1)
        #expect(clipFactor(norm: 0, limit: 1) == 1)
    }

    @Test("the rate rises to its peak, falls along the cosine and stays at its floor")
    func schedule() {
        func rate(_ step: Int) -> Float {
            warmUpCosine(step: step, warmUp: 10, total: 110, peak: 2)
        }
        #expect(rate(1) == 0.2 && rate(10) == 2 && rate(110) == 0.2 && rate(500) == 0.2)
        #expect(abs(rate(60) - 1.1) < 1e-6)
        #expect((10..<110).allSatisfy { rate($0) >= rate($0 + 1) })
    }
}
