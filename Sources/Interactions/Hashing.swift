// XXH64 (Yann Collet, xxHash specification 0.1.1): the stable hash of identifiers and blobs.
//
// Stable means: the same on every machine, in every version; stored keys depend on it.

private let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
private let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
private let prime3: UInt64 = 0x1656_67B1_9E37_79F9
private let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
private let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

private func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
    (value &<< bits) | (value &>> (64 &- bits))
}

private func round(_ accumulator: UInt64, _ input: UInt64) -> UInt64 {
    rotate(accumulator &+ input &* prime2, 31) &* prime1
}

private func merge(_ hash: UInt64, _ lane: UInt64) -> UInt64 {
    (hash ^ round(0, lane)) &* prime1 &+ prime4
}

private func word64(_ bytes: Span<UInt8>, _ at: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<8 { value |= UInt64(bytes[at + index]) &<< UInt64(index * 8) }
    return value
}

private func word32(_ bytes: Span<UInt8>, _ at: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<4 { value |= UInt64(bytes[at + index]) &<< UInt64(index * 8) }
    return value
}

/// The XXH64 hash of `bytes`.
public func xxh64(_ bytes: Span<UInt8>, seed: UInt64 = 0) -> UInt64 {
    let count = bytes.count
    var at = 0
    var hash: UInt64
    if count >= 32 {
        var lane1 = seed &+ prime1 &+ prime2
        var lane2 = seed &+ prime2
        var lane3 = seed
        var lane4 = seed &- prime1
        while at + 32 <= count {
            lane1 = round(lane1, word64(bytes, at))
            lane2 = round(lane2, word64(bytes, at + 8))
            lane3 = round(lane3, word64(bytes, at + 16))
            lane4 = round(lane4, word64(bytes, at + 24))
            at += 32
        }
        hash = rotate(lane1, 1) &+ rotate(lane2, 7) &+ rotate(lane3, 12) &+ rotate(lane4, 18)
        hash = merge(merge(merge(merge(hash, lane1), lane2), lane3), lane4)
    } else {
        hash = seed &+ prime5
    }
    hash = hash &+ UInt64(count)
    while at + 8 <= count {
        hash = rotate(hash ^ round(0, word64(bytes, at)), 27) &* prime1 &+ prime4
        at += 8
    }
    if at + 4 <= count {
        hash = rotate(hash ^ (word32(bytes, at) &* prime1), 23) &* prime2 &+ prime3
        at += 4
    }
    while at < count {
        hash = rotate(hash ^ (UInt64(bytes[at]) &* prime5), 11) &* prime1
        at += 1
    }
    hash = (hash ^ (hash &>> 33)) &* prime2
    hash = (hash ^ (hash &>> 29)) &* prime3
    return hash ^ (hash &>> 32)
}

/// The XXH64 hash of a text's UTF-8 bytes.
public func xxh64(_ text: String, seed: UInt64 = 0) -> UInt64 {
    text.withBytes { xxh64($0, seed: seed) }
}

extension String {
    /// The text's bytes for the time of `body`.
    ///
    /// In place of `utf8.span`: Swift 6.3 with optimisation lets a short text's bytes, which it keeps in the string
    /// itself, go before a function that the span was handed to has read them. All users of a release build then
    /// hashed to one partition that changed from start to start.
    @inline(never)
    package func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        var text = self
        return text.withUTF8 { bytes in body(unsafe bytes.span) }
    }
}

/// The XXH64 hash of an array of bytes.
public func xxh64(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 {
    xxh64(bytes.span, seed: seed)
}
