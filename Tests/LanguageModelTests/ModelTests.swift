import Checkpoints
import Foundation
import JSONDocuments
import LanguageModel
import TestKit
import Testing
import Tokenization
import Transformer

/// A model of random weights.
func randomModel(
    _ family: ModelConfiguration.Family = .llama, vocabularyCount: Int = 40,
    masks: ItemMasks = .ordinary(layerCount: 3), tokenizer: Tokenizer? = nil
) -> LanguageModel {
    var configuration = ModelConfiguration(
        family: family, vocabularyCount: vocabularyCount, hiddenSize: 16, intermediateSize: 24,
        layerCount: masks.layers.count, headCount: 4, positionsMax: 64)
    configuration.keyValueHeadCount = 2
    configuration.tiesEmbeddings = family == .qwen2
    configuration.headSize = family == .qwen3 ? 8 : 4
    configuration.rotaryScaling =
        family == .llama
        ? .llama3(
            factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositionsMax: 16)
        : .linear(factor: 3)
    var random = SeededRandom(seed: 5)
    let count = configuration.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    return LanguageModel(
        configuration, masks: masks,
        parameters: (0..<count).map { _ in Float.random(in: -0.6...0.6, using: &random) },
        tokenizer: tokenizer)
}

@Suite("models and their folders")
struct ModelTests {
    @Test(
        "a folder of ours reads back: weights, masks, options",
        arguments: ModelConfiguration.Family.allCases)
    func roundTrip(family: ModelConfiguration.Family) throws {
        let directory = try TemporaryDirectory()
        var masks = ItemMasks.split(intra: 1, inter: 1, layerCount: 3)
        masks.interSeesSelf = true
        masks.interSeesSink = false
        let made = randomModel(family, masks: masks)
        try made.write(folder: directory.path)
        let read = try LanguageModel(folder: directory.path)
        #expect(read.decoder.shape == made.decoder.shape)
        #expect(read.decoder.parameters == made.decoder.parameters)
        #expect(read.decoder.shape.masks == masks && read.tokenizer == nil)
    }

    @Test("a section of other things stays, and a plain decoder has no section of masks")
    func section() throws {
        var configuration = randomModel().configuration
        #expect(configuration.millrace == nil)
        configuration.millrace = .members(["kind": "item", "attention": .members(["layers": 1])])
        let parameters = randomModel().decoder.parameters
        let plain = LanguageModel(
            configuration, masks: .ordinary(layerCount: 3), parameters: parameters)
        #expect(plain.configuration.millrace == .members(["kind": "item"]))
    }

    static let faults: [(JSONValue, String)] = [
        (.members(["layers": .array(["intra"])]), "1 layers, but num_hidden_layers is 3"),
        (.members(["layers": .array(["intra", "both", "inter"])]), "millrace.attention.layers[1]"),
        (.members(["inter_sees_self": true]), "millrace.attention.layers: is missing"),
        (
            .members(["layers": .array(["intra", "intra", "inter"]), "inter_sees_sink": 1]),
            "millrace.attention.inter_sees_sink"
        ),
    ]

    @Test("masks that are not understood are refused by their place", arguments: faults.indices)
    func masks(index: Int) throws {
        let (section, words) = Self.faults[index]
        let directory = try TemporaryDirectory()
        let made = randomModel()
        try made.write(folder: directory.path)
        var configuration = made.configuration
        configuration.millrace = .members(["attention": section])
        try replaceFile(directory.file("config.json"), with: configuration.document.serialised())
        let error = #expect(throws: DocumentError.self) {
            try LanguageModel(folder: directory.path)
        }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }

    @Test("a model too large for its memory is refused with the arithmetic")
    func memory() throws {
        let directory = try TemporaryDirectory()
        let made = randomModel()
        try made.write(folder: directory.path)
        let bytes = made.decoder.parameters.count * 4
        _ = try LanguageModel(folder: directory.path, weightBytesMax: bytes)
        let error = #expect(throws: DocumentError.self) {
            try LanguageModel(folder: directory.path, weightBytesMax: bytes - 1)
        }
        #expect(error?.description.contains("\(bytes) bytes in memory, of \(bytes - 1)") == true)
    }

    @Test("a tokenizer with tokens the model has no rows for is refused")
    func tokenizer() throws {
        let directory = try TemporaryDirectory()
        try randomModel(vocabularyCount: 100).write(folder: directory.path)
        try replaceFile(
            directory.file("tokenizer.json"), with: fixture("tokenizer-qwen.json"))
        let error = #expect(throws: DocumentError.self) {
            try LanguageModel(folder: directory.path)
        }
        #expect(error?.description.contains("model has rows for 100") == true)
    }

    @Test("text comes in pieces that joined are the text of the tokens")
    func text() throws {
        let directory = try TemporaryDirectory()
        try randomModel(vocabularyCount: 500).write(folder: directory.path)
        try replaceFile(
            directory.file("tokenizer.json"), with: fixture("tokenizer-qwen.json"))
        let model = try LanguageModel(folder: directory.path)
        let tokenizer = try #require(model.tokenizer)
        var scratch = DecoderScratch()
        for seed in 0..<8 as Range<UInt64> {
            var state = DecoderState(model.decoder.shape)
            var pieces: [String] = []
            let made = try model.generate(
                DecoderInput(tokenizer.encode("toner 450")), state: &state,
                sampling: Sampling(temperature: 1, seed: seed), limits: model.limits(countMax: 30),
                scratch: &scratch
            ) {
                pieces.append($0)
                return true
            }
            #expect(made.tokens.count == 30)
            #expect(pieces.joined() == tokenizer.decode(made.tokens))
            state = DecoderState(model.decoder.shape)
            let cut = try model.generate(
                DecoderInput(tokenizer.encode("toner 450")), state: &state,
                sampling: Sampling(temperature: 1, seed: seed), limits: model.limits(countMax: 30),
                scratch: &scratch
            ) { _ in false }
            #expect(cut.end == .cancelled && made.tokens.starts(with: cut.tokens))
        }
    }

    @Test("an adapter goes to a PEFT folder and back; one for the output layer is refused")
    func adapter() throws {
        let directory = try TemporaryDirectory()
        let model = randomModel()
        let shape = model.decoder.shape
        let layout = LowRankLayout(
            rank: 2, scale: 0.75, projections: [.query, .down], layers: 1..<3, layerCount: 3,
            shape: shape.block)
        let made = DecoderAdapter(
            layout, parameters: (0..<layout.layout.count).map { Float($0) / 64 - 1 })
        try made.adapter(shape: shape).write(folder: directory.path)
        let read = try DecoderAdapter(
            Adapter(folder: directory.path, for: model.configuration), shape: shape)
        #expect(read.layout.scale == 0.75 && read.layout.blocks[0] == nil)
        for entry in layout.layout.entries {
            let place = try #require(read.layout.layout.entry(entry.name)).range
            #expect(Array(read.parameters[place]) == Array(made.parameters[entry.range]))
        }
        let head = Adapter(
            rank: 1, alpha: 1, targetModules: ["lm_head"],
            pairs: [
                LowRankPair(
                    module: "lm_head", inputCount: 16, outputCount: 40,
                    down: Array(repeating: 0, count: 16), up: Array(repeating: 0, count: 40))
            ])
        let error = #expect(throws: DocumentError.self) {
            try DecoderAdapter(head, shape: shape)
        }
        #expect(error?.description.contains("lm_head") == true)
    }
}
