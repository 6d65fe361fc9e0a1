// What the template keeps of a user: how much of which trait (category, brand, price band, title word), and when.
//
// Weights are integers by spans of blocks, sixteen spans back. Nothing is multiplied or rounded when time goes on: old
// sums move one place, and decay is a weight at reading. So adding is exact: one block after the other, all at once,
// or profiles of parts merged give the same bytes, as long as no kind of trait is over its limit. Over it the weakest
// trait goes, and the same events in the same order still give the same bytes.

import Interactions

/// How strongly one user is drawn to one trait.
struct Trait: Sendable, Hashable {
    enum Kind: UInt8, Sendable, CaseIterable {
        case category = 1
        case brand, price, word

        /// Traits of this kind a user: some 500 bytes in all.
        var countMax: Int {
            switch self {
            case .category, .brand: 8
            case .price: 4
            case .word: 16
            }
        }
    }

    /// XXH64 of the name, seeded by the kind.
    var key: UInt64
    var kind: Kind
    /// Where the name's bytes lie among the profile's.
    var nameStart: Int32
    var nameCount: Int32
    /// Sums of event weights by span, the newest first.
    var sums: SIMD16<Int32>

    static let nameBytesMax = 40

    /// A sum two spans old weighs half: 2^8 down to 1.
    private static let weights: SIMD16<Int32> = [
        256, 181, 128, 91, 64, 45, 32, 23, 16, 11, 8, 6, 4, 3, 2, 1,
    ]

    /// Decayed strength; negative when the user turned away.
    var strength: Int { Int((sums &* Self.weights).wrappedSum()) }

    /// The last two spans and, for as much time, those before.
    var recent: Int { Int(sums[0]) + Int(sums[1]) }
    var past: Int { Int(sums.wrappedSum()) - recent }
}

/// The template's memory of one user.
struct InterestProfile: Sendable {
    /// Number of the newest block, and 1.
    private(set) var blockCount: UInt64 = 0
    /// Number of the newest span.
    var span: UInt64 { blockCount == 0 ? 0 : (blockCount - 1) / Self.blocksPerSpan }
    /// In the order of their keys.
    private(set) var traits: [Trait] = []
    /// Names of the traits, and of some that have gone.
    private var names: [UInt8] = []

    static let blocksPerSpan: UInt64 = 4
    static let spanCount = 16
    static let traitsMax = Trait.Kind.allCases.reduce(0) { $0 + $1.countMax }
    /// No sum grows beyond: a strength stays within 32 bits.
    private static let sumMax: Int32 = 1 << 20
    private static let format: UInt8 = 2

    init() {}

    func name(_ trait: Trait) -> String {
        let start = Int(trait.nameStart)
        return String(decoding: names[start..<(start + Int(trait.nameCount))], as: UTF8.self)
    }

    /// Adds the traits of a block's events.
    mutating func add(block number: UInt64, _ events: some Sequence<TemplateSummariser.Event>) {
        let span = number / Self.blocksPerSpan
        advance(to: number &+ 1)
        guard self.span >= span, self.span - span < UInt64(Self.spanCount) else { return }
        let age = Int(self.span - span)
        for event in events {
            guard let item = event.traits else { continue }
            for trait in item.all {
                let place = place(of: trait, named: item.names)
                let sum = traits[place].sums[age] &+ Int32(clamping: event.weight)
                traits[place].sums[age] = min(max(sum, -Self.sumMax), Self.sumMax)
            }
        }
        shrink()
    }

    /// Adds a profile of other blocks of the same user.
    mutating func merge(_ other: InterestProfile) {
        var other = other
        advance(to: other.blockCount)
        other.advance(to: blockCount)
        for trait in other.traits {
            let place = place(of: trait, named: other.names)
            let sums = traits[place].sums &+ trait.sums
            traits[place].sums = sums.clamped(
                lowerBound: SIMD16(repeating: -Self.sumMax),
                upperBound: SIMD16(repeating: Self.sumMax))
        }
        shrink()
    }

    private mutating func advance(to count: UInt64) {
        guard count > blockCount else { return }
        let before = span
        blockCount = count
        let steps = span - before
        guard steps > 0 else { return }
        guard steps < UInt64(Self.spanCount) else {
            traits = []
            names = []
            return
        }
        for index in traits.indices {
            var moved = SIMD16<Int32>.zero
            for place in Int(steps)..<Self.spanCount {
                moved[place] = traits[index].sums[place - Int(steps)]
            }
            traits[index].sums = moved
        }
    }

    /// Where a trait stands; it is put there with sums of zero when it is new.
    private mutating func place(of trait: Trait, named source: [UInt8]) -> Int {
        var low = 0
        var high = traits.count
        while low < high {
            let middle = (low + high) / 2
            if traits[middle].key < trait.key { low = middle + 1 } else { high = middle }
        }
        if low < traits.count, traits[low].key == trait.key { return low }
        var new = trait
        let start = Int(trait.nameStart)
        new.nameStart = Int32(names.count)
        new.sums = .zero
        names.append(contentsOf: source[start..<(start + Int(trait.nameCount))])
        traits.insert(new, at: low)
        return low
    }

