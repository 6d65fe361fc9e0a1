// First stage: log-linear, list-wise. P(item | list) = softmax(w . scaled features); ridge on w; Newton's method.
//
// Features tell the same in several ways, popularity on five time scales among them: without the second derivatives it
// is a long way along a flat valley. With them it is three or four steps.

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
    static let stepsMax = 20
    /// Mean loss that the last step may have expected to gain: what is left is a square of it, and either is nothing
    /// beside the error of weights from some thousand lists.
    private static let enough = 1e-5
    typealias Vector = SIMD32<Double>

    /// Inverse of the deviation that each feature has within a list, over all lists that have it.
    static func scale(of lists: some Sequence<FeatureColumns>) -> FeatureRow {
        var squares = Vector.zero
        var counts = Vector.zero
        for list in lists {
            for (column, place) in list.places.enumerated() {
                squares[place] += Double(list.sumOfSquares(column)) / Double(max(list.count, 1))
                counts[place] += 1
            }
        }
        var scale = FeatureRow.zero
        for place in 0..<FeatureRow.scalarCount where squares[place] > 1e-12 {
            scale[place] = Float((counts[place] / squares[place]).squareRoot())
        }
        return scale
    }

    struct Evaluation {
        var value: Double
        var gradient: Vector
        /// Second derivatives: rows' covariance within their lists, and the ridge.
        var hessian = SquareMatrix()
    }

    /// Mean loss over the lists, whose columns are scaled, with its gradient; with its Hessian where that is asked for.
    static func loss(
        _ weights: Vector, _ lists: [FeatureColumns], curved: Bool = false
    ) -> Evaluation {
        let narrow = FeatureRow(weights)
        let share = 1 / Double(max(lists.count, 1))
        var sum = Evaluation(value: 0, gradient: .zero)
        var probabilities: [FeatureColumns.Block] = []
        var weighted: [FeatureColumns.Block] = []
        var means = FeatureRow.zero
        for list in lists {
            list.scores(narrow, into: &probabilities)
            let own = Double(probabilities[list.target / 16][list.target % 16])
            sum.value += list.softmax(&probabilities) - own
            for (column, place) in list.places.enumerated() {
                means[place] = list.product(column, probabilities)
                sum.gradient[place] += Double(means[place] - list.value(list.target, column))
            }
            guard curved else { continue }
            for (column, place) in list.places.enumerated() {
                list.weigh(column, by: probabilities, into: &weighted)
                for other in 0...column {
                    let otherPlace = list.places[other]
                    sum.hessian[place, otherPlace] += Double(
                        list.product(other, weighted) - means[place] * means[otherPlace])
                }
            }
        }
        sum.value = sum.value * share + ridge / 2 * (weights * weights).sum()
        sum.gradient = sum.gradient * share + weights * ridge
        for row in 0..<Vector.scalarCount {
            for column in 0..<row { sum.hessian[row, column] *= share }
            sum.hessian[row, row] = sum.hessian[row, row] * share + ridge
        }
        return sum
    }

    /// Minimises the loss from `start`, with steps halved until they gain.
    static func fit(_ start: FeatureRow, _ lists: [FeatureColumns]) -> FeatureRow {
        var weights = start.doubles
        var now = loss(weights, lists, curved: true)
        for _ in 0..<stepsMax {
            let direction = -now.hessian.solving(now.gradient)
            let slope = (direction * now.gradient).sum()
            guard slope < -1e-10 else { break }
            var length = 1.0
            var tried = loss(weights + direction, lists)
            while tried.value > now.value + 1e-4 * length * slope, length > 1e-6 {
                length /= 2
                tried = loss(weights + direction * length, lists)
            }
            guard tried.value < now.value else { break }
            weights += direction * length
            if -slope / 2 < enough { break }
            now = loss(weights, lists, curved: true)
        }
        return FeatureRow(weights)
    }
}

/// 32 times 32 numbers, symmetric and positive definite: the lower half of them.
struct SquareMatrix {
    private static let side = LinearStage.Vector.scalarCount
    private var values = Array(repeating: 0.0, count: side * side)

    subscript(_ row: Int, _ column: Int) -> Double {
        get { values[row * Self.side + column] }
        set { values[row * Self.side + column] = newValue }
    }

    /// x of A x = b, by Cholesky's decomposition.
    func solving(_ right: LinearStage.Vector) -> LinearStage.Vector {
        var lower = self
        var solution = right
        for row in 0..<Self.side {
            for column in 0...row {
                var rest = lower[row, column]
                for inner in 0..<column { rest -= lower[row, inner] * lower[column, inner] }
                lower[row, column] =
                    row == column ? rest.squareRoot() : rest / lower[column, column]
            }
            for column in 0..<row { solution[row] -= lower[row, column] * solution[column] }
            solution[row] /= lower[row, row]
        }
        for row in (0..<Self.side).reversed() {
            for below in row + 1..<Self.side {
                solution[row] -= lower[below, row] * solution[below]
            }
            solution[row] /= lower[row, row]
        }
        return solution
    }
}
