// Item-aware attention (IAM; methods 1.4): which earlier tokens a token sees, layer by layer. Tokens stand in segments:
// 0 is an instruction or other sink, 1 to n are the items of a history, n + 1 is the answer. Intra layers stay within
// the segment, inter layers look at other segments only, ordinary ones see all; weights know nothing of it.
//
// What leading intra layers compute of a segment is a function of its tokens and the weights alone: rotary attention
// reads differences of positions, and nothing outside is seen. That is the boundary state, computed once an item. A
// sink that intra layers see would end this, since its own states come in from elsewhere: whoever wants one there
// puts a copy of its tokens at the front of every segment, where it belongs to the item.

import Tensors

/// Whom the tokens of a layer see, beside that no token sees a later one.
public enum TokenRelation: String, Sendable, CaseIterable {
    /// Everything so far.
    case ordinary
    /// The own segment.
    case intra
    /// Other segments.
    case inter
}

/// The relations of a model's layers and their options.
public struct ItemMasks: Sendable, Equatable {
    /// One a layer.
    public var layers: [TokenRelation]
    /// Inter layers: the token itself is seen too. Else they are strict, and a token that sees nothing gets nothing.
    public var interSeesSelf = false
    /// Inter layers: segment 0 is seen, by its own tokens as well, so that no later token sees nothing.
    public var interSeesSink = true
    /// Intra layers: segment 0 is seen. There are no boundary states then.
    public var intraSeesSink = false

    public init(layers: [TokenRelation]) { self.layers = layers }

    /// A plain decoder.
    public static func ordinary(layerCount: Int) -> ItemMasks {
        ItemMasks(layers: Array(repeating: .ordinary, count: layerCount))
    }

    /// The first `intra` layers within items, the last `inter` across them, and ordinary ones between: layout L1 when
    /// none is between, else L2.
    public static func split(intra: Int, inter: Int, layerCount: Int) -> ItemMasks {
        precondition(intra >= 0 && inter >= 0 && intra + inter <= layerCount, "layers of a model")
        var masks = ordinary(layerCount: layerCount)
        for layer in 0..<intra { masks.layers[layer] = .intra }
        for layer in layerCount - inter..<layerCount { masks.layers[layer] = .inter }
        return masks
    }

    /// How many leading layers see nothing but a token's own segment.
    public var boundaryLayer: Int {
        intraSeesSink ? 0 : layers.prefix { $0 == .intra }.count
    }

    /// Whether a layer of this relation needs keys of the open segment only.
    func forgetsClosedSegments(_ relation: TokenRelation) -> Bool {
        relation == .intra && !intraSeesSink
    }

    /// What one row of a sequence sees. Rows are counted from the sequence's start; the sink is its first `sinkEnd`.
    func visible(
        _ relation: TokenRelation, row: Int, segmentStart: Int, sinkEnd: Int
    ) -> VisibleKeys {
        let isSink = row < sinkEnd
        switch relation {
        case .ordinary: return .causal(sequenceStart: 0, row: row)
        case .intra:
            let sink = intraSeesSink && !isSink ? 0..<sinkEnd : 0..<0
            return .intra(segmentStart: segmentStart, row: row, sink: sink)
        case .inter:
            if isSink && interSeesSink { return .causal(sequenceStart: 0, row: row) }
            let start = interSeesSink ? 0 : min(sinkEnd, segmentStart)
            return .inter(
                sequenceStart: start, segmentStart: segmentStart, row: row,
                withSelf: interSeesSelf)
        }
    }
}
