// A client of our own, small and blocking, with a deadline on everything: a daemon that hangs fails a test instead
// of hanging it.

import Foundation
import Glibc
import TestKit
import WireProtocol

/// One connection to a daemon's socket, RESP3.
final class SocketConnection {
    private let descriptor: Int32
    private var parser = ReplyParser()

    init(_ path: String, timeoutSeconds: Int = 20) throws {
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, size)
        }
        let code = try unsafe withSocketAddress(path) { address, size in
            unsafe Glibc.connect(descriptor, address, size)
        }
        guard code == 0 else {
            let number = errno
            close(descriptor)
            throw TestKitError("connect \(path): errno \(number)")
        }
        do { _ = try ask("HELLO", "3") } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Sends a command; an error reply is thrown.
    @discardableResult
    func ask(_ words: String...) throws -> Reply { try ask(words) }

    func ask(_ words: [String]) throws -> Reply {
        try send(words)
        let reply = try receive()
        if case .error(let text) = reply { throw TestKitError("\(words): \(text)") }
        return reply
    }

    func send(_ words: [String]) throws {
        var bytes: [UInt8] = []
        RequestWriter.append(words, to: &bytes)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw TestKitError("send: errno \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    func receive() throws -> Reply {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            do { if let reply = try parser.next() { return reply } } catch {
                throw TestKitError("not RESP: \(error.reason)")
            }
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { throw TestKitError("receive: \(count), errno \(errno)") }
            parser.feed(buffer.span.extracting(0..<count))
        }
    }
}

/// Lends the address of a Unix socket.
func withSocketAddress<Result>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
) throws -> Result {
    var address = sockaddr_un()
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < capacity else { throw TestKitError("socket path too long: \(path)") }
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    return try unsafe withUnsafePointer(to: &address) { pointer in
        try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            try unsafe body($0, size)
        }
    }
}

/// A datagram socket in the place of systemd's: what the daemon tells it, in order.
final class NotifySocket {
    let path: String
    private let descriptor: Int32
    private let directory: TemporaryDirectory
    private(set) var messages: [String] = []

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.file("n")
        descriptor = Glibc.socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        let code = try unsafe withSocketAddress(path) { unsafe bind(descriptor, $0, $1) }
        guard code == 0 else { throw TestKitError("bind \(path): errno \(errno)") }
    }

    deinit { close(descriptor) }

    /// Waits for a message that begins so.
    func heard(_ prefix: String, within limit: Duration = .seconds(30)) async -> Bool {
        await holds(within: limit) {
            read()
            return messages.contains { $0.hasPrefix(prefix) }
        }
    }

    func forget() { messages = [] }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            messages.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
    }
}
