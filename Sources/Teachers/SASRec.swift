// Self-attentive sequential recommendation (Kang and McAuley, ICDM 2018), one block, trained with a sampled softmax
// whose logits are corrected for how often each candidate is drawn (Bengio and Senécal, 2008): the usual neural
// sequence model, here as one teacher among others.
//
// With one block, the keys and values of an item are functions of the item alone, so they are made once when the model
// is. What is left of a user's state is one turned key and one value a position: scoring runs a single new row, and
// one more event in a history adds one row and changes no other.

public import Interactions
import Tensors
import Transformer

public struct SASRecParameters: Sendable, Hashable {
    /// Length of each vector; a multiple of 4.
    public var width: Int
    /// Items of a history that are read.
    public var historyMax: Int
    public var epochCount: Int
    /// Histories a step.
    public var batch: Int
    /// Items drawn besides those of a step's histories.
    public var negativeCount: Int
    public var learningRate: Double
    public var dropout: Double

    public init(
        width: Int = 64, historyMax: Int = 30, epochCount: Int = 8, batch: Int = 128,
        negativeCount: Int = 1_024, learningRate: Double = 3e-3, dropout: Double = 0.5
    ) {
        self.width = width
        self.historyMax = historyMax
        self.epochCount = epochCount
        self.batch = batch
        self.negativeCount = negativeCount
        self.learningRate = learningRate
        self.dropout = dropout
    }
}

/// The network of a width: one block between item vectors, which are input and output.
struct SASRecNetwork: Sendable {
    let layout: ParameterLayout
    let block: BlockLayout
    let finalNorm: Range<Int>
    let frequencies: [Float]

    init(width: Int) {
        let shape = BlockShape(width: width, heads: 2, feedForward: width * 5 / 2)
        var layout = ParameterLayout()
        block = BlockLayout(shape, index: 0, in: &layout)
        finalNorm = layout.add("norm.weight", width)
        self.layout = layout
        frequencies = rotaryInverseFrequencies(base: 10_000, headWidth: shape.headWidth)
    }

    var width: Int { block.shape.width }
    var epsilon: Float { block.shape.epsilon }

    /// The state of the last row from its block output.
    func normed(_ x: [Float], _ values: [Float], reciprocals: inout [Float]) -> [Float] {
        let rows = x.count / width
        var y = [Float](repeating: 0, count: x.count)
        reciprocals = [Float](repeating: 0, count: rows)
        var out = y.mutableSpan
        var kept = reciprocals.mutableSpan
        rmsNorm(
            x.span, gain: values.span.extracting(finalNorm), into: &out, reciprocals: &kept,
            rows: rows, width: width, epsilon: epsilon)
        return y
    }
}

/// Item vectors, the block, and every item's key and value.
public struct SASRec: Teacher {
    public static let name = "sasrec"
    public static let material = TeacherMaterialKind.histories
    public static let isDrawn = true
    public static let parameters: [TeacherParameter<Self>] = [
        .init("width", 8...512, shapesModel: true) {
            Double($0.parameters.width)
        } write: {
            $0.parameters.width = Int($1) / 4 * 4
        },
        .init("history", 1...512, shapesModel: true) {
            Double($0.parameters.historyMax)
        } write: {
            $0.parameters.historyMax = Int($1)
        },
        .init("epochs", 1...1_000, shapesModel: true) {
            Double($0.parameters.epochCount)
        } write: {
            $0.parameters.epochCount = Int($1)
        },
        .init("batch", 1...100_000, shapesModel: true) {
            Double($0.parameters.batch)
        } write: {
            $0.parameters.batch = Int($1)
        },
        .init("negatives", 0...100_000, shapesModel: true) {
            Double($0.parameters.negativeCount)
        } write: {
            $0.parameters.negativeCount = Int($1)
        },
        .init("rate", 1e-6...1, shapesModel: true) {
            $0.parameters.learningRate
        } write: {
            $0.parameters.learningRate = $1
        },
        .init("dropout", 0...0.9, shapesModel: true) {
            $0.parameters.dropout
        } write: {
            $0.parameters.dropout = $1
        },
    ]

    public var parameters: SASRecParameters {
        didSet {
            if parameters.width != oldValue.width {
                network = SASRecNetwork(width: parameters.width)
            }
        }
    }
    public private(set) var version: UInt64 = 0
    private(set) var items = ModelItems()
    private(set) var network: SASRecNetwork
    /// Of the network's layout.
    private(set) var values: [Float] = []
    /// items × width.
    private(set) var vectors: [Float] = []
    /// Of each item, items × width, keys as they are at position 0.
    private var keys: [Float] = []
    private var itemValues: [Float] = []

