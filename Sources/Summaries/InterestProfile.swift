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

        /// Traits of this kind a user: about 400 bytes in all.
        var countMax: Int {
            switch self {
            case .category, .brand: 12
            case .price: 8
            case .word: 32
            }
        }
    }

    /// XXH64 of the name, seeded by the kind.
    var key: UInt64
    var kind: Kind
    var name: String
    /// Sums of event weights by span, the newest first.
    var sums: SIMD16<Int32>

    static let nameBytesMax = 40

    static func key(_ kind: Kind, _ name: String) -> UInt64 {
        xxh64(name, seed: UInt64(kind.rawValue))
    }

    /// A sum two spans old weighs half: 2^8 down to 2.
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
struct InterestProfile: Sendable, Hashable {
    /// Number of the newest span.
    private(set) var span: UInt64 = 0
    /// In the order of their keys.
    private(set) var traits: [Trait] = []

    static let blocksPerSpan: UInt64 = 4
    static let spanCount = 16
    /// No sum grows beyond: a strength stays within 32 bits.
    private static let sumMax: Int32 = 1 << 20
    private static let format: UInt8 = 1

    init() {}

    /// Adds the traits of a block's events.
    mutating func add(block number: UInt64, _ items: [(traits: ItemTraits, weight: Int)]) {
        advance(to: number / Self.blocksPerSpan)
        let age = Int(span - number / Self.blocksPerSpan)
        guard age < Self.spanCount else { return }
        for item in items {
            for trait in item.traits.all { add(trait, weight: Int32(item.weight), age: age) }
        }
        shrink()
    }

    /// Adds a profile of other blocks of the same user.
    mutating func merge(_ other: InterestProfile) {
        var older = other
        if other.span > span { advance(to: other.span) } else { older.advance(to: span) }
        for trait in older.traits {
            let place = place(of: trait.key)
            if place < traits.count, traits[place].key == trait.key {
                traits[place].sums = Self.bounded(traits[place].sums &+ trait.sums)
            } else {
                traits.insert(trait, at: place)
            }
        }
        shrink()
    }

    private mutating func add(_ trait: ItemTraits.Name, weight: Int32, age: Int) {
        let place = place(of: trait.key)
        if place == traits.count || traits[place].key != trait.key {
            traits.insert(
                Trait(key: trait.key, kind: trait.kind, name: trait.name, sums: .zero), at: place)
        }
        let sum = traits[place].sums[age] &+ weight
        traits[place].sums[age] = min(max(sum, -Self.sumMax), Self.sumMax)
    }

    private static func bounded(_ sums: SIMD16<Int32>) -> SIMD16<Int32> {
        sums.clamped(
            lowerBound: SIMD16(repeating: -sumMax), upperBound: SIMD16(repeating: sumMax))
    }

    private mutating func advance(to newest: UInt64) {
        guard newest > span else { return }
        let steps = newest - span
        span = newest
        guard steps < UInt64(Self.spanCount) else {
            traits = []
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

    /// Where a key stands, or would.
    private func place(of key: UInt64) -> Int {
        var low = 0
        var high = traits.count
        while low < high {
            let middle = (low + high) / 2
            if traits[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Drops what has decayed to nothing, and the weakest of each kind over its limit.
    private mutating func shrink() {
        traits.removeAll { $0.sums == .zero }
        for kind in Trait.Kind.allCases {
            var members = traits.indices.filter { traits[$0].kind == kind }
            guard members.count > kind.countMax else { continue }
            members.sort {
                let (left, right) = (abs(traits[$0].strength), abs(traits[$1].strength))
                return left == right ? traits[$0].key < traits[$1].key : left > right
            }
            let leaving = Set(members[kind.countMax...].map { traits[$0].key })
            traits.removeAll { leaving.contains($0.key) }
        }
    }

    // MARK: - Stored form

    func encoded() -> [UInt8] {
        var out = ByteWriter(reserving: 16 + traits.count * 20)
        out.byte(Self.format)
        out.varint(span)
        out.varint(UInt64(traits.count))
        for trait in traits {
            out.byte(trait.kind.rawValue)
            var name = trait.name
            name.withUTF8 { bytes in
                out.varint(UInt64(bytes.count))
                for index in bytes.indices { out.byte(unsafe bytes[index]) }
            }
            var used: UInt64 = 0
            for place in 0..<Self.spanCount where trait.sums[place] != 0 { used |= 1 << place }
            out.varint(used)
            for place in 0..<Self.spanCount where trait.sums[place] != 0 {
                out.signed(Int64(trait.sums[place]))
            }
        }
        return out.bytes
    }

    init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        guard !bytes.isEmpty else { return }
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.format else {
            throw MalformedBytes("is a profile of another version")
        }
        span = try reader.varint()
        let most = Trait.Kind.allCases.reduce(0) { $0 + $1.countMax }
        let count = try reader.count(max: most)
        traits.reserveCapacity(most + 8)
        for _ in 0..<count {
            guard let kind = Trait.Kind(rawValue: try reader.byte()) else {
                throw MalformedBytes("has a trait of an unknown kind")
            }
            let length = try reader.count(max: Trait.nameBytesMax)
            let name = String(decoding: try reader.array(count: length), as: UTF8.self)
            let used = try reader.count(max: 0xFFFF)
            var sums = SIMD16<Int32>.zero
            for place in 0..<Self.spanCount where used & (1 << place) != 0 {
                let sum = try reader.signed()
                sums[place] = Int32(
                    clamping: min(max(sum, -Int64(Self.sumMax)), Int64(Self.sumMax)))
            }
            let key = Trait.key(kind, name)
            guard traits.last.map({ $0.key < key }) ?? true else {
                throw MalformedBytes("has traits out of order")
            }
            traits.append(Trait(key: key, kind: kind, name: name, sums: sums))
        }
        guard reader.remaining == 0 else { throw MalformedBytes("has bytes after its end") }
    }
}
