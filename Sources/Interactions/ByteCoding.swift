// Bytes of our own stored formats: little-endian words and LEB128 varints, written and read with every length
// checked.

/// Appends values to an array of bytes.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8]

    public init(reserving capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    public mutating func word64(_ value: UInt64) {
        var rest = value
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest &>>= 8
        }
    }

    /// Each as `word64` writes it.
    public mutating func words64(_ values: [UInt64]) {
        append(atMost: 8 * values.count) { (room: consuming MutableRawSpan) in
            var place = 0
            for value in values { room.word64(value, at: &place) }
            return place
        }
    }

    /// Unsigned LEB128: 7 bits a byte, 1 to 10 bytes.
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Zigzag: small magnitudes of either sign stay short.
    public mutating func signed(_ value: Int64) {
        varint(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
    }

    /// Appends what `write` puts into room for `count` bytes, from its start to the place that it returns: whether
    /// there is room, and whether others hold the bytes, is asked once for all of it.
    @inline(__always)
    mutating func append(atMost count: Int, _ write: (consuming MutableRawSpan) -> Int) {
        bytes.append(addingCapacity: count) { out in
            out.append(repeating: 0, count: count)
            var span = out.mutableSpan
            // Any byte is a UInt8.
            let room = unsafe span.mutableBytes
            let used = write(room)
            out.removeLast(count - used)
        }
    }

    public mutating func append(_ other: [UInt8]) { bytes.append(contentsOf: other) }

    public mutating func append(_ other: ArraySlice<UInt8>) { bytes.append(contentsOf: other) }

    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
}

/// The same into room that is there, at a place that moves on.
extension MutableRawSpan {
    @inline(__always)
    mutating func byte(_ value: UInt8, at place: inout Int) {
        storeBytes(of: value, toByteOffset: place, as: UInt8.self)
        place += 1
    }

    @inline(__always)
    mutating func word64(_ value: UInt64, at place: inout Int) {
        storeBytes(of: value.littleEndian, toByteOffset: place, as: UInt64.self)
        place += 8
    }

    @inline(__always)
    mutating func signed(_ value: Int64, at place: inout Int) {
        var rest = UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80, at: &place)
            rest &>>= 7
        }
        byte(UInt8(truncatingIfNeeded: rest), at: &place)
    }
}

/// Stored bytes that cannot be read: damaged, or written by a newer version.
public struct MalformedBytes: Error, Sendable, Hashable, CustomStringConvertible {
    public var reason: String

    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}

/// Reads values from bytes of unknown origin; whatever is wrong is thrown, never trapped.
public struct ByteReader {
    private let bytes: [UInt8]
    public private(set) var position = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var remaining: Int { bytes.count - position }

    public mutating func byte() throws(MalformedBytes) -> UInt8 {
        guard position < bytes.count else { throw MalformedBytes("ends too early") }
        defer { position += 1 }
        return bytes[position]
    }

    public mutating func skip(_ count: Int) throws(MalformedBytes) {
        guard count >= 0, remaining >= count else { throw MalformedBytes("ends too early") }
        position += count
    }

    public mutating func word64() throws(MalformedBytes) -> UInt64 {
        guard remaining >= 8 else { throw MalformedBytes("ends too early") }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[position + index]) &<< UInt64(8 * index) }
        position += 8
        return value
    }

    public mutating func varint() throws(MalformedBytes) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw MalformedBytes("a number is too long") }
            value |= UInt64(next & 0x7F) &<< shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    public mutating func signed() throws(MalformedBytes) -> Int64 {
        let raw = try varint()
        return Int64(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
    }

    /// A varint that must lie in 0...limit.
    public mutating func count(max limit: Int) throws(MalformedBytes) -> Int {
        let value = try varint()
        guard value <= UInt64(limit) else {
            throw MalformedBytes("a count of \(value) where at most \(limit) is possible")
        }
        return Int(value)
    }

    public mutating func array(count: Int) throws(MalformedBytes) -> [UInt8] {
        guard count >= 0, remaining >= count else { throw MalformedBytes("ends too early") }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }
}
