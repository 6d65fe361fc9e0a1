// RESP: a stream means the same however it is cut, and what is written reads back.

import WireProtocol

extension FuzzTarget {
    static let requests = FuzzTarget(
        "requests",
        seeds: [
            "*1\r\n$4\r\nPING\r\n*3\r\n$7\r\nREC.GET\r\n$2\r\nu1\r\n$0\r\n\r\n", "*0\r\n*-1\r\n",
            "echo \"a \\x41\\n\" 'it\\'s'\r\nPING\n", "*1\r\n$4\r\nPINGxx", "*2\r\n:1\r\n",
            "*9\r\n$1\r\na\r\n", "$5\r\n", "get \"unbalanced\r\n",
            // A count of 22 digits once was told off in other words when its end came later.
            "*1234567890123456789012\r\n",
        ].map { Array($0.utf8) }
    ) { bytes in
        let small = RequestLimits(
            frameBytesMax: 256, argumentsMax: 8, bulkBytesMax: 64, inlineBytesMax: 48)
        for limits in [RequestLimits(), small] {
            let whole = readRequests(bytes, limits: limits)
            for cuts in splits(of: bytes) {
                let split = readRequests(bytes, cuts: cuts, limits: limits)
                try require(split == whole, "cut at \(cuts): \(split), whole: \(whole)")
            }
            for request in whole.requests {
                try require(
                    request.count <= limits.argumentsMax
                        && request.allSatisfy {
                            $0.count <= max(limits.bulkBytesMax, limits.inlineBytesMax)
                        },
                    "a request beyond the limits: \(request)")
                var written: [UInt8] = []
                RequestWriter.append(request, to: &written)
                let again = readRequests(written, limits: RequestLimits())
                try require(again == Requests(requests: [request]), "\(request): \(again)")
            }
        }
    }

    static let replies = FuzzTarget(
        "replies",
        seeds: [
            "+OK\r\n-ERR no\r\n:42\r\n$3\r\nabc\r\n$-1\r\n*-1\r\n", "*2\r\n:1\r\n*1\r\n+x\r\n",
            "%1\r\n+k\r\n~2\r\n#t\r\n#f\r\n", ">2\r\n+message\r\n_\r\n",
            ",1.5\r\n,nan\r\n,-inf\r\n",
            "=8\r\ntxt:text\r\n!5\r\nERR x\r\n(123456789012345678901\r\n",
            "|1\r\n+a\r\n:1\r\n+value\r\n*1\r\n|1\r\n+a\r\n:1\r\n:2\r\n",
            "*0\r\n%0\r\n~0\r\n>0\r\n",
        ].map { Array($0.utf8) }
    ) { bytes in
        let small = ReplyLimits(bulkBytesMax: 64, elementsMax: 16, depthMax: 3, lineBytesMax: 32)
        for limits in [ReplyLimits(), small] {
            let whole = readReplies(bytes, limits: limits)
            for cuts in splits(of: bytes) {
                let split = readReplies(bytes, cuts: cuts, limits: limits)
                try require(split == whole, "cut at \(cuts): \(split), whole: \(whole)")
            }
            // A reply shown by `text` is one that reads back: the texts of what is written are those of what was read.
            for version in [ProtocolVersion.resp3, .resp2] {
                for reply in whole.replies {
                    var writer = ReplyWriter(version: version)
                    write(reply, to: &writer)
                    let again = readReplies(writer.bytes, limits: ReplyLimits(depthMax: 64))
                    try require(
                        again.failure == nil && again.replies.count == 1,
                        "\(reply) in \(version): \(again)")
                    guard version == .resp3 else { continue }
                    let shown = again.replies.map(canonical)
                    try require(shown == [canonical(reply)], "\(reply): \(shown)")
                }
            }
        }
    }
}

private struct Requests: Equatable {
    var requests: [[[UInt8]]] = []
    var failure: ProtocolError?
}

private func readRequests(_ stream: [UInt8], cuts: [Int] = [], limits: RequestLimits) -> Requests {
    var parser = RequestParser(limits: limits)
    var unread: [UInt8] = []
    var found = Requests()
    var from = 0
    for end in cuts + [stream.count] {
        unread += stream[from..<end]
        from = end
        reading: while true {
            switch parser.parse(unread.span) {
            case .incomplete: break reading
            case .failure(let error):
                found.failure = error
                return found
            case .request(let count):
                let source = parser.rewritten.isEmpty ? unread : parser.rewritten
                found.requests.append(parser.arguments.map { Array(source[$0]) })
                unread.removeFirst(count)
            }
        }
    }
    return found
}

private struct Replies: Equatable {
    var replies: [Reply] = []
    var failure: ProtocolError?

    static func == (left: Replies, right: Replies) -> Bool {
        left.failure == right.failure
            && left.replies.map(canonical) == right.replies.map(canonical)
    }
}

private func readReplies(_ stream: [UInt8], cuts: [Int] = [], limits: ReplyLimits) -> Replies {
    var parser = ReplyParser(limits: limits)
    var found = Replies()
    var from = 0
    do throws(ProtocolError) {
        for end in cuts + [stream.count] {
            parser.feed(stream[from..<end].span)
            from = end
            while let reply = try parser.next() { found.replies.append(reply) }
        }
    } catch {
        found.failure = error
    }
    return found
}

/// Tells replies apart by what they hold: NaN equals itself, and what only the server writes (big numbers, errors and
/// texts with line ends) counts as the nearest thing that we write.
private func canonical(_ reply: Reply) -> String {
    switch reply {
    case .simple(let text), .bigNumber(let text): "$\(Array(text.utf8))"
    case .bulk(let bytes), .verbatim(_, let bytes):
        "$\(Array(String(decoding: bytes, as: UTF8.self).utf8))"
    case .error(let text): "-\(Array(text.utf8).map { $0 == 13 || $0 == 10 ? 32 : $0 })"
    case .integer(let value): ":\(value)"
    case .double(let value): ",\(value)"
    case .boolean(let value): "#\(value)"
    case .null: "_"
    case .array(let elements): "*\(elements.map(canonical))"
    case .set(let elements): "~\(elements.map(canonical))"
    case .push(let elements): ">\(elements.map(canonical))"
    case .map(let pairs): "%\(pairs.map { [canonical($0.key), canonical($0.value)] })"
    }
}

private func write(_ reply: Reply, to writer: inout ReplyWriter) {
    switch reply {
    case .simple(let text), .bigNumber(let text): writer.bulk(text)
    case .error(let text): writer.error(text)
    case .integer(let value): writer.integer(value)
    case .bulk(let bytes): writer.bulk(bytes)
    case .null: writer.null()
    case .array(let elements):
        writer.array(elements.count)
        for element in elements { write(element, to: &writer) }
    case .set(let elements):
        writer.set(elements.count)
        for element in elements { write(element, to: &writer) }
    case .push(let elements):
        writer.push(elements.count)
        for element in elements { write(element, to: &writer) }
    case .map(let pairs):
        writer.map(pairs.count)
        for pair in pairs {
            write(pair.key, to: &writer)
            write(pair.value, to: &writer)
        }
    case .double(let value): writer.double(value)
    case .boolean(let value): writer.boolean(value)
    case .verbatim(_, let bytes): writer.verbatim(String(decoding: bytes, as: UTF8.self))
    }
}
