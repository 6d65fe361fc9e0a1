// A private redis-server for one test: own folder, own Unix socket, and a TCP port only when asked for.

import Foundation
public import Glibc
import Synchronization

public final class RedisServer: Sendable {
    public let directory: TemporaryDirectory
    public let socketPath: String
    /// On 127.0.0.1; nil when it listens on the Unix socket only.
    public let port: Int?
    private let child = Mutex<ChildProcess?>(nil)

    /// Starts the server. `appendOnly` fsyncs every write; without it a kill loses everything. `configuration` holds
    /// further lines of redis.conf, for instance `user app on >secret ~* &* +@all`.
    public init(appendOnly: Bool = false, tcp: Bool = false, configuration: [String] = [])
        async throws
    {
        directory = try TemporaryDirectory()
        socketPath = directory.file("s")
        port = tcp ? try freePort() : nil
        let lines =
            [
                "port \(port ?? 0)", "bind 127.0.0.1", "unixsocket \(socketPath)", "save \"\"",
                "dir \(directory.path)", "appendonly \(appendOnly ? "yes" : "no")",
                "appendfsync always", "enable-debug-command yes", "daemonize no",
            ] + configuration
        try lines.joined(separator: "\n").write(
            toFile: directory.file("redis.conf"), atomically: true, encoding: .utf8)
        try await start()
    }

    public var pid: pid_t? { child.withLock { $0?.pid } }

    /// Starts it (again) and waits until it answers; `untilLoaded: false` does not wait for its data.
    public func start(untilLoaded: Bool = true) async throws {
        let server = try ChildProcess("redis-server", [directory.file("redis.conf")])
        child.withLock { $0 = server }
        let up = await eventually {
            guard let answer = try? await command("PING") else { return false }
            return answer.hasPrefix("PONG") || answer.contains("NOAUTH")
                || (!untilLoaded && answer.contains("LOADING"))
        }
        guard up else { throw TestKitError("redis-server: \(server.output)\(server.errors)") }
    }

    /// kill -9.
    public func kill() async {
        let server = child.withLock { $0.take() }
        await server?.kill()
    }

    public func restart() async throws {
        await kill()
        try await start()
    }

    /// Stops the process in its tracks (SIGSTOP) until `resume`: connected, accepted, and silent.
    public func freeze() { child.withLock { $0?.signal(SIGSTOP) } }
    public func resume() { child.withLock { $0?.signal(SIGCONT) } }

    /// Sends one command by redis-cli and returns what it prints.
    @discardableResult
    public func command(_ arguments: String...) async throws -> String {
        let text = try await ChildProcess.run("redis-cli", ["-s", socketPath] + arguments)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}

/// A TCP port of the loopback that nobody listens on now.
public func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe bind(descriptor, $0, size) | getsockname(descriptor, $0, &size)
        }
    }
    guard code == 0 else { throw TestKitError("no free port: errno \(errno)") }
    return Int(UInt16(bigEndian: address.sin_port))
}
