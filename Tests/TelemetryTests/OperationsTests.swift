// The operations server over real sockets: what it answers, what it refuses, what it bounds.

import Foundation
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import OperationsServer

@Suite("the operations server")
struct OperationsTests {
    final class Daemon: Sendable {
        let reasons = Mutex<[String]>([])
        let alive = Mutex(true)
        let path = NSTemporaryDirectory() + "o\(UInt32.random(in: 0 ... .max)).sock"

        func server(exchangeLimit: TimeAmount = .seconds(30)) -> OperationsServer {
            let answers = OperationsAnswers(
                metrics: { "millrace_up 1\n" }, status: { "{\"version\":\"1\"}" },
                unreadiness: { [self] in reasons.withLock { $0 } },
                isAlive: { [self] in alive.withLock { $0 } })
            return OperationsServer(
                answers: answers, group: MultiThreadedEventLoopGroup.singleton,
                exchangeLimit: exchangeLimit)
        }
    }

    /// Runs `body` against a server on a Unix socket.
    func serving(
        exchangeLimit: TimeAmount = .seconds(30), _ body: (Daemon) throws -> Void
    ) async throws {
        let daemon = Daemon()
        let server = daemon.server(exchangeLimit: exchangeLimit)
        try await server.listen(on: .unix(path: daemon.path, mode: 0o600))
        do {
            try body(daemon)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
        unsafe unlink(daemon.path)
    }

    func get(_ path: String, _ daemon: Daemon, method: String = "GET") throws -> String {
        let client = try Client(path: daemon.path)
        client.send("\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return client.receiveAll()
    }

    @Test("metrics, status and the page are answered; HEAD has no body; queries are ignored")
    func pages() async throws {
        try await serving { daemon in
            let metrics = try get("/metrics?x=1", daemon)
            #expect(metrics.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(metrics.contains("text/plain; version=0.0.4"))
            #expect(metrics.hasSuffix("\r\n\r\nmillrace_up 1\n"))
            #expect(try get("/status.json", daemon).hasSuffix("{\"version\":\"1\"}"))
            let page = try get("/", daemon)
            #expect(page.contains("<title>Millrace</title>") && page.contains("</html>"))
            #expect(!page.contains("http://") && !page.contains("https://"), "self-contained")
            let head = try get("/metrics", daemon, method: "HEAD")
            #expect(head.hasSuffix("\r\n\r\n") && head.lowercased().contains("content-length: 14"))
        }
    }

    @Test("readiness gives its reasons, liveness its verdict")
    func health() async throws {
        try await serving { daemon in
            #expect(try get("/readyz", daemon).hasSuffix("ready\n"))
            #expect(try get("/livez", daemon).hasSuffix("alive\n"))
            daemon.reasons.withLock { $0 = ["state is being recovered", "redis: loading"] }
            daemon.alive.withLock { $0 = false }
            let unready = try get("/readyz", daemon)
            #expect(unready.hasPrefix("HTTP/1.1 503 "))
            #expect(unready.hasSuffix("state is being recovered\nredis: loading\n"))
            #expect(try get("/livez", daemon).hasPrefix("HTTP/1.1 503 "))
        }
    }

    @Test("what is not there, not permitted or not HTTP is refused")
    func refusals() async throws {
        try await serving { daemon in
            #expect(try get("/nothing", daemon).hasPrefix("HTTP/1.1 404 "))
            #expect(try get("/metrics/../x", daemon).hasPrefix("HTTP/1.1 404 "))
            let post = try get("/metrics", daemon, method: "POST")
            #expect(post.hasPrefix("HTTP/1.1 405 ") && post.contains("Allow: GET, HEAD"))
            for garbage in ["PING\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n"] {
                let client = try Client(path: daemon.path)
                client.send(garbage)
                let answer = client.receiveAll()
                #expect(answer.hasPrefix("HTTP/1.1 400 ") || answer.isEmpty, "\(answer)")
            }
            #expect(try get("/livez", daemon).hasPrefix("HTTP/1.1 200 "), "still serving")
        }
    }

    @Test("a connection serves several requests, also pipelined")
    func keepAlive() async throws {
        try await serving { daemon in
            let client = try Client(path: daemon.path)
            client.send(
                "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            client.send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let answers = client.receiveAll()
            #expect(answers.components(separatedBy: "HTTP/1.1 200").count == 4)
        }
    }

    @Test("endless headers, addresses and bodies are cut off")
    func sizes() async throws {
        try await serving { daemon in
            let filler = String(repeating: "a", count: 8 << 20)
            for request in [
                "GET /\(filler)", "GET / HTTP/1.1\r\nX: \(filler)",
                "GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n\(filler)",
            ] {
                let client = try Client(path: daemon.path)
                client.send(request)
                let answer = client.receiveAll()
                #expect(answer.hasPrefix("HTTP/1.1 400 ") || answer.isEmpty)
            }
            #expect(try get("/livez", daemon).hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("who sends too slowly is closed")
    func slow() async throws {
        try await serving(exchangeLimit: .milliseconds(100)) { daemon in
            let client = try Client(path: daemon.path)
            client.send("GET / HT")
            #expect(client.receiveAll() == "")
        }
    }

    @Test("connections beyond the limit are closed, and room comes back")
    func connections() async throws {
        try await serving { daemon in
            var clients: [Client] = []
            for _ in 0..<OperationsServer.connectionsMax {
                let client = try Client(path: daemon.path)
                client.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(client.receiveSome().hasPrefix("HTTP/1.1 200 "))
                clients.append(client)
            }
            #expect(try get("/livez", daemon) == "")
            clients.removeAll()
            let deadline = Date().addingTimeInterval(10)
            var answer = ""
            while answer.isEmpty, Date() < deadline { answer = try get("/livez", daemon) }
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("the socket has the asked mode and replaces one a dead process left")
    func socketFile() async throws {
        let daemon = Daemon()
        let first = daemon.server()
        try await first.listen(on: .unix(path: daemon.path, mode: 0o640))
        var status = stat()
        let code = unsafe stat(daemon.path, &status)
        #expect(code == 0 && status.st_mode & 0o777 == 0o640)
        let second = daemon.server()
        try await second.listen(on: .unix(path: daemon.path, mode: 0o600))
        #expect(try get("/livez", daemon).hasPrefix("HTTP/1.1 200 "))
        await first.stop()
        await second.stop()
        unsafe unlink(daemon.path)
    }

    @Test("TCP is loopback only; port 0 takes any")
    func tcp() async throws {
        let server = Daemon().server()
        for host in ["0.0.0.0", "192.0.2.1", "::"] {
            await #expect(throws: OperationsError.self) {
                try await server.listen(on: .tcp(host: host, port: 0))
            }
        }
        let port = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
        #expect((port ?? 0) > 0)
        await server.stop()
    }

    @Test("a descriptor from a socket unit is served")
    func descriptor() async throws {
        let daemon = Daemon()
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let bound = unsafe withAddress(daemon.path) { unsafe bind(listener, $0, $1) }
        #expect(bound == 0)
        #expect(listen(listener, 8) == 0)
        let server = daemon.server()
        try await server.listen(on: .descriptor(listener))
        #expect(try get("/livez", daemon).hasPrefix("HTTP/1.1 200 "))
        await server.stop()
        unsafe unlink(daemon.path)
    }
}

/// Calls `body` with the address of a Unix socket.
private func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    return unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

/// A blocking client of a Unix socket, for at most ten seconds.
private final class Client {
    private let descriptor: Int32

    init(path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        let code = unsafe withAddress(path) { unsafe connect(descriptor, $0, $1) }
        try #require(code == 0)
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(
                    descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func receiveSome() -> String {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
    }

    func receiveAll() -> String {
        var all = ""
        while true {
            let some = receiveSome()
            if some.isEmpty { return all }
            all += some
        }
    }
}
