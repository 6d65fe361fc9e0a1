// Element types of safetensors files. Only the floats are converted; the others are known so that a file that holds
// one beside the weights can be checked.

/// An element type, by its name in the header.
public enum TensorType: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case u8 = "U8"
    case i8 = "I8"
    case f8e5m2 = "F8_E5M2"
    case f8e4m3 = "F8_E4M3"
    case i16 = "I16"
    case u16 = "U16"
    case f16 = "F16"
    case bf16 = "BF16"
    case i32 = "I32"
    case u32 = "U32"
    case f32 = "F32"
    case i64 = "I64"
    case u64 = "U64"
    case f64 = "F64"

    public var byteCount: Int {
        switch self {
        case .bool, .u8, .i8, .f8e5m2, .f8e4m3: 1
        case .i16, .u16, .f16, .bf16: 2
        case .i32, .u32, .f32: 4
        case .i64, .u64, .f64: 8
        }
    }

    /// Whether `decode` can read it.
    public var isReadable: Bool { self == .f32 || self == .f16 || self == .bf16 }

    /// Little-endian `bytes` to floats: as many as `floats` has room for from `start` on. Exact for all three types.
    func decode(_ bytes: [UInt8], into floats: inout MutableSpan<Float>, from start: Int) {
        precondition(isReadable, "\(rawValue) is not converted")
        let raw = unsafe bytes.span.bytes  // numbers have no invalid bytes
        let count = raw.byteCount / byteCount
        precondition(start + count <= floats.count, "room for \(count) numbers")
        switch self {
        case .f32:
            for index in 0..<count {
                let bits = unsafe raw.unsafeLoadUnaligned(
                    fromByteOffset: index * 4, as: UInt32.self)
                floats[start + index] = Float(bitPattern: UInt32(littleEndian: bits))
            }
        case .bf16:
            for index in 0..<count {
                let bits = unsafe raw.unsafeLoadUnaligned(
                    fromByteOffset: index * 2, as: UInt16.self)
                floats[start + index] = Float(
                    bitPattern: UInt32(UInt16(littleEndian: bits)) << 16)
            }
        default:
            for index in 0..<count {
                let bits = unsafe raw.unsafeLoadUnaligned(
                    fromByteOffset: index * 2, as: UInt16.self)
                floats[start + index] = Float(Float16(bitPattern: UInt16(littleEndian: bits)))
            }
        }
    }

    /// Little-endian bytes of `floats`, rounded to the nearest, ties to even.
    func encode(_ floats: ArraySlice<Float>) -> [UInt8] {
        precondition(isReadable, "\(rawValue) is not written")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(floats.count * byteCount)
        for float in floats {
            switch self {
            case .f32: Self.append(float.bitPattern, 4, to: &bytes)
            case .bf16: Self.append(UInt32(Self.bfloat16(float)), 2, to: &bytes)
            default: Self.append(UInt32(Float16(float).bitPattern), 2, to: &bytes)
            }
        }
        return bytes
    }

    private static func append(_ bits: UInt32, _ count: Int, to bytes: inout [UInt8]) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * index))) }
    }

    private static func bfloat16(_ float: Float) -> UInt16 {
        if float.isNaN { return 0x7FC0 }
        let bits = float.bitPattern
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }
}
