// Matrix factorisation of implicit feedback by alternating least squares (Hu, Koren and Volinsky, ICDM 2008).
//
// Minimises sum over users u and items i of c(u, i) (p(u, i) - x_u . y_i)^2 + regularisation (|x|^2 + |y|^2), with
// p = 1 and c = 1 + alpha * weight for the items of u's history, p = 0 and c = 1 for all others. With the factors of
// one side fixed, each row of the other is a small system of its own:
//
//   (Y^T Y + regularisation I + sum of (c - 1) y y^T) x_u = sum of c y      over the items of u's history
//
// The item side is trained by sweeps over everybody; a user's factors are that solve, done exactly for the history as
// it is now whenever scores are asked for. So nothing is stored for a user, and forgetting is complete.

public import Interactions
import Tensors

public struct ALSParameters: Sendable, Hashable {
    /// Length of each vector.
    public var factorCount: Int
    public var regularisation: Double
    /// Confidence of an event of weight 1 is 1 + alpha.
    public var alpha: Double
    /// A sweep solves all users, then all items.
    public var sweepCount: Int
    /// Items of the history that take part, newest first.
    public var sourcesMax: Int

    public init(
        factorCount: Int = 64, regularisation: Double = 1, alpha: Double = 10,
        sweepCount: Int = 10, sourcesMax: Int = 512
    ) {
        self.factorCount = factorCount
        self.regularisation = regularisation
        self.alpha = alpha
        self.sweepCount = sweepCount
        self.sourcesMax = sourcesMax
    }
}

/// Item factors, and the fold-in of a history.
public struct ImplicitALS: Teacher {
    public static let name = "als"
    public static let material = TeacherMaterialKind.histories
    public static let isDrawn = true
    public static let parameters: [TeacherParameter<Self>] = [
        .init("factors", 1...1_024, shapesModel: true) {
            Double($0.parameters.factorCount)
        } write: {
            $0.parameters.factorCount = Int($1)
        },
        .init("regularisation", 1e-6...1e6, shapesModel: true) {
            $0.parameters.regularisation
        } write: {
            $0.parameters.regularisation = $1
        },
        .init("alpha", 0...1e4, shapesModel: true) {
            $0.parameters.alpha
        } write: {
            $0.parameters.alpha = $1
        },
        .init("sweeps", 1...1_000, shapesModel: true) {
            Double($0.parameters.sweepCount)
        } write: {
            $0.parameters.sweepCount = Int($1)
        },
        .init("sources", 1...4_096) {
            Double($0.parameters.sourcesMax)
        } write: {
            $0.parameters.sourcesMax = Int($1)
        },
    ]

    public var parameters: ALSParameters
    public private(set) var version: UInt64 = 0
    private(set) var items = ModelItems()
    /// items * factorCount, row by row.
    private(set) var factors: [Float] = []
    /// Y^T Y + regularisation I, lower triangle.
    private var base: [Float] = []

    public init() { self.init(ALSParameters()) }
    public init(_ parameters: ALSParameters) { self.parameters = parameters }

    public var itemCount: Int { items.count }

    /// The factors of an item; nil when the model does not know it.
    public func factors(of item: ItemKey) -> [Float]? {
        items.index.number(of: item).map {
            let start = Int($0) * parameters.factorCount
            return Array(factors[start..<(start + parameters.factorCount)])
        }
    }

    /// The exact factors of a user with this history; nil when the model knows none of its items.
    public func foldIn(_ user: TeacherUser) -> [Float]? {
        guard version > 0 else { return nil }
        var rows: [Int32] = []
        var weights: [Float] = []
        for (key, weight) in zip(user.items, user.weights).prefix(parameters.sourcesMax) {
            guard let row = items.index.number(of: key) else { continue }
            rows.append(row)
            weights.append(weight * Float(parameters.alpha))
        }
        guard !rows.isEmpty else { return nil }
        var solver = FactorSolver(factorCount: parameters.factorCount)
        return solver.row(
            from: factors.span, base: base, rows: rows[...], confidences: weights[...])
    }

    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        guard items.isBound(to: statistics.items), let vector = foldIn(user) else { return }
        var values = [Float](repeating: 0, count: items.count)
        var span = values.mutableSpan
        multiply(
            factors.span, vector: vector.span, into: &span, m: items.count,
            n: parameters.factorCount)
        items.give(values, of: statistics, to: &scores)
    }

    public mutating func bind(to items: KeyIndex) { self.items.bind(to: items) }

    public func solved(
        from material: TeacherMaterial, progress: (Double) -> Bool
    ) throws(SolveFailure) -> Self {
        let matrix = FactorMatrix(material.histories, alpha: Float(parameters.alpha))
        var model = self
        model.items = matrix.items
        model.factors = FactorSolver.drawn(
            matrix.items.index.keys, factorCount: parameters.factorCount, seed: material.seed)
        var users = [Float](repeating: 0, count: matrix.users.count * parameters.factorCount)
        for sweep in 0..<parameters.sweepCount {
            for (half, side) in [matrix.users, matrix.columns].enumerated() {
                let done = (Double(sweep) + Double(half) / 2) / Double(parameters.sweepCount)
                let step: (Double) -> Bool = {
                    progress(done + $0 / 2 / Double(self.parameters.sweepCount))
                }
                if half == 0 {
                    try side.solve(
                        &users, given: model.factors, self.parameters, progress: step)
                } else {
                    try side.solve(
                        &model.factors, given: users, self.parameters, progress: step)
                }
            }
        }
        model.finish()
        model.version = material.version
        return model
    }

    private mutating func finish() {
        base = FactorSolver.base(
            factors, factorCount: parameters.factorCount,
            regularisation: parameters.regularisation)
    }

    // MARK: - Stored form: header, items, factors

    public func encoded() -> [UInt8] {
        var out = ByteWriter()
        encodeHeader(into: &out)
        items.encode(into: &out)
        out.floats(factors)
        return out.bytes
    }

    public func loaded(from bytes: [UInt8]) throws(MalformedBytes) -> Self {
        var reader = ByteReader(bytes)
        var model = self
        model.version = try readHeader(from: &reader)
        model.items = try ModelItems(from: &reader)
        model.factors = try reader.floats(model.items.count * parameters.factorCount)
        guard reader.remaining == 0 else { throw MalformedBytes("bytes behind the model") }
        model.finish()
        return model
    }
}
