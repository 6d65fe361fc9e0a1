// Small random models of each family against what transformers and peft made of them.

import Checkpoints
import Foundation
import JSONDocuments
import LanguageModel
import Tensors
import TestKit
import Testing
import Transformer

func goldenModel(_ family: ModelConfiguration.Family) throws -> LanguageModel {
    try LanguageModel(folder: fixtures.appending(path: "decoder-\(family.rawValue)").path)
}

/// The greatest difference, as a share of the greatest number.
func relativeError(_ ours: [Float], _ theirs: [Float]) -> Float {
    guard ours.count == theirs.count else { return .infinity }
    let greatest = theirs.reduce(0) { max($0, abs($1)) }
    return zip(ours, theirs).reduce(0) { max($0, abs($1.0 - $1.1)) } / greatest
}

@Suite("models of transformers")
struct GoldenTests {
    struct Golden {
        let prompt: [Int32]
        let greedy: [Int32]
        let rows: [Int]
        let logits: [Float]

        init(_ family: ModelConfiguration.Family) throws {
            let root = try JSONNode(parsing: fixture("decoder.json"), document: "decoder.json")
                .member(family.rawValue)
            func integers(_ name: String) throws -> [Int] {
                try root.member(name).elements().map { try $0.integer(in: 0...1000) }
            }
            prompt = try integers("prompt").map(Int32.init)
            greedy = try integers("greedy").map(Int32.init)
            rows = try integers("rows")
            logits = try root.member("logits").elements().map {
                Float(try $0.real(in: -1e9...1e9))
            }
        }
    }

    @Test("logits of a prompt", arguments: ModelConfiguration.Family.allCases)
    func logits(family: ModelConfiguration.Family) throws {
        let golden = try Golden(family)
        let model = try goldenModel(family)
        var states = [DecoderState(model.decoder.shape)]
        var scratch = DecoderScratch()
        let hidden = try model.decoder.forward(
            [DecoderInput(golden.prompt)], states: &states, scratch: &scratch)
        let error = relativeError(
            model.decoder.logits(hidden, rows: golden.rows), golden.logits)
        #expect(error < 1e-5)
    }

    @Test("greedy decoding, token by token", arguments: ModelConfiguration.Family.allCases)
    func greedy(family: ModelConfiguration.Family) throws {
        let golden = try Golden(family)
        let model = try goldenModel(family)
        var state = DecoderState(model.decoder.shape)
        var scratch = DecoderScratch()
        let made = try model.decoder.generate(
            DecoderInput(golden.prompt), state: &state,
            limits: GenerationLimits(countMax: golden.greedy.count), scratch: &scratch)
        #expect(made == Generation(tokens: golden.greedy, end: .countMax))
        #expect(golden.greedy.count >= 32)
    }

