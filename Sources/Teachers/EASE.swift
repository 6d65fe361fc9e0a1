// EASE^R (Steck, WWW 2019): the linear item-item model with a closed form, on the exact integer Gram.
//
// P = (G + lambda I)^-1, B[a, b] = -P[a, b] / P[b, b] for a other than b, B[a, a] = 0;
// score(b) = sum over the last items a of the history, newest first: decay^age * B[a, b].
//
// The dense solution needs items^2 numbers. Above `denseBytesMax` every item's column is solved by itself over its
// `neighboursMax` strongest companions, which is the same ridge regression with the other coefficients held at zero:
// see EASESolve.swift.

public import Interactions
import Tensors

public struct EASEParameters: Sendable, Hashable {
    /// Ridge: larger is smoother.
    public var lambda: Double
    /// Weight of an item by its age in the history: decay ^ age.
    public var decay: Double
    /// Items of the history that take part, newest first.
    public var sourcesMax: Int
    /// Histories an item must be in to take part.
    public var countMin: Int
    /// A dense solution may take this many bytes, 4 * items^2; beyond that, neighbourhoods are solved.
    public var denseBytesMax: Int
    /// Companions of an item whose neighbourhood is solved.
    public var neighboursMax: Int

    public init(
        lambda: Double = 100, decay: Double = 0.7, sourcesMax: Int = 20, countMin: Int = 1,
        denseBytesMax: Int = 512 << 20, neighboursMax: Int = 64
    ) {
        self.lambda = lambda
        self.decay = decay
        self.sourcesMax = sourcesMax
        self.countMin = countMin
        self.denseBytesMax = denseBytesMax
        self.neighboursMax = neighboursMax
    }

    /// Items up to which the solution is dense.
    public var denseItemsMax: Int { Int((Double(max(denseBytesMax, 0)) / 4).squareRoot()) }
}

/// A solved EASE^R model.
public struct EASE: Teacher {
    public static let name = "ease"
    public static let material = TeacherMaterialKind.statistics
    public static let readsCooccurrence = true
    public static let parameters: [TeacherParameter<Self>] = [
        .init("lambda", 1e-3...1e9, shapesModel: true) {
            $0.parameters.lambda
        } write: {
            $0.parameters.lambda = $1
        },
        .init("decay", 0...1) {
            $0.parameters.decay
        } write: {
            $0.parameters.decay = $1
        },
        .init("sources", 1...4_096) {
            Double($0.parameters.sourcesMax)
        } write: {
            $0.parameters.sourcesMax = Int($1)
        },
        .init("count-min", 1...1e6, shapesModel: true) {
            Double($0.parameters.countMin)
        } write: {
            $0.parameters.countMin = Int($1)
        },
        .init("dense-mib", 0...65_536, shapesModel: true) {
            Double($0.parameters.denseBytesMax >> 20)
        } write: {
            $0.parameters.denseBytesMax = Int($1) << 20
        },
        .init("neighbours", 1...1_024, shapesModel: true) {
            Double($0.parameters.neighboursMax)
        } write: {
            $0.parameters.neighboursMax = Int($1)
        },
    ]

    /// B, a row for each source.
    enum Weights: Sendable {
        /// items * items.
        case dense([Float])
        /// The entries of row r are those at `starts[r] ..< starts[r + 1]`.
        case sparse(starts: [Int], columns: [Int32], values: [Float])
    }

    public var parameters: EASEParameters
    public private(set) var version: UInt64 = 0
    private(set) var items = ModelItems()
    private(set) var weights = Weights.dense([])

    public init() { self.init(EASEParameters()) }
    public init(_ parameters: EASEParameters) { self.parameters = parameters }

    /// Items that the model can propose.
    public var itemCount: Int { items.count }

    /// B[source, target]; zero where the model has none.
    public func weight(from source: ItemKey, to target: ItemKey) -> Float {
        guard let row = items.index.number(of: source).map(Int.init),
            let column = items.index.number(of: target)
        else { return 0 }
        switch weights {
        case .dense(let values): return values[row * items.count + Int(column)]
        case .sparse(let starts, let columns, let values):
            return (starts[row]..<starts[row + 1]).first { columns[$0] == column }
                .map { values[$0] } ?? 0
        }
    }

    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        guard version > 0, items.isBound(to: statistics.items) else { return }
        var values = [Float](repeating: 0, count: items.count)
        var weight = 1.0
        var isKnown = false
        for key in user.items.prefix(parameters.sourcesMax) {
            defer { weight *= parameters.decay }
            guard let row = items.index.number(of: key) else { continue }
            add(row: Int(row), scale: Float(weight), to: &values)
            isKnown = true
        }
        if isKnown { items.give(values, of: statistics, to: &scores) }
    }

    private func add(row: Int, scale: Float, to values: inout [Float]) {
        var target = values.mutableSpan
        switch weights {
        case .dense(let all):
            let start = row * items.count
            Tensors.add(
                all.span.extracting(start..<(start + items.count)), to: &target, scale: scale)
        case .sparse(let starts, let columns, let all):
            let columns = columns.span
            let all = all.span
            for at in starts[row]..<starts[row + 1] {
                target[Int(columns[at])] += scale * all[at]
            }
        }
    }

    public mutating func bind(to items: KeyIndex) { self.items.bind(to: items) }

    public func solved(
        from material: TeacherMaterial, progress: (Double) -> Bool
    ) throws(SolveFailure) -> Self {
        let problem = EASEProblem(material.statistics, countMin: parameters.countMin)
        var model = self
        model.items = problem.items
        model.weights =
            problem.items.count <= parameters.denseItemsMax
            ? .dense(try problem.dense(lambda: parameters.lambda, progress: progress))
            : try problem.neighbourhoods(
                lambda: parameters.lambda, countMax: parameters.neighboursMax, progress: progress)
        model.version = material.version
        return model
    }

    // MARK: - Stored form: header, items, 0 and all weights, or 1 and rows of (count, columns, weights)

    public func encoded() -> [UInt8] {
        var out = ByteWriter()
        encodeHeader(into: &out)
        items.encode(into: &out)
        switch weights {
        case .dense(let values):
            out.byte(0)
            out.floats(values)
        case .sparse(let starts, let columns, let values):
            out.byte(1)
            for row in 0..<items.count {
                let entries = starts[row]..<starts[row + 1]
                out.varint(UInt64(entries.count))
                for at in entries { out.varint(UInt64(columns[at])) }
                out.floats(Array(values[entries]))
            }
        }
        return out.bytes
    }

    public func loaded(from bytes: [UInt8]) throws(MalformedBytes) -> Self {
        var reader = ByteReader(bytes)
        var model = self
        model.version = try readHeader(from: &reader)
        model.items = try ModelItems(from: &reader)
        let count = model.items.count
        switch try reader.byte() {
        case 0:
            guard count <= parameters.denseItemsMax else {
                throw MalformedBytes("a dense model of \(count) items is over dense-mib")
            }
            model.weights = .dense(try reader.floats(count * count))
        case 1:
            var starts = [0]
            var columns: [Int32] = []
            var values: [Float] = []
            for _ in 0..<count {
                let rowCount = try reader.count(max: count)
                for _ in 0..<rowCount {
                    columns.append(Int32(try reader.count(max: count - 1)))
                }
                values.append(contentsOf: try reader.floats(rowCount))
                starts.append(columns.count)
            }
            model.weights = .sparse(starts: starts, columns: columns, values: values)
        default: throw MalformedBytes("weights of an unknown kind")
        }
        guard reader.remaining == 0 else { throw MalformedBytes("bytes behind the model") }
        return model
    }
}
