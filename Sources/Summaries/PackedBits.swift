// Bits one after the other: short names and small numbers take as many bits as they need. A profile is stored for every
// user there is, so its bytes are worth the shifting.

import Interactions

struct PackedBitsWriter {
    private(set) var bytes: [UInt8]
    /// Bits that do not make a byte yet, the last ones lowest.
    private var pending: UInt64 = 0
    private var pendingCount = 0

    init(after bytes: [UInt8] = []) { self.bytes = bytes }

    /// The lowest `count` bits of a number, at most 32, the highest of them first.
    mutating func bits(_ value: UInt64, _ count: Int) {
        pending = pending << UInt64(count) | value & (1 << UInt64(count) - 1)
        pendingCount += count
        while pendingCount >= 8 {
            pendingCount -= 8
            bytes.append(UInt8(truncatingIfNeeded: pending >> UInt64(pendingCount)))
        }
    }

    /// A number below 2^31 by the exponential Golomb code of order 1: 0 and 1 take two bits, 2 to 5 four.
    mutating func number(_ value: UInt64) {
        let shifted = value + 2
        let width = 64 - shifted.leadingZeroBitCount
        bits(0, width - 2)
        bits(shifted, width)
    }

    /// Fewer than 63 bytes: as codes, or as they are where that is shorter.
    mutating func name(_ name: some Collection<UInt8>) {
        let size = name.reduce(0) { $0 + NameCode.size(of: NameCode.places[Int($1)]) }
        guard size <= 8 * name.count else {
            bits(NameCode.plain, 6)
            bits(UInt64(name.count), 6)
            for byte in name { bits(UInt64(byte), 8) }
            return
        }
        bits(UInt64(name.count), 6)
        for byte in name {
            let place = UInt64(NameCode.places[Int(byte)])
            switch place {
            case 0..<16: bits(place, 5)
            case 16..<32: bits(0b10 << 4 | (place - 16), 6)
            case 32..<64: bits(0b110 << 5 | (place - 32), 8)
            default: bits(0b111 << 8 | UInt64(byte), 11)
            }
        }
    }

    /// Fills the last byte with zeros.
    mutating func finish() {
        if pendingCount > 0 { bits(0, 8 - pendingCount) }
    }
}

struct PackedBitsReader {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    init(_ bytes: [UInt8], from start: Int) {
        self.bytes = bytes
        position = 8 * start
        end = 8 * bytes.count
    }

    mutating func bits(_ count: Int) throws(MalformedBytes) -> UInt64 {
        guard count <= end - position else { throw MalformedBytes("ends too early") }
        var value: UInt64 = 0
        var left = count
        while left > 0 {
            let offset = position % 8
            let taken = min(8 - offset, left)
            let byte = UInt64(bytes[position / 8]) >> UInt64(8 - offset - taken)
            value = value << UInt64(taken) | byte & (1 << UInt64(taken) - 1)
            position += taken
            left -= taken
        }
        return value
    }

    mutating func number() throws(MalformedBytes) -> UInt64 {
        var zeros = 0
        while try bits(1) == 0 {
            zeros += 1
            guard zeros < 31 else { throw MalformedBytes("has a number that is too large") }
        }
        return (1 << UInt64(zeros + 1) | (try bits(zeros + 1))) - 2
    }

    mutating func name(into names: inout [UInt8]) throws(MalformedBytes) -> Int {
        let count = Int(try bits(6))
        guard count < NameCode.plain else {
            let count = Int(try bits(6))
            for _ in 0..<count { names.append(UInt8(truncatingIfNeeded: try bits(8))) }
            return count
        }
        for _ in 0..<count {
            if try bits(1) == 0 {
                names.append(NameCode.common[Int(try bits(4))])
            } else if try bits(1) == 0 {
                names.append(NameCode.common[16 + Int(try bits(4))])
            } else if try bits(1) == 0 {
                names.append(NameCode.common[32 + Int(try bits(5))])
            } else {
                names.append(UInt8(truncatingIfNeeded: try bits(8)))
            }
        }
        return count
    }

    /// Whether nothing follows but the zeros that fill the last byte.
    mutating func isAtEnd() -> Bool {
        guard end - position < 8 else { return false }
        return (try? bits(end - position)) == 0
    }
}

/// Bytes of names in four classes: the sixteen most frequent in five bits, sixteen more in six, capitals and the like in
/// eight, all others in eleven.
private enum NameCode {
    static let common = Array(
        "etaoinsrl dcumhpgybfkvwxjz012&5-ABCDEFGHIJKLMNOPQRSTUVWXYZq34678".utf8)
    /// In the place of a length: the bytes follow as they are.
    static let plain: UInt64 = 63

    static func size(of place: UInt8) -> Int {
        switch place {
        case 0..<16: 5
        case 16..<32: 6
        case 32..<64: 8
        default: 11
        }
    }

    /// By byte; 255 for those that are not common.
    static let places: [UInt8] = {
        var places = [UInt8](repeating: 255, count: 256)
        for (place, byte) in common.enumerated() { places[Int(byte)] = UInt8(place) }
        return places
    }()
}
