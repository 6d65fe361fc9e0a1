// The shape of an item-aware model in config.json: Hugging Face's words where it has them, ours in a section.

import Checkpoints
import ItemModel
import JSONDocuments

extension ItemModelShape {
    private static let layersMax = 64

    var configuration: ModelConfiguration {
        var configuration = ModelConfiguration(
            family: .llama, vocabularyCount: vocabulary, hiddenSize: width,
            intermediateSize: feedForward, layerCount: intraBlocks + interBlocks,
            headCount: heads, positionsMax: 2_048)
        configuration.normEpsilon = Double(epsilon)
        configuration.rotaryBase = rotaryBase
        configuration.tiesEmbeddings = true
        configuration.beginningToken = 1
        configuration.endTokens = [2]
        var own = [
            JSONMember("kind", "item-aware"),
            JSONMember("intra_blocks", .integer(Int64(intraBlocks))),
            JSONMember("inter_blocks", .integer(Int64(interBlocks))),
            JSONMember("content_tokens_max", .integer(Int64(contentTokensMax))),
            JSONMember("history_max", .integer(Int64(historyMax))),
            JSONMember("gate_half", .real(Double(gateHalf))),
            JSONMember("sees_itself", .bool(seesItself)),
            JSONMember("vectors", .string(vectors.rawValue)),
        ]
        if let summaries {
            own.append(
                JSONMember(
                    "summaries",
                    .members([
                        "summariser_version": .string(
                            String(summaries.summariserVersion, radix: 16)),
                        "tokens_max": .integer(Int64(summaries.tokensMax)),
                    ])))
        }
        if let older { own.append(JSONMember("older", .string(older.rawValue))) }
        configuration.millrace = .object(own)
        return configuration
    }

    init(reading folder: ModelFolder) throws(DocumentError) {
        let configuration = folder.configuration
        let root = JSONNode(folder.document, document: "\(folder.path)/config.json")
        let own = try root.member("millrace")
        let kind = try own.member("kind")
        guard try kind.text() == "item-aware" else {
            throw kind.refused("the only kind there is is \"item-aware\"")
        }
        guard configuration.family == .llama, configuration.tiesEmbeddings,
            configuration.keyValueHeadCount == configuration.headCount,
            configuration.rotaryScaling == .none, configuration.attentionBias == .none,
            configuration.headSize * configuration.headCount == configuration.hiddenSize,
            configuration.headSize.isMultiple(of: 2)
        else {
            throw root.refused(
                "an item-aware model is a Llama with tied embeddings, as many key heads as heads of "
                    + "an even width, and neither biases nor scaled positions")
        }
        self.init(vocabulary: configuration.vocabularyCount)
        width = configuration.hiddenSize
        heads = configuration.headCount
        feedForward = configuration.intermediateSize
        epsilon = Float(configuration.normEpsilon)
        rotaryBase = configuration.rotaryBase
        intraBlocks = try own.member("intra_blocks").integer(in: 0...Self.layersMax)
        interBlocks = try own.member("inter_blocks").integer(in: 1...Self.layersMax)
        guard intraBlocks + interBlocks == configuration.layerCount else {
            throw own.refused(
                "\(intraBlocks) intra and \(interBlocks) inter blocks are not the "
                    + "\(configuration.layerCount) layers of the model")
        }
        contentTokensMax = try own.member("content_tokens_max").integer(in: 1...512)
        historyMax = try own.member("history_max").integer(in: 1...4_096)
        gateHalf = Float(try own.member("gate_half").real(in: 1e-6...1e6))
        seesItself = try own.member("sees_itself").flag()
        if let node = try own.optional("vectors") {
            guard let known = ItemVectors(rawValue: try node.text()), known != ItemVectors.identity
            else {
                throw node.refused("a model to serve has vectors \"gated\" or \"text\"")
            }
            vectors = known
        }
        if let node = try own.optional("summaries") {
            let version = try node.member("summariser_version")
            guard let number = UInt64(try version.text(), radix: 16) else {
                throw version.refused("not a hexadecimal number of 64 bits")
            }
            var reading = SummaryReading(summariserVersion: number)
            reading.tokensMax = try node.member("tokens_max").integer(in: 1...512)
            summaries = reading
        }
        if let node = try own.optional("older") {
            guard let known = OlderReading(rawValue: try node.text()) else {
                throw node.refused("the only reading of older items there is is \"mean\"")
            }
            older = known
        }
    }
}
