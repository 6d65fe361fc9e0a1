// Order, limits, rights, deadlines, feeds, slow readers, stopping.

import Foundation
import Interactions
import Ports
import Synchronization
import Testing
import WireProtocol

@testable import SocketServer

@Suite("Behaviour")
struct BehaviourTests {
    @Test("pipelined replies keep the order of requests, whatever takes how long")
    func order() throws {
        let fixture = try ServerFixture()
        fixture.service.state.withLock { $0.held = [UserID("slow")].compactMap { $0 } }
        let client = try fixture.client()
        client.send("REC.GET", "slow", "COUNT", "1")
        client.send("PING")
        client.send("REC.GET", "u", "COUNT", "1")
        client.send("ECHO", "end")
        try eventually("both were asked") {
            fixture.service.state.withLock { $0.recommendCalls } == 2
        }
        fixture.service.release()
        #expect(try client.receive()?.texts == ["slow-0"])
        #expect(try client.receive() == .simple("PONG"))
        #expect(try client.receive()?.texts == ["u-0"])
        #expect(try client.receive() == .text("end"))
    }

    @Test("a full pipeline stops reading, and goes on when replies have left")
    func pipelineLimit() throws {
        let fixture = try ServerFixture {
            $0.limits.pipelineMax = 4
            $0.limits.cacheBytesMax = 0
        }
        fixture.service.state.withLock { $0.held = [UserID("slow")].compactMap { $0 } }
        let client = try fixture.client()
        for _ in 0..<10 { client.send("REC.GET", "slow", "COUNT", "1") }
        for answered in stride(from: 4, through: 12, by: 4) {
            let expected = min(answered, 10)
            try eventually("\(expected) requests were taken up") {
                fixture.service.state.withLock { $0.recommendCalls } == expected
            }
            fixture.service.release()
        }
        for _ in 0..<10 { #expect(try client.receive()?.texts == ["slow-0"]) }
    }

    @Test("a request not answered by its deadline is told once, and its late reply is dropped")
    func deadline() throws {
        let fixture = try ServerFixture()
        fixture.service.state.withLock { $0.held = [UserID("slow")].compactMap { $0 } }
        let client = try fixture.client()
        #expect(
            try client.ask("REC.GET", "slow", "DEADLINE", "20")
                == .error("TIMEOUT 'rec.get' was not answered by its deadline; try again"))
        fixture.service.release()
        #expect(try client.ask("REC.GET", "u", "COUNT", "1").texts == ["u-0"])
        let info = try client.ask("INFO", "stats").text ?? ""
        #expect(info.contains("request_timeouts:1\r\n"))
        #expect(info.contains("late_replies_dropped:1\r\n"))
    }

    @Test("the same request is answered from the cache until the user changes")
    func cache() throws {
        let fixture = try ServerFixture { $0.times.cacheStalenessMilliseconds = 60_000 }
        let client = try fixture.client()
        let calls = { fixture.service.state.withLock { $0.recommendCalls } }
        let first = try client.ask("REC.GET", "u", "COUNT", "3")
        #expect(try client.ask("REC.GET", "u", "COUNT", "3") == first)
        #expect(calls() == 1)
        _ = try client.ask("REC.GET", "u", "COUNT", "4")
        #expect(calls() == 2)
        _ = try client.ask("HELLO", "3")
        _ = try client.ask("REC.GET", "u", "COUNT", "3")
        #expect(calls() == 3)
        fixture.service.state.withLock { $0.version += 1 }
        _ = try client.ask("REC.GET", "u", "COUNT", "3")
        #expect(calls() == 4)
        _ = try client.ask("REC.GET", "u", "ASOF")
        _ = try client.ask("REC.GET", "u", "ASOF")
        #expect(calls() == 6)
    }

    @Test("the cache never exceeds its bytes, and keeps what is used")
    func cacheBound() throws {
        var cache = ReplyCache(bytesMax: 64 * 1_024)
        let someone = try user("u")
        func entry(_ name: String) -> (UInt64, ReplyCache.Entry) {
            let request = Array(name.utf8)
            return (
                ReplyCache.key(request.span, .resp2),
                ReplyCache.Entry(
                    request: request, reply: [UInt8](repeating: 0, count: 700), user: someone,
                    rung: "cf", version: 1, storedSeconds: 0)
            )
        }
        let (key, used) = entry("used")
        cache.insert(used, key)
        for index in 0..<1_000 {
            let (key, value) = entry("other \(index)")
            cache.insert(value, key)
            #expect(cache.bytes <= 64 * 1_024)
            let name = Array("used".utf8)
            #expect(cache.find(ReplyCache.key(name.span, .resp2), name.span) != nil)
        }
        #expect(cache.count > 30)
    }

    @Test("further connections than the limit are told and closed")
    func connectionLimit() throws {
        let fixture = try ServerFixture { $0.limits.connectionsMax = 1 }
        let first = try fixture.client()
        #expect(try first.ask("PING") == .simple("PONG"))
        let second = try fixture.client()
        #expect(try second.receive() == .error("ERR max number of clients reached"))
        #expect(try second.receive() == nil)
    }

