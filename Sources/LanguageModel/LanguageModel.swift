// A model folder as something that runs: the file's words for sizes become the decoder's, its tensors one array, its
// `millrace` section the masks.

public import Checkpoints
public import JSONDocuments
public import Tokenization
public import Transformer

/// A decoder with the configuration it came from and its tokenizer.
public struct LanguageModel: Sendable {
    /// Weights in memory, where a caller sets no other bound.
    public static let weightBytesMax = 16 << 30

    public let configuration: ModelConfiguration
    public var decoder: Decoder
    /// Absent when the folder has none.
    public let tokenizer: Tokenizer?

    /// Reads the folder at `path`. Weights of 16 bits are widened; a model whose weights would take more than
    /// `weightBytesMax`, or whose vocabulary has no row for a token of its tokenizer, is refused.
    public init(
        folder path: String, weightBytesMax: Int = LanguageModel.weightBytesMax
    ) throws(DocumentError) {
        let folder = try ModelFolder(path: path)
        let configuration = folder.configuration
        let count = configuration.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        guard count <= weightBytesMax / MemoryLayout<Float>.stride else {
            throw DocumentError(
                path,
                "\(count) weights of 4 bytes are \(count * 4) bytes in memory, of \(weightBytesMax)"
                    + " allowed: choose a smaller model or allow more")
        }
        let shape = try DecoderShape(
            configuration, masks: ItemMasks(reading: configuration, document: path))
        let layout = DecoderLayout(shape)
        var parameters = [Float](repeating: 0, count: layout.layout.count)
        var all = parameters.mutableSpan
        for entry in layout.layout.entries {
            var place = all._mutatingExtracting(entry.range)
            try folder.read(entry.name, into: &place)
        }
        self.init(
            configuration, Decoder(shape, parameters: parameters),
            tokenizer: try Self.tokenizer(path, configuration))
    }

    private init(_ configuration: ModelConfiguration, _ decoder: Decoder, tokenizer: Tokenizer?) {
        self.configuration = configuration
        self.decoder = decoder
        self.tokenizer = tokenizer
    }

    /// A model of `parameters`, laid out as `DecoderLayout` says.
    public init(
        _ configuration: ModelConfiguration, masks: ItemMasks, parameters: [Float],
        tokenizer: Tokenizer? = nil
    ) {
        precondition(masks.layers.count == configuration.layerCount, "a relation a layer")
        var configuration = configuration
        configuration.millrace = masks.section(in: configuration.millrace)
        let shape = DecoderShape(configuration, masks: masks)
        self.init(configuration, Decoder(shape, parameters: parameters), tokenizer: tokenizer)
    }

    private static func tokenizer(
        _ path: String, _ configuration: ModelConfiguration
    ) throws(DocumentError) -> Tokenizer? {
        guard isPresent("\(path)/tokenizer.json") else { return nil }
        let tokenizer = try Tokenizer(reading: readDocument("\(path)/tokenizer.json"))
        guard tokenizer.vocabularyCount <= configuration.vocabularyCount else {
            throw DocumentError(
                path, at: "tokenizer.json",
                "\(tokenizer.vocabularyCount) tokens, but the model has rows for "
                    + "\(configuration.vocabularyCount): they are of different models")
        }
        return tokenizer
    }

    /// Writes config.json and model.safetensors to the folder at `path`, which exists; an adapter is not among them.
    public func write(folder path: String) throws(DocumentError) {
        let tensors = decoder.layout.layout.entries.map { entry in
            NamedTensor(
                entry.name, shape: entry.shape, values: Array(decoder.parameters[entry.range]))
        }
        try writeModel(configuration, tensors, to: path)
    }
}

extension DecoderShape {
    /// The decoder's words for a configuration.
    public init(_ configuration: ModelConfiguration, masks: ItemMasks) {
        let bias = configuration.attentionBias
        self.init(
            vocabularyCount: configuration.vocabularyCount,
            block: BlockShape(
                width: configuration.hiddenSize, heads: configuration.headCount,
                keyHeads: configuration.keyValueHeadCount, headWidth: configuration.headSize,
                feedForward: configuration.intermediateSize,
                epsilon: Float(configuration.normEpsilon), hasBiases: bias != .none,
                hasOutputBias: bias == .all, hasHeadNorms: configuration.family == .qwen3),
            tiesHead: configuration.tiesEmbeddings,
            inverseFrequencies: configuration.inverseFrequencies,
            positionsMax: configuration.positionsMax, masks: masks)
    }
}
