import Interactions
import TestKit
import Testing

@testable import Combiner

@Suite("the combiner")
struct CombinerTests {
    /// Lists in which the target tends to have the greatest first feature, and the second one misleads.
    private func lists(
        _ count: Int, size: Int = 12, seed: UInt64 = 7, present: FeatureSet = Self.present
    ) -> [ScoredList] {
        var random = SplitMix(state: seed)
        return (0..<count).map { _ in
            var rows: [FeatureRow] = []
            var best = (place: 0, value: -Float.infinity)
            for place in 0..<size {
                var row = FeatureRow.zero
                row.set(.rules, random.symmetric())
                row.set(.popularity0, random.symmetric() * 3)
                row.set(.recentRules, random.symmetric())
                let value =
                    row[Feature.rules.rawValue] * 2 - row[Feature.popularity0.rawValue] * 0.2
                    + random.symmetric() * 0.3
                if value > best.value { best = (place, value) }
                rows.append(row)
            }
            return ScoredList(
                list: CandidateList(
                    items: (0..<UInt64(size)).map { $0 &* 77 &+ 5 }, values: rows,
                    present: present, context: ListContext(historyCount: 3, gapSeconds: 60)),
                target: best.place)
        }
    }

    private static let present = FeatureSet([.rules, .popularity0, .recentRules])

    private func fitted(_ seed: UInt64 = 7) -> Combiner {
        var configuration = CombinerConfiguration()
        configuration.refitInterval = 60
        configuration.fitDelay = 4
        configuration.listsMin = 30
        configuration.listsMax = 100
        configuration.passes = 6
        configuration.shortListCount = 6
        var combiner = Combiner(configuration)
        for list in lists(125, seed: seed) { combiner.learn(list) }
        return combiner
    }

