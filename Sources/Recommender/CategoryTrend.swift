// How much of the latest events each category has: shares that fade with every event, not with time.

import Interactions

struct CategoryTrend: Sendable, Hashable {
    private static let keep = 0.999
    /// Shares are made anew from their factors before these lose precision.
    private static let scaleMin = 1e-9

    /// By category number; times `scale` it is the share. One factor fades them all.
    private var parts: [Double] = []
    private var scale = 1.0

    func share(_ category: Int32) -> Double {
        Int(category) < parts.count ? parts[Int(category)] * scale : 0
    }

    mutating func add(_ categories: [Int32]) {
        scale *= Self.keep
        if scale < Self.scaleMin {
            for index in parts.indices { parts[index] *= scale }
            scale = 1
        }
        for category in categories {
            while parts.count <= Int(category) { parts.append(0) }
            parts[Int(category)] += (1 - Self.keep) / scale
        }
    }

    // MARK: - Stored form

    /// By name: numbers of categories differ from process to process.
    func append(to out: inout ByteWriter, names: [String]) {
        out.word64(scale.bitPattern)
        let held = parts.indices.filter { parts[$0] > 0 }.map { (names[$0], parts[$0]) }
            .sorted { $0.0 < $1.0 }
        out.varint(UInt64(held.count))
        for (name, part) in held {
            out.varint(UInt64(name.utf8.count))
            out.append(Array(name.utf8))
            out.word64(part.bitPattern)
        }
    }

    /// `number` gives a category its number, or nil when there are too many.
    init(
        from reader: inout ByteReader, number: (String) -> Int32?
    ) throws(MalformedBytes) {
        scale = Double(bitPattern: try reader.word64())
        guard scale.isFinite, scale >= Self.scaleMin, scale <= 1 else {
            throw MalformedBytes("a trend has no scale")
        }
        for _ in 0..<(try reader.count(max: CategoryNames.countMax)) {
            let bytes = try reader.array(count: try reader.count(max: reader.remaining))
            let part = Double(bitPattern: try reader.word64())
            guard part.isFinite, part >= 0 else { throw MalformedBytes("a trend is no number") }
            guard let number = number(String(decoding: bytes, as: UTF8.self)) else { continue }
            while parts.count <= Int(number) { parts.append(0) }
            parts[Int(number)] = part
        }
    }

    init() {}
}

/// Categories as small numbers, in order of first sight.
struct CategoryNames: Sendable {
    /// Further ones are not followed.
    static let countMax = 65_536

    private(set) var names: [String] = []
    private var numbers: [String: Int32] = [:]

    mutating func number(of name: String) -> Int32? {
        if let known = numbers[name] { return known }
        guard names.count < Self.countMax else { return nil }
        numbers[name] = Int32(names.count)
        names.append(name)
        return Int32(names.count - 1)
    }
}
