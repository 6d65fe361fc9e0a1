// Replies: what is written is read back in both versions, at every split, and nothing traps.

import Testing
import WireProtocol

private func sampleReplies(_ version: ProtocolVersion) -> [UInt8] {
    var writer = ReplyWriter(version: version)
    writer.simple("OK")
    writer.error("ERR no\r\nway")
    writer.map(2)
    writer.bulk("score")
    writer.double(0.25)
    writer.bulk("none")
    writer.null()
    writer.push(2)
    writer.bulk("message")
    writer.array(0)
    writer.set(1)
    writer.boolean(true)
    writer.nullArray()
    writer.verbatim("# Server\r\n")
    writer.integer(Int64.min)
    writer.bulk([0, 13, 10, 255])
    return writer.bytes
}

private func replies(_ stream: [UInt8], cuts: [Int] = []) throws -> [Reply] {
    var parser = ReplyParser(
        limits: ReplyLimits(bulkBytesMax: 1_000, elementsMax: 100, depthMax: 3, lineBytesMax: 100))
    var found: [Reply] = []
    var from = 0
    for end in cuts + [stream.count] {
        parser.feed(Array(stream[from..<end]).span)
        from = end
        while let reply = try parser.next() { found.append(reply) }
    }
    return found
}

@Test("RESP3 replies keep their types")
func resp3() throws {
    #expect(
        try replies(sampleReplies(.resp3)) == [
            .simple("OK"), .error("ERR no  way"),
            .map([
                Reply.Pair(key: .bulk(Array("score".utf8)), value: .double(0.25)),
                Reply.Pair(key: .bulk(Array("none".utf8)), value: .null),
            ]),
            .push([.bulk(Array("message".utf8)), .array([])]), .set([.boolean(true)]), .null,
            .verbatim(format: "txt", Array("# Server\r\n".utf8)), .integer(.min),
            .bulk([0, 13, 10, 255]),
        ])
}

@Test("RESP2 says the same with flat arrays and strings")
func resp2() throws {
    let found = try replies(sampleReplies(.resp2))
    #expect(
        found[2]
            == .array([
                .bulk(Array("score".utf8)), .bulk(Array("0.25".utf8)), .bulk(Array("none".utf8)),
                .null,
            ]))
    #expect(found[2]["score"]?.number == 0.25)
    #expect(found[3] == .array([.bulk(Array("message".utf8)), .array([])]))
    #expect(found[4] == .array([.integer(1)]))
    #expect(found[6] == .bulk(Array("# Server\r\n".utf8)))
}

@Test("every split of a reply stream gives the same replies", arguments: [2, 3])
func everySplit(version: Int) throws {
    let stream = sampleReplies(try #require(ProtocolVersion(rawValue: version)))
    let whole = try replies(stream)
    for cut in 0...stream.count { #expect(try replies(stream, cuts: [cut]) == whole) }
    #expect(try replies(stream, cuts: Array(0...stream.count)) == whole)
}

@Test("doubles are written the way Redis writes them")
func doubles() {
    let cases: [(Double, String)] = [
        (3, "3"), (-3, "-3"), (0.1, "0.1"), (-0.0, "-0"), (1e300, "1e+300"), (.infinity, "inf"),
        (-.infinity, "-inf"), (.nan, "nan"),
    ]
    for (value, text) in cases { #expect(ReplyWriter.text(value) == text) }
}

@Test(
    "replies beyond a limit, or no replies at all, are refused",
    arguments: [
        "*101\r\n", "$1001\r\n", "$-2\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n", "?\r\n", ":x\r\n", ",x\r\n",
        "\r\n", "+no carriage return\n", "$1\r\nabc\r\n",
    ])
func refused(stream: String) {
    #expect(throws: ProtocolError.self) { try replies(Array(stream.utf8)) }
    #expect(throws: ProtocolError.self) {
        try replies([UInt8](repeating: UInt8(ascii: "+"), count: 102))
    }
}

@Test("attributes are left out")
func attributes() throws {
    let stream = "*2\r\n|1\r\n+ttl\r\n:3600\r\n:1\r\n:2\r\n|0\r\n+x\r\n"
    #expect(
        try replies(Array(stream.utf8)) == [.array([.integer(1), .integer(2)]), .simple("x")])
}

@Test("damaged reply streams never trap")
func damage() {
    for version in [ProtocolVersion.resp2, .resp3] {
        let sample = sampleReplies(version)
        for _ in 0..<3_000 {
            var stream = sample
            for _ in 0..<Int.random(in: 1...5) {
                stream[Int.random(in: stream.indices)] = UInt8.random(in: 0...255)
            }
            _ = try? replies(stream, cuts: [Int.random(in: 0...stream.count)])
        }
    }
}

@Test("a request written is a request read")
func requestRoundTrip() {
    var bytes: [UInt8] = []
    RequestWriter.append(["REC.GET", "ü ser", ""], to: &bytes)
    var parser = RequestParser()
    #expect(parser.parse(bytes.span) == .request(bytes: bytes.count))
    let words = parser.arguments.map { String(decoding: bytes[$0], as: UTF8.self) }
    #expect(words == ["REC.GET", "ü ser", ""])
}
