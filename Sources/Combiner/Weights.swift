// What the combiner has learnt, as a value with a stored form.

public import Interactions

/// The list-wise stage: 16 SiLU units over features, first-stage score and context, beside a linear skip.
struct ShortListWeights: Sendable, Hashable {
    typealias Units = SIMD16<Float>
    /// Inputs: the features, the first stage's score, the context.
    static let inputCount = FeatureRow.scalarCount + 1 + ListContext.count
    static let scorePlace = FeatureRow.scalarCount

    var hidden: [Units]
    var bias: Units
    var out: Units
    var skip: [Float]

    /// Scores exactly as the first stage does; what is drawn only breaks the units' symmetry.
    init(seed: UInt64 = 1) {
        var random = SplitMix(state: seed)
        hidden = (0..<Self.inputCount).map { _ in
            var row = Units.zero
            for unit in 0..<Units.scalarCount { row[unit] = random.symmetric() * 0.3 }
            return row
        }
        bias = .zero
        out = .zero
        skip = Array(repeating: 0, count: Self.inputCount)
        skip[Self.scorePlace] = 1
    }

    /// Goes this share of the way to others.
    mutating func move(to other: ShortListWeights, by share: Float) {
        bias += (other.bias - bias) * share
        out += (other.out - out) * share
        for input in hidden.indices {
            hidden[input] += (other.hidden[input] - hidden[input]) * share
            skip[input] += (other.skip[input] - skip[input]) * share
        }
    }
}

/// Steele, Lea and Flood (2014).
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// In -1 ..< 1.
    mutating func symmetric() -> Float { Float(next() >> 40) * (2 / Float(1 << 24)) - 1 }
}

/// Everything that turns a list's features into scores.
public struct CombinerWeights: Sendable, Hashable {
    /// How often it was fitted; 0: nothing was learnt yet.
    public internal(set) var version: UInt64 = 0
    /// Inverse deviation of each feature within lists.
    public internal(set) var scale = FeatureRow(repeating: 1)
    /// First stage, for scaled features.
    public internal(set) var linear = FeatureRow.zero
    var shortList = ShortListWeights()

    public init() {
        // Before the first fit: rules, which is the strongest source alone.
        linear[Feature.rules.rawValue] = 1
    }

    public var digest: UInt64 { xxh64(encoded()) }
}

extension CombinerWeights {
    static let formatVersion: UInt8 = 1
    private static let magic: UInt8 = 0x57

    /// Equal weights, equal bytes.
    public func encoded() -> [UInt8] {
        var out = ByteWriter(reserving: 4_096)
        out.byte(Self.magic)
        out.byte(Self.formatVersion)
        out.varint(version)
        for value in numbers { out.float(value) }
        out.word64(xxh64(out.bytes))
        return out.bytes
    }

    /// Reads the stored form; throws for anything damaged.
    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        self.init()
        guard bytes.count > 10 else { throw MalformedBytes("combiner weights: too short") }
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.magic, try reader.byte() == Self.formatVersion else {
            throw MalformedBytes("are no combiner weights of format \(Self.formatVersion)")
        }
        version = try reader.varint()
        var read: [Float] = []
        for _ in 0..<Self.numberCount { read.append(try reader.float()) }
        let end = reader.position
        guard try reader.word64() == xxh64(Array(bytes[..<end])), reader.remaining == 0 else {
            throw MalformedBytes("combiner weights: the check sum is wrong")
        }
        guard read.allSatisfy(\.isFinite) else {
            throw MalformedBytes("combiner weights: one is not finite")
        }
        numbers = read
    }

    private static let numberCount =
        2 * FeatureRow.scalarCount + ShortListWeights.inputCount * 17 + 32

    /// All numbers in the order they are stored.
    private var numbers: [Float] {
        get {
            var all: [Float] = []
            for place in 0..<FeatureRow.scalarCount { all.append(scale[place]) }
            for place in 0..<FeatureRow.scalarCount { all.append(linear[place]) }
            for row in shortList.hidden + [shortList.bias, shortList.out] {
                for unit in 0..<ShortListWeights.Units.scalarCount { all.append(row[unit]) }
            }
            return all + shortList.skip
        }
        set {
            var next = newValue.makeIterator()
            func take() -> Float { next.next() ?? 0 }
            for place in 0..<FeatureRow.scalarCount { scale[place] = take() }
            for place in 0..<FeatureRow.scalarCount { linear[place] = take() }
            func takeRow() -> ShortListWeights.Units {
                var row = ShortListWeights.Units.zero
                for unit in 0..<ShortListWeights.Units.scalarCount { row[unit] = take() }
                return row
            }
            for input in shortList.hidden.indices { shortList.hidden[input] = takeRow() }
            shortList.bias = takeRow()
            shortList.out = takeRow()
            for input in shortList.skip.indices { shortList.skip[input] = take() }
        }
    }
}

extension ByteWriter {
    fileprivate mutating func float(_ value: Float) {
        for shift in [0, 8, 16, 24] as [UInt32] {
            byte(UInt8(truncatingIfNeeded: value.bitPattern >> shift))
        }
    }
}

extension ByteReader {
    fileprivate mutating func float() throws(MalformedBytes) -> Float {
        var bits: UInt32 = 0
        for shift in [0, 8, 16, 24] as [UInt32] { bits |= UInt32(try byte()) << shift }
        return Float(bitPattern: bits)
    }
}
