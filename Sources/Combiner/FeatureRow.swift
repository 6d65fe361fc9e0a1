// The features of one candidate as one value, so that no loop over features is written twice.
//
// Two vectors of 16, because the standard library's vectors of 32 are loops over lanes in memory: forty times slower.

/// The features of one candidate, by place: room for 32.
public struct FeatureRow: Sendable, Hashable {
    public static let scalarCount = 32
    public static let zero = FeatureRow(low: .zero, high: .zero)

    @usableFromInline var low: SIMD16<Float>
    @usableFromInline var high: SIMD16<Float>

    @inline(__always)
    init(low: SIMD16<Float>, high: SIMD16<Float>) {
        self.low = low
        self.high = high
    }

    public init(repeating value: Float) {
        low = SIMD16(repeating: value)
        high = SIMD16(repeating: value)
    }

    /// 32 values, by place.
    init(_ values: [Float]) {
        precondition(values.count == Self.scalarCount, "a value a place")
        low = SIMD16(values[..<16])
        high = SIMD16(values[16...])
    }

    init(_ values: SIMD32<Double>) {
        self.init((0..<Self.scalarCount).map { Float(values[$0]) })
    }

    var doubles: SIMD32<Double> {
        SIMD32((0..<Self.scalarCount).map { Double(self[$0]) })
    }

    @inlinable @inline(__always)
    public subscript(_ place: Int) -> Float {
        get { place < 16 ? low[place] : high[place - 16] }
        set { if place < 16 { low[place] = newValue } else { high[place - 16] = newValue } }
    }

    func clamped(to limit: Float) -> FeatureRow {
        FeatureRow(low: clamp(low, -limit, limit), high: clamp(high, -limit, limit))
    }

    @inline(__always)
    static func * (left: FeatureRow, right: FeatureRow) -> FeatureRow {
        FeatureRow(low: left.low * right.low, high: left.high * right.high)
    }

    @inline(__always)
    static func * (left: FeatureRow, right: Float) -> FeatureRow {
        FeatureRow(low: left.low * right, high: left.high * right)
    }

    @inline(__always)
    static func - (left: FeatureRow, right: FeatureRow) -> FeatureRow {
        FeatureRow(low: left.low - right.low, high: left.high - right.high)
    }

    @inline(__always)
    static func += (left: inout FeatureRow, right: FeatureRow) {
        left.low += right.low
        left.high += right.high
    }
}

/// The sum of all lanes, four at a time. Lanes are named one by one: halves of a vector and its `sum()` are loops too.
@inline(__always)
func total(_ row: FeatureRow) -> Float { total(row.low + row.high) }

@inline(__always)
func total(_ v: SIMD16<Float>) -> Float {
    let a = SIMD4(v[0], v[1], v[2], v[3]) + SIMD4(v[8], v[9], v[10], v[11])
    let b = SIMD4(v[4], v[5], v[6], v[7]) + SIMD4(v[12], v[13], v[14], v[15])
    let c = a + b
    return (c[0] + c[2]) + (c[1] + c[3])
}

@inline(__always)
func greatest(_ v: SIMD16<Float>) -> Float {
    func greater(_ a: SIMD4<Float>, _ b: SIMD4<Float>) -> SIMD4<Float> {
        a.replacing(with: b, where: b .> a)
    }
    let a = greater(SIMD4(v[0], v[1], v[2], v[3]), SIMD4(v[8], v[9], v[10], v[11]))
    let b = greater(SIMD4(v[4], v[5], v[6], v[7]), SIMD4(v[12], v[13], v[14], v[15]))
    let c = greater(a, b)
    return max(max(c[0], c[2]), max(c[1], c[3]))
}

/// Sums of rows in double precision, place by place.
struct RowSum {
    var places = InlineArray<32, Double>(repeating: 0)

    func times(_ factor: Double) -> [Double] { places.indices.map { places[$0] * factor } }

    @inline(__always)
    mutating func add(_ row: FeatureRow) {
        // Two loops: one with both is too long for the compiler to write out, and each lane a detour by the stack.
        for place in 0..<16 { places[place] += Double(row.low[place]) }
        for place in 0..<16 { places[place + 16] += Double(row.high[place]) }
    }
}
