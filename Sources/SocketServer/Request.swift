// One request, seen in place: arguments are read from the receive buffer when a command asks for them.

import Interactions
import NIOCore
import WireProtocol

struct Request {
    /// Readable bytes begin with the frame, or with the unquoted words of an inline request.
    let buffer: ByteBuffer
    /// Of the frame as it came; 0 for an inline request.
    let frameLength: Int
    /// Relative to the first readable byte; the command's name is the first.
    let arguments: [Range<Int>]

    var count: Int { arguments.count }

    func withFrame<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        body(buffer.readableBytesUInt8Span.extracting(0..<frameLength))
    }

    private func with<Result>(_ index: Int, _ body: (Span<UInt8>) -> Result) -> Result {
        body(buffer.readableBytesUInt8Span.extracting(arguments[index]))
    }

    func bytes(_ index: Int) -> [UInt8] {
        let range = arguments[index]
        return buffer.getBytes(at: buffer.readerIndex + range.lowerBound, length: range.count) ?? []
    }

    /// Nil when the bytes are not UTF-8.
    func text(_ index: Int) -> String? {
        with(index) { span in
            guard let valid = try? UTF8Span(validating: span) else { return nil }
            return String(copying: valid)
        }
    }

    /// For error replies: what is not UTF-8 is replaced, what is long is cut.
    func shown(_ index: Int, bytesMax: Int = 128) -> String {
        String(decoding: bytes(index).prefix(bytesMax), as: UTF8.self)
    }

    var name: PackedName { with(0) { PackedName($0) } }

    /// Whether the argument is this upper-case word, in any case.
    func isWord(_ index: Int, _ word: StaticString) -> Bool {
        with(index) { span in
            guard span.count == word.utf8CodeUnitCount else { return false }
            return word.withUTF8Buffer { letters in
                for at in span.indices where unsafe PackedName.upper(span[at]) != letters[at] {
                    return false
                }
                return true
            }
        }
    }

    func integer(_ index: Int) -> Int? {
        arguments[index].count > 20 ? nil : text(index).flatMap { Int($0) }
    }

    func double(_ index: Int) -> Double? {
        arguments[index].count > 64
            ? nil : text(index).flatMap { Double($0) }.flatMap { $0.isFinite ? $0 : nil }
    }
}

/// A command name of at most 16 bytes in upper case, as two machine words: looked up without making a string.
struct PackedName: Hashable, Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    static let bytesMax = 16

    /// All longer names are equal to each other and to no shorter one.
    init(_ bytes: Span<UInt8>) {
        guard bytes.count <= Self.bytesMax else {
            (low, high) = (.max, .max)
            return
        }
        for index in bytes.indices {
            let byte = UInt64(Self.upper(bytes[index]))
            if index < 8 {
                low |= byte << UInt64(index * 8)
            } else {
                high |= byte << UInt64(index * 8 - 64)
            }
        }
    }

    init(_ text: String) { self.init(Array(text.utf8).span) }

    static func upper(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 32 : byte
    }
}
