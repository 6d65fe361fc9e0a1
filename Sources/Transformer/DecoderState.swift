// What a decoder keeps of one sequence, and the bookkeeping of its segments.

/// Where a sequence stands: how many rows, and which segment is open.
struct DecoderPlace: Sendable {
    var rows = 0
    var segment: Int32 = 0
    var segmentStart = 0
    var sinkEnd = 0
    /// The open segment came as boundary states: layers below them have no keys of it.
    private var isClosed = false

    /// The first row whose keys intra layers hold.
    var openStart: Int { isClosed ? rows : segmentStart }

    /// Takes note of one more row.
    mutating func add(_ next: Int32) throws(DecoderError) {
        guard next >= segment else { throw .segmentBefore(next, open: segment) }
        if next > segment {
            segment = next
            segmentStart = rows
            isClosed = false
        } else if isClosed {
            throw .segmentClosed(next)
        }
        rows += 1
        if next == 0 { sinkEnd = rows }
    }

    mutating func close() { isClosed = true }
}

/// Keys and values of every layer for one sequence. A value: a copy continues on its own.
public struct DecoderState: Sendable {
    /// One a layer. Intra layers that see only the own segment keep only the open one.
    var caches: [KeyValueCache]
    private(set) var place = DecoderPlace()

    public init(_ shape: DecoderShape) {
        caches = Array(
            repeating: KeyValueCache(keyWidth: shape.block.keyWidth), count: shape.layerCount)
    }

    /// Rows so far; the position of the next.
    public var rows: Int { place.rows }
    /// The number of the open segment, which new tokens continue unless they say otherwise.
    public var segment: Int32 { place.segment }
    /// Memory of the caches.
    public var bytes: Int { caches.reduce(0) { $0 + $1.bytes } }

    /// Goes on to where a pass led, and drops keys that no later row sees.
    mutating func move(to next: DecoderPlace, _ masks: ItemMasks) {
        place = next
        let open = next.rows - next.openStart
        for (layer, relation) in masks.layers.enumerated()
        where masks.forgetsClosedSegments(relation) && caches[layer].rows > open {
            caches[layer].removeFirst(caches[layer].rows - open)
        }
    }
}

/// New rows of one sequence.
public struct DecoderInput: Sendable {
    public var tokens: [Int32]
    /// The segment of each token, in order; none continues the open segment.
    public var segments: [Int32]

    public init(_ tokens: [Int32], segments: [Int32] = []) {
        precondition(segments.isEmpty || segments.count == tokens.count, "a segment a token")
        self.tokens = tokens
        self.segments = segments
    }

    /// A segment for every one of `parts`, numbered from `first`.
    public init(segments parts: [[Int32]], first: Int32 = 1) {
        tokens = parts.flatMap(\.self)
        segments = parts.enumerated().flatMap { index, part in
            Array(repeating: first + Int32(index), count: part.count)
        }
    }
}

/// Memory of passes, used again from one to the next.
public struct DecoderScratch: Sendable {
    var trace = BlockTrace()

    public init() {}
}
