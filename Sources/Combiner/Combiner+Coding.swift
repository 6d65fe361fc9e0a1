// A combiner with all it has learnt and learns from, stored and read back: it goes on as if nothing had been.

public import Interactions

extension Combiner {
    static let formatVersion: UInt8 = 2

    /// The stored form. A fit under way is made first, since the lists that it is made from are gone afterwards: some
    /// tenths of a second, meant for a copy beside serving. Whoever reads it checks a sum over it first.
    public func encoded() -> [UInt8] {
        var out = ByteWriter(reserving: 1_024 + lists.reduce(0) { $0 + 40 + 2 * $1.halves.count })
        out.byte(Self.formatVersion)
        out.varint(scoredCount)
        out.varint(UInt64(sinceFit))
        out.appendCounted(weights.encoded())
        if let pending {
            out.byte(1)
            out.varint(pending.due)
            out.appendCounted((pending.result ?? pending.fit.run()).encoded())
        } else {
            out.byte(0)
        }
        served.append(to: &out)
        for ordering in Ordering.all { meter(of: ordering).append(to: &out) }
        for ordering in Ordering.all { lead(of: ordering).append(to: &out) }
        out.varint(UInt64(lists.count))
        for list in lists[oldest...] + lists[..<oldest] { list.append(to: &out) }
        return out.bytes
    }

    /// Reads what `encoded` wrote. Under a smaller bound on lists, the newest are kept.
    public init(
        _ configuration: CombinerConfiguration, decoding bytes: [UInt8]
    ) throws(MalformedBytes) {
        self.init(configuration)
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.formatVersion else {
            throw MalformedBytes("is no combiner of format \(Self.formatVersion)")
        }
        scoredCount = try reader.varint()
        sinceFit = try reader.count(max: Int(UInt32.max))
        weights = try CombinerWeights(decoding: reader.counted())
        if try reader.byte() != 0 {
            let due = try reader.varint()
            let result = try CombinerWeights(decoding: reader.counted())
            pending = Pending(
                fit: CombinerFit(start: weights, configuration: configuration, lists: []),
                result: result, due: due, isOrdered: true)
        }
        served = try Meter(from: &reader)
        for ordering in Ordering.all { meters[ordering] = try Meter(from: &reader) }
        for ordering in Ordering.all { leads[ordering] = try Lead(from: &reader) }
        for _ in 0..<(try reader.count(max: bytes.count)) {
            keep(try LearntList(from: &reader))
        }
        guard reader.remaining == 0 else { throw MalformedBytes("a combiner ends too late") }
    }
}

extension Meter {
    func append(to out: inout ByteWriter) {
        for value in [gain, hitRate, weight, gainSum] { out.word64(value.bitPattern) }
        out.varint(listCount)
        out.varint(hitCount)
    }

    init(from reader: inout ByteReader) throws(MalformedBytes) {
        self.init()
        var values: [Double] = []
        for _ in 0..<4 { values.append(Double(bitPattern: try reader.word64())) }
        guard values.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
            throw MalformedBytes("a meter shows no number")
        }
        (gain, hitRate, weight, gainSum) = (values[0], values[1], values[2], values[3])
        listCount = try reader.varint()
        hitCount = try reader.varint()
    }
}

extension Lead {
    fileprivate func append(to out: inout ByteWriter) {
        for value in [mean, square, weight] { out.word64(value.bitPattern) }
    }

    fileprivate init(from reader: inout ByteReader) throws(MalformedBytes) {
        self.init()
        mean = Double(bitPattern: try reader.word64())
        square = Double(bitPattern: try reader.word64())
        weight = Double(bitPattern: try reader.word64())
        guard mean.isFinite, square.isFinite, weight.isFinite, square >= 0, weight >= 0 else {
            throw MalformedBytes("a lead is no number")
        }
    }
}

extension LearntList {
    fileprivate func append(to out: inout ByteWriter) {
        out.varint(UInt64(present.rawValue))
        for value in [context.historyLength, context.gap, context.isCold] {
            out.varint(UInt64(value.bitPattern))
        }
        out.varint(UInt64(rowCount))
        out.varint(UInt64(target))
        for half in halves {
            out.byte(UInt8(truncatingIfNeeded: half))
            out.byte(UInt8(truncatingIfNeeded: half >> 8))
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(MalformedBytes) {
        let present = FeatureSet(
            rawValue: UInt32(try reader.count(max: Int(UInt32.max))))
        var context = ListContext()
        var values: [Float] = []
        for _ in 0..<3 {
            values.append(Float(bitPattern: UInt32(try reader.count(max: Int(UInt32.max)))))
        }
        guard values.allSatisfy(\.isFinite) else { throw MalformedBytes("a context is no number") }
        (context.historyLength, context.gap, context.isCold) = (values[0], values[1], values[2])
        let rowCount = try reader.count(max: LearntList.rowsMax)
        let target = try reader.count(max: max(rowCount - 1, 0))
        let bytes = try reader.array(count: rowCount * present.places.count * 2)
        var halves: [UInt16] = []
        halves.reserveCapacity(bytes.count / 2)
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let bits = UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8
            guard bits & 0x7C00 != 0x7C00 else { throw MalformedBytes("a feature is no number") }
            halves.append(bits)
        }
        guard target < rowCount, !halves.isEmpty else {
            throw MalformedBytes("a list has no target")
        }
        self.init(present: present, context: context, target: target, halves: halves)
    }
}

extension ByteWriter {
    fileprivate mutating func appendCounted(_ bytes: [UInt8]) {
        varint(UInt64(bytes.count))
        append(bytes)
    }
}

extension ByteReader {
    fileprivate mutating func counted() throws(MalformedBytes) -> [UInt8] {
        try array(count: try count(max: remaining))
    }
}
