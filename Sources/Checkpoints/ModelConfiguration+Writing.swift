// The configuration as a `config.json` that transformers reads, version 4 and 5 alike.

public import JSONDocuments

extension ModelConfiguration {
    /// The document, with our own section under `millrace` when there is one.
    public var document: JSONValue {
        var members: [JSONMember] = [
            JSONMember("architectures", .array([.string(family.architecture)])),
            JSONMember("model_type", .string(family.rawValue)),
            JSONMember("vocab_size", Self.integer(vocabularyCount)),
            JSONMember("hidden_size", Self.integer(hiddenSize)),
            JSONMember("intermediate_size", Self.integer(intermediateSize)),
            JSONMember("num_hidden_layers", Self.integer(layerCount)),
            JSONMember("num_attention_heads", Self.integer(headCount)),
            JSONMember("num_key_value_heads", Self.integer(keyValueHeadCount)),
            JSONMember("head_dim", Self.integer(headSize)),
            JSONMember("hidden_act", "silu"),
            JSONMember("max_position_embeddings", Self.integer(positionsMax)),
            JSONMember("rms_norm_eps", .real(normEpsilon)),
            JSONMember("rope_theta", .real(rotaryBase)),
            JSONMember("rope_scaling", scaling),
            JSONMember("tie_word_embeddings", .bool(tiesEmbeddings)),
            JSONMember("torch_dtype", "float32"),
            JSONMember("use_cache", true),
            JSONMember("bos_token_id", beginningToken.map { Self.integer(Int($0)) } ?? .null),
            JSONMember("eos_token_id", ends),
        ]
        if family != .qwen2 {
            members.append(JSONMember("attention_bias", .bool(attentionBias == .all)))
        }
        if let millrace { members.append(JSONMember("millrace", millrace)) }
        return .object(members)
    }

    private static func integer(_ number: Int) -> JSONValue { .integer(Int64(number)) }

    private var ends: JSONValue {
        if endTokens.isEmpty { return .null }
        if endTokens.count == 1 { return Self.integer(Int(endTokens[0])) }
        return .array(endTokens.map { Self.integer(Int($0)) })
    }

    private var scaling: JSONValue {
        switch rotaryScaling {
        case .none: .null
        case .linear(let factor):
            .members(["rope_type": "linear", "factor": .real(factor)])
        case .llama3(let factor, let low, let high, let original):
            .members([
                "rope_type": "llama3", "factor": .real(factor), "low_freq_factor": .real(low),
                "high_freq_factor": .real(high),
                "original_max_position_embeddings": Self.integer(original),
            ])
        }
    }
}
