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

    /// Some tenths of a second of one core at 3 000 lists.
    public func run() -> CombinerWeights {
        let examples = lists.map { (list: $0, rows: $0.rows) }
        var weights = start
        weights.version += 1
        guard !examples.isEmpty else { return weights }
        var scale = LinearStage.scale(of: examples.map { ($0.rows, $0.list.present) })
        // What only the short list has is none of the first stage's business.
        for place in Feature.ofShortList.places { scale[place] = 0 }
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
        let short = shortLists(examples, weights.scale * weights.linear)
        let deviations = LinearStage.scale(of: short.map { ($0.list.rows, $0.present) })
        for place in Feature.ofShortList.places { weights.scale[place] = deviations[place] }
        weights.shortList = ShortListStage.fit(
            weights.shortList, short.map { $0.list.scaled(by: weights.scale) },
            passes: configuration.passes, seed: configuration.seed &+ weights.version)
        return weights
    }

    /// Short lists by the first stage of these factors, of the lists whose target is on them.
    private func shortLists(
        _ examples: [(list: LearntList, rows: [FeatureRow])], _ factors: FeatureRow
    ) -> [(list: ShortList, present: FeatureSet)] {
        examples.compactMap { example in
            let list = ShortList.of(
                example.rows, linear: example.rows.map { total($0 * factors) },
                context: example.list.context, count: configuration.shortListCount,
                target: example.list.target
            ).list
            return list.target >= 0 ? (list, example.list.present) : nil
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

    func scaled(by scale: FeatureRow) -> ShortList {
        var list = self
        for index in rows.indices { list.rows[index] = (rows[index] * scale).clamped(to: 8) }
        return list
    }
}
