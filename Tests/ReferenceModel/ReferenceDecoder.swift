// A whole block and a whole decoder, with parameters looked up by their Hugging Face names: nothing of layouts, caches
// or fused passes.

extension Reference {
    public struct BlockSizes: Sendable {
        public var width: Int
        public var heads: Int
        public var keyHeads: Int
        public var headWidth: Int
        public var epsilon: Double

        public init(width: Int, heads: Int, keyHeads: Int, headWidth: Int, epsilon: Double) {
            self.width = width
            self.heads = heads
            self.keyHeads = keyHeads
            self.headWidth = headWidth
            self.epsilon = epsilon
        }
    }

    /// Parameters by name. A pair of an adapter is `module.lora_A.weight` and `module.lora_B.weight`, with one scale.
    public struct Parameters: Sendable {
        public var values: [String: [Double]]
        public var adapterScale = 0.0

        public init(_ values: [String: [Double]], adapterScale: Double = 0) {
            self.values = values
            self.adapterScale = adapterScale
        }

        public subscript(name: String) -> [Double] {
            values[name] ?? []
        }
    }

    /// x Wᵀ + bias + scale · (x Aᵀ) Bᵀ.
    static func linear(
        _ x: [Double], _ module: String, _ parameters: Parameters, inputs: Int
    ) -> [Double] {
        let weights = parameters[module + ".weight"]
        let (rows, outputs) = (x.count / inputs, weights.count / inputs)
        var y = product(x, weights, m: rows, n: outputs, k: inputs)
        let bias = parameters[module + ".bias"]
        let (a, b) = (
            parameters[module + ".lora_A.weight"], parameters[module + ".lora_B.weight"]
        )
        let rank = a.count / inputs
        let hidden = product(x, a, m: rows, n: rank, k: inputs)
        let change = product(hidden, b, m: rows, n: rank == 0 ? 0 : outputs, k: rank)
        for index in y.indices {
            if !bias.isEmpty { y[index] += bias[index % outputs] }
            if !change.isEmpty { y[index] += parameters.adapterScale * change[index] }
        }
        return y
    }

    /// One block; `prefix` is such as `model.layers.0.`.
    public static func block(
        _ x: [Double], prefix: String, _ parameters: Parameters, _ sizes: BlockSizes,
        positions: [Int], inverseFrequencies: [Float], sees: (_ row: Int, _ key: Int) -> Bool
    ) -> [Double] {
        let attention = prefix + "self_attn."
        let normed = rmsNorm(
            x, gain: parameters[prefix + "input_layernorm.weight"], width: sizes.width,
            epsilon: sizes.epsilon)
        func heads(_ name: String, _ norm: String, count: Int) -> [Double] {
            var y = linear(normed, attention + name, parameters, inputs: sizes.width)
            let gain = parameters[attention + norm + ".weight"]
            if !gain.isEmpty {
                y = rmsNorm(y, gain: gain, width: sizes.headWidth, epsilon: sizes.epsilon)
            }
            return rotate(
                y, positions: positions, inverseFrequencies: inverseFrequencies, heads: count)
        }
        let attended = Self.attention(
            q: heads("q_proj", "q_norm", count: sizes.heads),
            k: heads("k_proj", "k_norm", count: sizes.keyHeads),
            v: linear(normed, attention + "v_proj", parameters, inputs: sizes.width),
            AttentionSizes(
                rows: positions.count, keyRows: positions.count, heads: sizes.heads,
                keyHeads: sizes.keyHeads, width: sizes.headWidth,
                scale: 1 / Double(sizes.headWidth).squareRoot()), sees: sees)
        let middle = zip(
            x,
            linear(
                attended, attention + "o_proj", parameters,
                inputs: sizes.heads * sizes.headWidth)
        ).map { $0 + $1 }
        let middleNormed = rmsNorm(
            middle, gain: parameters[prefix + "post_attention_layernorm.weight"],
            width: sizes.width, epsilon: sizes.epsilon)
        let hidden = swiGLU(
            gate: linear(
                middleNormed, prefix + "mlp.gate_proj", parameters, inputs: sizes.width),
            up: linear(middleNormed, prefix + "mlp.up_proj", parameters, inputs: sizes.width))
        let inner = hidden.count / positions.count
        return zip(
            middle, linear(hidden, prefix + "mlp.down_proj", parameters, inputs: inner)
        ).map { $0 + $1 }
    }

    /// Logits of every row of one sequence. `sees` is asked per layer.
    public static func decoder(
        _ tokens: [Int], _ parameters: Parameters, _ sizes: BlockSizes, layerCount: Int,
        inverseFrequencies: [Float], sees: (_ layer: Int, _ row: Int, _ key: Int) -> Bool
    ) -> [Double] {
        let table = parameters["model.embed_tokens.weight"]
        var x = tokens.flatMap { table[$0 * sizes.width..<($0 + 1) * sizes.width] }
        for layer in 0..<layerCount {
            x = block(
                x, prefix: "model.layers.\(layer).", parameters, sizes,
                positions: Array(tokens.indices), inverseFrequencies: inverseFrequencies
            ) { sees(layer, $0, $1) }
        }
        x = rmsNorm(
            x, gain: parameters["model.norm.weight"], width: sizes.width, epsilon: sizes.epsilon)
        let head = parameters["lm_head.weight"]
        return linear(
            x, "head", Parameters(["head.weight": head.isEmpty ? table : head]),
            inputs: sizes.width)
    }
}
