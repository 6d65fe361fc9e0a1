// The shape of a model as its `config.json` says it. A key that changes what the model computes is understood or
// refused, never skipped.

public import JSONDocuments

/// A decoder of the Llama, Qwen2 or Qwen3 family.
public struct ModelConfiguration: Sendable, Equatable {
    public enum Family: String, Sendable, CaseIterable {
        case llama
        case qwen2
        /// Adds a norm over each head's queries and keys.
        case qwen3

        var architecture: String {
            switch self {
            case .llama: "LlamaForCausalLM"
            case .qwen2: "Qwen2ForCausalLM"
            case .qwen3: "Qwen3ForCausalLM"
            }
        }
    }

    /// How rotary frequencies are stretched for longer texts.
    public enum RotaryScaling: Sendable, Equatable {
        case none
        /// All frequencies divided by `factor`.
        case linear(factor: Double)
        /// Low frequencies divided by `factor`, high ones kept, those between interpolated (Llama 3.1).
        case llama3(
            factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double,
            originalPositionsMax: Int)
    }

    /// Which projections of attention have a bias.
    public enum AttentionBias: Sendable, Equatable {
        case none
        /// Queries, keys and values: Qwen2.
        case queryKeyValue
        /// The output too.
        case all
    }

    public var family: Family
    public var vocabularyCount: Int
    public var hiddenSize: Int
    public var intermediateSize: Int
    public var layerCount: Int
    public var headCount: Int
    public var keyValueHeadCount: Int
    public var headSize: Int
    public var normEpsilon = 1e-6
    public var rotaryBase = 10_000.0
    public var rotaryScaling = RotaryScaling.none
    public var positionsMax: Int
    /// The output layer is the embedding table.
    public var tiesEmbeddings = false
    public var attentionBias: AttentionBias
    public var beginningToken: Int32?
    public var endTokens: [Int32] = []
    /// Our own section of the document, for what Hugging Face has no word for.
    public var millrace: JSONValue?

    /// A model without bias, scaling or grouped queries; change what differs.
    public init(
        family: Family, vocabularyCount: Int, hiddenSize: Int, intermediateSize: Int,
        layerCount: Int, headCount: Int, positionsMax: Int
    ) {
        self.family = family
        self.vocabularyCount = vocabularyCount
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        keyValueHeadCount = headCount
        headSize = hiddenSize / headCount
        self.positionsMax = positionsMax
        attentionBias = family == .qwen2 ? .queryKeyValue : .none
    }
}

extension ModelConfiguration {
    /// What a file may ask for; below these, no product of two overflows.
    public static let vocabularyCountMax = 1 << 22
    public static let sizeMax = 1 << 17
    public static let layersMax = 1024
    public static let headsMax = 1024
    public static let positionsMaxMax = 1 << 30

    /// Reads a `config.json`.
    public init(reading root: JSONNode) throws(DocumentError) {
        let family = try Self.family(root)
        let sizes = 1...Self.sizeMax
        let hidden = try root.member("hidden_size").integer(in: sizes)
        let headsNode = try root.member("num_attention_heads")
        let heads = try headsNode.integer(in: 1...Self.headsMax)
        self.init(
            family: family,
            vocabularyCount: try root.member("vocab_size").integer(
                in: 1...Self.vocabularyCountMax),
            hiddenSize: hidden,
            intermediateSize: try root.member("intermediate_size").integer(in: sizes),
            layerCount: try root.member("num_hidden_layers").integer(in: 1...Self.layersMax),
            headCount: heads,
            positionsMax: try root.member("max_position_embeddings").integer(
                in: 1...Self.positionsMaxMax))
        if let node = try root.optional("head_dim") {
            headSize = try node.integer(in: 1...Self.sizeMax)
        } else if family == .qwen3 {
            headSize = 128  // the family's default, whatever the hidden size
        } else if hidden % heads != 0 {
            throw headsNode.refused("\(heads) heads do not divide hidden_size \(hidden)")
        }
        guard headSize % 2 == 0 else {
            throw root.refused("heads of \(headSize) numbers: rotary positions need an even number")
        }
        if let node = try root.optional("num_key_value_heads") {
            keyValueHeadCount = try node.integer(in: 1...Self.headsMax)
            guard heads % keyValueHeadCount == 0 else {
                throw node.refused("\(keyValueHeadCount) does not divide \(heads) heads")
            }
        } else if family != .llama {
            _ = try root.member("num_key_value_heads")
        }
        normEpsilon = try root.optional("rms_norm_eps")?.real(in: 0...1) ?? normEpsilon
        tiesEmbeddings = try root.optional("tie_word_embeddings")?.flag() ?? false
        if family != .qwen2, try root.optional("attention_bias")?.flag() ?? false {
            attentionBias = .all
        }
        try readRotary(root)
        try readTokens(root)
        try Self.refuseOtherComputations(root)
        millrace = root.value["millrace"]
    }

