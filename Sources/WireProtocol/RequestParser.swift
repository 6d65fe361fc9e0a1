// RESP requests out of a byte stream: multi-bulk (`*2\r\n$4\r\n...`) as libraries send them, and the inline form
// people type.
//
// The parser owns no bytes. It is shown the unread bytes from the start of the current frame, remembers how far it
// got, and is shown them again, longer, when more have come: nothing is scanned twice and no argument is copied.
// Whatever the input, it answers "more", "a request of so many bytes" or one of Redis' protocol errors, after which
// the stream is lost.

/// The largest things a request may hold.
public struct RequestLimits: Sendable, Hashable {
    /// A whole multi-bulk request with its headers.
    public var frameBytesMax: Int
    /// Command name and arguments together.
    public var argumentsMax: Int
    /// One argument.
    public var bulkBytesMax: Int
    /// One inline request without its line end; also the longest header line.
    public var inlineBytesMax: Int

    public init(
        frameBytesMax: Int = 2 * 1_024 * 1_024, argumentsMax: Int = 4_096,
        bulkBytesMax: Int = 1_024 * 1_024, inlineBytesMax: Int = 64 * 1_024
    ) {
        self.frameBytesMax = frameBytesMax
        self.argumentsMax = argumentsMax
        self.bulkBytesMax = bulkBytesMax
        self.inlineBytesMax = inlineBytesMax
    }
}

/// Why a request stream cannot be read on; `description` is the reply to send before closing.
public struct ProtocolError: Error, Sendable, Hashable, CustomStringConvertible {
    public var reason: String

    public init(_ reason: String) { self.reason = reason }
    public var description: String { "ERR Protocol error: \(reason)" }
}

/// Finds the end and the arguments of one request after the other.
public struct RequestParser: Sendable {
    public enum Outcome: Sendable, Hashable {
        /// The bytes so far are the beginning of a request.
        case incomplete
        /// A request in the first `bytes` bytes; `arguments` says where. None means an empty request, to be skipped.
        case request(bytes: Int)
        case failure(ProtocolError)
    }

    /// Where the arguments of the request just found lie: in the frame, or in `rewritten` when that is not empty.
    public private(set) var arguments: [Range<Int>] = []
    /// The arguments of an inline request, unquoted, one after the other.
    public private(set) var rewritten: [UInt8] = []

    public let limits: RequestLimits
    /// Bytes of the frame that need not be looked at again.
    private var scanned = 0
    /// Arguments still to come; nil before the multi-bulk header was read.
    private var remaining: Int?
    /// Length of the bulk whose bytes come next; nil before its header was read.
    private var bulkLength: Int?
    /// The frame found last is over: the next call starts a new one.
    private var finished = false

    public init(limits: RequestLimits = RequestLimits()) { self.limits = limits }

    /// Looks for a request at the start of `bytes`, which begin with the same frame as at the last call unless that
    /// call found its end.
    public mutating func parse(_ bytes: Span<UInt8>) -> Outcome {
        if finished { reset() }
        guard bytes.count > 0 else { return .incomplete }
        let outcome = bytes[0] == Byte.star ? multiBulk(bytes) : inline(bytes)
        if outcome != .incomplete { finished = true }
        return outcome
    }

    private mutating func reset() {
        arguments.removeAll(keepingCapacity: true)
        if !rewritten.isEmpty { rewritten = [] }
        scanned = 0
        remaining = nil
        bulkLength = nil
        finished = false
    }

    // MARK: - Multi-bulk

    private mutating func multiBulk(_ bytes: Span<UInt8>) -> Outcome {
        if remaining == nil {
            switch header(bytes, from: 1, tooLong: "too big mbulk count string") {
            case .more: return .incomplete
            case .failed(let error): return .failure(error)
            case .value(let count, let next):
                guard let count, count <= limits.argumentsMax else {
                    return .failure(ProtocolError("invalid multibulk length"))
                }
                scanned = next
                remaining = max(0, count)
            }
        }
        while let left = remaining, left > 0 {
            if let stop = bulk(bytes) { return stop }
            remaining = left - 1
        }
        return .request(bytes: scanned)
    }

    /// Reads one bulk; returns why it could not.
    private mutating func bulk(_ bytes: Span<UInt8>) -> Outcome? {
        if bulkLength == nil {
            guard scanned < bytes.count else { return .incomplete }
            let first = bytes[scanned]
            guard first == Byte.dollar else {
                return .failure(ProtocolError("expected '$', got '\(Byte.printable(first))'"))
            }
            switch header(bytes, from: scanned + 1, tooLong: "too big bulk count string") {
            case .more: return .incomplete
            case .failed(let error): return .failure(error)
            case .value(let length, let next):
                guard let length, (0...limits.bulkBytesMax).contains(length) else {
                    return .failure(ProtocolError("invalid bulk length"))
                }
                guard next + length + 2 <= limits.frameBytesMax else {
                    return .failure(ProtocolError("too big request"))
                }
                scanned = next
                bulkLength = length
            }
        }
        guard let length = bulkLength else { return .incomplete }
        let end = scanned + length
        guard end + 2 <= bytes.count else { return .incomplete }
        guard bytes[end] == Byte.carriageReturn, bytes[end + 1] == Byte.newline else {
            return .failure(ProtocolError("expected CRLF after bulk"))
        }
        arguments.append(scanned..<end)
        scanned = end + 2
        bulkLength = nil
        return nil
    }

    private enum Header {
        case more
        case failed(ProtocolError)
        /// The number, nil when it is none, and where the next line begins.
        case value(Int?, next: Int)
    }

    /// Reads `digits CR LF`.
    private func header(_ bytes: Span<UInt8>, from start: Int, tooLong: String) -> Header {
        let number = DecimalLine(bytes, from: start)
        switch number.end {
        case .found(let next): return .value(number.value, next: next)
        case .missing:
            let seen = bytes.count - start
            return seen > DecimalLine.bytesMax ? .failed(ProtocolError(tooLong)) : .more
        }
    }

    // MARK: - Inline

    private mutating func inline(_ bytes: Span<UInt8>) -> Outcome {
        var at = scanned
        while at < bytes.count, bytes[at] != Byte.newline { at += 1 }
        scanned = at
        let tooBig = Outcome.failure(ProtocolError("too big inline request"))
        guard at < bytes.count else { return at > limits.inlineBytesMax ? tooBig : .incomplete }
        guard at <= limits.inlineBytesMax else { return tooBig }
        let end = at > 0 && bytes[at - 1] == Byte.carriageReturn ? at - 1 : at
        guard let words = InlineWords(bytes.extracting(0..<end)) else {
            return .failure(ProtocolError("unbalanced quotes in request"))
        }
        guard words.ranges.count <= limits.argumentsMax else { return tooBig }
        arguments = words.ranges
        rewritten = words.bytes
        return .request(bytes: at + 1)
    }
}
