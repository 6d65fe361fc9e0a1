import ReferenceModel
import Tensors
import Testing
import Transformer

@Suite("adapters of blocks")
struct LowRankTests {
    static func adapted(kind: Int, projections: [Projection]) -> SmallDecoder {
        let plain = SmallDecoder.plain(layerCount: 2, kind: kind).decoder
        let layout = LowRankLayout(
            rank: 2, scale: 1.5, projections: projections, layers: 1..<2, layerCount: 2,
            shape: plain.shape.block)
        var decoder = plain
        decoder.adapter = DecoderAdapter(
            layout, parameters: normal(layout.layout.count, deviation: 0.4, seed: 21))
        return SmallDecoder(decoder)
    }

    @Test("B of zeros leaves every bit of the base")
    func zero() throws {
        var small = Self.adapted(kind: 1, projections: Projection.allCases)
        let layout = try #require(small.decoder.adapter).layout
        var parameters = normal(layout.layout.count, deviation: 1, seed: 3)
        for entry in layout.layout.entries where entry.name.hasSuffix("lora_B.weight") {
            for place in entry.range { parameters[place] = 0 }
        }
        var decoder = small.decoder
        decoder.adapter = DecoderAdapter(layout, parameters: parameters)
        small = SmallDecoder(decoder)
        for count in [3, 9] {
            let input = DecoderInput(tokens(count, seed: 4))
            #expect(
                try small.hidden(input)
                    == SmallDecoder.plain(layerCount: 2, kind: 1).hidden(input))
        }
        #expect(DecoderAdapter(layout).parameters.allSatisfy { $0 == 0 })
    }

    @Test("beside the weights, merged into them and in Double: one function", arguments: 0..<3)
    func merged(kind: Int) throws {
        let small = Self.adapted(kind: kind, projections: Projection.allCases)
        let input = DecoderInput(tokens(7, seed: 5))
        let beside = try small.logits(input)
        #expect(try error(SmallDecoder(small.decoder.merged()).logits(input), beside) < floatError)
        #expect(
            try error(SmallDecoder.plain(layerCount: 2, kind: kind).logits(input), beside) > 1e-2)
        let twin = Reference.decoder(
            input.tokens.map(Int.init), small.reference, small.sizes, layerCount: 2,
            inverseFrequencies: small.decoder.shape.inverseFrequencies
        ) { _, row, key in key <= row }
        #expect(normalisedError(beside.map(Double.init), twin).squareRoot() < floatError)
    }

    @Test("gradients equal differences of the Double twin, the base frozen", arguments: 0..<3)
    func gradients(kind: Int) throws {
        let small = Self.adapted(
            kind: kind,
            projections: kind == 0 ? Projection.allCases : [.query, .key, .value, .output])
        let decoder = small.decoder
        let adapter = try #require(decoder.adapter)
        let changes = try #require(adapter.layout.blocks[1])
        let width = decoder.shape.block.width
        let visible = BlockTests.visible
        let pass = BlockPass(
            positions: [0, 1, 2, 0, 1], inverseFrequencies: decoder.shape.inverseFrequencies,
            visible: visible)
        let input = normal(5 * width, deviation: 1, seed: 6)
        let slope = normal(5 * width, deviation: 1, seed: 7)
        var out = input
        var trace = BlockTrace()
        forward(
            &out, block: decoder.layout.blocks[1], parameters: decoder.parameters.span,
            pass: pass, adapter: changes, adapterParameters: adapter.parameters.span,
            trace: &trace)
        var dx = slope
        var gradients = [Float](repeating: 0, count: adapter.parameters.count)
        var scratch = BlockScratch()
        backward(
            &dx, block: decoder.layout.blocks[1], parameters: decoder.parameters.span,
            pass: pass, adapter: changes, adapterParameters: adapter.parameters.span,
            trace: trace, adapterGradients: &gradients, scratch: &scratch)

        func loss(_ x: [Double], _ parameters: Reference.Parameters) -> Double {
            weighed(
                Reference.block(
                    x, prefix: "model.layers.1.", parameters, small.sizes,
                    positions: [0, 1, 2, 0, 1],
                    inverseFrequencies: decoder.shape.inverseFrequencies
                ) { visible[$0].first.contains($1) || visible[$0].second.contains($1) },
                by: slope.map(Double.init))
        }
        let doubles = input.map(Double.init)
        let bound = floatError * floatError * 10
        let below = numericGradient(at: doubles) { loss($0, small.reference) }
        #expect(normalisedError(dx.map(Double.init), below) < bound)
        for entry in adapter.layout.layout.entries {
            let name = String(entry.name.dropFirst("base_model.model.".count))
            var parameters = small.reference
            let expected = numericGradient(at: parameters[name]) {
                parameters.values[name] = $0
                return loss(doubles, parameters)
            }
            let ours = gradients[entry.range].map(Double.init)
            #expect(normalisedError(ours, expected) < bound, "\(name)")
        }
    }
}
