// The item cache: what the intra stage makes of a text, kept across restarts and refreshes. It is a function of the
// tokens and of the frozen part of the weights, so it is exactly what computing it again would give.

/// Text vectors by their tokens, of one text version.
public struct TextVectorCache: Sendable {
    /// Names the weights, the tokenizer and how much text is read; another version's vectors are worthless.
    public let textVersion: UInt64
    public let width: Int
    /// Entries kept; beyond, the ones that were not asked for since the start are left out when it is stored.
    public let capacity: Int
    private var rows: [UInt64: Int32] = [:]
    private var vectors: [Float] = []
    private var used: Set<UInt64> = []
    public private(set) var hitCount = 0
    public private(set) var computedCount = 0

    public init(textVersion: UInt64, width: Int, capacity: Int) {
        precondition(width > 0 && capacity >= 0, "sizes of a cache")
        self.textVersion = textVersion
        self.width = width
        self.capacity = capacity
    }

    public var count: Int { rows.count }
    public var bytes: Int { vectors.count * 4 + rows.count * 16 }

    /// Vectors of texts, in their order; those not known are computed together by `encode` and kept.
    public mutating func vectors(
        of texts: [[Int32]], encode: (_ missing: [[Int32]]) -> [Float]
    ) -> [Float] {
        let keys = texts.map(Self.key)
        var missing: [UInt64: [Int32]] = [:]
        for (key, text) in zip(keys, texts) where rows[key] == nil { missing[key] = text }
        hitCount += texts.count - missing.count
        computedCount += missing.count
        let order = missing.keys.sorted()
        let fresh = order.isEmpty ? [] : encode(order.map { missing[$0] ?? [] })
        precondition(fresh.count == order.count * width, "a vector for every text")
        for key in order { rows[key] = Int32(rows.count) }
        vectors += fresh
        var found: [Float] = []
        found.reserveCapacity(texts.count * width)
        for key in keys {
            used.insert(key)
            let start = Int(rows[key] ?? 0) * width
            found += vectors[start..<start + width]
        }
        return found
    }

    /// FNV-1a over the tokens, 64 bits: two of a million texts share a key once in some ten million catalogues.
    static func key(_ tokens: [Int32]) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for token in tokens {
            var bits = UInt32(bitPattern: token)
            for _ in 0..<4 {
                hash = (hash ^ UInt64(bits & 0xFF)) &* 0x100_0000_01B3
                bits >>= 8
            }
        }
        return hash
    }

    // MARK: - Stored form

    // "MTVC", format 1, text version, width, count, then key and vector of each entry, and a sum over all before; all
    // little-endian.
    private static let magic: [UInt8] = [0x4D, 0x54, 0x56, 0x43, 1, 0, 0, 0]
    private static let headerBytes = 32

    public func encoded() -> [UInt8] {
        let all = rows.sorted { $0.value < $1.value }
        let kept = all.count > capacity ? all.filter { used.contains($0.key) } : all
        let entries = kept.prefix(capacity)
        var bytes = Self.magic
        bytes.reserveCapacity(Self.headerBytes + entries.count * (8 + 4 * width) + 8)
        Self.append(textVersion, to: &bytes)
        Self.append(UInt64(width), to: &bytes)
        Self.append(UInt64(entries.count), to: &bytes)
        for entry in entries {
            Self.append(entry.key, to: &bytes)
            let start = Int(entry.value) * width
            for value in vectors[start..<start + width] {
                let bits = value.bitPattern
                for shift in stride(from: 0, to: 32, by: 8) {
                    bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(shift)))
                }
            }
        }
        Self.append(Self.sum(bytes[...]), to: &bytes)
        return bytes
    }

    /// Takes in what `encoded` wrote; false, and nothing is taken, when it is damaged or of another version.
    public mutating func load(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= Self.headerBytes + 8, Array(bytes[0..<8]) == Self.magic,
            Self.word(bytes, 8) == textVersion, Self.word(bytes, 16) == UInt64(width)
        else { return false }
        let entry = 8 + 4 * width
        let body = bytes.count - Self.headerBytes - 8
        guard body.isMultiple(of: entry), Self.word(bytes, 24) == UInt64(body / entry),
            Self.word(bytes, bytes.count - 8) == Self.sum(bytes[..<(bytes.count - 8)])
        else { return false }
        for index in 0..<body / entry {
            let start = Self.headerBytes + index * entry
            let key = Self.word(bytes, start)
            guard rows[key] == nil else { continue }
            rows[key] = Int32(rows.count)
            for column in 0..<width {
                let at = start + 8 + 4 * column
                let bits =
                    UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16
                    | UInt32(bytes[at + 3]) << 24
                vectors.append(Float(bitPattern: bits))
            }
        }
        return true
    }

    private static func append(_ word: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
        }
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}
