import ReferenceModel
import Tensors
import TestKit
import Testing
import Transformer

@Suite("a decoder block")
struct BlockTests {
    struct World {
        var layout = ParameterLayout()
        let block: BlockLayout
        var parameters: [Float]
        let pass: BlockPass
        let x: [Float]

        init(_ shape: BlockShape, visible: [VisibleKeys]) {
            block = BlockLayout(shape, index: 0, in: &layout)
            parameters = Self.normal(layout.count, deviation: 0.3, seed: 1)
            pass = BlockPass(
                positions: visible.indices.map { Int32($0 % 3) },
                inverseFrequencies: rotaryInverseFrequencies(
                    base: 10_000, headWidth: shape.headWidth), visible: visible)
            x = Self.normal(visible.count * shape.width, deviation: 1, seed: 2)
        }

        static func normal(_ count: Int, deviation: Float, seed: UInt64) -> [Float] {
            var numbers = [Float](repeating: 0, count: count)
            var span = numbers.mutableSpan
            fillNormal(&span, deviation: deviation, random: CounterRandom(seed: seed))
            return numbers
        }

        func output(_ parameters: [Float], _ x: [Float]) -> ([Float], BlockTrace) {
            var out = x
            var trace = BlockTrace()
            forward(&out, block: block, parameters: parameters.span, pass: pass, trace: &trace)
            return (out, trace)
        }

        /// The output in Double.
        func twin(_ x: [Double], _ parameters: Reference.Parameters) -> [Double] {
            let shape = block.shape
            return Reference.block(
                x, prefix: "model.layers.0.", parameters,
                Reference.BlockSizes(
                    width: shape.width, heads: shape.heads, keyHeads: shape.keyHeads,
                    headWidth: shape.headWidth, epsilon: Double(shape.epsilon)),
                positions: pass.visible.indices.map { $0 % 3 },
                inverseFrequencies: rotaryInverseFrequencies(
                    base: 10_000, headWidth: shape.headWidth)
            ) { pass.visible[$0].first.contains($1) || pass.visible[$0].second.contains($1) }
        }

        var slope: [Float] { x.indices.map { Float(($0 * 7 + 3) % 11) / 11 - 0.5 } }
    }

    static let shapes = [
        BlockShape(width: 8, heads: 2, feedForward: 12),
        BlockShape(
            width: 8, heads: 4, keyHeads: 2, headWidth: 4, feedForward: 6, hasBiases: true,
            hasOutputBias: true),
        BlockShape(
            width: 6, heads: 2, keyHeads: 1, headWidth: 4, feedForward: 10, hasHeadNorms: true),
    ]
    /// Two sequences of three and two rows.
    static let visible = [
        VisibleKeys(0..<1), VisibleKeys(0..<2), VisibleKeys(0..<1, 2..<3), VisibleKeys.none,
        VisibleKeys(3..<5),
    ]

    @Test("gradients equal differences of the Double twin", arguments: 0..<3)
    func gradients(index: Int) {
        let world = World(Self.shapes[index], visible: Self.visible)
        let (out, trace) = world.output(world.parameters, world.x)
        var dx = world.slope
        var gradients = [Float](repeating: 0, count: world.layout.count)
        var scratch = BlockScratch()
        backward(
            &dx, block: world.block, parameters: world.parameters.span, pass: world.pass,
            trace: trace, gradients: &gradients, scratch: &scratch)

        var twin = Reference.Parameters([:])
        for entry in world.layout.entries {
            twin.values[entry.name] = world.parameters[entry.range].map(Double.init)
        }
        let x = world.x.map(Double.init)
        #expect(normalisedError(out.map(Double.init), world.twin(x, twin)) < 1e-12)
        func loss(_ x: [Double], _ parameters: Reference.Parameters) -> Double {
            weighed(world.twin(x, parameters), by: world.slope.map(Double.init))
        }
        let below = numericGradient(at: x) { loss($0, twin) }
        #expect(normalisedError(dx.map(Double.init), below) < 1e-11)
        for entry in world.layout.entries {
            var changed = twin
            let expected = numericGradient(at: twin[entry.name]) {
                changed.values[entry.name] = $0
                return loss(x, changed)
            }
            let ours = gradients[entry.range].map(Double.init)
            #expect(normalisedError(ours, expected) < 1e-11, "\(entry.name)")
        }
    }

    @Test("appending rows to a cache equals the full pass", arguments: 0..<3)
    func cached(index: Int) {
        let shape = Self.shapes[index]
        let rows = 5
        let causal = (0..<rows).map { VisibleKeys(0..<$0 + 1) }
        let world = World(shape, visible: causal)
        let full = world.output(world.parameters, world.x).0
        var cache = KeyValueCache(keyWidth: shape.keyWidth)
        var trace = BlockTrace()
        for part in [0..<2, 2..<3, 3..<5] {
            let pass = BlockPass(
                positions: part.map { Int32($0 % 3) },
                inverseFrequencies: rotaryInverseFrequencies(
                    base: 10_000, headWidth: shape.headWidth),
                visible: Array(causal[part]))
            var x = Array(world.x[part.lowerBound * shape.width..<part.upperBound * shape.width])
            forward(
                &x, block: world.block, parameters: world.parameters.span, pass: pass,
                cache: &cache, trace: &trace)
            for (place, value) in x.enumerated() {
                #expect(abs(value - full[part.lowerBound * shape.width + place]) < 1e-4)
            }
        }
        #expect(cache.rows == rows)
    }
}
