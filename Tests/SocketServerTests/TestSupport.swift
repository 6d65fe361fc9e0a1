// A server on a temporary socket, a plain client for it, and child processes with a time limit.

import Foundation
import Interactions
import Ports
import Testing
import WireProtocol

@testable import SocketServer

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// One server per test, in a folder of its own.
final class ServerFixture {
    let folder: String
    let path: String
    let service = FakeService()
    let observer = RecordingObserver()
    let server: SocketServer
    private var stopped = false

    init(_ change: (inout SocketServerConfiguration) -> Void = { _ in }) throws {
        folder = try temporaryFolder()
        path = folder + "/s"
        var configuration = SocketServerConfiguration(address: .path(path))
        change(&configuration)
        server = SocketServer(
            configuration: configuration, service: service, observer: observer,
            clock: SystemClock())
        try server.start()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: folder)
    }

    func stop(withinMilliseconds limit: Int = 1_000) {
        guard !stopped else { return }
        stopped = true
        let done = DispatchSemaphore(value: 0)
        server.stop(withinMilliseconds: limit) { done.signal() }
        done.wait()
    }

    func client() throws -> TestClient { try TestClient(path) }
}

func temporaryFolder() throws -> String {
    let folder = FileManager.default.temporaryDirectory.path + "/mr-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder
}

/// Asks until the answer is yes; fails after ten seconds.
func eventually(_ what: String, _ condition: () throws -> Bool) throws {
    let end = Date().addingTimeInterval(10)
    while try !condition() {
        guard Date() < end else { throw TestFailure("never happened: \(what)") }
        usleep(2_000)
    }
}

func user(_ name: String) throws -> UserID { try #require(UserID(name)) }

/// A blocking connection; every read gives up after ten seconds.
final class TestClient {
    let descriptor: Int32
    private var parser = ReplyParser()
    private(set) var isClosed = false

    init(_ path: String, receiveBufferBytes: Int32? = nil) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBufferBytes {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8.prefix($0.count - 1))
        }
        let code = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0 else { throw TestFailure("connect: errno \(errno)") }
    }

    deinit { close(descriptor) }

    func send(raw bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes {
                unsafe Foundation.send(
                    descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return }
            rest = rest.dropFirst(sent)
        }
    }

    func send(_ words: String...) {
        var bytes: [UInt8] = []
        RequestWriter.append(words, to: &bytes)
        send(raw: bytes)
    }

    /// The next reply; nil when the server closed the connection.
    func receive() throws -> Reply? {
        while true {
            if let reply = try parser.next() { return reply }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            if count == 0 || (count < 0 && errno == ECONNRESET) {
                isClosed = true
                return nil
            }
            guard count > 0 else { throw TestFailure("no reply within the limit") }
            parser.feed(buffer.span.extracting(0..<count))
        }
    }

    func ask(_ words: String...) throws -> Reply {
        var bytes: [UInt8] = []
        RequestWriter.append(words, to: &bytes)
        send(raw: bytes)
        guard let reply = try receive() else { throw TestFailure("closed instead of a reply") }
        return reply
    }
}

extension Reply {
    static func text(_ text: String) -> Reply { .bulk(Array(text.utf8)) }

    var texts: [String]? { elements?.map { $0.text ?? "nil" } }
}

/// A program in a process of its own, with files for input and output; ended by its id when nobody waits for it any
/// more.
///
/// Not Foundation's `Process`: its wait ends only when every other child has let go of what it inherited.
final class Child {
    private var pid: pid_t = 0
    private let folder: String
    private var status: Int32?

    init(_ program: String, _ arguments: [String], input: String = "") throws {
        folder = try temporaryFolder()
        try Data(input.utf8).write(to: URL(fileURLWithPath: folder + "/in"))
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_APPEND
        unsafe posix_spawn_file_actions_addopen(&actions, 0, folder + "/in", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, folder + "/out", flags, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        let code = unsafe posix_spawnp(&pid, program, &actions, nil, words, environ)
        guard code == 0 else { throw TestFailure("cannot run \(program): errno \(code)") }
    }

    deinit {
        end()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// What it has printed so far.
    var output: String {
        let data = try? Data(contentsOf: URL(fileURLWithPath: folder + "/out"))
        return String(decoding: data ?? Data(), as: UTF8.self)
    }

    /// Waits for the end, at most a minute.
    func wait() throws {
        let limit = Date().addingTimeInterval(60)
        while !hasEnded {
            guard Date() < limit else { throw TestFailure("still runs after a minute: \(output)") }
            usleep(2_000)
        }
    }

    func end() {
        guard !hasEnded else { return }
        kill(pid, SIGKILL)
        var code: Int32 = 0
        unsafe waitpid(pid, &code, 0)
        status = code
    }

    private var hasEnded: Bool {
        if status != nil { return true }
        var code: Int32 = 0
        if unsafe waitpid(pid, &code, WNOHANG) == pid { status = code }
        return status != nil
    }
}

/// Runs a program to its end and returns what it printed.
func run(_ program: String, _ arguments: [String], input: String = "") throws -> String {
    let child = try Child(program, arguments, input: input)
    try child.wait()
    return child.output
}
