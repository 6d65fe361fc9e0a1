// The shape of one decoder block, and where its parameters lie.

/// Sizes of a pre-norm decoder block: grouped-query attention and a gated feed-forward part (Llama, Qwen2, Qwen3).
public struct BlockShape: Sendable, Equatable {
    public var width: Int
    public var heads: Int
    /// Divides `heads`.
    public var keyHeads: Int
    public var headWidth: Int
    public var feedForward: Int
    /// Of the norms.
    public var epsilon: Float
    /// Qwen2: biases of queries, keys and values.
    public var hasBiases: Bool
    /// Llama with `attention_bias`: of the output too.
    public var hasOutputBias: Bool
    /// Qwen3: norms of every head's queries and keys.
    public var hasHeadNorms: Bool

    public init(
        width: Int, heads: Int, keyHeads: Int? = nil, headWidth: Int? = nil, feedForward: Int,
        epsilon: Float = 1e-6, hasBiases: Bool = false, hasOutputBias: Bool = false,
        hasHeadNorms: Bool = false
    ) {
        precondition(width > 0 && heads > 0 && feedForward > 0, "sizes of a block")
        self.width = width
        self.heads = heads
        self.keyHeads = keyHeads ?? heads
        self.headWidth = headWidth ?? width / heads
        self.feedForward = feedForward
        self.epsilon = epsilon
        self.hasBiases = hasBiases
        self.hasOutputBias = hasOutputBias
        self.hasHeadNorms = hasHeadNorms
        precondition(
            self.keyHeads > 0 && heads.isMultiple(of: self.keyHeads)
                && self.headWidth.isMultiple(of: 2) && self.headWidth > 0, "heads of a block")
    }

    public var queryWidth: Int { heads * headWidth }
    public var keyWidth: Int { keyHeads * headWidth }

    public func inputs(of projection: Projection) -> Int {
        switch projection {
        case .query, .key, .value, .gate, .up: width
        case .output: queryWidth
        case .down: feedForward
        }
    }

    public func outputs(of projection: Projection) -> Int {
        switch projection {
        case .query: queryWidth
        case .key, .value: keyWidth
        case .gate, .up: feedForward
        case .output, .down: width
        }
    }
}

/// The linear products of a block.
public enum Projection: Int, Sendable, CaseIterable {
    case query, key, value, output, gate, up, down

    /// As Hugging Face calls the module within its layer.
    public var module: String {
        switch self {
        case .query: "self_attn.q_proj"
        case .key: "self_attn.k_proj"
        case .value: "self_attn.v_proj"
        case .output: "self_attn.o_proj"
        case .gate: "mlp.gate_proj"
        case .up: "mlp.up_proj"
        case .down: "mlp.down_proj"
        }
    }
}

/// Places of a block's parameters in the model's array. Matrices are outputs × inputs.
public struct BlockLayout: Sendable, Equatable {
    public let shape: BlockShape
    public let attentionNorm: Range<Int>
    public let query: Range<Int>
    public let key: Range<Int>
    public let value: Range<Int>
    /// Empty without biases.
    public let queryBias: Range<Int>
    public let keyBias: Range<Int>
    public let valueBias: Range<Int>
    /// Empty without norms per head.
    public let queryNorm: Range<Int>
    public let keyNorm: Range<Int>
    public let output: Range<Int>
    public let outputBias: Range<Int>
    public let feedForwardNorm: Range<Int>
    public let gate: Range<Int>
    public let up: Range<Int>
    public let down: Range<Int>

    /// Adds the parameters of layer `index` under their Hugging Face names.
    public init(_ shape: BlockShape, index: Int, in layout: inout ParameterLayout) {
        self.shape = shape
        let prefix = "model.layers.\(index)."
        let attention = prefix + "self_attn."
        let (width, inner) = (shape.width, shape.feedForward)
        let none = layout.count..<layout.count
        attentionNorm = layout.add(prefix + "input_layernorm.weight", width)
        query = layout.add(attention + "q_proj.weight", shape.queryWidth, width)
        key = layout.add(attention + "k_proj.weight", shape.keyWidth, width)
        value = layout.add(attention + "v_proj.weight", shape.keyWidth, width)
        let biased = shape.hasBiases
        queryBias = biased ? layout.add(attention + "q_proj.bias", shape.queryWidth) : none
        keyBias = biased ? layout.add(attention + "k_proj.bias", shape.keyWidth) : none
        valueBias = biased ? layout.add(attention + "v_proj.bias", shape.keyWidth) : none
        let normed = shape.hasHeadNorms
        queryNorm = normed ? layout.add(attention + "q_norm.weight", shape.headWidth) : none
        keyNorm = normed ? layout.add(attention + "k_norm.weight", shape.headWidth) : none
        output = layout.add(attention + "o_proj.weight", width, shape.queryWidth)
        outputBias = shape.hasOutputBias ? layout.add(attention + "o_proj.bias", width) : none
        feedForwardNorm = layout.add(prefix + "post_attention_layernorm.weight", width)
        gate = layout.add(prefix + "mlp.gate_proj.weight", inner, width)
        up = layout.add(prefix + "mlp.up_proj.weight", inner, width)
        down = layout.add(prefix + "mlp.down_proj.weight", width, inner)
    }

    public func weights(of projection: Projection) -> Range<Int> {
        switch projection {
        case .query: query
        case .key: key
        case .value: value
        case .output: output
        case .gate: gate
        case .up: up
        case .down: down
        }
    }

    /// Empty without one.
    public func bias(of projection: Projection) -> Range<Int> {
        switch projection {
        case .query: queryBias
        case .key: keyBias
        case .value: valueBias
        case .output: outputBias
        case .gate, .up, .down: 0..<0
        }
    }
}
