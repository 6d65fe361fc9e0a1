// What a server said, as a value: for our own client commands and for tests.

public indirect enum Reply: Sendable, Hashable {
    case simple(String)
    /// With its prefix: `ERR ...`.
    case error(String)
    case integer(Int64)
    case bulk([UInt8])
    case null
    case array([Reply])
    case map([Pair])
    case set([Reply])
    case push([Reply])
    case double(Double)
    case boolean(Bool)
    case verbatim(format: String, [UInt8])
    case bigNumber(String)

    public struct Pair: Sendable, Hashable {
        public var key: Reply
        public var value: Reply

        public init(key: Reply, value: Reply) {
            self.key = key
            self.value = value
        }
    }

    /// The text of a string, error, number or boolean; nil for null and for aggregates.
    public var text: String? {
        switch self {
        case .simple(let text), .error(let text), .bigNumber(let text): text
        case .bulk(let bytes), .verbatim(_, let bytes): String(decoding: bytes, as: UTF8.self)
        case .integer(let value): String(value)
        case .double(let value): ReplyWriter.text(value)
        case .boolean(let value): String(value)
        case .null, .array, .map, .set, .push: nil
        }
    }

    public var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .double(let value): value
        default: text.flatMap(Double.init)
        }
    }

    /// The elements of an array, set or push.
    public var pairs: [Pair]? {
        if case .map(let pairs) = self { pairs } else { nil }
    }

    public var elements: [Reply]? {
        switch self {
        case .array(let elements), .set(let elements), .push(let elements): elements
        default: nil
        }
    }

    /// The value under a key of a map, or of the flat array that RESP2 has in its place.
    public subscript(_ key: String) -> Reply? {
        switch self {
        case .map(let pairs): return pairs.first { $0.key.text == key }?.value
        case .array(let elements):
            let found = stride(from: 0, to: elements.count - 1, by: 2).first {
                elements[$0].text == key
            }
            return found.map { elements[$0 + 1] }
        default: return nil
        }
    }
}

/// Writes requests in the form every server reads.
public enum RequestWriter {
    public static func append(_ arguments: [String], to bytes: inout [UInt8]) {
        append(arguments.map { Array($0.utf8) }, to: &bytes)
    }

    public static func append(_ arguments: [[UInt8]], to bytes: inout [UInt8]) {
        var writer = ReplyWriter()
        writer.array(arguments.count)
        for argument in arguments { writer.bulk(argument) }
        bytes.append(contentsOf: writer.bytes)
    }
}
