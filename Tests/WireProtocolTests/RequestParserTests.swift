// Requests: every split, random bytes, every limit.

import TestKit
import Testing
import WireProtocol

/// Runs a whole stream through a parser in pieces that end at `cuts`; returns the requests and the failure, if any.
private func requests(
    _ stream: [UInt8], cuts: [Int] = [], limits: RequestLimits = RequestLimits()
) -> (requests: [[[UInt8]]], failure: ProtocolError?) {
    var parser = RequestParser(limits: limits)
    var unread: [UInt8] = []
    var found: [[[UInt8]]] = []
    var from = 0
    for end in cuts + [stream.count] {
        unread += stream[from..<end]
        from = end
        while true {
            switch parser.parse(unread.span) {
            case .incomplete: break
            case .failure(let error): return (found, error)
            case .request(let bytes):
                let source = parser.rewritten.isEmpty ? unread : parser.rewritten
                found.append(parser.arguments.map { Array(source[$0]) })
                unread.removeFirst(bytes)
                continue
            }
            break
        }
    }
    return (found, nil)
}

private func text(_ requests: [[[UInt8]]]) -> [[String]] {
    requests.map { $0.map { String(decoding: $0, as: UTF8.self) } }
}

private let sample = Array(
    """
    *1\r\n$4\r\nPING\r\nping\r\n*3\r\n$7\r\nREC.GET\r\n$0\r\n\r\n$3\r\n\r\n\u{0}\r\n*0\r\n\
    \r\necho "a \\x41\\n" 'it\\'s'\n*-1\r\n*2\r\n$4\r\nECHO\r\n$5\r\ngrüß\r\n
    """.utf8)

@Test("requests in both forms come out as they were meant")
func readsBothForms() {
    let (found, failure) = requests(sample)
    #expect(failure == ProtocolError("expected CRLF after bulk"))
    #expect(
        text(found) == [
            ["PING"], ["ping"], ["REC.GET", "", "\r\n\0"], [], [], ["echo", "a A\n", "it's"], [],
        ])
}

@Test("every split of a stream into two or three pieces gives the same requests")
func everySplit() {
    let whole = requests(sample)
    for first in 0...sample.count {
        for second in stride(from: first, through: sample.count, by: 7) {
            let split = requests(sample, cuts: [first, second])
            #expect(split.requests == whole.requests)
            #expect(split.failure == whole.failure)
        }
    }
}

@Test(
    "random bytes, and samples with random damage, never trap",
    arguments: [1, 2, .random(in: 3...(.max))])
func randomBytes(seed: UInt64) {
    var generator = SeededRandom(seed: seed)
    for round in 0..<4_000 {
        var stream = sample
        if round % 2 == 0 {
            stream = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            stream.insert(UInt8(ascii: "*"), at: 0)
        } else {
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: stream.indices, using: &generator)
                stream[at] = UInt8.random(in: 0...255, using: &generator)
            }
        }
        let cut = Int.random(in: 0...stream.count, using: &generator)
        let whole = requests(stream)
        let split = requests(stream, cuts: [cut])
        #expect(whole.requests == split.requests, "seed \(seed), round \(round)")
        #expect(
            whole.failure == split.failure,
            "seed \(seed), round \(round): \(stream) cut at \(cut)")
    }
}

@Test(
    "what breaks a limit or the grammar is told as Redis tells it",
    arguments: [
        ("*x\r\n", "invalid multibulk length"),
        ("*5\r\n", "invalid multibulk length"),
        ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*0000000000000000000000000000", "too big mbulk count string"),
        ("*1\r\n:3\r\n", "expected '$', got ':'"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$33\r\n", "invalid bulk length"),
        ("*1\r\n$00000000000000000000000", "too big bulk count string"),
        ("*1\r\n$1\r\nabc", "expected CRLF after bulk"),
        ("*4\r\n$32\r\n01234567890123456789012345678901\r\n$32\r\n", "too big request"),
        ("0123456789012345678901234567890123456789x", "too big inline request"),
        ("0123456789012345678901234567890123456789x\r\n", "too big inline request"),
        ("a b c d e\r\n", "too big inline request"),
        ("say \"hello\r\n", "unbalanced quotes in request"),
        ("say \"he\"llo\r\n", "unbalanced quotes in request"),
    ])
func limits(stream: String, reason: String) {
    let limits = RequestLimits(
        frameBytesMax: 64, argumentsMax: 4, bulkBytesMax: 32, inlineBytesMax: 40)
    let bytes = Array(stream.utf8)
    #expect(requests(bytes, limits: limits).failure == ProtocolError(reason))
    let bytewise = requests(bytes, cuts: Array(0...bytes.count), limits: limits)
    #expect(bytewise.failure == ProtocolError(reason))
    #expect(ProtocolError(reason).description == "ERR Protocol error: \(reason)")
}
