// PEFT adapters to the decoder's array and back.

public import Checkpoints
public import JSONDocuments
public import Transformer

extension DecoderAdapter {
    /// The pairs of `adapter`, which was read for this model. One for the output layer is refused: only projections of
    /// blocks are adapted.
    public init(_ adapter: Adapter, shape: DecoderShape) throws(DocumentError) {
        try self.init(adapter, block: shape.block, layerCount: shape.layerCount)
    }

    /// The same for a model of `layerCount` blocks of one shape.
    public init(
        _ adapter: Adapter, block: BlockShape, layerCount: Int
    ) throws(DocumentError) {
        var layout = LowRankLayout(
            rank: adapter.rank, scale: Float(adapter.scale), layerCount: layerCount)
        for pair in adapter.pairs {
            guard let (layer, projection) = Self.place(pair.module, layerCount) else {
                throw DocumentError(
                    "adapter", at: pair.module,
                    "not a projection of a block; only \(Self.modules) are adapted")
            }
            layout.add(projection, layer: layer, shape: block)
        }
        let parameters = adapter.pairs.flatMap { $0.down + $0.up }
        guard parameters.count == layout.layout.count else {
            throw DocumentError("adapter", "its matrices are not of the model's sizes")
        }
        self.init(layout, parameters: parameters)
    }

    private static var modules: String {
        Projection.allCases.map(\.module).joined(separator: ", ")
    }

    private static func place(_ module: String, _ layerCount: Int) -> (Int, Projection)? {
        let parts = module.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "model", parts[1] == "layers",
            let layer = Int(parts[2]), (0..<layerCount).contains(layer),
            let projection = Projection.allCases.first(where: { $0.module == parts[3] })
        else { return nil }
        return (layer, projection)
    }

    /// As PEFT writes it. Modules are named in full, so that PEFT makes pairs in these layers and in no other.
    public func adapter(shape: DecoderShape) -> Adapter { adapter(block: shape.block) }

    /// The same for a model whose blocks are all of one shape.
    public func adapter(block: BlockShape) -> Adapter {
        var pairs: [LowRankPair] = []
        for (layer, changes) in layout.blocks.enumerated() {
            guard let changes else { continue }
            for projection in Projection.allCases {
                guard let place = changes[projection] else { continue }
                pairs.append(
                    LowRankPair(
                        module: "model.layers.\(layer).\(projection.module)",
                        inputCount: block.inputs(of: projection),
                        outputCount: block.outputs(of: projection),
                        down: Array(parameters[place.a]), up: Array(parameters[place.b])))
            }
        }
        return Adapter(
            rank: layout.rank, alpha: Double(layout.scale) * Double(layout.rank),
            targetModules: pairs.map(\.module), pairs: pairs)
    }
}