    private static func family(_ root: JSONNode) throws(DocumentError) -> Family {
        let node = try root.member("model_type")
        guard let family = Family(rawValue: try node.text()) else {
            let known = Family.allCases.map(\.rawValue).joined(separator: ", ")
            throw node.refused("\"\(try node.text())\" is not supported; \(known) are")
        }
        if let architectures = try root.optional("architectures") {
            for architecture in try architectures.elements(countMax: 16)
            where try architecture.text() != family.architecture {
                throw architecture.refused("only \(family.architecture) is read")
            }
        }
        return family
    }

    /// `rope_theta` and `rope_scaling`, or both in `rope_parameters` as transformers 5 writes them.
    private mutating func readRotary(_ root: JSONNode) throws(DocumentError) {
        let parameters = try root.optional("rope_parameters")
        for node in [root, parameters] {
            if let theta = try node?.optional("rope_theta") {
                rotaryBase = try theta.real(in: 1...1e12)
            }
        }
        let legacy = try root.optional("rope_scaling")
        guard let scaling = parameters ?? legacy else { return }
        for node in [root, scaling] {
            if let partial = try node.optional("partial_rotary_factor"),
                try partial.real(in: 0...1) != 1
            {
                throw partial.refused("rotation of a part of each head is not supported")
            }
        }
        let legacyType = try scaling.optional("type")
        guard let type = try scaling.optional("rope_type") ?? legacyType else {
            if parameters == nil { _ = try scaling.member("rope_type") }
            return
        }
        let factors = 1.0...1e6
        switch try type.text() {
        case "default": return
        case "linear":
            rotaryScaling = .linear(factor: try scaling.member("factor").real(in: factors))
        case "llama3":
            let low = try scaling.member("low_freq_factor").real(in: 1e-6...1e6)
            let highNode = try scaling.member("high_freq_factor")
            let high = try highNode.real(in: 1e-6...1e6)
            guard high > low else { throw highNode.refused("not above low_freq_factor \(low)") }
            rotaryScaling = .llama3(
                factor: try scaling.member("factor").real(in: factors),
                lowFrequencyFactor: low, highFrequencyFactor: high,
                originalPositionsMax: try scaling.member("original_max_position_embeddings")
                    .integer(in: 1...Self.positionsMaxMax))
        case let other:
            throw type.refused("\"\(other)\" is not supported; default, linear and llama3 are")
        }
    }

    private mutating func readTokens(_ root: JSONNode) throws(DocumentError) {
        // A token beyond the vocabulary would be read as an index later.
        let tokens = 0...vocabularyCount - 1
        beginningToken = try Self.tokens(root.optional("bos_token_id"), in: tokens).first
        endTokens = try Self.tokens(root.optional("eos_token_id"), in: tokens)
    }

    private static func tokens(
        _ node: JSONNode?, in range: ClosedRange<Int>
    ) throws(DocumentError) -> [Int32] {
        guard let node else { return [] }
        guard case .array = node.value else { return [Int32(try node.integer(in: range))] }
        var tokens: [Int32] = []
        for element in try node.elements(countMax: 64) {
            tokens.append(Int32(try element.integer(in: range)))
        }
        return tokens
    }

    /// Keys whose usual value changes nothing, with that value.
    private static func refuseOtherComputations(_ root: JSONNode) throws(DocumentError) {
        let usual: KeyValuePairs<String, JSONValue> = [
            "hidden_act": "silu", "mlp_bias": false, "use_sliding_window": false,
            "pretraining_tp": 1, "is_encoder_decoder": false, "quantization_config": .null,
        ]
        for (key, value) in usual {
            if let node = try root.optional(key), node.value != value {
                throw node.refused("not supported; Millrace computes models without it")
            }
        }
        if let kinds = try root.optional("layer_types") {
            for kind in try kinds.elements(countMax: layersMax)
            where kind.value != "full_attention" {
                throw kind.refused("only full_attention is supported")
            }
        }
    }
}
