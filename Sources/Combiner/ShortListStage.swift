// Second stage: the first places of the first stage, reordered by 16 SiLU units that see features and context
// together.
//
//     h = W x + b,  score = <u, h sigmoid(h)> + <s, x>,  x = (scaled features, first-stage score, context)
//
// Softmax over the short list, Adam; the skip begins as the first stage alone, so that nothing learnt means nothing
// changed.

struct ShortList: Sendable {
    /// Inputs of each candidate: scaled features; the first stage's score relative to the list's mean.
    var rows: [FeatureRow]
    /// Places of the features that the list has; those of others are 0.
    var features: [Int]
    var scores: [Float]
    var context: ListContext
    var target: Int
}

enum ShortListStage {
    static let rate: Float = 5e-3
    static let decay: Float = 1e-3
    static let batch = 64
    typealias Units = ShortListWeights.Units

    private static func hidden(
        _ weights: ShortListWeights, _ list: ShortList, _ index: Int, _ base: Units
    ) -> Units {
        var sum = base
        for place in list.features {
            sum += weights.hidden[place] * list.rows[index][place]
        }
        return sum + weights.hidden[ShortListWeights.scorePlace] * list.scores[index]
    }

    /// What the context gives every candidate alike, before the units' curve.
    private static func base(_ weights: ShortListWeights, _ context: ListContext) -> Units {
        var sum = weights.bias
        for place in 0..<ListContext.count {
            sum += weights.hidden[ShortListWeights.scorePlace + 1 + place] * context.value(place)
        }
        return sum
    }

    private static func sigmoid(_ values: Units) -> Units {
        1 / (1 + exponential(-values))
    }

    /// Scores of the short list; the target is not looked at.
    static func scores(_ weights: ShortListWeights, _ list: ShortList) -> [Float] {
        scores(weights, list) { _, _ in }
    }

    /// The same; `pass` is told what enters each row's units, and its sigmoid.
    @inline(__always)
    private static func scores(
        _ weights: ShortListWeights, _ list: ShortList, pass: (Units, Units) -> Void
    ) -> [Float] {
        let base = base(weights, list.context)
        let skip = skipRow(weights)
        return list.rows.indices.map { index in
            let h = hidden(weights, list, index, base)
            let s = sigmoid(h)
            pass(h, s)
            return total(weights.out * h * s) + total(skip * list.rows[index])
                + weights.skip[ShortListWeights.scorePlace] * list.scores[index]
        }
    }

    private static func skipRow(_ weights: ShortListWeights) -> FeatureRow {
        var row = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount { row[place] = weights.skip[place] }
        return row
    }

    /// Loss of one list; adds its gradient.
    static func accumulate(
        _ weights: ShortListWeights, _ list: ShortList, into gradient: inout ShortListWeights
    ) -> Double {
        var units: [(h: Units, s: Units)] = []
        units.reserveCapacity(list.rows.count)
        var probabilities = scores(weights, list) { units.append(($0, $1)) }
        let own = Double(probabilities[list.target])
        let loss = softmax(&probabilities) - own
        var skip = FeatureRow.zero
        var slopes = (
            hidden: InlineArray<32, Units>(repeating: .zero), score: Units.zero, skip: Float(0)
        )
        var bias = Units.zero
        for index in list.rows.indices {
            let slope = probabilities[index] - (index == list.target ? 1 : 0)
            let (h, s) = units[index]
            gradient.out += h * s * slope
            let inner = weights.out * (s * (1 + h * (1 - s))) * slope
            bias += inner
            for place in list.features { slopes.hidden[place] += inner * list.rows[index][place] }
            slopes.score += inner * list.scores[index]
            skip += list.rows[index] * slope
            slopes.skip += list.scores[index] * slope
        }
        for place in list.features {
            gradient.hidden[place] += slopes.hidden[place]
            gradient.skip[place] += skip[place]
        }
        gradient.hidden[ShortListWeights.scorePlace] += slopes.score
        gradient.skip[ShortListWeights.scorePlace] += slopes.skip
        gradient.bias += bias
        for place in 0..<ListContext.count {
            gradient.hidden[ShortListWeights.scorePlace + 1 + place] +=
                bias * list.context.value(place)
        }
        return loss
    }

    static var zero: ShortListWeights {
        var weights = ShortListWeights()
        for input in weights.hidden.indices {
            weights.hidden[input] = .zero
            weights.skip[input] = 0
        }
        return weights
    }

    /// Steps of one length never settle, so this is the mean over the second half of them (Polyak and Juditsky 1992).
    static func fit(
        _ start: ShortListWeights, _ lists: [ShortList], passes: Int, seed: UInt64
    ) -> ShortListWeights {
        let count = passes * ((lists.count + batch - 1) / batch)
        guard count > 0 else { return start }
        var mean = zero
        descend(start, lists, passes: passes, seed: seed) { step, weights in
            let averaged = step - count / 2
            if averaged > 0 { mean.move(to: weights, by: 1 / Float(averaged)) }
        }
        return mean
    }

    /// Passes of Adam over the lists in an order drawn from `seed`. Weights are pulled to where they began: the units
    /// to nothing, the skip to the first stage. `seen` is told the weights after every step, counted from 1.
    static func descend(
        _ start: ShortListWeights, _ lists: [ShortList], passes: Int, seed: UInt64,
        seen: (Int, ShortListWeights) -> Void
    ) {
        var weights = start
        var first = zero
        var second = zero
        var steps = 0
        var random = SplitMix(state: seed)
        var order = Array(lists.indices)
        for _ in 0..<passes {
            for index in stride(from: order.count - 1, to: 0, by: -1) {
                order.swapAt(index, Int(random.next() % UInt64(index + 1)))
            }
            for begin in stride(from: 0, to: order.count, by: batch) {
                let part = order[begin..<min(begin + batch, order.count)]
                var gradient = zero
                for index in part { _ = accumulate(weights, lists[index], into: &gradient) }
                steps += 1
                adam(&weights, gradient, 1 / Float(part.count), &first, &second, steps)
                seen(steps, weights)
            }
        }
    }

    private static func adam(
        _ weights: inout ShortListWeights, _ gradient: ShortListWeights, _ share: Float,
        _ first: inout ShortListWeights, _ second: inout ShortListWeights, _ steps: Int
    ) {
        var power: (Float, Float) = (1, 1)
        for _ in 0..<min(steps, 5_000) { power = (power.0 * 0.9, power.1 * 0.999) }
        let rate = Self.rate * (1 - power.1).squareRoot() / (1 - power.0)
        func step(
            _ weight: inout Units, _ slope: Units, _ m: inout Units, _ v: inout Units
        ) {
            let g = slope * share + weight * decay
            m = m * 0.9 + g * 0.1
            v = v * 0.999 + g * g * 0.001
            weight -= rate * m / (v.squareRoot() + 1e-8)
        }
        step(&weights.bias, gradient.bias, &first.bias, &second.bias)
        step(&weights.out, gradient.out, &first.out, &second.out)
        for input in weights.hidden.indices {
            step(
                &weights.hidden[input], gradient.hidden[input], &first.hidden[input],
                &second.hidden[input])
            let rest: Float = input == ShortListWeights.scorePlace ? 1 : 0
            let g = gradient.skip[input] * share + (weights.skip[input] - rest) * decay
            first.skip[input] = first.skip[input] * 0.9 + g * 0.1
            second.skip[input] = second.skip[input] * 0.999 + g * g * 0.001
            weights.skip[input] -=
                rate * first.skip[input] / (second.skip[input].squareRoot() + 1e-8)
        }
    }
}