    /// Drops what has decayed to nothing, and the weakest of each kind over its limit.
    private mutating func shrink() {
        traits.removeAll { $0.sums == .zero }
        var counts = SIMD8<Int32>.zero
        for trait in traits { counts[Int(trait.kind.rawValue)] &+= 1 }
        for kind in Trait.Kind.allCases {
            let excess = Int(counts[Int(kind.rawValue)]) - kind.countMax
            guard excess > 0 else { continue }
            var members: [(weight: Int, key: UInt64)] = []
            for trait in traits where trait.kind == kind {
                members.append((weight: abs(trait.strength), key: trait.key))
            }
            members.sort { $0.weight == $1.weight ? $0.key > $1.key : $0.weight < $1.weight }
            let leaving = members.prefix(excess).map(\.key)
            traits.removeAll { $0.kind == kind && leaving.contains($0.key) }
        }
    }

    // MARK: - Stored form

    // Format, number of blocks, then bits: whether any sum is negative; for each kind the number of its traits, and for
    // each of these in the order of their keys its name (of a price the number of its band), the spans that are not zero
    // (only so many as have been), and the sums.
    func encoded() -> [UInt8] {
        var head = ByteWriter(reserving: 16 + traits.count * 16)
        head.byte(Self.format)
        head.varint(blockCount)
        var out = PackedBitsWriter(after: head.bytes)
        let spans = spansBegun
        let isSigned = traits.contains { $0.sums.min() < 0 }
        out.bits(isSigned ? 1 : 0, 1)
        for kind in Trait.Kind.allCases {
            out.bits(UInt64(traits.count { $0.kind == kind }), Self.countBits)
            for trait in traits where trait.kind == kind {
                let start = Int(trait.nameStart)
                let name = names[start..<(start + Int(trait.nameCount))]
                if kind == .price {
                    out.bits(UInt64(PriceBand.number(of: name)), PriceBand.bits)
                } else {
                    out.name(name)
                }
                var used: UInt64 = 0
                for place in 0..<spans where trait.sums[place] != 0 { used |= 1 << place }
                out.bits(used, spans)
                while used != 0 {
                    let sum = trait.sums[used.trailingZeroBitCount]
                    if isSigned { out.bits(sum < 0 ? 1 : 0, 1) }
                    out.number(UInt64(sum.magnitude) - 1)
                    used &= used - 1
                }
            }
        }
        out.finish()
        return out.bytes
    }

    /// Spans that a sum can be of.
    private var spansBegun: Int { Int(min(span + 1, UInt64(Self.spanCount))) }
    private static let countBits = 5

    init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        guard !bytes.isEmpty else { return }
        var head = ByteReader(bytes)
        guard try head.byte() == Self.format else {
            throw MalformedBytes("is a profile of another version")
        }
        blockCount = try head.varint()
        let spans = spansBegun
        var reader = PackedBitsReader(bytes, from: head.position)
        let isSigned = try reader.bits(1) == 1
        traits.reserveCapacity(Self.traitsMax + 16)
        names.reserveCapacity(2 * bytes.count)
        for kind in Trait.Kind.allCases {
            let count = Int(try reader.bits(Self.countBits))
            guard count <= kind.countMax else {
                throw MalformedBytes("has \(count) traits of a kind")
            }
            for _ in 0..<count {
                let trait = try trait(kind, spans: spans, isSigned: isSigned, from: &reader)
                let isNext = traits.last.map { $0.kind != kind || $0.key < trait.key } ?? true
                guard isNext else { throw MalformedBytes("has traits out of order") }
                traits.append(trait)
            }
        }
        guard reader.isAtEnd() else { throw MalformedBytes("has bytes after its end") }
        traits.sort { $0.key < $1.key }
    }

    private mutating func trait(
        _ kind: Trait.Kind, spans: Int, isSigned: Bool, from reader: inout PackedBitsReader
    ) throws(MalformedBytes) -> Trait {
        let start = names.count
        if kind == .price {
            names.append(contentsOf: PriceBand.name(Int(try reader.bits(PriceBand.bits))).utf8)
        } else {
            let length = try reader.name(into: &names)
            guard length <= Trait.nameBytesMax else { throw MalformedBytes("has a name too long") }
        }
        var used = try reader.bits(spans)
        var sums = SIMD16<Int32>.zero
        while used != 0 {
            let isNegative = isSigned ? try reader.bits(1) == 1 : false
            let size = Int32(min(try reader.number(), UInt64(Self.sumMax) - 1)) + 1
            sums[used.trailingZeroBitCount] = isNegative ? -size : size
            used &= used - 1
        }
        let key = xxh64(names.span.extracting(start...), seed: UInt64(kind.rawValue))
        return Trait(
            key: key, kind: kind, nameStart: Int32(start), nameCount: Int32(names.count - start),
            sums: sums)
    }
}
