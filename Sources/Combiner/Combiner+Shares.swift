// What each feature has to do with an item's place.

extension Combiner {
    /// What each feature adds to an item's first-stage score, relative to the mean of the list.
    public func contributions(
        to index: Int, of list: CandidateList
    ) -> [(feature: Feature, amount: Float)] {
        let row = list.rows[index] * weights.scale * weights.linear
        return Feature.allCases.filter {
            list.present.contains($0) && !Feature.ofShortList.contains($0)
        }.map { (feature: $0, amount: row[$0.rawValue]) }
    }

    /// What features of the short list do to items of it: what the second stage would say less if the item were as the
    /// mean of the list in that feature. Nothing for a place behind the short list.
    public func shortListContributions(
        to indices: [Int], of list: CandidateList
    ) -> [[(feature: Feature, amount: Float)]] {
        let features = Feature.allCases.filter {
            Feature.ofShortList.contains($0) && list.present.contains($0)
        }
        guard isReady, configuration.usesShortList, !features.isEmpty else {
            return indices.map { _ in [] }
        }
        let (short, places) = shortList(of: list, linearScores(list))
        let scores = ShortListStage.scores(weights.shortList, short)
        return indices.map { index in
            guard let place = places.firstIndex(of: index) else { return [] }
            return features.map { feature in
                var alone = short
                alone.rows = [short.rows[place]]
                alone.scores = [short.scores[place]]
                alone.rows[0][feature.rawValue] = 0
                let without = ShortListStage.scores(weights.shortList, alone)[0]
                return (feature: feature, amount: scores[place] - without)
            }
        }
    }

    /// All of it for items by their keys, in the order of `Feature`, zero for an absent one; empty for an item that is
    /// not in the list.
    public func shares(of items: [UInt64], in list: CandidateList) -> [[Float]] {
        let indices = items.map { list.items.firstIndex(of: $0) }
        let further = shortListContributions(to: indices.compactMap { $0 }, of: list)
        var next = further.makeIterator()
        return indices.map { index in
            guard let index, let further = next.next() else { return [] }
            let row = list.rows[index] * weights.scale * weights.linear
            var shares = Feature.allCases.map { row[$0.rawValue] }
            for (feature, amount) in further { shares[feature.rawValue] = amount }
            return shares
        }
    }

    /// The weight of a feature as it comes, not divided by its deviation: the first stage's, or that of the second
    /// stage's skip for a feature of the short list.
    public func weight(of feature: Feature) -> Float {
        weights.scale[feature.rawValue] * weights.relative(feature)
    }

    /// What the second stage adds to what the first says of an item, both relative to the mean of the short list; nil
    /// for an item behind it, or without a second stage.
    public func correction(to index: Int, of list: CandidateList) -> Float? {
        guard isReady, configuration.usesShortList else { return nil }
        let (short, places) = shortList(of: list, linearScores(list))
        guard let place = places.firstIndex(of: index) else { return nil }
        let scores = ShortListStage.scores(weights.shortList, short)
        return scores[place] - scores.reduce(0, +) / Float(scores.count) - short.scores[place]
    }
}

extension CombinerWeights {
    /// The weight of a feature divided by its deviation.
    public func relative(_ feature: Feature) -> Float {
        Feature.ofShortList.contains(feature)
            ? shortList.skip[feature.rawValue] : linear[feature.rawValue]
    }
}