    @Test("logits with an adapter of peft, beside the weights and merged into them")
    func adapter() throws {
        var model = try goldenModel(.llama)
        let golden = try SafetensorsFile(
            path: fixtures.appending(path: "decoder-adapter.safetensors").path)
        let expected = try golden.floats(#require(golden["prompt.logits"]))
        let read = try Adapter(
            folder: fixtures.appending(path: "decoder-llama-adapter").path,
            for: model.configuration)
        let adapter = try DecoderAdapter(read, shape: model.decoder.shape)
        model.decoder.adapter = adapter
        let back = adapter.adapter(shape: model.decoder.shape).pairs
        let isSame = back.sorted { $0.module < $1.module } == read.pairs
        #expect(isSame, "what was read is what would be written")
        var scratch = DecoderScratch()
        for decoder in [model.decoder, model.decoder.merged()] {
            var states = [DecoderState(decoder.shape)]
            let hidden = try decoder.forward(
                [DecoderInput(Array(3..<15))], states: &states, scratch: &scratch)
            #expect(relativeError(decoder.logits(hidden, rows: [4, 11]), expected) < 1e-5)
        }
    }

    @Test("the way back through a block with an adapter, as in PyTorch")
    func gradients() throws {
        let model = try goldenModel(.llama)
        let golden = try SafetensorsFile(
            path: fixtures.appending(path: "decoder-adapter.safetensors").path)
        func tensor(_ name: String) throws -> [Float] {
            try golden.floats(#require(golden[name], "\(name)"))
        }
        let adapter = try DecoderAdapter(
            Adapter(
                folder: fixtures.appending(path: "decoder-llama-adapter").path,
                for: model.configuration), shape: model.decoder.shape)
        let shape = model.decoder.shape
        let block = model.decoder.layout.blocks[1]
        let changes = try #require(adapter.layout.blocks[1])
        let pass = BlockPass(
            positions: [0, 1, 2, 3, 4], inverseFrequencies: shape.inverseFrequencies,
            visible: (0..<5).map { .causal(sequenceStart: 0, row: $0) })
        var x = try tensor("x")
        var trace = BlockTrace()
        forward(
            &x, block: block, parameters: model.decoder.parameters.span, pass: pass,
            adapter: changes, adapterParameters: adapter.parameters.span, trace: &trace)
        #expect(relativeError(x, try tensor("y")) < 1e-5)
        var dx = try tensor("slope")
        var gradients = [Float](repeating: 0, count: adapter.parameters.count)
        var scratch = BlockScratch()
        backward(
            &dx, block: block, parameters: model.decoder.parameters.span, pass: pass,
            adapter: changes, adapterParameters: adapter.parameters.span, trace: trace,
            adapterGradients: &gradients, scratch: &scratch)
        #expect(relativeError(dx, try tensor("dx")) < 1e-5)
        var compared = 0
        for entry in adapter.layout.layout.entries where entry.name.contains("layers.1.") {
            let name = entry.name.replacing("base_model.model.model.layers.1.", with: "d.")
            #expect(relativeError(Array(gradients[entry.range]), try tensor(name)) < 1e-5)
            compared += 1
        }
        #expect(compared == 8)
    }

    @Test("ten steps of training an adapter: the losses of PyTorch and peft, and its gradients")
    func training() throws {
        let root = try JSONNode(
            parsing: fixture("decoder-training.json"), document: "decoder-training.json")
        let sequences = try root.member("sequences").elements().map { node in
            try node.elements().map { Int32(try $0.integer(in: 0...63)) }
        }
        let losses = try root.member("losses").elements().map { try $0.real(in: 0...100) }
        let expected = try SafetensorsFile(
            path: fixtures.appending(path: "decoder-training.safetensors").path)
        var decoder = try goldenModel(.llama).decoder
        decoder.adapter = try DecoderAdapter(
            Adapter(
                folder: fixtures.appending(path: "decoder-llama-adapter").path,
                for: goldenModel(.llama).configuration), shape: decoder.shape)
        var (rows, classes): ([Int], [Int32]) = ([], [])
        var start = 0
        for sequence in sequences {
            rows += start..<start + sequence.count - 1
            classes += sequence.dropFirst()
            start += sequence.count
        }
        let weights = [Float](repeating: 1 / Float(rows.count), count: rows.count)
        let layout = try #require(decoder.adapter).layout.layout
        var (m, v) = (
            [Float](repeating: 0, count: layout.count), [Float](repeating: 0, count: layout.count)
        )
        var steps = AdamWSteps(AdamWSettings(decay: 0.01))
        var trace = DecoderTrace()
        for (step, loss) in losses.enumerated() {
            let logits = try decoder.trainingForward(
                sequences.map { DecoderInput($0) }, rows: rows, trace: &trace)
            var logSums = [Float](repeating: 0, count: rows.count)
            var sums = logSums.mutableSpan
            let ours = crossEntropy(
                logits.span, classes: classes.span, weights: weights.span, logSums: &sums,
                rows: rows.count, width: 64)
            #expect(abs(ours - loss) < 1e-4 * loss, "step \(step)")
            var dLogits = [Float](repeating: 0, count: logits.count)
            var slopes = dLogits.mutableSpan
            crossEntropyBackward(
                logits.span, classes: classes.span, weights: weights.span, logSums: logSums.span,
                dLogits: &slopes, rows: rows.count, width: 64)
            var gradients = [Float](repeating: 0, count: layout.count)
            decoder.trainingBackward(dLogits, trace: &trace, gradients: &gradients)
            if step == 0 {
                for entry in layout.entries {
                    let theirs = try expected.floats(#require(expected[entry.name]))
                    #expect(relativeError(Array(gradients[entry.range]), theirs) < 1e-4)
                }
            }
            var parameters = try #require(decoder.adapter).parameters
            var now = parameters.mutableSpan
            var first = m.mutableSpan
            var second = v.mutableSpan
            steps.begin(learningRate: 1e-2)
            adamW(&now, gradients: gradients.span, m: &first, v: &second, steps: steps)
            decoder.adapter?.parameters = parameters
        }
    }
}
