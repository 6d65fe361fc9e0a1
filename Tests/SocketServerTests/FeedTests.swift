// Feeds: reading, waiting, subscribing, and what a slow reader gets.

import Foundation
import Interactions
import Ports
import Synchronization
import Testing
import WireProtocol

@testable import SocketServer

/// A number of `INFO stats`.
private func statistic(_ key: String, _ fixture: ServerFixture) throws -> Int {
    let info = try fixture.client().ask("INFO", "stats").text ?? ""
    return info.split(separator: "\r\n").first { $0.hasPrefix(key + ":") }
        .flatMap { Int($0.dropFirst(key.count + 1)) } ?? 0
}

/// The `skipped` at the end of a message.
private func skipped(_ message: String) -> Int {
    let tail = message.split(separator: "\"skipped\":").last?.dropLast() ?? ""
    return Int(tail) ?? 0
}

@Suite("Feeds")
struct FeedTests {
    @Test("XREAD returns what is newer, waits for what comes, and gives up in time")
    func xread() throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        let someone = try user("u")
        #expect(try client.ask("XREAD", "STREAMS", "feed:u", "$") == .null)
        fixture.service.publish(someone, ["a", "b"])
        let read = try client.ask("XREAD", "COUNT", "5", "STREAMS", "feed:u", "0")
        let stream = try #require(read.elements?.first?.elements)
        #expect(stream[0] == .text("feed:u"))
        let entry = try #require(stream[1].elements?.first?.elements)
        #expect(entry[0] == .text("7-1"))
        #expect(entry[1]["items"] == .text("[\"a\",\"b\"]"))
        #expect(try client.ask("XREAD", "BLOCK", "30", "STREAMS", "feed:u", "7-1") == .null)

