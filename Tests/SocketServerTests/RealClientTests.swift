// Clients we did not write: redis-cli, redis-benchmark, redis-py; and a real redis-server as the judge of plain
// commands.

import Foundation
import Interactions
import Synchronization
import Testing
import WireProtocol

@testable import SocketServer

/// A Python that has the `redis` module: `MILLRACE_TEST_PYTHON` or the system's.
private let python: String? = {
    let candidate = ProcessInfo.processInfo.environment["MILLRACE_TEST_PYTHON"] ?? "python3"
    let output = try? run(candidate, ["-c", "import redis; print('ready')"])
    return output?.contains("ready") == true ? candidate : nil
}()

@Suite("Clients we did not write")
struct RealClientTests {
    @Test("redis-cli shows replies as it shows Redis'", arguments: ["-2", "-3"])
    func redisCLI(version: String) throws {
        let fixture = try ServerFixture()
        let output = try run(
            "redis-cli", [version, "-s", fixture.path],
            input: """
                PING
                REC.GET u COUNT 2 WITHSCORES
                EVENT.ADD u i view
                NOSUCH a b
                COMMAND DOCS
                INFO server

                """)
        #expect(output.contains("PONG\n"))
        #expect(output.contains("u-0\n1\nu-1\n0.5\n") || output.contains("u-0 1\nu-1 0.5\n"))
        #expect(output.contains("3:1\n"))
        #expect(output.contains("ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'"))
        #expect(output.contains("The best items for a user now"))
        #expect(output.contains("millrace_version:0"))
    }

    @Test("redis-benchmark runs, pipelined and not, without an error")
    func redisBenchmark() throws {
        let fixture = try ServerFixture()
        for arguments in [["-t", "ping"], ["-P", "16", "REC.GET", "u"], ["REC.GET", "u"]] {
            let output = try run(
                "redis-benchmark",
                ["-s", fixture.path, "-c", "16", "-n", "5000", "-q"] + arguments)
            #expect(output.contains("requests per second"))
            #expect(!output.contains("Error") && !output.contains("WARNING"))
        }
    }

    @Test(
        "redis-py speaks both versions, reads feeds and subscribes",
        .enabled(if: python != nil, "no python3 with the redis module (MILLRACE_TEST_PYTHON)"),
        arguments: [2, 3])
    func redisPy(version: Int) throws {
        let fixture = try ServerFixture()
        fixture.service.publish(try user("u"), ["first"])
        let script = """
            import redis, sys
            r = redis.Redis(unix_socket_path=sys.argv[1], protocol=\(version),
                            decode_responses=True, client_name='py')
            assert r.ping()
            assert r.client_getname() == 'py'
            assert r.info('server')['redis_mode'] == 'standalone'
            assert r.execute_command('REC.GET', 'u', 'COUNT', 2) == ['u-0', 'u-1']
            p = r.pipeline(transaction=False)
            for i in range(50): p.execute_command('REC.GET', f'u{i}', 'COUNT', 1)
            assert p.execute() == [[f'u{i}-0'] for i in range(50)]
            read = r.xread({'feed:u': '0'}, count=1)
            stream = read['feed:u'][0] if isinstance(read, dict) else read[0][1]
            assert 'first' in str(stream), read
            assert not r.xread({'feed:w': '$'}, block=10)
            s = r.pubsub()
            s.subscribe('feed:u')
            assert s.get_message(timeout=5)['type'] == 'subscribe'
            print('subscribed', flush=True)
            m = s.get_message(timeout=5)
            while m is None: m = s.get_message(timeout=5)
            assert m['channel'] == 'feed:u' and 'second' in m['data'], m
            try: r.execute_command('REC.GET', 'unavailable'); assert False
            except redis.exceptions.ResponseError as e: assert 'state is loading' in str(e), e
            assert r.slowlog_len() >= 0
            assert 'rec.get' in r.command()
            print('done')
            """
        let someone = try user("u")
        DispatchQueue.global().async { [service = fixture.service] in
            try? eventually("subscribed") {
                service.state.withLock { $0.watched[someone] != nil }
            }
            service.publish(someone, ["second"])
        }
        let output = try run(python ?? "python3", ["-c", script, fixture.path])
        #expect(output == "subscribed\ndone\n", "\(output)")
    }

    @Test("plain commands and mistakes are answered byte for byte as by redis-server")
    func sameAsRedis() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let redis = try Child(
            "redis-server",
            ["--port", "0", "--unixsocket", folder + "/r", "--save", "", "--dir", folder])
        defer { redis.end() }
        try eventually("redis-server listens") { (try? TestClient(folder + "/r")) != nil }
        let fixture = try ServerFixture()
        let requests: [[String]] = [
            ["PING"], ["PING", "a", "b"], ["ECHO"], ["echo", "x"], ["SELECT", "x"],
            ["SELECT", "0"],
            ["NOSUCH"], ["NoSuch", "a", "b"], ["nosuch", String(repeating: "x", count: 200), "y"],
            ["AUTH", "x"], ["AUTH", "default", "x"], ["AUTH", "other", "x"], ["CLIENT"],
            ["CLIENT", "GETNAME"], ["CLIENT", "SETNAME", "a b"], ["CLIENT", "NOSUCH"],
            ["CLIENT", "SETNAME"], ["CLIENT", "SETNAME", "x"], ["CLIENT", "GETNAME"],
            ["HELLO", "9"], ["HELLO", "x"], ["HELLO", "3", "NOPE"], ["CONFIG", "GET", "save"],
            ["CONFIG", "GET", "nosuch"], ["SLOWLOG", "NOSUCH"], ["UNSUBSCRIBE"], ["PUNSUBSCRIBE"],
            ["XREAD", "BLOCK", "x", "STREAMS", "feed:u", "0"],
            ["XREAD", "BLOCK", "-1", "STREAMS", "feed:u", "0"], ["XREAD", "STREAMS", "feed:u"],
            ["XREAD", "STREAMS", "feed:u", "0"], ["XREAD", "COUNT", "x", "STREAMS", "feed:u", "0"],
            ["XREAD", "STREAMS", "feed:u", "x"], ["XREAD", "NOPE", "1", "feed:u"], ["RESET"],
            ["COMMAND", "NOSUCH"], ["COMMAND", "INFO", "nosuch"], ["TIME", "x"], ["QUIT"],
        ]
        for version in ["2", "3"] {
            let ours = try fixture.client()
            let theirs = try TestClient(folder + "/r")
            _ = try ours.ask("HELLO", version)
            _ = try theirs.ask("HELLO", version)
            for words in requests {
                var bytes: [UInt8] = []
                RequestWriter.append(words, to: &bytes)
                ours.send(raw: bytes)
                theirs.send(raw: bytes)
                let expected = try theirs.receive()
                let found = try ours.receive()
                #expect(found == expected, "\(version) \(words)")
            }
        }
    }
}
