// One hiredis context: connected, logged in, and dropped at the first sign of being out of step.
//
// Facts about hiredis 0.14 that shape this file: after a time-out the context is poisoned (every later call fails at
// once) and
// `redisReconnect` forgets the time-out, so a context is never repaired but replaced; writing to a closed socket
// raises
// SIGPIPE, so the lane that uses it blocks that signal.

import CHiredis
import Glibc
import Ports

/// Not thread-safe: lives and dies on one lane.
@safe
final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let place: String

    /// Connects and logs in. `name` is what CLIENT LIST shows.
    init(_ settings: RedisSettings, name: String, loadsFunctions: Bool) throws(Fault) {
        place = settings.address.description
        let timeout = timeval(milliseconds: settings.connectTimeoutMilliseconds)
        let opened =
            switch settings.address {
            case .unix(let path): unsafe redisConnectUnixWithTimeout(path, timeout)
            case .tcp(let host, let port):
                unsafe redisConnectWithTimeout(host, Int32(clamping: port), timeout)
            }
        guard let opened = unsafe opened else {
            throw Fault(.reconnect, "no memory for a connection to Redis at \(place)")
        }
        unsafe context = opened
        guard unsafe opened.pointee.err == 0 else {
            throw Fault(
                .reconnect,
                "cannot connect to Redis at \(place): \(errorText). Is it running and reachable?")
        }
        let patience = timeval(milliseconds: settings.commandTimeoutMilliseconds)
        guard unsafe redisSetTimeout(opened, patience) == REDIS_OK else { throw failure() }
        if case .tcp = settings.address { _ = unsafe redisEnableKeepAlive(opened) }
        try logIn(settings, name: name)
        if loadsFunctions { try loadFunctionsIfOlder() }
    }

    deinit { unsafe redisFree(context) }

    /// Hands the commands over; they are sent with the first `reply`.
    func append(_ commands: CommandBuffer) throws(Fault) {
        let code = unsafe commands.bytes.withUnsafeBytes { bytes in
            unsafe redisAppendFormattedCommand(
                context, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard code == REDIS_OK else { throw failure() }
    }

    /// The next reply, an error reply included.
    func reply() throws(Fault) -> Reply {
        var raw: UnsafeMutableRawPointer?
        guard unsafe redisGetReply(context, &raw) == REDIS_OK, let raw = unsafe raw else {
            throw failure()
        }
        return unsafe Reply(owning: raw)
    }

    /// The server's `run_id`: a new one with every start.
    func runID() throws(Fault) -> String {
        var buffer = CommandBuffer()
        buffer.command("INFO", "server")
        try append(buffer)
        let reply = try reply()
        if let text = reply.errorText { throw Fault.classify(text, at: "INFO") }
        guard let bytes = try? reply.bytes("INFO") else { return "" }
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        let prefix = "run_id:"
        return lines.first { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) } ?? ""
    }

    /// Loads our functions unless the server has them in this version or a newer one.
    func loadFunctionsIfOlder() throws(Fault) {
        var commands = CommandBuffer()
        commands.command("FCALL", FunctionLibrary.versionFunction, "0")
        try append(commands)
        let answer = try reply()
        if let text = answer.errorText {
            let fault = Fault.classify(text, at: place)
            guard fault.remedy == .loadFunctions else { throw fault }
        } else if let version = try? answer.integer("function version"),
            version >= FunctionLibrary.version
        {
            return
        }
        commands.removeAll()
        commands.command("FUNCTION", "LOAD", "REPLACE", FunctionLibrary.source)
        try append(commands)
        if let text = try reply().errorText { throw Fault.classify(text, at: place) }
    }

    private func logIn(_ settings: RedisSettings, name: String) throws(Fault) {
        var commands = CommandBuffer()
        if let password = settings.password {
            if let user = settings.user {
                commands.command("AUTH", user, password)
            } else {
                commands.command("AUTH", password)
            }
        }
        if settings.database != 0 { commands.command("SELECT", String(settings.database)) }
        // Answers LOADING and the like before anybody counts on this connection.
        commands.command("PING")
        try append(commands)
        for _ in 0..<commands.commandCount {
            if let text = try reply().errorText { throw Fault.classify(text, at: place) }
        }
        // Only a courtesy to operators: that a user may not name itself is no reason to fail.
        commands.removeAll()
        commands.command("CLIENT", "SETNAME", name)
        try append(commands)
        _ = try reply()
    }

    private func failure() -> Fault {
        if unsafe context.pointee.err == REDIS_ERR_IO, errno == EAGAIN || errno == EWOULDBLOCK {
            return Fault(
                .reconnectAfterTimeout, "Redis at \(place) did not answer in time: waiting for it")
        }
        return Fault(.reconnect, "lost the connection to Redis at \(place): \(errorText)")
    }

    private var errorText: String {
        unsafe withUnsafeBytes(of: &context.pointee.errstr) {
            unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

extension timeval {
    fileprivate init(milliseconds: Int) {
        self.init(
            tv_sec: milliseconds / 1_000, tv_usec: __suseconds_t(milliseconds % 1_000 * 1_000))
    }
}

/// Makes writing to a closed connection an error of that call instead of the end of the process.
func blockBrokenPipeSignal() {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGPIPE)
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
}
