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

    /// One or two tenths of a second of one core at 3 000 lists. Columns take twice what lists do: there is one copy of
    /// them, scaled in place.
    public func run() -> CombinerWeights {
        var weights = start
        weights.version += 1
        guard !lists.isEmpty else { return weights }
        var columns = lists.map { FeatureColumns($0) }
        var scale = LinearStage.scale(of: columns)
        // What only the short list has is none of the first stage's business.
        for place in Feature.ofShortList.places { scale[place] = 0 }
        // Weights are for scaled features: those of before are carried over to the new scale.
        var carried = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount where scale[place] > 0 {
            carried[place] = start.linear[place] * start.scale[place] / scale[place]
        }
        weights.scale = scale
        for index in columns.indices { columns[index].scale(by: scale) }
        weights.linear = LinearStage.fit(carried, columns)
        guard configuration.usesShortList else { return weights }
        var short = shortLists(columns, weights)
        let deviations = LinearStage.scale(of: short.lazy.map { FeatureColumns($0) })
        for place in Feature.ofShortList.places { weights.scale[place] = deviations[place] }
        for index in short.indices { short[index].scale(by: weights.scale) }
        weights.shortList = ShortListStage.fit(
            weights.shortList, short, passes: configuration.passes,
            seed: configuration.seed &+ weights.version)
        return weights
    }

    /// Short lists by the first stage, of the lists whose target is on them.
    private func shortLists(
        _ columns: [FeatureColumns], _ weights: CombinerWeights
    ) -> [ShortList] {
        zip(lists, columns).compactMap { list, columns in
            let short = ShortList.of(
                columns.scores(weights.linear), present: list.present, context: list.context,
                count: configuration.shortListCount, target: list.target, rows: list.rows
            ).list
            return short.target >= 0 ? short : nil
        }
    }
}

extension ShortList {
    /// Places of the best of the first stage, in its order; equal ones in the order of the list, which is that of keys.
    static func places(_ linear: [Float], count: Int) -> [Int] {
        // A float as a number of the same order, its place behind it: sorting numbers takes a third of what comparing
        // floats by their places does.
        let keys = linear.enumerated().map { place, value in
            let bits = (value + 0).bitPattern
            let ascending = bits >> 31 == 0 ? bits | 1 << 31 : ~bits
            return UInt64(~ascending) << 32 | UInt64(place)
        }
        return keys.sorted().prefix(count).map { Int($0 & 0xFFFF_FFFF) }
    }

    /// The best of the first stage, not scaled yet.
    static func of(
        _ linear: [Float], present: FeatureSet, context: ListContext, count: Int, target: Int?,
        rows: ([Int]) -> [FeatureRow]
    ) -> (list: ShortList, places: [Int]) {
        let places = places(linear, count: count)
        var total = 0.0
        for place in places { total += Double(linear[place]) }
        let mean = Float(total / Double(max(places.count, 1)))
        let list = ShortList(
            rows: centred(rows(places)), features: present.places,
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
