// Arguments that nobody would send: whatever they are, the server goes on answering.

import Foundation
import Interactions
import Synchronization
import Testing
import WireProtocol

@testable import SocketServer

@Suite("Fuzz")
struct FuzzTests {
    private static let words: [[UInt8]] =
        [
            "", "0", "-1", "1", "9223372036854775807", "-9223372036854775808", "nan", "1e400", "$",
            "u", "feed:u", "feed:", "feed:*", "[", "*", "1-1", "18446744073709551615-1", "COUNT",
            "BLOCK", "STREAMS", "SESSION", "CANDIDATES", "EXCLUDE", "MODE", "DEADLINE", "ASOF",
            "WITHSCORES", "TS", "ID", "VALUE", "GET", "LEN", "HISTOGRAM", "DOCS", "INFO", "LIST",
            "SETNAME", "SETINFO", "AUTH", "3", "2", "default", "slow", "\r\n",
        ].map { Array($0.utf8) } + [[0xFF, 0xFE], [UInt8](repeating: 0x61, count: 300)]

    @Test("random arguments to every command are answered, and leave the server whole")
    func randomArguments() throws {
        let fixture = try ServerFixture { $0.times.readDeadlineMilliseconds = 50 }
        fixture.service.state.withLock { $0.held = [UserID("slow")].compactMap { $0 } }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let client = try fixture.client()
            for _ in 0..<40 {
                let command = try #require(Command.all.randomElement(using: &generator))
                var request = [Array(command.name.utf8)]
                for _ in 0..<Int.random(in: 0...6) {
                    request.append(try #require(Self.words.randomElement(using: &generator)))
                }
                var bytes: [UInt8] = []
                RequestWriter.append(request, to: &bytes)
                client.send(raw: bytes)
            }
        }
        #expect(try fixture.client().ask("PING") == .simple("PONG"))
        try eventually("no watch is left behind") {
            fixture.service.state.withLock { $0.watched.isEmpty && $0.watchesAll == 0 }
        }
    }

    @Test("random bytes on a connection end in a protocol error or in waiting, never worse")
    func randomBytes() throws {
        let fixture = try ServerFixture()
        for _ in 0..<200 {
            let client = try fixture.client()
            client.send(
                raw: (0..<Int.random(in: 1...200)).map { _ in UInt8.random(in: 0...255) })
        }
        #expect(try fixture.client().ask("PING") == .simple("PONG"))
    }
}
