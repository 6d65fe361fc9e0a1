// Every parser of foreign bytes, with the laws it keeps whatever the bytes are. Two drivers share them: the tests (a
// few hundred mutations of each seed, in every build) and libFuzzer (`make fuzz`, as long as one likes).

import TestKit

/// A law that does not hold, with what shows it.
public struct BrokenLaw: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

func require(_ holds: Bool, _ law: @autoclosure () -> String) throws {
    if !holds { throw BrokenLaw(law()) }
}

/// One parser, or two that are inverse to each other.
public struct FuzzTarget: Sendable, CustomStringConvertible {
    public let name: String
    /// Valid inputs to start from, and every input that once found something.
    public let seeds: [[UInt8]]
    /// Parses the bytes; throws when a law does not hold. Traps are the other way to fail.
    public let check: @Sendable ([UInt8]) throws -> Void

    init(
        _ name: String, seeds: [[UInt8]],
        check: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        self.name = name
        self.seeds = seeds
        self.check = check
    }

    public var description: String { name }

    public static let all: [FuzzTarget] = [
        .requests, .replies, .interactions, .items, .userState, .edits, .checkpoint, .settings,
        .imports, .texts, .filters,
    ]
}

/// Takes an input apart into what a law needs; zeros when it is used up.
struct FuzzInput {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return taken
    }

    /// Bytes behind their length in two bytes.
    mutating func block() -> [UInt8] {
        let low = Int(byte())
        return bytes(low | Int(byte()) << 8)
    }

    mutating func remainder() -> [UInt8] { bytes(rest.count) }

    static func block(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8(bytes.count & 255), UInt8(bytes.count >> 8)] + bytes
    }
}

/// Ways to cut `count` bytes into pieces: byte by byte, and a few drawn from the bytes themselves.
func splits(of bytes: [UInt8]) -> [[Int]] {
    var random = SeededRandom(seed: bytes.reduce(UInt64(bytes.count)) { $0 &* 31 &+ UInt64($1) })
    let drawn = (0..<3).map { _ in
        (0..<(1 + random.below(4))).map { _ in random.below(bytes.count + 1) }.sorted()
    }
    return [Array(0..<bytes.count)] + drawn
}
