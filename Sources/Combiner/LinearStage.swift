// First stage: log-linear, list-wise. P(item | list) = softmax(w . scaled features); ridge on w; L-BFGS.

/// A list of which it is known what really came.
public struct ScoredList: Sendable {
    public var list: CandidateList
    /// Place of the item that came; nil when no source had proposed it.
    public var target: Int?

    public init(list: CandidateList, target: Int?) {
        precondition(target.map { list.items.indices.contains($0) } ?? true, "a place of the list")
        self.list = list
        self.target = target
    }
}

enum LinearStage {
    static let ridge = 0.002
    static let iterationsMax = 40
    private static let memory = 6
    typealias Vector = SIMD32<Double>

    /// Inverse of the deviation that each feature has within a list, over all lists that have it.
    static func scale(
        of lists: some Sequence<(rows: [FeatureRow], present: FeatureSet)>
    ) -> FeatureRow {
        var squares = RowSum()
        var counts = RowSum()
        for (rows, present) in lists {
            var sum = FeatureRow.zero
            for row in rows { sum += row * row }
            squares.add(sum, times: 1 / Double(max(rows.count, 1)))
            for place in present.places { counts.places[place] += 1 }
        }
        var scale = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount where squares.places[place] > 1e-12 {
            scale[place] = Float((counts.places[place] / squares.places[place]).squareRoot())
        }
        return scale
    }

    /// Mean loss over the lists whose target is known, with its gradient. `rows` are scaled.
    static func loss(
        _ weights: Vector, _ lists: [(rows: [FeatureRow], target: Int)]
    ) -> (value: Double, gradient: Vector) {
        let narrow = FeatureRow(weights)
        var value = 0.0
        var gradient = RowSum()
        var scores: [Float] = []
        for (rows, target) in lists {
            scores.removeAll(keepingCapacity: true)
            for row in rows { scores.append(total(row * narrow)) }
            let own = Double(scores[target])
            value += softmax(&scores) - own
            var expected = FeatureRow.zero
            for index in rows.indices { expected += rows[index] * scores[index] }
            gradient.add(expected - rows[target])
        }
        let share = 1 / Double(max(lists.count, 1))
        return (
            value * share + ridge / 2 * (weights * weights).sum(),
            Vector(gradient.times(share)) + weights * ridge
        )
    }

    /// Minimises the loss from `start`: limited-memory BFGS (Nocedal 1980) with halved steps.
    static func fit(
        _ start: FeatureRow, _ lists: [(rows: [FeatureRow], target: Int)]
    ) -> FeatureRow {
        var weights = start.doubles
        var (value, gradient) = loss(weights, lists)
        var history: [(step: Vector, change: Vector, inverse: Double)] = []
        for _ in 0..<iterationsMax {
            let direction = -product(history, gradient)
            let slope = (direction * gradient).sum()
            guard slope < -1e-10 else { break }
            var length = history.isEmpty ? min(1, 1 / (gradient * gradient).sum().squareRoot()) : 1
            var tried = loss(weights + direction * length, lists)
            var halvings = 0
            while tried.value > value + 1e-4 * length * slope, halvings < 20 {
                length /= 2
                halvings += 1
                tried = loss(weights + direction * length, lists)
            }
            guard tried.value < value else { break }
            let step = direction * length
            let change = tried.gradient - gradient
            let curvature = (step * change).sum()
            let gain = value - tried.value
            weights += step
            (value, gradient) = tried
            if curvature > 1e-12 {
                history.append((step: step, change: change, inverse: 1 / curvature))
                if history.count > memory { history.removeFirst() }
            }
            if gain < 1e-7 { break }
        }
        return FeatureRow(weights)
    }

    /// The two-loop recursion: the inverse Hessian as far as it is known, times the gradient.
    private static func product(
        _ history: [(step: Vector, change: Vector, inverse: Double)], _ gradient: Vector
    ) -> Vector {
        guard let last = history.last else { return gradient }
        var result = gradient
        var factors: [Double] = []
        for pair in history.reversed() {
            let factor = pair.inverse * (pair.step * result).sum()
            result -= pair.change * factor
            factors.append(factor)
        }
        result *= 1 / (last.inverse * (last.change * last.change).sum())
        for (pair, factor) in zip(history, factors.reversed()) {
            result += pair.step * (factor - pair.inverse * (pair.change * result).sum())
        }
        return result
    }
}