    @Test(
        "malformed input gets Redis' error and a close, after the replies before it",
        arguments: ["*x\r\n", "*1\r\n:1\r\n", "*1\r\n$-5\r\n", "x \"y\r\n"])
    func malformed(input: String) throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        client.send(raw: Array(("PING\r\n" + input + "PING\r\n").utf8))
        #expect(try client.receive() == .simple("PONG"))
        guard case .error(let text)? = try client.receive() else { throw TestFailure("no error") }
        #expect(text.hasPrefix("ERR Protocol error: "))
        #expect(try client.receive() == nil)
    }

    @Test("a reader who never reads his replies stops being read, then is closed at the hard limit")
    func outputLimit() throws {
        let fixture = try ServerFixture {
            $0.limits.outputSoftBytesMax = 64 * 1_024
            $0.limits.outputHardBytesMax = 1_024 * 1_024
        }
        fixture.service.state.withLock {
            $0.held = [UserID("u")].compactMap { $0 }
            $0.listBytes = 200
        }
        let client = try fixture.client()
        for _ in 0..<50 { client.send("REC.GET", "u", "COUNT", "1000") }
        try eventually("all were asked") {
            fixture.service.state.withLock { $0.recommendCalls } == 50
        }
        fixture.service.release()
        let other = try fixture.client()
        try eventually("the limit closed it") {
            try other.ask("INFO", "stats").text?
                .contains("client_output_limit_disconnections:1") == true
        }
    }

    @Test("rights decide: the refusal names the right and how to get it")
    func rights() throws {
        let rules = AccessRules(
            read: Principals(groups: [20]), write: Principals(users: [7]), admin: .nobody)
        func right(_ uid: UInt32, _ groups: [UInt32]) -> Right {
            rules.right(of: Peer(process: 1, user: uid, groups: groups), ownUser: 99)
        }
        #expect(right(0, []) == .admin)
        #expect(right(99, []) == .admin)
        #expect(right(7, []) == .write)
        #expect(right(8, [5, 20]) == .read)
        #expect(right(8, [5]) == .none)
        #expect(
            rules.refusal(
                of: "event.add", needs: .write, peer: Peer(process: 1, user: 8, groups: []))
                == "NOPERM uid 8 has no 'write' right, which 'event.add' needs; "
                + "add the uid, or one of its groups, to socket.access.write")
    }

    @Test(
        "another uid is refused what it has no right to, and may still say PING",
        .enabled(if: geteuid() == 0, "needs root to become somebody else"))
    func otherUser() throws {
        let fixture = try ServerFixture {
            if case .path(let path, _, _) = $0.address { $0.address = .path(path, mode: 0o666) }
            $0.access = AccessRules(read: .everyone, write: .nobody)
        }
        unsafe chmod(fixture.folder, 0o755)
        let output = try run(
            "setpriv",
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", "redis-cli", "-s",
                fixture.path,
            ], input: "PING\nREC.GET u COUNT 1\nEVENT.ADD u i view\nUSER.FORGET u\n")
        #expect(output.contains("PONG") && output.contains("u-0"))
        #expect(output.contains("NOPERM uid 65534 has no 'write' right, which 'event.add' needs"))
        #expect(output.contains("NOPERM uid 65534 has no 'admin' right, which 'user.forget' needs"))
    }

    @Test("stopping answers what was accepted, then closes and removes the file")
    func stop() throws {
        let fixture = try ServerFixture()
        fixture.service.state.withLock { $0.held = [UserID("slow")].compactMap { $0 } }
        let busy = try fixture.client()
        let blocked = try fixture.client()
        busy.send("REC.GET", "slow", "COUNT", "1")
        blocked.send("XREAD", "BLOCK", "0", "STREAMS", "feed:u", "$")
        try eventually("both wait") {
            fixture.service.state.withLock { $0.recommendCalls == 1 && $0.watched.count == 1 }
        }
        let done = DispatchSemaphore(value: 0)
        fixture.server.stop(withinMilliseconds: 5_000) { done.signal() }
        #expect(try blocked.receive() == .null)
        #expect(try blocked.receive() == nil)
        fixture.service.release()
        #expect(try busy.receive()?.texts == ["slow-0"])
        #expect(try busy.receive() == nil)
        #expect(done.wait(timeout: .now() + 10) == .success)
        #expect(!FileManager.default.fileExists(atPath: fixture.path))
        #expect(throws: TestFailure.self) { try fixture.client() }
    }

    @Test("stopping does not wait longer than its limit")
    func stopLimit() throws {
        let fixture = try ServerFixture()
        fixture.service.state.withLock { $0.held = [UserID("slow")].compactMap { $0 } }
        let busy = try fixture.client()
        busy.send("REC.GET", "slow")
        try eventually("asked") { fixture.service.state.withLock { $0.recommendCalls } == 1 }
        fixture.stop(withinMilliseconds: 50)
        #expect(try busy.receive() == nil)
    }
}
