// Which partition a key belongs to: the rule producers use, so that a user's home can be computed and checked.

/// How producers map keys to partitions. All producers of a topic have to agree on one.
public enum Partitioner: String, Sendable, Hashable, CaseIterable {
    /// Kafka's Java clients, and librdkafka's `murmur2` and `murmur2_random`.
    case murmur2
    /// librdkafka's default (`consistent`, `consistent_random`), and what is built on it.
    case crc32

    /// The partition of `key` in a topic of `count` partitions.
    public func partition(of key: Span<UInt8>, count: Int32) -> PartitionIndex {
        precondition(count > 0, "a topic has at least one partition")
        switch self {
        case .murmur2: return PartitionIndex(murmur2Hash(key) & 0x7FFF_FFFF) % count
        case .crc32: return PartitionIndex(crc32Hash(key) % UInt32(count))
        }
    }

    public func partition(of user: UserID, count: Int32) -> PartitionIndex {
        user.text.withBytes { partition(of: $0, count: count) }
    }
}

/// MurmurHash2 (Austin Appleby) with the seed of Kafka's Java client.
func murmur2Hash(_ bytes: Span<UInt8>) -> UInt32 {
    let multiplier: UInt32 = 0x5BD1_E995
    let count = bytes.count
    var hash: UInt32 = 0x9747_B28C ^ UInt32(truncatingIfNeeded: count)
    var at = 0
    while at + 4 <= count {
        var word =
            UInt32(bytes[at]) | UInt32(bytes[at + 1]) &<< 8 | UInt32(bytes[at + 2]) &<< 16
            | UInt32(bytes[at + 3]) &<< 24
        word = word &* multiplier
        word = (word ^ (word &>> 24)) &* multiplier
        hash = (hash &* multiplier) ^ word
        at += 4
    }
    let rest = count - at
    if rest >= 3 { hash ^= UInt32(bytes[at + 2]) &<< 16 }
    if rest >= 2 { hash ^= UInt32(bytes[at + 1]) &<< 8 }
    if rest >= 1 { hash = (hash ^ UInt32(bytes[at])) &* multiplier }
    hash = (hash ^ (hash &>> 13)) &* multiplier
    return hash ^ (hash &>> 15)
}

/// CRC-32 as in ISO 3309 and zlib.
func crc32Hash(_ bytes: Span<UInt8>) -> UInt32 {
    var hash: UInt32 = ~0
    for index in bytes.indices {
        hash = crcTable[Int((hash ^ UInt32(bytes[index])) & 0xFF)] ^ (hash &>> 8)
    }
    return ~hash
}

private let crcTable: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in
        value & 1 == 1 ? 0xEDB8_8320 ^ (value &>> 1) : value &>> 1
    }
}