        client.send("XREAD", "BLOCK", "0", "STREAMS", "feed:u", "feed:v", "7-1", "$")
        client.send("PING")
        try eventually("both are watched") {
            fixture.service.state.withLock { $0.watched.count } == 2
        }
        fixture.service.publish(try user("v"), ["c"])
        let woken = try client.receive()
        #expect(woken?.elements?.first?.elements?[0] == .text("feed:v"))
        #expect(try client.receive() == .simple("PONG"))
        #expect(fixture.service.state.withLock { $0.watched.isEmpty })
        _ = try client.ask("HELLO", "3")
        let map = try client.ask("XREAD", "STREAMS", "feed:u", "0")
        #expect(map["feed:u"]?.elements?.count == 1)
    }

    @Test("a client that goes away while it waits is noticed")
    func goneWhileBlocked() throws {
        let fixture = try ServerFixture()
        var client: TestClient? = try fixture.client()
        client?.send("XREAD", "BLOCK", "0", "STREAMS", "feed:u", "$")
        try eventually("watched") { fixture.service.state.withLock { $0.watched.count } == 1 }
        client = nil
        try eventually("no longer watched") {
            fixture.service.state.withLock { $0.watched.isEmpty }
        }
    }

    @Test("subscribers hear of changes: an array in RESP2, a push in RESP3", arguments: [2, 3])
    func subscribe(version: Int) throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        if version == 3 { _ = try client.ask("HELLO", "3") }
        func message(_ parts: [Reply]) -> Reply { version == 3 ? .push(parts) : .array(parts) }
        #expect(
            try client.ask("SUBSCRIBE", "feed:u")
                == message([.text("subscribe"), .text("feed:u"), .integer(1)]))
        fixture.service.publish(try user("u"), ["a"])
        let heard = try #require(try client.receive()?.elements)
        #expect(heard[0] == .text("message") && heard[1] == .text("feed:u"))
        #expect(heard[2].text?.contains("\"items\":[\"a\"]") == true)
        #expect(heard[2].text?.contains("\"skipped\":0") == true)
        let get = try client.ask("REC.GET", "u")
        if version == 2 {
            #expect(get.text?.hasPrefix("ERR Can't execute 'rec.get': only (P|S)SUB") == true)
            #expect(try client.ask("PING").texts == ["pong", ""])
        } else {
            #expect(get.elements?.count == 20)
        }
        #expect(
            try client.ask("UNSUBSCRIBE")
                == message([.text("unsubscribe"), .text("feed:u"), .integer(0)]))
        #expect(fixture.service.state.withLock { $0.watched.isEmpty })
    }

    @Test("patterns hear of every user, lists or not")
    func patterns() throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        _ = try client.ask("PSUBSCRIBE", "feed:a*")
        fixture.service.publish(try user("bob"), ["x"])
        fixture.service.publish(try user("ann"), ["x"])
        let heard = try #require(try client.receive()?.texts)
        #expect(heard[0..<3] == ["pmessage", "feed:a*", "feed:ann"])
        #expect(heard[3] == "{\"partition\":3,\"offset\":42,\"skipped\":0}")
        #expect(try client.ask("PUNSUBSCRIBE").texts == ["punsubscribe", "feed:a*", "0"])
        #expect(fixture.service.state.withLock { $0.watchesAll } == 0)
    }

    @Test("a slow subscriber gets the newest list and is told how many it missed")
    func slowSubscriber() throws {
        let fixture = try ServerFixture { $0.limits.outputSoftBytesMax = 16 * 1_024 }
        let client = try fixture.client()
        _ = try client.ask("SUBSCRIBE", "feed:u")
        let someone = try user("u")
        let ids = (0..<400).map { "item-\($0)" }
        for _ in 0..<2_000 { fixture.service.publish(someone, ids) }
        fixture.service.publish(someone, ["last"])
        try eventually("all were handed over") {
            try statistic("messages_sent", fixture) + statistic("messages_coalesced", fixture)
                >= 2_000
        }
        var received = 0
        var missed = 0
        while let text = try client.receive()?.elements?[2].text {
            received += 1
            missed += skipped(text)
            if text.contains("\"last\"") { break }
        }
        #expect(received + missed == 2_001)
        #expect(missed > 0)
    }

    @Test("pattern readers beyond their limit of waiting users are told how many they missed")
    func hintLimit() throws {
        let fixture = try ServerFixture {
            $0.limits.outputSoftBytesMax = 4 * 1_024
            $0.limits.hintsMax = 5
        }
        let client = try fixture.client()
        _ = try client.ask("PSUBSCRIBE", "feed:*")
        for index in 0..<20_000 { fixture.service.publish(try user("user \(index)"), []) }
        try eventually("some were dropped") { try statistic("hints_dropped", fixture) > 0 }
        fixture.service.publish(try user("last but one"), [])
        var received = 0
        var missed = 0
        var asked = false
        while received + missed < 20_002, let text = try client.receive()?.elements?[3].text {
            received += 1
            missed += skipped(text)
            if !asked, received > 1_000 || missed > 0 {
                asked = true
                fixture.service.publish(try user("last"), [])
            }
        }
        #expect(missed > 0)
    }

    @Test("a connection has a limit of subscriptions, a read one of entries")
    func limits() throws {
        let fixture = try ServerFixture {
            $0.limits.subscriptionsMax = 2
            $0.limits.feedEntriesMax = 3
        }
        let client = try fixture.client()
        _ = try client.ask("HELLO", "3")
        #expect(
            try client.ask("SUBSCRIBE", "feed:a", "feed:b", "feed:c")
                == .error("ERR a connection may have 2 subscriptions; use another one"))
        _ = try client.ask("PSUBSCRIBE", "feed:x*")
        _ = try client.ask("SUBSCRIBE", "feed:a")
        guard case .error = try client.ask("PSUBSCRIBE", "feed:y*") else {
            throw TestFailure("a third subscription was accepted")
        }
        for _ in 0..<5 { fixture.service.publish(try user("u"), ["i"]) }
        let read = try client.ask("XREAD", "COUNT", "100", "STREAMS", "feed:u", "0")
        #expect(read["feed:u"]?.elements?.count == 3)
    }

    @Test(
        "patterns match as in Redis",
        arguments: [
            ("feed:*", "feed:u", true), ("*", "", true), ("f?ed:u", "feed:u", true),
            ("feed:[a-c]", "feed:b", true), ("feed:[^a-c]", "feed:b", false),
            ("feed:\\*", "feed:*", true), ("feed:\\*", "feed:x", false),
            ("feed:[", "feed:x", false),
            ("*a*b*c", "xxaxxbxxc", true), ("*a*b*c", "xxaxxbxx", false), ("", "x", false),
        ])
    func glob(pattern: String, text: String, matches: Bool) {
        #expect(Glob.matches(pattern, text) == matches)
    }
}
