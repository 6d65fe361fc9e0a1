// One fit of both stages: a value with everything it needs, so that it can be made anywhere, at any time, and gives the
// same weights.

/// An order to fit weights anew.
public struct CombinerFit: Sendable {
    /// The version that the weights will have.
    public var version: UInt64 { start.version + 1 }
    public let start: CombinerWeights
    let configuration: CombinerConfiguration
    /// Oldest first.
    let lists: [LearntList]

    /// Some tenths of a second of one core at 3 000 lists. Rows take three times what lists do, so there is one copy of
    /// them at a time.
    public func run() -> CombinerWeights {
        var weights = start
        weights.version += 1
        guard !lists.isEmpty else { return weights }
        var scale = LinearStage.scale(of: lists.lazy.map { ($0.rows, $0.present) })
        // What only the short list has is none of the first stage's business.
        for place in Feature.ofShortList.places { scale[place] = 0 }
        // Weights are for scaled features: those of before are carried over to the new scale.
        var carried = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount where scale[place] > 0 {
            carried[place] = start.linear[place] * start.scale[place] / scale[place]
        }
        weights.scale = scale
        weights.linear = LinearStage.fit(
            carried, lists.map { (rows: $0.rows.map { $0 * scale }, target: $0.target) })
        guard configuration.usesShortList else { return weights }
        var short = shortLists(weights.scale * weights.linear)
        let deviations = LinearStage.scale(of: short.lazy.map { ($0.list.rows, $0.present) })
        for place in Feature.ofShortList.places { weights.scale[place] = deviations[place] }
        for index in short.indices { short[index].list.scale(by: weights.scale) }
        weights.shortList = ShortListStage.fit(
            weights.shortList, short.map(\.list), passes: configuration.passes,
            seed: configuration.seed &+ weights.version)
        return weights
    }

    /// Short lists by the first stage of these factors, of the lists whose target is on them.
    private func shortLists(_ factors: FeatureRow) -> [(list: ShortList, present: FeatureSet)] {
        lists.compactMap { list in
            let rows = list.rows
            let short = ShortList.of(
                rows, linear: rows.map { total($0 * factors) }, context: list.context,
                count: configuration.shortListCount, target: list.target
            ).list
            return short.target >= 0 ? (short, list.present) : nil
        }
    }
}

extension ShortList {
    /// Places of the best of the first stage, in its order; equal ones in the order of the list, which is that of keys.
    static func places(_ linear: [Float], count: Int) -> [Int] {
        let ordered = linear.indices.sorted {
            linear[$0] != linear[$1] ? linear[$0] > linear[$1] : $0 < $1
        }
        return Array(ordered.prefix(count))
    }

    /// The best of the first stage, not scaled yet.
    static func of(
        _ rows: [FeatureRow], linear: [Float], context: ListContext, count: Int, target: Int?
    ) -> (list: ShortList, places: [Int]) {
        let places = places(linear, count: count)
        var total = 0.0
        for place in places { total += Double(linear[place]) }
        let mean = Float(total / Double(max(places.count, 1)))
        let list = ShortList(
            rows: centred(places.map { rows[$0] }),
            scores: places.map { linear[$0] - mean }, context: context,
            target: target.flatMap { places.firstIndex(of: $0) } ?? -1)
        return (list, places)
    }

    /// Rows of a list relative to these of it in what only the short list has: the list may be of another first stage.
    private static func centred(_ rows: [FeatureRow]) -> [FeatureRow] {
        var centre = FeatureRow.zero
        for place in Feature.ofShortList.places {
            var sum = 0.0
            for row in rows { sum += Double(row[place]) }
            centre[place] = Float(sum / Double(max(rows.count, 1)))
        }
        return centre == .zero ? rows : rows.map { $0 - centre }
    }

    mutating func scale(by scale: FeatureRow) {
        for index in rows.indices { rows[index] = (rows[index] * scale).clamped(to: 8) }
    }
}
