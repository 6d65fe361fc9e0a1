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

    /// Some tenths of a second of one core at 1 500 lists.
    public func run() -> CombinerWeights {
        let examples = lists.map { (list: $0, rows: $0.rows) }
        var weights = start
        weights.version += 1
        guard !examples.isEmpty else { return weights }
        let scale = LinearStage.scale(of: examples.map { ($0.rows, $0.list.present) })
        // Weights are for scaled features: those of before are carried over to the new scale.
        var carried = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount where scale[place] > 0 {
            carried[place] = start.linear[place] * start.scale[place] / scale[place]
        }
        weights.scale = scale
        weights.linear = LinearStage.fit(
            carried,
            examples.map { example in
                (rows: example.rows.map { $0 * scale }, target: example.list.target)
            })
        guard configuration.usesShortList else { return weights }
        let factors = weights.scale * weights.linear
        let short = examples.compactMap { example -> ShortList? in
            let list = ShortList.of(
                example.rows, linear: example.rows.map { total($0 * factors) },
                scale: weights.scale, context: example.list.context,
                count: configuration.shortListCount, target: example.list.target
            ).list
            return list.target >= 0 ? list : nil
        }
        weights.shortList = ShortListStage.fit(
            weights.shortList, short, passes: configuration.passes,
            seed: configuration.seed &+ weights.version)
        return weights
    }
}

extension ShortList {
    /// The best of the first stage, in its order; equal ones in the order of the list, which is that of keys.
    static func of(
        _ rows: [FeatureRow], linear: [Float], scale: FeatureRow, context: ListContext,
        count: Int, target: Int?
    ) -> (list: ShortList, places: [Int]) {
        let ordered = linear.indices.sorted {
            linear[$0] != linear[$1] ? linear[$0] > linear[$1] : $0 < $1
        }
        let places = Array(ordered.prefix(count))
        var total = 0.0
        for place in places { total += Double(linear[place]) }
        let mean = Float(total / Double(max(places.count, 1)))
        let list = ShortList(
            rows: places.map {
                (rows[$0] * scale).clamped(to: 8)
            },
            scores: places.map { linear[$0] - mean }, context: context,
            target: target.flatMap { places.firstIndex(of: $0) } ?? -1)
        return (list, places)
    }
}