    private func columns(_ count: Int, size: Int = 12) throws -> [FeatureColumns] {
        try lists(count, size: size).map { FeatureColumns(try #require(LearntList($0))) }
    }

    @Test("the first stage's gradient is the slope of its loss, its Hessian that of the gradient")
    func linearGradient() throws {
        let columns = try columns(4)
        var weights = SIMD32<Double>.zero
        weights[5] = 0.4
        weights[0] = -0.2
        let here = LinearStage.loss(weights, columns, curved: true)
        #expect(here.value == LinearStage.loss(weights, columns).value)
        let features = [Feature.rules, .popularity0, .recentRules, .model]
        for feature in features {
            let place = feature.rawValue
            let step = 1e-2
            var weights = (above: weights, below: weights)
            weights.above[place] += step
            weights.below[place] -= step
            let above = LinearStage.loss(weights.above, columns)
            let below = LinearStage.loss(weights.below, columns)
            #expect(abs((above.value - below.value) / (2 * step) - here.gradient[place]) < 2e-3)
            for other in features where other.rawValue <= place {
                let slope =
                    (above.gradient[other.rawValue] - below.gradient[other.rawValue]) / (2 * step)
                #expect(abs(slope - here.hessian[place, other.rawValue]) < 2e-3)
            }
        }
    }

    @Test("nothing near the first stage's weights is better")
    func linearMinimum() throws {
        var columns = try columns(60, size: 37)
        let scale = LinearStage.scale(of: columns)
        for index in columns.indices { columns[index].scale(by: scale) }
        let weights = LinearStage.fit(.zero, columns)
        let found = LinearStage.loss(weights.doubles, columns)
        #expect(found.value < LinearStage.loss(.zero, columns).value - 0.5)
        #expect((found.gradient * found.gradient).sum().squareRoot() < 1e-4)
    }

    @Test(
        "columns say what rows do, whatever is left of the last block", arguments: [1, 15, 16, 17])
    func columnsAndRows(size: Int) throws {
        let learnt = try #require(LearntList(lists(1, size: size)[0]))
        let rows = learnt.rows(Array(0..<size))
        let columns = FeatureColumns(learnt)
        var weights = FeatureRow.zero
        weights.set(.rules, 1.5)
        weights.set(.popularity0, -0.25)
        let expected = rows.map { total($0 * weights) }
        let scores = columns.scores(weights)
        #expect(scores.count == size)
        for (left, right) in zip(scores, expected) { #expect(abs(left - right) < 1e-5) }

        var blocks: [FeatureColumns.Block] = []
        columns.scores(weights, into: &blocks)
        let logarithm = columns.softmax(&blocks)
        var probabilities = expected
        #expect(abs(softmax(&probabilities) - logarithm) < 1e-5)
        for place in 0..<(columns.blockCount * 16) {
            let found = blocks[place / 16][place % 16]
            #expect(abs(found - (place < size ? probabilities[place] : 0)) < 1e-6)
        }
        for (column, place) in columns.places.enumerated() {
            let squares = rows.reduce(Float(0)) { $0 + $1[place] * $1[place] }
            #expect(abs(columns.sumOfSquares(column) - squares) < 1e-4)
            var product: Float = 0
            for index in 0..<size { product += rows[index][place] * probabilities[index] }
            #expect(abs(columns.product(column, blocks) - product) < 1e-5)
            #expect(columns.value(size - 1, column) == rows[size - 1][place])
        }
    }

    @Test("halves are read as the standard library reads them")
    func halves() {
        for bits in UInt16.min...UInt16.max where Float16(bitPattern: bits).isFinite {
            let expected = Float(Float16(bitPattern: bits))
            #expect(LearntList.float(bits).bitPattern == expected.bitPattern)
        }
    }

    @Test("the short list is the best of the first stage, equal ones in the order of the list")
    func places() {
        let scores: [Float] = [0, -1.5, 2, -0.0, 2, -.infinity, 1e-30, -1e-30, 7]
        #expect(ShortList.places(scores, count: 99) == [8, 2, 4, 6, 0, 3, 7, 1, 5])
        #expect(ShortList.places(scores, count: 2) == [8, 2])
    }

    @Test("the second stage's gradient is the slope of its loss, in every kind of weight")
    func shortListGradient() {
        var random = SplitMix(state: 3)
        var weights = ShortListWeights(seed: 2)
        for unit in 0..<16 {
            weights.out[unit] = random.symmetric()
            weights.bias[unit] = random.symmetric()
        }
        let scored = lists(1, size: 5)[0]
        let list = ShortList(
            rows: scored.list.rows, features: scored.list.present.places,
            scores: [0.5, -0.2, 0.1, 0.3, -0.7],
            context: ListContext(historyCount: 9, gapSeconds: 7_200), target: 2)
        var gradient = ShortListStage.zero
        _ = ShortListStage.accumulate(weights, list, into: &gradient)
        func loss(_ weights: ShortListWeights) -> Double {
            var unused = ShortListStage.zero
            return ShortListStage.accumulate(weights, list, into: &unused)
        }
        func check(_ slope: Float, _ path: WritableKeyPath<ShortListWeights, Float>) {
            let step: Float = 1e-2
            var above = weights
            above[keyPath: path] += step
            var below = weights
            below[keyPath: path] -= step
            let found = (loss(above) - loss(below)) / Double(2 * step)
            #expect(abs(found - Double(slope)) < 3e-3, "\(path)")
        }
        for unit in [0, 7, 15] {
            check(gradient.out[unit], \.out[unit])
            check(gradient.bias[unit], \.bias[unit])
            for input in [0, Feature.rules.rawValue, ShortListWeights.scorePlace, 33, 34] {
                check(gradient.hidden[input][unit], \.hidden[input][unit])
            }
        }
        for input in [0, Feature.rules.rawValue, ShortListWeights.scorePlace] {
            check(gradient.skip[input], \.skip[input])
        }
    }

    @Test("without learnt units the second stage scores as the first")
    func beginsAsFirst() {
        let combiner = Combiner()
        for scored in lists(5) {
            let linear = combiner.scores(of: scored.list, by: .linear)
            let short = combiner.scores(of: scored.list, by: .shortList)
            #expect(order(linear) == order(short))
        }
    }

    @Test("a list in another order gets the same scores in that order")
    func permutation() {
        let combiner = fitted()
        let list = lists(1, seed: 99)[0].list
        let turned = CandidateList(
            items: list.items.reversed(), values: list.values.reversed(), present: list.present,
            context: list.context)
        for ordering in [Ordering.shortList, .linear, .source(.rules)] {
            let scores = combiner.scores(of: list, by: ordering)
            let back = Array(combiner.scores(of: turned, by: ordering).reversed())
            for (left, right) in zip(scores, back) { #expect(abs(left - right) < 1e-4) }
        }
    }

    @Test("a missing source takes its feature out for every candidate alike")
    func missing() {
        let combiner = fitted()
        let list = lists(1, seed: 99)[0].list
        let without = FeatureSet([.popularity0, .recentRules])
        let absent = CandidateList(
            items: list.items, values: list.values, present: without, context: list.context)
        let constant = CandidateList(
            items: list.items,
            values: list.values.map { row in
                var row = row
                row.set(.rules, 4)
                return row
            }, present: Self.present, context: list.context)
        for ordering in [Ordering.shortList, .linear] {
            #expect(
                combiner.scores(of: absent, by: ordering)
                    == combiner.scores(of: constant, by: ordering))
        }
        #expect(combiner.contributions(to: 0, of: absent).allSatisfy { $0.feature != .rules })
    }

    /// The same lists with a feature of the short list that tells the target, or nothing.
    private func written(
        _ lists: [ScoredList], by combiner: Combiner, tells: Bool
    ) -> [ScoredList] {
        var random = SplitMix(state: 21)
        return lists.map { scored in
            let places = combiner.shortListPlaces(of: scored.list)
            let amounts = places.map { place in
                Double(random.symmetric()) - 7 + (tells && place == scored.target ? 3 : 0)
            }
            return ScoredList(
                list: scored.list.adding(.tokenHead, amounts, at: places), target: scored.target)
        }
    }

    private func taught(_ combiner: Combiner, _ lists: [ScoredList]) -> Combiner {
        var combiner = combiner
        for list in lists { combiner.learn(list) }
        return combiner
    }

    @Test("a feature of the short list is none of the first stage's, and absent changes no bit")
    func ofShortList() {
        let start = fitted()
        let plain = lists(125, seed: 31)
        let rich = written(plain, by: start, tells: true)
        let (without, with) = (taught(start, plain), taught(start, rich))
        let stripped = rich.map {
            ScoredList(list: $0.list.without(Feature.ofShortList), target: $0.target)
        }
        #expect(taught(start, stripped).encoded() == without.encoded())
        #expect(with.weights.linear == without.weights.linear)
        #expect(with.weights.linear[Feature.tokenHead.rawValue] == 0)
        #expect(with.weight(of: .tokenHead) > 0 && without.weight(of: .tokenHead) == 0)
        #expect(with.gain(of: .linear) == without.gain(of: .linear))
        let test = written(lists(60, seed: 41), by: with, tells: true)
        func hits(_ combiner: Combiner) -> Int {
            test.count { scored in
                let scores = combiner.scores(of: scored.list, by: .shortList)
                return scores.indices.max { scores[$0] < scores[$1] } == scored.target
            }
        }
        #expect(hits(with) > hits(without))
        for scored in test {
            let linear = without.scores(of: scored.list, by: .shortList)
            #expect(
                linear
                    == without.scores(of: scored.list.without(Feature.ofShortList), by: .shortList))
        }
    }

    @Test("candidates that a feature of the short list says nothing of stand at its mean")
    func unknownAmounts() {
        let list = lists(1)[0].list
        let rich = list.adding(.tokenHead, [-4, nil, -8], at: [2, 3, 5])
        let place = Feature.tokenHead.rawValue
        #expect(rich.present.contains(.tokenHead) && !list.present.contains(.tokenHead))
        #expect(
            rich.rows.map { $0[place] } == rich.rows.indices.map { $0 == 2 ? 2 : $0 == 5 ? -2 : 0 })
        #expect(rich.score(.tokenHead, of: 3) == -6)
        let unknown = list.adding(.tokenHead, [nil, nil], at: [0, 1])
        #expect(unknown.present == list.present)
    }

    @Test("what a feature of the short list does to a place is what is missing without it")
    func shares() {
        let combiner = taught(fitted(), written(lists(125, seed: 31), by: fitted(), tells: true))
        let list = written(lists(1, seed: 5), by: combiner, tells: true)[0].list
        let shares = combiner.shares(of: list.items + [1], in: list)
        #expect(shares.last == [])
        let short = combiner.shortListPlaces(of: list)
        for index in list.items.indices {
            let amount = shares[index][Feature.tokenHead.rawValue]
            #expect((amount == 0) == !short.contains(index))
            let linear = combiner.contributions(to: index, of: list)
            #expect(linear.allSatisfy { shares[index][$0.feature.rawValue] == $0.amount })
        }
    }

    @Test("the same lists give the same weights, others do not")
    func deterministic() {
        #expect(fitted().weights.encoded() == fitted().weights.encoded())
        #expect(fitted().weights.digest != fitted(8).weights.digest)
        #expect(fitted().weights.version == 3)
    }

    @Test("what the second stage learns is the mean over the second half of its steps")
    func averaged() {
        // Three steps a pass.
        let short = lists(150, size: 5).map { scored in
            ShortList(
                rows: scored.list.rows, features: scored.list.present.places,
                scores: [0.5, -0.2, 0.1, 0.3, -0.7],
                context: scored.list.context, target: scored.target ?? 0)
        }
        for passes in 1...4 {
            var seen: [ShortListWeights] = []
            ShortListStage.descend(ShortListWeights(), short, passes: passes, seed: 5) {
                #expect($0 == seen.count + 1)
                seen.append($1)
            }
            #expect(seen.count == 3 * passes)
            let half = seen.suffix(3 * passes - 3 * passes / 2)
            let fitted = ShortListStage.fit(ShortListWeights(), short, passes: passes, seed: 5)
            func differs(_ path: KeyPath<ShortListWeights, Float>) -> Bool {
                let mean = half.reduce(0) { $0 + Double($1[keyPath: path]) } / Double(half.count)
                return abs(mean - Double(fitted[keyPath: path])) > 1e-6
            }
            for unit in [0, 15] {
                #expect(!differs(\.out[unit]) && !differs(\.bias[unit]))
                #expect(!differs(\.hidden[Feature.rules.rawValue][unit]))
            }
            #expect(!differs(\.skip[ShortListWeights.scorePlace]))
            #expect(fitted != seen.last || half.count == 1)
        }
        let start = ShortListWeights(seed: 9)
        #expect(ShortListStage.fit(start, [], passes: 8, seed: 1) == start)
        #expect(ShortListStage.fit(start, short, passes: 0, seed: 1) == start)
    }

    @Test("fitting finds what makes targets, and the mixture serves")
    func learns() {
        let combiner = fitted()
        #expect(combiner.weights.linear[Feature.rules.rawValue] > 0.5)
        #expect(combiner.weights.linear[Feature.popularity0.rawValue] < 0)
        #expect(combiner.gain(of: .linear) > combiner.gain(of: .source(.recentRules)))
    }

    @Test("the guard lets the best source serve when the stages have gone wrong")
    func guarded() {
        var configuration = CombinerConfiguration()
        configuration.refitInterval = 1_000_000
        var wrong = CombinerWeights()
        wrong.version = 1
        wrong.linear[Feature.rules.rawValue] = -1
        var combiner = Combiner(configuration, weights: wrong)
        for list in lists(40) { combiner.learn(list) }
        #expect(combiner.ordering == .source(.rules))
        #expect(Combiner().ordering == .source(.rules))
    }

    @Test("what is no better than chance does not take the first stage's place, what is does")
    func chance() {
        var random = SplitMix(state: 3)
        var lead = Lead()
        for step in 1...4_000 {
            lead.add(Double(random.symmetric()) + 0.005)
            if step == Int(Lead.listsMin) - 1 { #expect(!lead.isAhead && !lead.isBehind) }
            // An error is .58 / sqrt(2 000) or more: .005 is within it.
            #expect(!(lead.isAhead && lead.mean < 0.025))
        }
        for _ in 0..<4_000 { lead.add(Double(random.symmetric()) + 0.1) }
        #expect(lead.isAhead && !lead.isBehind && abs(lead.mean - 0.1) < 0.05)
        for _ in 0..<12_000 { lead.add(Double(random.symmetric()) - 0.1) }
        #expect(lead.isBehind && !lead.isAhead)
        var equal = Lead()
        for _ in 0..<100 { equal.add(0) }
        #expect(!equal.isAhead && !equal.isBehind)
    }

    @Test("a second stage that may not serve yet is not judged by what it was")
    func immature() {
        var configuration = CombinerConfiguration()
        configuration.shortListListsMin = 300
        configuration.refitInterval = 1_000_000
        var weights = CombinerWeights()
        weights.version = 1
        weights.shortList.skip[ShortListWeights.scorePlace] = -1
        var combiner = Combiner(configuration, weights: weights)
        let taught = lists(400)
        for list in taught.prefix(299) { combiner.learn(list) }
        #expect(combiner.lead(of: .shortList) == Lead() && combiner.ordering == .linear)
        combiner.learn(taught[299])
        #expect(combiner.ordering == .shortList)
        for list in taught.suffix(100) { combiner.learn(list) }
        #expect(combiner.lead(of: .shortList).isBehind && combiner.ordering == .linear)
    }

    @Test("the first fit comes with the fewest lists, and further ones after half as many again")
    func growing() {
        var configuration = CombinerConfiguration()
        configuration.listsMin = 20
        configuration.refitInterval = 60
        configuration.fitDelay = 0
        configuration.passes = 1
        configuration.usesShortList = false
        var combiner = Combiner(configuration)
        var fits: [Int] = []
        for (index, list) in lists(300).enumerated() where combiner.learn(list) {
            fits.append(index + 1)
        }
        #expect(fits == [20, 40, 79, 139, 199, 259])
    }

    @Test("a list without its target is measured and not learnt from")
    func withoutTarget() {
        var combiner = Combiner()
        combiner.learn(ScoredList(list: lists(1)[0].list, target: nil))
        combiner.fit()
        #expect(combiner.scoredCount == 1)
        #expect(combiner.weights.version == 0)
        #expect(
            combiner.scores(of: CandidateList(items: [], values: [], present: []), by: .shortList)
                == [])
    }

    @Test("stored weights come back, and no damaged byte passes")
    func coding() throws {
        let weights = fitted().weights
        let bytes = weights.encoded()
        #expect(try CombinerWeights(decoding: bytes) == weights)
        for place in stride(from: 0, to: bytes.count, by: 97) {
            var damaged = bytes
            damaged[place] ^= 0x10
            #expect(throws: MalformedBytes.self) { try CombinerWeights(decoding: damaged) }
            #expect(throws: MalformedBytes.self) {
                try CombinerWeights(decoding: Array(bytes[..<place]))
            }
        }
    }

