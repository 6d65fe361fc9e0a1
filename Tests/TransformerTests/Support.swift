// Small random decoders of every kind, and their twins in Double.

import ReferenceModel
import Tensors
import TestKit
import Transformer

/// A decoder of random weights.
struct SmallDecoder {
    let decoder: Decoder

    static let blocks = [
        BlockShape(width: 8, heads: 2, feedForward: 12),
        BlockShape(
            width: 8, heads: 4, keyHeads: 2, headWidth: 4, feedForward: 6, hasBiases: true,
            hasOutputBias: true),
        BlockShape(
            width: 6, heads: 2, keyHeads: 1, headWidth: 4, feedForward: 10, hasHeadNorms: true),
    ]

    init(_ decoder: Decoder) { self.decoder = decoder }

    init(_ masks: ItemMasks, kind: Int = 1, tiesHead: Bool = false, positionsMax: Int = 96) {
        let block = Self.blocks[kind]
        let shape = DecoderShape(
            vocabularyCount: 30, block: block, tiesHead: tiesHead,
            inverseFrequencies: rotaryInverseFrequencies(
                base: 10_000, headWidth: block.headWidth), positionsMax: positionsMax,
            masks: masks)
        let count = DecoderLayout(shape).layout.count
        decoder = Decoder(shape, parameters: normal(count, deviation: 0.4, seed: 11))
    }

    static func plain(layerCount: Int, kind: Int = 1, tiesHead: Bool = false) -> SmallDecoder {
        SmallDecoder(.ordinary(layerCount: layerCount), kind: kind, tiesHead: tiesHead)
    }

    var sizes: Reference.BlockSizes {
        let block = decoder.shape.block
        return Reference.BlockSizes(
            width: block.width, heads: block.heads, keyHeads: block.keyHeads,
            headWidth: block.headWidth, epsilon: Double(block.epsilon))
    }

    var reference: Reference.Parameters {
        var values: [String: [Double]] = [:]
        for entry in decoder.layout.layout.entries {
            values[entry.name] = decoder.parameters[entry.range].map(Double.init)
        }
        guard let adapter = decoder.adapter else { return Reference.Parameters(values) }
        for entry in adapter.layout.layout.entries {
            let name = String(entry.name.dropFirst("base_model.model.".count))
            values[name] = adapter.parameters[entry.range].map(Double.init)
        }
        return Reference.Parameters(values, adapterScale: Double(adapter.layout.scale))
    }

    /// The last block's output of a whole sequence at once.
    func hidden(_ input: DecoderInput) throws -> [Float] {
        var states = [DecoderState(decoder.shape)]
        var scratch = DecoderScratch()
        return try decoder.forward([input], states: &states, scratch: &scratch)
    }

    func logits(_ input: DecoderInput) throws -> [Float] {
        try decoder.logits(hidden(input), rows: Array(input.tokens.indices))
    }
}

func normal(_ count: Int, deviation: Float, seed: UInt64) -> [Float] {
    var numbers = [Float](repeating: 0, count: count)
    var span = numbers.mutableSpan
    fillNormal(&span, deviation: deviation, random: CounterRandom(seed: seed))
    return numbers
}

func tokens(_ count: Int, seed: UInt64) -> [Int32] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in Int32(random.below(30)) }
}

/// Root of the normalised square error.
func error(_ ours: [Float], _ theirs: [Float]) -> Double {
    normalisedError(ours.map(Double.init), theirs.map(Double.init)).squareRoot()
}

/// What rounding of floats may cost a few layers.
let floatError = 2e-6
