// What one pass needs to know of its rows besides their numbers.

import Tensors

/// Positions and visible keys of the rows of one pass, for each relation, and where it leaves the sequences. Keys are
/// counted in each sequence's caches, or, when sequences are joined, in the rows of the pass itself.
struct DecoderPlan {
    let counts: [Int]
    var passes: [TokenRelation: BlockPass] = [:]
    let after: [DecoderPlace]

    init(
        _ decoder: Decoder, _ states: [DecoderState], segments: [[Int32]], closing: Bool = false,
        isJoined: Bool = false
    ) throws(DecoderError) {
        counts = segments.map(\.count)
        let total = counts.reduce(0, +)
        guard total <= Decoder.rowsMax else { throw .tooManyRows(total) }
        let masks = decoder.shape.masks
        var rows: [(row: Int, place: DecoderPlace, openStart: Int, shift: Int)] = []
        rows.reserveCapacity(total)
        var after: [DecoderPlace] = []
        for (state, numbers) in zip(states, segments) {
            guard !numbers.isEmpty else { throw .nothing }
            var place = state.place
            guard place.rows + numbers.count <= decoder.shape.positionsMax else {
                throw .contextFull(
                    rows: place.rows, added: numbers.count,
                    positionsMax: decoder.shape.positionsMax)
            }
            let openStart = place.openStart
            let shift = isJoined ? rows.count : 0
            for number in numbers {
                try place.add(number)
                rows.append((place.rows - 1, place, openStart, shift))
            }
            if closing { place.close() }
            after.append(place)
        }
        self.after = after
        for relation in Set(masks.layers) {
            let isLocal = masks.forgetsClosedSegments(relation)
            passes[relation] = BlockPass(
                // Within a segment, positions are counted from its start: the same differences, and the same bits
                // wherever it stands.
                positions: rows.map { Int32($0.row - (isLocal ? $0.place.segmentStart : 0)) },
                inverseFrequencies: decoder.shape.inverseFrequencies,
                visible: rows.map { row, place, openStart, shift in
                    let base = isLocal ? openStart : 0
                    let keys = masks.visible(
                        relation, row: row - base, segmentStart: place.segmentStart - base,
                        sinkEnd: place.sinkEnd - base)
                    return keys.shifted(by: shift)
                })
        }
    }
}

extension VisibleKeys {
    fileprivate func shifted(by rows: Int) -> VisibleKeys {
        rows == 0
            ? self
            : VisibleKeys(
                first.lowerBound + rows..<first.upperBound + rows,
                second.lowerBound + rows..<second.upperBound + rows)
    }
}
