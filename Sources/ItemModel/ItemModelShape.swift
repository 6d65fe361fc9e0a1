// The item-aware model of decision D5, sized for a CPU: k intra blocks read one item's text, their mean is the item's
// vector, and m inter blocks relate the vectors of a history. (Our design, layout L1 with pooled items; the paper's
// published part is the split into intra- and inter-item attention. See methods 1.4.)

public import Transformer

/// What an item's vector is made of.
public enum ItemVectors: String, Sendable, CaseIterable {
    /// Its text, and a vector of its own that counts the more the more events the item has.
    case gated
    /// Its text alone.
    case text
    /// Its own vector alone, as in SASRec: for comparison, because a new item has none.
    case identity
}

/// What a history is to the attention.
public enum HistoryAttention: String, Sendable, CaseIterable {
    /// Blocks within items, then blocks across their vectors (IAM).
    case split
    /// The tokens of all items, one after the other, in every block: for comparison.
    case plain
}

/// How a model reads what a user's summary says.
public struct SummaryReading: Sendable, Equatable {
    /// Tokens of the text that are read, besides the beginning and the end.
    public var tokensMax = 64
    /// Version of the summariser that wrote the texts of the training; it reads no others.
    public var summariserVersion: UInt64

    public init(summariserVersion: UInt64) { self.summariserVersion = summariserVersion }
}

/// What a model reads of the items before its window.
public enum OlderReading: String, Sendable, CaseIterable {
    /// The mean of their vectors.
    case mean
}

public struct ItemModelShape: Sendable, Equatable {
    public var vocabulary: Int
    public var width = 64
    public var heads = 2
    public var feedForward = 160
    public var intraBlocks = 1
    public var interBlocks = 1
    /// Tokens of an item's text that are read, besides the beginning and the end.
    public var contentTokensMax = 10
    /// Items of a history that the inter blocks read.
    public var historyMax = 30
    /// Events at which an item's own vector counts half (the gate n / (n + gateHalf)).
    public var gateHalf: Float = 3
    public var rotaryBase = 10_000.0
    public var epsilon: Float = 1e-6
    public var vectors = ItemVectors.gated
    public var attention = HistoryAttention.split
    /// Whether an item sees itself in inter blocks; else it is known there only through the residual.
    public var seesItself = true
    /// Nil: the model knows nothing of summaries.
    public var summaries: SummaryReading?
    /// Nil: what has left the window is forgotten.
    public var older: OlderReading?

    public init(vocabulary: Int) { self.vocabulary = vocabulary }

    /// All of it as a text that versions are hashes of. A model that reads neither summaries nor older items has the
    /// text, hence the version, that it had before there were any.
    public var described: String {
        "\(self)".replacing(", summaries: nil", with: "").replacing(", older: nil", with: "")
    }

    /// What the model reads beside the window of a history: the items before it as they are stored, every one once, at
    /// its last place. None for a model that does not read them.
    func older(_ history: [Int32]) -> [Int32] {
        guard older != nil, history.count > historyMax else { return [] }
        var seen = Set(history.suffix(historyMax))
        return history.dropLast(historyMax).reversed().filter { seen.insert($0).inserted }
            .reversed()
    }

    public var block: BlockShape {
        BlockShape(width: width, heads: heads, feedForward: feedForward, epsilon: epsilon)
    }

    /// n / (n + gateHalf): 0 for an item never seen, so that it is its text alone. Without text there is no gate, and
    /// without identity it is shut.
    public func gate(count: Int) -> Float {
        switch vectors {
        case .gated: Float(count) / (Float(count) + gateHalf)
        case .text: 0
        case .identity: count > 0 ? 1 : 0
        }
    }

    /// Whether the model is one to serve, not only to compare with.
    public var isServable: Bool { vectors != .identity && attention == .split }
}

/// Where the parameters of a shape lie. Identity vectors are a table of their own, because items come and go.
public struct ItemModelLayout: Sendable, Equatable {
    public let shape: ItemModelShape
    public let parameters: ParameterLayout
    let embedding: Range<Int>
    let intra: [BlockLayout]
    let inter: [BlockLayout]
    let finalNorm: Range<Int>
    let itemNorm: Range<Int>
    /// The scale of the item head's logits.
    let scale: Range<Int>
    /// Of the older items' mean; nil for a model that does not read them.
    let olderNorm: Range<Int>?

    public init(_ shape: ItemModelShape) {
        self.shape = shape
        var layout = ParameterLayout()
        embedding = layout.add("model.embed_tokens.weight", shape.vocabulary, shape.width)
        intra = (0..<shape.intraBlocks).map { BlockLayout(shape.block, index: $0, in: &layout) }
        inter = (0..<shape.interBlocks).map {
            BlockLayout(shape.block, index: shape.intraBlocks + $0, in: &layout)
        }
        finalNorm = layout.add("model.norm.weight", shape.width)
        itemNorm = layout.add("millrace.item_norm.weight", shape.width)
        scale = layout.add("millrace.item_scale", 1)
        olderNorm = shape.older.map { _ in layout.add("millrace.older_norm.weight", shape.width) }
        parameters = layout
    }

    /// Whether parameters at this place can change an item's text vector.
    public func concernsText(_ range: Range<Int>) -> Bool {
        let first = intra.first?.attentionNorm.lowerBound ?? 0
        let last = intra.last?.down.upperBound ?? 0
        return range == embedding || range == itemNorm
            || range.lowerBound >= first && range.upperBound <= last
    }
}
