// Replies out of a byte stream, RESP2 and RESP3, incrementally: a stack of open aggregates instead of recursion, so
// that neither depth nor the split of the input can trap.

/// The largest things a reply may hold.
public struct ReplyLimits: Sendable, Hashable {
    public var bulkBytesMax: Int
    /// Elements of one aggregate.
    public var elementsMax: Int
    public var depthMax: Int
    /// A simple string, an error or a number.
    public var lineBytesMax: Int

    public init(
        bulkBytesMax: Int = 64 * 1_024 * 1_024, elementsMax: Int = 1 << 20, depthMax: Int = 16,
        lineBytesMax: Int = 64 * 1_024
    ) {
        self.bulkBytesMax = bulkBytesMax
        self.elementsMax = elementsMax
        self.depthMax = depthMax
        self.lineBytesMax = lineBytesMax
    }
}

public struct ReplyParser: Sendable {
    private enum Kind {
        case array
        case map
        case set
        case push
        /// RESP3 attributes: read and left out.
        case attribute
    }

    private struct Open {
        var kind: Kind
        var remaining: Int
        var elements: [Reply] = []
    }

    private enum Part {
        case value(Reply)
        case open(Kind, Int)
    }

    private var buffer: [UInt8] = []
    private var start = 0
    /// How far a line end was looked for in vain.
    private var searched = 0
    private var stack: [Open] = []
    private let limits: ReplyLimits

    public init(limits: ReplyLimits = ReplyLimits()) { self.limits = limits }

    public mutating func feed(_ bytes: Span<UInt8>) {
        if start > 0 {
            buffer.removeSubrange(0..<start)
            searched = max(0, searched - start)
            start = 0
        }
        for index in bytes.indices { buffer.append(bytes[index]) }
    }

    /// The next whole reply, or nil until more bytes come. After an error the stream is lost.
    public mutating func next() throws(ProtocolError) -> Reply? {
        while let part = try part() {
            switch part {
            case .open(let kind, let count) where count > 0:
                guard stack.count < limits.depthMax else {
                    throw ProtocolError("reply nested deeper than \(limits.depthMax)")
                }
                stack.append(Open(kind: kind, remaining: count))
            case .open(let kind, _):
                guard let value = Self.close(kind, []) else { continue }
                if let whole = settle(value) { return whole }
            case .value(let value):
                if let whole = settle(value) { return whole }
            }
        }
        return nil
    }

    /// Puts a value where it belongs; returns it when it belongs to nothing.
    private mutating func settle(_ value: Reply) -> Reply? {
        var value = value
        while var top = stack.popLast() {
            top.elements.append(value)
            top.remaining -= 1
            guard top.remaining == 0 else {
                stack.append(top)
                return nil
            }
            guard let closed = Self.close(top.kind, top.elements) else { return nil }
            value = closed
        }
        return value
    }

    private static func close(_ kind: Kind, _ elements: [Reply]) -> Reply? {
        switch kind {
        case .array: .array(elements)
        case .set: .set(elements)
        case .push: .push(elements)
        case .attribute: nil
        case .map:
            .map(
                stride(from: 0, to: elements.count - 1, by: 2).map {
                    Reply.Pair(key: elements[$0], value: elements[$0 + 1])
                })
        }
    }

    private mutating func part() throws(ProtocolError) -> Part? {
        guard let line = try line() else { return nil }
        let mark = buffer[start]
        let content = line.lowerBound + 1..<line.upperBound
        let next = line.upperBound + 2
        func text() -> String { String(decoding: buffer[content], as: UTF8.self) }
        switch mark {
        case UInt8(ascii: "+"): return consume(to: next, .simple(text()))
        case UInt8(ascii: "-"): return consume(to: next, .error(text()))
        case UInt8(ascii: "("): return consume(to: next, .bigNumber(text()))
        case UInt8(ascii: "_"): return consume(to: next, .null)
        case UInt8(ascii: "#"): return consume(to: next, .boolean(text() == "t"))
        case UInt8(ascii: ":"):
            guard let value = Int64(text()) else {
                throw ProtocolError("not an integer: \(text())")
            }
            return consume(to: next, .integer(value))
        case UInt8(ascii: ","):
            guard let value = Double(text()) else { throw ProtocolError("not a double: \(text())") }
            return consume(to: next, .double(value))
        case Byte.dollar, UInt8(ascii: "="), UInt8(ascii: "!"):
            return try bulk(mark, length: text(), from: next)
        case Byte.star: return try open(.array, text(), next)
        case UInt8(ascii: "%"): return try open(.map, text(), next)
        case UInt8(ascii: "~"): return try open(.set, text(), next)
        case UInt8(ascii: ">"): return try open(.push, text(), next)
        case UInt8(ascii: "|"): return try open(.attribute, text(), next)
        default: throw ProtocolError("unknown reply type '\(Byte.printable(mark))'")
        }
    }

    /// The line at `start`, without its end.
    private mutating func line() throws(ProtocolError) -> Range<Int>? {
        var at = max(start, searched)
        while at < buffer.count, buffer[at] != Byte.newline { at += 1 }
        searched = at
        guard at - start <= limits.lineBytesMax else { throw ProtocolError("reply line too long") }
        guard at < buffer.count else { return nil }
        guard at > start, buffer[at - 1] == Byte.carriageReturn, at - 1 > start else {
            throw ProtocolError("reply line without type or carriage return")
        }
        return start..<at - 1
    }

    private mutating func consume(to next: Int, _ value: Reply) -> Part {
        start = next
        searched = next
        return .value(value)
    }

    private mutating func bulk(
        _ mark: UInt8, length text: String, from next: Int
    ) throws(ProtocolError) -> Part? {
        guard let length = Int(text), (-1...limits.bulkBytesMax).contains(length) else {
            throw ProtocolError("invalid bulk length \(text)")
        }
        if length == -1 { return consume(to: next, .null) }
        guard next + length + 2 <= buffer.count else { return nil }
        guard buffer[next + length] == Byte.carriageReturn else {
            throw ProtocolError("expected CRLF after bulk")
        }
        let content = Array(buffer[next..<next + length])
        let after = next + length + 2
        switch mark {
        case UInt8(ascii: "!"):
            return consume(to: after, .error(String(decoding: content, as: UTF8.self)))
        case UInt8(ascii: "=") where length >= 4:
            let format = String(decoding: content[..<3], as: UTF8.self)
            return consume(to: after, .verbatim(format: format, Array(content[4...])))
        default: return consume(to: after, .bulk(content))
        }
    }

    private mutating func open(
        _ kind: Kind, _ text: String, _ next: Int
    ) throws(ProtocolError) -> Part {
        guard let count = Int(text), (-1...limits.elementsMax).contains(count) else {
            throw ProtocolError("invalid aggregate length \(text)")
        }
        if count == -1 { return consume(to: next, .null) }
        start = next
        searched = next
        let paired = kind == .map || kind == .attribute
        return .open(kind, paired ? count * 2 : count)
    }
}
