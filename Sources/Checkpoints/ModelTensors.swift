// Which tensors a model of a family has, by their Hugging Face names and shapes.

/// A tensor that must be in the files.
public struct ExpectedTensor: Sendable, Equatable {
    public var name: String
    public var shape: [Int]

    init(_ name: String, _ shape: [Int]) {
        self.name = name
        self.shape = shape
    }
}

extension ModelConfiguration {
    /// All tensors: embedding, blocks in order, last norm, output layer unless tied. Matrices are [outputs, inputs].
    public var tensors: [ExpectedTensor] {
        var all = [ExpectedTensor("model.embed_tokens.weight", [vocabularyCount, hiddenSize])]
        for layer in 0..<layerCount { all += tensors(ofLayer: layer) }
        all.append(ExpectedTensor("model.norm.weight", [hiddenSize]))
        if !tiesEmbeddings {
            all.append(ExpectedTensor("lm_head.weight", [vocabularyCount, hiddenSize]))
        }
        return all
    }

    private func tensors(ofLayer layer: Int) -> [ExpectedTensor] {
        let block = "model.layers.\(layer)"
        var all = [ExpectedTensor("\(block).input_layernorm.weight", [hiddenSize])]
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            let module = "\(block).self_attn.\(name)"
            let shape = matrixShape(ofModule: module) ?? []
            all.append(ExpectedTensor("\(module).weight", shape))
            let hasBias =
                attentionBias == .all || (attentionBias == .queryKeyValue && name != "o_proj")
            if hasBias { all.append(ExpectedTensor("\(module).bias", [shape[0]])) }
        }
        if family == .qwen3 {
            all.append(ExpectedTensor("\(block).self_attn.q_norm.weight", [headSize]))
            all.append(ExpectedTensor("\(block).self_attn.k_norm.weight", [headSize]))
        }
        all.append(ExpectedTensor("\(block).post_attention_layernorm.weight", [hiddenSize]))
        for name in ["gate_proj", "up_proj", "down_proj"] {
            let module = "\(block).mlp.\(name)"
            all.append(ExpectedTensor("\(module).weight", matrixShape(ofModule: module) ?? []))
        }
        return all
    }

    /// [outputs, inputs] of a linear module such as `model.layers.0.self_attn.q_proj`; nil when there is none of that
    /// name.
    public func matrixShape(ofModule module: String) -> [Int]? {
        if module == "lm_head" { return [vocabularyCount, hiddenSize] }
        let parts = module.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "model", parts[1] == "layers",
            let layer = Int(parts[2]), (0..<layerCount).contains(layer), parts[2] == "\(layer)"
        else { return nil }
        let queries = headCount * headSize
        let keys = keyValueHeadCount * headSize
        switch "\(parts[3]).\(parts[4])" {
        case "self_attn.q_proj": return [queries, hiddenSize]
        case "self_attn.k_proj", "self_attn.v_proj": return [keys, hiddenSize]
        case "self_attn.o_proj": return [hiddenSize, queries]
        case "mlp.gate_proj", "mlp.up_proj": return [intermediateSize, hiddenSize]
        case "mlp.down_proj": return [hiddenSize, intermediateSize]
        default: return nil
        }
    }

    /// Tensors that some files hold and no computation needs: a copy of the tied table, and frequencies that follow
    /// from the configuration.
    func isSuperfluous(_ name: String) -> Bool {
        (tiesEmbeddings && name == "lm_head.weight") || name.hasSuffix(".rotary_emb.inv_freq")
    }
}
