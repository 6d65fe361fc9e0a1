import ReferenceModel
import Tensors
import Testing
import Transformer

@Suite("training an adapter of a decoder")
struct TrainingTests {
    static let masks = ItemMasks.split(intra: 1, inter: 1, layerCount: 3)
    static let inputs = [
        DecoderInput(tokens(6, seed: 1), segments: [0, 1, 1, 2, 2, 3]),
        DecoderInput(tokens(4, seed: 2), segments: [1, 1, 2, 2]),
    ]
    /// Targets at all rows but the first of each.
    static let rows = [1, 2, 3, 4, 5, 7, 8, 9]

    /// The layers in `adapted` have an adapter.
    static func decoder(_ adapted: Range<Int>) -> Decoder {
        var decoder = SmallDecoder(masks).decoder
        let layout = LowRankLayout(
            rank: 2, scale: 1.25, layers: adapted, layerCount: 3, shape: decoder.shape.block)
        decoder.adapter = DecoderAdapter(
            layout, parameters: normal(layout.layout.count, deviation: 0.4, seed: 9))
        return decoder
    }

    @Test("the training pass is the serving pass")
    func same() throws {
        let decoder = Self.decoder(1..<3)
        var states = Self.inputs.map { _ in DecoderState(decoder.shape) }
        var scratch = DecoderScratch()
        let hidden = try decoder.forward(Self.inputs, states: &states, scratch: &scratch)
        let served = decoder.logits(hidden, rows: Self.rows)
        var trace = DecoderTrace()
        for _ in 0..<2 {  // its memory is used again
            let trained = try decoder.trainingForward(
                Self.inputs, rows: Self.rows, trace: &trace)
            #expect(error(trained, served) < floatError)
        }
        #expect(throws: DecoderError.unknownToken(30, vocabularyCount: 30)) {
            try decoder.trainingForward([DecoderInput([30])], rows: [0], trace: &trace)
        }
    }

    @Test("gradients equal differences of the Double twin", arguments: [0..<3, 2..<3, 1..<2])
    func gradients(adapted: Range<Int>) throws {
        let decoder = Self.decoder(adapted)
        let small = SmallDecoder(decoder)
        let adapter = try #require(decoder.adapter)
        var trace = DecoderTrace()
        let logits = try decoder.trainingForward(Self.inputs, rows: Self.rows, trace: &trace)
        let slope = normal(logits.count, deviation: 1, seed: 4)
        var gradients = [Float](repeating: 0, count: adapter.parameters.count)
        decoder.trainingBackward(slope, trace: &trace, gradients: &gradients)

        for entry in adapter.layout.layout.entries {
            let name = String(entry.name.dropFirst("base_model.model.".count))
            var parameters = small.reference
            let expected = numericGradient(at: parameters[name]) {
                parameters.values[name] = $0
                return Self.loss(small, parameters, slope)
            }
            let ours = gradients[entry.range].map(Double.init)
            #expect(normalisedError(ours, expected) < 1e-10, "\(name)")
        }
    }

    @Test("without an adapter they are those of every parameter", arguments: [false, true])
    func everything(tiesHead: Bool) throws {
        let small = SmallDecoder(Self.masks, tiesHead: tiesHead)
        var trace = DecoderTrace()
        let logits = try small.decoder.trainingForward(Self.inputs, rows: Self.rows, trace: &trace)
        let slope = normal(logits.count, deviation: 1, seed: 4)
        var gradients = [Float](repeating: 0, count: small.decoder.parameters.count)
        small.decoder.trainingBackward(slope, trace: &trace, gradients: &gradients)
        for entry in small.decoder.layout.layout.entries {
            var parameters = small.reference
            let expected = numericGradient(at: parameters[entry.name]) {
                parameters.values[entry.name] = $0
                return Self.loss(small, parameters, slope)
            }
            let ours = gradients[entry.range].map(Double.init)
            #expect(normalisedError(ours, expected) < 1e-10, "\(entry.name)")
        }
    }

    /// The Double twin's logits at the rows, weighed by `slope`.
    static func loss(
        _ small: SmallDecoder, _ parameters: Reference.Parameters, _ slope: [Float]
    ) -> Double {
        let all = inputs.flatMap { input in
            Reference.decoder(
                input.tokens.map(Int.init), parameters, small.sizes, layerCount: 3,
                inverseFrequencies: small.decoder.shape.inverseFrequencies
            ) { layer, row, key in
                let (own, other) = (input.segments[row], input.segments[key])
                guard key <= row else { return false }
                switch masks.layers[layer] {
                case .ordinary: return true
                case .intra: return own == other
                case .inter: return own != other || other == 0
                }
            }
        }
        return weighed(
            rows.flatMap { all[$0 * 30..<($0 + 1) * 30] }, by: slope.map(Double.init))
    }

    @Test("two halves of a batch add up to the whole")
    func halves() throws {
        let decoder = Self.decoder(1..<3)
        let count = try #require(decoder.adapter).parameters.count
        let slope = normal(Self.rows.count * 30, deviation: 1, seed: 4)
        var trace = DecoderTrace()
        var (whole, halves) = (
            [Float](repeating: 0, count: count), [Float](repeating: 0, count: count)
        )
        _ = try decoder.trainingForward(Self.inputs, rows: Self.rows, trace: &trace)
        decoder.trainingBackward(slope, trace: &trace, gradients: &whole)
        for (index, rows) in [[1, 2, 3, 4, 5], [1, 2, 3]].enumerated() {
            _ = try decoder.trainingForward([Self.inputs[index]], rows: rows, trace: &trace)
            let part = index == 0 ? slope[..<(5 * 30)] : slope[(5 * 30)...]
            decoder.trainingBackward(Array(part), trace: &trace, gradients: &halves)
        }
        #expect(error(halves, whole) < floatError)
    }
}
