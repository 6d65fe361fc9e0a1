// A whole decoder: tokens to logits, through blocks whose relations are those of `ItemMasks`. What a sequence has seen
// is a `DecoderState`; a pass takes new rows of any number of sequences at once.

import Tensors

/// Sizes and rules of a decoder.
public struct DecoderShape: Sendable, Equatable {
    public var vocabularyCount: Int
    public var block: BlockShape
    /// The output layer is the embedding table.
    public var tiesHead: Bool
    /// headWidth / 2 of them, scaled as the model asks for.
    public var inverseFrequencies: [Float]
    /// Rows of one sequence.
    public var positionsMax: Int
    /// One relation a layer, so these say how many layers there are.
    public var masks: ItemMasks

    public init(
        vocabularyCount: Int, block: BlockShape, tiesHead: Bool, inverseFrequencies: [Float],
        positionsMax: Int, masks: ItemMasks
    ) {
        precondition(
            vocabularyCount > 0 && inverseFrequencies.count == block.headWidth / 2
                && positionsMax <= Int(Int32.max), "shape of a decoder")
        self.vocabularyCount = vocabularyCount
        self.block = block
        self.tiesHead = tiesHead
        self.inverseFrequencies = inverseFrequencies
        self.positionsMax = positionsMax
        self.masks = masks
    }

    public var layerCount: Int { masks.layers.count }
}

/// Places of a decoder's parameters.
public struct DecoderLayout: Sendable, Equatable {
    public private(set) var layout = ParameterLayout()
    public let embedding: Range<Int>
    public let blocks: [BlockLayout]
    public let norm: Range<Int>
    /// The embedding, when tied.
    public let head: Range<Int>

    public init(_ shape: DecoderShape) {
        var layout = ParameterLayout()
        let width = shape.block.width
        embedding = layout.add("model.embed_tokens.weight", shape.vocabularyCount, width)
        blocks = (0..<shape.layerCount).map { BlockLayout(shape.block, index: $0, in: &layout) }
        norm = layout.add("model.norm.weight", width)
        head =
            shape.tiesHead
            ? embedding : layout.add("lm_head.weight", shape.vocabularyCount, width)
        self.layout = layout
    }
}

/// An adapter with its parameters.
public struct DecoderAdapter: Sendable, Equatable {
    public let layout: LowRankLayout
    public var parameters: [Float]

    /// Zeros, unless given: an adapter that changes nothing.
    public init(_ layout: LowRankLayout, parameters: [Float]? = nil) {
        self.layout = layout
        self.parameters =
            parameters ?? Array(repeating: 0, count: layout.layout.count)
        precondition(self.parameters.count == layout.layout.count, "parameters of an adapter")
    }

    /// Adds scale · B A to the matrices of `blocks`, which lie in `weights`.
    public func merge(into weights: inout [Float], of blocks: [BlockLayout]) {
        precondition(blocks.count == layout.blocks.count, "an adapter of as many layers")
        for (block, changes) in zip(blocks, layout.blocks) {
            guard let changes else { continue }
            for projection in Projection.allCases {
                guard let pair = changes[projection] else { continue }
                var all = weights.mutableSpan
                var matrix = all._mutatingExtracting(block.weights(of: projection))
                multiply(
                    parameters.span.extracting(pair.b), .plain,
                    parameters.span.extracting(pair.a), .plain, into: &matrix,
                    m: block.shape.outputs(of: projection), n: block.shape.inputs(of: projection),
                    k: changes.rank, scale: changes.scale, keep: 1)
            }
        }
    }
}

public struct Decoder: Sendable {
    /// Rows of all sequences in one pass; a longer prompt is fed in parts.
    public static let rowsMax = 8192

    public let shape: DecoderShape
    public let layout: DecoderLayout
    public let parameters: [Float]
    public var adapter: DecoderAdapter? {
        didSet {
            precondition(
                adapter.map { $0.layout.blocks.count == shape.layerCount } ?? true,
                "an adapter of as many layers")
        }
    }

    /// `parameters` are of the layout `DecoderLayout(shape)`.
    public init(_ shape: DecoderShape, parameters: [Float]) {
        self.shape = shape
        layout = DecoderLayout(shape)
        self.parameters = parameters
        precondition(parameters.count == layout.layout.count, "parameters of the layout")
    }

    /// The same function without an adapter: W + scale · B A in its place.
    public func merged() -> Decoder {
        guard let adapter else { return self }
        var weights = parameters
        adapter.merge(into: &weights, of: layout.blocks)
        return Decoder(shape, parameters: weights)
    }

    /// Logits of rows of `hidden` (rows × width, of `forward`), after the last norm: chosen.count × vocabularyCount.
    public func logits(_ hidden: [Float], rows chosen: [Int]) -> [Float] {
        var head = HeadTrace()
        return logits(hidden, rows: chosen, trace: &head)
    }

    func logits(_ hidden: [Float], rows chosen: [Int], trace: inout HeadTrace) -> [Float] {
        let width = shape.block.width
        resize(&trace.x, chosen.count * width)
        resize(&trace.normed, chosen.count * width)
        resize(&trace.reciprocals, chosen.count)
        var picked = trace.x.mutableSpan
        let indices = chosen.map { Int32($0) }
        gatherRows(hidden.span, indices.span, into: &picked, width: width)
        norm(
            trace.x, gain: parameters.span.extracting(layout.norm), into: &trace.normed,
            reciprocals: &trace.reciprocals, rows: chosen.count, width: width,
            epsilon: shape.block.epsilon)
        var logits = [Float](repeating: 0, count: chosen.count * shape.vocabularyCount)
        var out = logits.mutableSpan
        linear(
            trace.normed.span, weights: parameters.span.extracting(layout.head), into: &out,
            rows: chosen.count, inputs: width, outputs: shape.vocabularyCount)
        return logits
    }
}

/// What the last norm was given and kept.
struct HeadTrace: Sendable {
    var x: [Float] = []
    var normed: [Float] = []
    var reciprocals: [Float] = []
}

/// Why tokens were not taken.
public enum DecoderError: Error, Equatable, CustomStringConvertible {
    case nothing
    case unknownToken(Int32, vocabularyCount: Int)
    case contextFull(rows: Int, added: Int, positionsMax: Int)
    case tooManyRows(Int)
    case segmentBefore(Int32, open: Int32)
    case segmentClosed(Int32)
    case noBoundary
    case notFinite

    public var description: String {
        switch self {
        case .nothing: "a sequence without new tokens: give at least one"
        case .unknownToken(let token, let count):
            "token \(token) is not of the model's \(count): the tokenizer is another model's"
        case .contextFull(let rows, let added, let most):
            "\(added) tokens after \(rows) exceed the model's \(most) positions: shorten the input"
        case .tooManyRows(let rows):
            "\(rows) rows in one pass; at most \(Decoder.rowsMax): feed the input in parts"
        case .segmentBefore(let segment, let open):
            "segment \(segment) after segment \(open): segments come in order"
        case .segmentClosed(let segment):
            "segment \(segment) was entered by its boundary states and takes no more tokens"
        case .noBoundary:
            "no boundary states: the first layer is not intra, or intra layers see the sink"
        case .notFinite: "logits are not finite: the weights are damaged"
        }
    }
}