    /// With a fit under way, and a ring that has turned.
    private func busy(_ count: Int = 182) -> Combiner {
        var configuration = fitted().configuration
        configuration.listsMax = 50
        var combiner = Combiner(configuration)
        for list in lists(count, seed: 7) { combiner.learn(list) }
        return combiner
    }

    @Test("a stored combiner goes on as if nothing had been, also with a fit under way")
    func wholeCoding() throws {
        var combiner = busy()
        #expect(combiner.listsBeforeDue != nil)
        let bytes = combiner.encoded()
        var restored = try Combiner(combiner.configuration, decoding: bytes)
        #expect(restored.encoded() == bytes)
        for list in lists(80, seed: 70) {
            let (left, right) = (combiner.learn(list), restored.learn(list))
            #expect(left == right)
        }
        #expect(combiner.encoded() == restored.encoded())
        #expect(combiner.weights.version > 3)
        for place in stride(from: 0, to: bytes.count, by: 613) {
            #expect(throws: MalformedBytes.self) {
                try Combiner(combiner.configuration, decoding: Array(bytes[..<place]))
            }
            var damaged = bytes
            damaged[place] ^= 0xFF
            // Refused, or other numbers: the sum that whoever stores it keeps tells; it never traps.
            _ = try? Combiner(combiner.configuration, decoding: damaged)
        }
        var smaller = combiner.configuration
        smaller.listsMax = 7
        #expect(try Combiner(smaller, decoding: bytes).lists.count == 7)
    }

    @Test("weights serve from the list that was said, made elsewhere, here, or delivered twice")
    func delivery() throws {
        var waiting = busy()
        var served = waiting
        let wanted = served.takeOrder()
        let order = try #require(wanted)
        let again = served.takeOrder()
        #expect(again?.version == nil)
        #expect(order.version == served.weights.version + 1)
        let weights = order.run()
        served.deliver(weights)
        served.deliver(weights)
        #expect(served.listsBeforeDue == nil)
        for list in lists(30, seed: 71) {
            let (left, right) = (waiting.learn(list), served.learn(list))
            #expect(left == right)
            #expect(waiting.weights == served.weights)
        }
        served.deliver(order.start)
        #expect(waiting.weights == served.weights)
    }

    @Test("a source that a list lacks does not order it, and a stage that is off never does")
    func fallsBack() {
        var wrong = CombinerWeights()
        wrong.version = 1
        wrong.linear[Feature.rules.rawValue] = -1
        var configuration = CombinerConfiguration()
        configuration.usesShortList = false
        var combiner = Combiner(configuration, weights: wrong)
        for list in lists(60) { combiner.learn(list) }
        #expect(combiner.ordering(among: Self.present) == .source(.rules))
        #expect(combiner.ordering(among: FeatureSet([.recentRules])) == .source(.recentRules))
        #expect(combiner.ordering(among: FeatureSet([])) == .linear)
        #expect(combiner.meter(of: .shortList).listCount == 0)
        #expect(combiner.served.listCount == 60)
    }

    @Test("16 exponentials at a time are those one by one, and near the exponential")
    func exponentials() {
        var value: Float = -90
        while value < 92 {
            var lanes = SIMD16<Float>.zero
            for lane in 0..<16 { lanes[lane] = value + Float(lane) * 0.11 }
            let found = exponential(lanes)
            for lane in 0..<16 { #expect(found[lane] == exponential(lanes[lane])) }
            value += 1.7
        }
        #expect(exponential(0) == 1)
        #expect(abs(exponential(1) - 2.718_281_8) < 1e-5)
        #expect(abs(naturalLog(Double(exponential(-20))) + 20) < 1e-5)
    }

    @Test("logarithms from the bits are those of significand and exponent, to the last bit")
    func logarithms() {
        func twin(_ value: Double) -> Double {
            let z = (value.significand - 1) / (value.significand + 1)
            var sum = 1.0 / 19
            for odd in stride(from: 17.0, through: 1, by: -2) { sum = sum * (z * z) + 1 / odd }
            return 2 * z * sum + Double(value.exponent) * 0.693_147_180_559_945_3
        }
        var random = SeededRandom(seed: 7)
        var drawn = (0..<20_000).map { _ in Double(bitPattern: random.next() >> 1) }
        drawn += (0..<2_000).map { _ in Double(bitPattern: random.next() >> 12) }
        drawn += (0..<52).map { Double(bitPattern: 1 << $0) }
        drawn += [
            .leastNormalMagnitude, .leastNormalMagnitude.nextDown, .greatestFiniteMagnitude, 1,
        ]
        for value in drawn where value > 0 && value.isFinite {
            #expect(naturalLog(value).bitPattern == twin(value).bitPattern, "\(value)")
        }
    }

    private func order(_ scores: [Float]) -> [Int] {
        scores.indices.sorted { scores[$0] > scores[$1] }
    }
}

extension FeatureRow {
    fileprivate mutating func set(_ feature: Feature, _ value: Float) {
        self[feature.rawValue] = value
    }
}
