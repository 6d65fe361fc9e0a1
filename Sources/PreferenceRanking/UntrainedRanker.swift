// A base to begin with where no instruct checkpoint is at hand: a small decoder of random weights, whose tokenizer is
// learnt from the catalogue and the prompts, written as any other folder.

import Checkpoints
public import JSONDocuments
public import LanguageModel
import Tensors
public import Tokenization
import Transformer

/// Sizes of a base that is trained from nothing.
public struct RankerShape: Sendable, Equatable {
    public var width = 96
    public var layerCount = 3
    public var headCount = 4
    public var vocabularyCount = 4_000
    public var positionsMax = 1_024

    public init() {}

    /// Special tokens of its conversations.
    static let specials = ["<|pad|>", "<|bos|>", "<|eoi|>", "<|im_start|>", "<|im_end|>"]

    /// Conversations as the Jinja program of the folder has them.
    public static let chatProgram =
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
        + " + '<|im_end|>' + '\\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

    /// A `tokenizer.json` that knows the words of `texts`.
    public func tokenizerDocument(_ texts: some Sequence<String>) -> JSONValue {
        var training = BPETraining()
        training.vocabularyCount = vocabularyCount
        training.specials = Self.specials
        // The two answers are words of every such model.
        return training.train(
            Array(texts) + repeatElement("yes no", count: training.pairCountMin))
    }

    /// Random weights of deviation 0.02, gains of 1.
    public func model(tokenizer: Tokenizer, seed: UInt64) -> LanguageModel {
        var configuration = ModelConfiguration(
            family: .llama, vocabularyCount: tokenizer.vocabularyCount, hiddenSize: width,
            intermediateSize: width * 5 / 2, layerCount: layerCount, headCount: headCount,
            positionsMax: positionsMax)
        configuration.tiesEmbeddings = true
        let shape = DecoderShape(configuration, masks: .ordinary(layerCount: layerCount))
        let layout = DecoderLayout(shape).layout
        var parameters = [Float](repeating: 1, count: layout.count)
        var all = parameters.mutableSpan
        for (index, entry) in layout.entries.enumerated() where entry.shape.count > 1 {
            var place = all._mutatingExtracting(entry.range)
            fillNormal(
                &place, deviation: 0.02,
                random: CounterRandom(seed: seed, stream: UInt64(index)))
        }
        return LanguageModel(
            configuration, masks: .ordinary(layerCount: layerCount), parameters: parameters,
            tokenizer: tokenizer)
    }
}

extension LanguageModel {
    /// Gives the model an adapter of q, k, v and o in every block that changes nothing yet: A drawn, B zero.
    public mutating func addAdapter(rank: Int, alpha: Float, seed: UInt64) {
        let shape = decoder.shape
        let layout = LowRankLayout(
            rank: rank, scale: alpha / Float(rank), layers: 0..<shape.layerCount,
            layerCount: shape.layerCount, shape: shape.block)
        var parameters = [Float](repeating: 0, count: layout.layout.count)
        var all = parameters.mutableSpan
        for (index, entry) in layout.layout.entries.enumerated()
        where entry.name.hasSuffix("lora_A.weight") {
            var place = all._mutatingExtracting(entry.range)
            fillUniform(
                &place, limit: 1 / Float(entry.shape[1]).squareRoot(),
                random: CounterRandom(seed: seed, stream: UInt64(index)))
        }
        decoder.adapter = DecoderAdapter(layout, parameters: parameters)
    }
}