    public init() { self.init(SASRecParameters()) }

    public init(_ parameters: SASRecParameters) {
        self.parameters = parameters
        network = SASRecNetwork(width: parameters.width)
    }

    public var itemCount: Int { items.count }

    /// The vector whose products with item vectors are the scores; nil when the model knows none of the items.
    public func state(of user: TeacherUser) -> [Float]? {
        guard version > 0 else { return nil }
        let known = user.items.lazy.compactMap { items.index.number(of: $0) }
        let window = Array(known.prefix(parameters.historyMax).reversed())
        guard let last = window.last else { return nil }
        let width = network.width
        func rows(_ table: [Float]) -> [Float] {
            var found = [Float](repeating: 0, count: window.count * width)
            var out = found.mutableSpan
            gatherRows(table.span, window.span, into: &out, width: width)
            return found
        }
        let everyone = BlockPass(
            positions: Array(0..<Int32(window.count)), inverseFrequencies: network.frequencies,
            visible: window.map { _ in VisibleKeys(0..<0) })
        var turned = rows(keys)
        var span = turned.mutableSpan
        let shape = network.block.shape
        rotate(
            &span, cosines: everyone.cosines.span, sines: everyone.sines.span,
            rows: window.count, heads: shape.heads, headWidth: shape.headWidth)
        var cache = KeyValueCache(keyWidth: width)
        cache.append(keys: turned, values: rows(itemValues))
        let pass = BlockPass(
            positions: [Int32(window.count - 1)], inverseFrequencies: network.frequencies,
            visible: [VisibleKeys(0..<window.count)])
        var x = Array(vectors[Int(last) * width..<(Int(last) + 1) * width])
        var trace = BlockTrace()
        forward(
            &x, block: network.block, parameters: values.span, pass: pass, against: cache,
            trace: &trace)
        var reciprocals: [Float] = []
        return network.normed(x, values, reciprocals: &reciprocals)
    }

    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        guard items.isBound(to: statistics.items), let state = state(of: user) else { return }
        var logits = [Float](repeating: 0, count: items.count)
        var span = logits.mutableSpan
        multiply(
            vectors.span, vector: state.span, into: &span, m: items.count, n: network.width)
        items.give(logits, of: statistics, to: &scores)
    }

    public mutating func bind(to items: KeyIndex) { self.items.bind(to: items) }

    public func solved(
        from material: TeacherMaterial, progress: (Double) -> Bool
    ) throws(SolveFailure) -> Self {
        var model = SASRec(parameters)
        let sequences = SASRecSequences(material.histories, historyMax: parameters.historyMax)
        model.items = sequences.items
        var training = SASRecTraining(
            model.network, sequences, parameters, seed: material.seed)
        guard training.run(progress: progress) else { throw .cancelled }
        model.values = training.values
        model.vectors = training.vectors
        model.finish()
        model.version = material.version
        return model
    }

    /// Keys and values of all items, from a pass in which none sees another.
    private mutating func finish() {
        let width = network.width
        keys.reserveCapacity(vectors.count)
        itemValues.reserveCapacity(vectors.count)
        for start in stride(from: 0, to: items.count, by: Self.itemsMax) {
            let part = start..<min(items.count, start + Self.itemsMax)
            let pass = BlockPass(
                positions: part.map { _ in 0 }, inverseFrequencies: network.frequencies,
                visible: part.map { _ in VisibleKeys(0..<0) })
            var x = Array(vectors[part.lowerBound * width..<part.upperBound * width])
            var cache = KeyValueCache(keyWidth: width)
            var trace = BlockTrace()
            forward(
                &x, block: network.block, parameters: values.span, pass: pass, cache: &cache,
                trace: &trace)
            keys += cache.keys
            itemValues += cache.values
        }
    }

    private static let itemsMax = 4_096

    // MARK: - Stored form: header, items, parameters, vectors

    public func encoded() -> [UInt8] {
        var out = ByteWriter()
        encodeHeader(into: &out)
        items.encode(into: &out)
        out.floats(values)
        out.floats(vectors)
        return out.bytes
    }

    public func loaded(from bytes: [UInt8]) throws(MalformedBytes) -> Self {
        var reader = ByteReader(bytes)
        var model = SASRec(parameters)
        model.version = try readHeader(from: &reader)
        model.items = try ModelItems(from: &reader)
        model.values = try reader.floats(network.layout.count)
        model.vectors = try reader.floats(model.items.count * network.width)
        guard reader.remaining == 0 else { throw MalformedBytes("bytes behind the model") }
        model.finish()
        return model
    }
}
