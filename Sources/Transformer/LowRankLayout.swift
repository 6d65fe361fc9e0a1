// LoRA adapters of blocks: which projections have one, and where its matrices lie. They are an array of their own, so
// that a frozen base is shared by any number of adapters, and an optimiser sees only what it may change.

/// Places of one pair in the adapter's array: A is rank × inputs, B outputs × rank.
public struct LowRankPlace: Sendable, Equatable {
    public let a: Range<Int>
    public let b: Range<Int>
}

/// The pairs of one block.
public struct BlockAdapter: Sendable, Equatable {
    public let rank: Int
    /// Multiplies B A.
    public let scale: Float
    private var places = [LowRankPlace?](repeating: nil, count: Projection.allCases.count)

    init(rank: Int, scale: Float) {
        self.rank = rank
        self.scale = scale
    }

    public fileprivate(set) subscript(projection: Projection) -> LowRankPlace? {
        get { places[projection.rawValue] }
        set { places[projection.rawValue] = newValue }
    }
}

/// Which of a model's projections an adapter changes.
public struct LowRankLayout: Sendable, Equatable {
    public let rank: Int
    public let scale: Float
    public private(set) var layout = ParameterLayout()
    /// One a layer; nil where nothing is changed.
    public private(set) var blocks: [BlockAdapter?]

    /// No pair yet, for a model of `layerCount` layers.
    public init(rank: Int, scale: Float, layerCount: Int) {
        precondition(rank > 0, "a rank above zero")
        self.rank = rank
        self.scale = scale
        blocks = Array(repeating: nil, count: layerCount)
    }

    /// The same projections in each of `layers`.
    public init(
        rank: Int, scale: Float, projections: [Projection] = [.query, .key, .value, .output],
        layers: Range<Int>, layerCount: Int, shape: BlockShape
    ) {
        self.init(rank: rank, scale: scale, layerCount: layerCount)
        for layer in layers {
            for projection in projections { add(projection, layer: layer, shape: shape) }
        }
    }

    /// Adds a pair, which was not there, under PEFT's names.
    public mutating func add(_ projection: Projection, layer: Int, shape: BlockShape) {
        let name = "base_model.model.model.layers.\(layer).\(projection.module)"
        let a = layout.add("\(name).lora_A.weight", rank, shape.inputs(of: projection))
        let b = layout.add("\(name).lora_B.weight", shape.outputs(of: projection), rank)
        var block = blocks[layer] ?? BlockAdapter(rank: rank, scale: scale)
        block[projection] = LowRankPlace(a: a, b: b)
        blocks[layer] = block
    }
}
