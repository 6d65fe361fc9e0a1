// Replies of the commands, in both versions of the protocol.

import Foundation
import Interactions
import Ports
import Synchronization
import Testing
import WireProtocol

@testable import SocketServer

@Suite("Commands")
struct CommandTests {
    @Test("the handshake of stock clients is answered as Redis answers it")
    func handshake() throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        #expect(try client.ask("PING") == .simple("PONG"))
        #expect(try client.ask("ping", "hi") == .text("hi"))
        #expect(try client.ask("ECHO", "x") == .text("x"))
        #expect(try client.ask("SELECT", "0") == .simple("OK"))
        #expect(try client.ask("SELECT", "1") == .error("ERR DB index is out of range"))
        #expect(try client.ask("CLIENT", "SETNAME", "me") == .simple("OK"))
        #expect(try client.ask("CLIENT", "GETNAME") == .text("me"))
        #expect(try client.ask("CLIENT", "SETINFO", "LIB-NAME", "lib") == .simple("OK"))
        #expect(try client.ask("CLIENT", "NO-EVICT", "ON") == .simple("OK"))
        let line = try client.ask("CLIENT", "LIST").text ?? ""
        #expect(line.contains("name=me") && line.contains("lib-name=lib"))
        #expect(try client.ask("HELLO", "4") == .error("NOPROTO unsupported protocol version"))
        #expect(try client.ask("HELLO")["proto"] == .integer(2))
        let hello = try client.ask("HELLO", "3", "AUTH", "default", "x", "SETNAME", "you")
        guard case .map = hello else { throw TestFailure("no map: \(hello)") }
        #expect(hello["proto"] == .integer(3))
        #expect(try client.ask("CLIENT", "GETNAME") == .text("you"))
        #expect(try client.ask("RESET") == .simple("RESET"))
        #expect(try client.ask("CLIENT", "GETNAME") == .null)
        #expect(try client.ask("CONFIG", "GET", "save")["save"]?.text == "")
        #expect(try client.ask("COMMAND", "COUNT").number == Double(Command.all.count))
        #expect(try client.ask("QUIT") == .simple("OK"))
        #expect(try client.receive() == nil)
    }

    @Test("lists come in the forms that ZRANGE taught Redis users")
    func lists() throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        #expect(try client.ask("REC.GET", "u", "COUNT", "2").texts == ["u-0", "u-1"])
        #expect(
            try client.ask("REC.GET", "u", "COUNT", "2", "WITHSCORES").texts
                == ["u-0", "1", "u-1", "0.5"])
        #expect(
            try client.ask("rec.get", "u", "count", "1", "withsources", "withscores").texts
                == ["u-0", "1", "rules"])
        let based = try client.ask("REC.GET", "u", "COUNT", "1", "ASOF")
        #expect(based.elements?[0]["offset"] == .integer(42))
        #expect(based.elements?[0]["rung"] == .text("cf"))
        #expect(based.elements?[1].texts == ["u-0"])
        _ = try client.ask("HELLO", "3")
        #expect(
            try client.ask("REC.GET", "u", "COUNT", "1", "WITHSCORES")
                == .array([.array([.text("u-0"), .double(1)])]))
        #expect(try client.ask("REC.SIMILAR", "a", "COUNT", "2").texts == ["s1", "s2"])
        let why = try client.ask("REC.EXPLAIN", "u", "a")
        #expect(why["rank"] == .integer(2))
        #expect(why["sources"]?["rules"] == .double(0.25))
        #expect(why["removed_by"] == .null)
    }

    @Test("events, items, users and digests")
    func data() throws {
        let fixture = try ServerFixture {
            $0.itemProblem = { $0.first == UInt8(ascii: "{") ? nil : "not a JSON object" }
        }
        let client = try fixture.client()
        let added = try client.ask(
            "EVENT.ADD", "u", "i", "view", "TS", "17", "ID", "e1", "VALUE", "4.5")
        #expect(added == .text("3:1"))
        let event = try #require(fixture.service.state.withLock { $0.events.first })
        #expect(event.time == 17 && event.eventID == "e1" && event.value == 4.5)
        #expect(try client.ask("ITEM.SET", "i", "{}") == .text("3:2"))
        #expect(
            try client.ask("ITEM.SET", "i", "[]")
                == .error("ERR the record of item 'i' is refused: not a JSON object"))
        #expect(try client.ask("ITEM.GET", "i") == .text("{}"))
        #expect(try client.ask("ITEM.GET", "i", "WITHSTATS")["count"] == .integer(5))
        #expect(try client.ask("ITEM.DEL", "i") == .text("3:3"))
        #expect(try client.ask("ITEM.GET", "i") == .null)
        #expect(try client.ask("USER.GET", "nobody") == .null)
        #expect(try client.ask("USER.GET", "u")["events"] == .integer(4))
        #expect(try client.ask("USER.FORGET", "u") == .text("3:4"))
        #expect(try client.ask("DIGEST")["statistics"] == .text("00ff"))
        let info = try client.ask("INFO").text ?? ""
        #expect(info.contains("# Server\r\n") && info.contains("# Ingest\r\nlag:0\r\n"))
        #expect(try client.ask("INFO", "clients").text?.contains("connected_clients:1") == true)
        #expect(fixture.observer.served.withLock { $0["item.get"] } == 3)
    }

    @Test(
        "what cannot be done is named, with the way out",
        arguments: [
            (
                ["REC.GET", "u", "FILTER", "price < "],
                "ERR FILTER: expected a value at 9: \"price < \""
            ),
            (["REC.NEXT", "x"], "is no list id: REC.GET ... ASOF"),
            (["REC.NEXT", "6-1"], "list '6-1' is not kept"),
            (["REC.NEXT", "7-1", "COUNT", "0"], "COUNT 0 is out of range"),
            (["REC.SIMILAR", "i", "FILTER", "id ="], "ERR FILTER: expected a value at 5"),
            (["REC.GET", "u", "COUNT", "1001"], "COUNT 1001 is out of range: 1 to 1000"),
            (["REC.GET", "u", "COUNT", "x"], "ERR value is not an integer or out of range"),
            (["REC.GET", "u", "COUNT"], "ERR syntax error"),
            (["REC.GET", "u", "MODE", "best"], "MODE 'best' is unknown; there are auto, lm"),
            (["REC.GET", "u", "MODE", "ease"], "MODE 'ease' is unknown; there are auto, lm"),
            (["REC.GET", "u", "SESSION", "3", "a"], "SESSION 3 must be the number of items"),
            (["REC.GET", "u", "DEADLINE", "0"], "DEADLINE 0 is out of range"),
            (["REC.GET", ""], "user has 0 bytes: 1 to 256"),
            (["REC.GET", String(repeating: "u", count: 257)], "user has 257 bytes: 1 to 256"),
            (["REC.GET"], "ERR wrong number of arguments for 'rec.get' command"),
            (["REC.GET", "unavailable"], "TRYAGAIN state is loading"),
            (["REC.GET", "refused"], "ERR no  way"),
            (["EVENT.ADD", "u", "i", "view", "TS", "-1"], "ERR value is not an integer"),
            (["EVENT.ADD", "u", "i", "view", "VALUE", "nan"], "ERR value is not a valid float"),
            (
                ["XREAD", "STREAMS", "feed:u", "feed:v", "0"],
                "ERR Unbalanced 'xread' list of streams"
            ),
            (["XREAD", "STREAMS", "mystream", "0"], "no stream 'mystream'"),
            (["XREAD", "BLOCK", "-1", "STREAMS", "feed:u", "0"], "ERR timeout is negative"),
            (["XREAD", "STREAMS", "feed:u", "x-y"], "ERR Invalid stream ID"),
            (["SUBSCRIBE", "news"], "ERR no channel 'news': channels are feed:<user>"),
            (["CONFIG", "SET", "maxclients", "1"], "the configuration is a file"),
        ])
    func errors(words: [String], text: String) throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        var bytes: [UInt8] = []
        RequestWriter.append(words, to: &bytes)
        client.send(raw: bytes)
        guard case .error(let error)? = try client.receive() else { throw TestFailure("no error") }
        #expect(error.contains(text))
    }

    @Test("identifiers that are not UTF-8 are refused by name")
    func notUTF8() throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        var bytes: [UInt8] = []
        RequestWriter.append([Array("REC.GET".utf8), [0x61, 0xFF]], to: &bytes)
        client.send(raw: bytes)
        #expect(try client.receive() == .error("ERR user 'a\u{FFFD}' is not valid UTF-8"))
        #expect(try client.ask("PING") == .simple("PONG"))
    }

    @Test("slow requests are logged, latencies are counted")
    func slowLog() throws {
        let fixture = try ServerFixture {
            $0.times.slowLogMicroseconds = 0
            $0.limits.slowLogEntriesMax = 2
        }
        let client = try fixture.client()
        _ = try client.ask("REC.GET", "u", "COUNT", "3")
        #expect(try client.ask("SLOWLOG", "LEN") == .integer(1))
        let entry = try client.ask("SLOWLOG", "GET").elements?.first?.elements
        #expect(entry?[3].texts == ["REC.GET", "u", "COUNT", "3"])
        for _ in 0..<3 { _ = try client.ask("USER.GET", "u") }
        #expect(try client.ask("SLOWLOG", "LEN") == .integer(2))
        #expect(try client.ask("SLOWLOG", "RESET") == .simple("OK"))
        #expect(try client.ask("SLOWLOG", "LEN") == .integer(0))
        let histogram = try client.ask("LATENCY", "HISTOGRAM", "rec.get")
        #expect(histogram["rec.get"]?["calls"] == .integer(1))
    }
}
