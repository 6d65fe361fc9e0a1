// How the command line talks to a running daemon: one blocking connection over the same socket that every client
// uses.

import Glibc
import WireProtocol

/// Why a command got no answer; `description` is for the person at the terminal.
struct SocketClientError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A blocking connection to the daemon. Speaks RESP3.
final class SocketClient {
    private let descriptor: Int32
    private let path: String
    private var parser = ReplyParser()

    static let standardPath = "/run/millrace/millrace.sock"
    private static let readBytesMax = 64 * 1_024

    init(path: String) throws(SocketClientError) {
        self.path = path
        descriptor = try Self.connect(path)
        let hello = try call(["HELLO", "3", "SETNAME", "millrace-cli"])
        if case .error(let text) = hello {
            close(descriptor)
            throw SocketClientError("\(path) refuses the handshake: \(text)")
        }
    }

    deinit { close(descriptor) }

    /// Sends one command and waits for its reply; an error reply is a reply.
    func call(_ words: [String]) throws(SocketClientError) -> Reply {
        try send(words)
        while true {
            let reply = try receive()
            if case .push = reply { continue }
            return reply
        }
    }

    /// As `call`, but an error reply is thrown.
    func ask(_ words: String...) throws(SocketClientError) -> Reply { try ask(words) }

    func ask(_ words: [String]) throws(SocketClientError) -> Reply {
        let reply = try call(words)
        if case .error(let text) = reply { throw SocketClientError(text) }
        return reply
    }

    /// Sends several commands at once; replies come in the same order, errors among them.
    func pipeline(_ commands: [[String]]) throws(SocketClientError) -> [Reply] {
        var replies: [Reply] = []
        for start in stride(from: 0, to: commands.count, by: Self.pipelineMax) {
            let part = commands[start..<min(start + Self.pipelineMax, commands.count)]
            for words in part { try send(words) }
            for _ in part { replies.append(try receive()) }
        }
        return replies
    }

    /// Fewer than the server takes up at once, so that neither side waits for the other.
    private static let pipelineMax = 100

    func send(_ words: [String]) throws(SocketClientError) {
        var bytes: [UInt8] = []
        RequestWriter.append(words, to: &bytes)
        var sent = 0
        while sent < bytes.count {
            let code = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.send(
                    descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if code < 0, errno == EINTR { continue }
            guard code > 0 else { throw lost() }
            sent += code
        }
    }

    /// The next reply or push.
    func receive() throws(SocketClientError) -> Reply {
        var buffer = [UInt8](repeating: 0, count: Self.readBytesMax)
        while true {
            do {
                if let reply = try parser.next() { return reply }
            } catch {
                throw SocketClientError("\(path) does not speak RESP: \(error.reason)")
            }
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw lost() }
            parser.feed(buffer.span.extracting(0..<count))
        }
    }

    private func lost() -> SocketClientError {
        SocketClientError("\(path) closed the connection; is the daemon stopping?")
    }

    private static func connect(_ path: String) throws(SocketClientError) -> Int32 {
        var address = sockaddr_un()
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !path.isEmpty, path.utf8.count < room else {
            throw SocketClientError("socket path '\(path)' must have 1 to \(room - 1) bytes")
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SocketClientError("cannot make a socket") }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, length)
            }
        }
        guard code == 0 else {
            let cause = errno
            close(descriptor)
            throw SocketClientError(
                "cannot connect to \(path): \(advice(cause)); --socket names another path")
        }
        return descriptor
    }

    private static func advice(_ code: Int32) -> String {
        switch code {
        case ENOENT: "there is no such socket; is the daemon running?"
        case ECONNREFUSED: "nobody listens there; is the daemon running?"
        case EACCES: "permission denied; the socket file's mode and group decide who may connect"
        default: unsafe String(cString: strerror(code))
        }
    }
}
