// A list as it is kept to learn from: the features it has, in half precision.
//
// 3 000 lists of 200 candidates are 160 MB as they are scored and an eighth of that here, which is what a checkpoint
// can bear. Fits read the same halves that are stored, so that a restart changes nothing.

/// A list whose target was among the candidates.
struct LearntList: Sendable, Hashable {
    /// Far above any feature, and finite in half precision.
    private static let limit: Float = 60_000
    static let rowsMax = 65_535

    let present: FeatureSet
    let context: ListContext
    let target: Int
    /// Row by row, the present features by place: bits of a Float16.
    let halves: [UInt16]

    init?(_ scored: ScoredList) {
        guard let target = scored.target, scored.list.rows.count <= Self.rowsMax else {
            return nil
        }
        self.target = target
        present = scored.list.present
        context = scored.list.context
        let places = present.places
        var halves: [UInt16] = []
        halves.reserveCapacity(places.count * scored.list.rows.count)
        for row in scored.list.rows {
            for place in places {
                let value = min(max(row[place], -Self.limit), Self.limit)
                halves.append(Float16(value).bitPattern)
            }
        }
        self.halves = halves
    }

    init(present: FeatureSet, context: ListContext, target: Int, halves: [UInt16]) {
        self.present = present
        self.context = context
        self.target = target
        self.halves = halves
    }

    var rowCount: Int { present.places.isEmpty ? 0 : halves.count / present.places.count }

    /// The value of a finite Float16: its exponent counts from 112 less, subnormal or not. The conversion is a call
    /// where the processor is not known to have one.
    @inline(__always)
    static func float(_ half: UInt16) -> Float {
        let magnitude = Float(bitPattern: UInt32(half & 0x7FFF) << 13) * 0x1p112
        return half >> 15 == 0 ? magnitude : -magnitude
    }

    /// Features of these candidates as they were centred, to half precision.
    func rows(_ indices: [Int]) -> [FeatureRow] {
        let places = present.places
        return indices.map { index in
            var row = FeatureRow.zero
            for (column, place) in places.enumerated() {
                row[place] = Self.float(halves[index * places.count + column])
            }
            return row
        }
    }
}

extension FeatureSet {
    /// Places of the features that it holds, ascending.
    var places: [Int] {
        (0..<FeatureRow.scalarCount).filter { rawValue >> UInt32($0) & 1 == 1 }
    }
}
