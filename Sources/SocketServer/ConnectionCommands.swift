// The handshake that stock clients make, answered the way Redis 7 answers it.

import Ports
import Synchronization
import WireProtocol

/// The Redis release whose behaviour clients may expect.
let redisCompatibility = "7.0.0"

extension Connection {
    func ping(_ request: Request) {
        guard request.count <= 2 else { return replyWrongArity("ping") }
        let message = request.count == 2 ? request.bytes(1) : nil
        if version == .resp2, feeds.subscriptionCount > 0 {
            return reply {
                $0.array(2)
                $0.bulk("pong")
                $0.bulk(message ?? [])
            }
        }
        reply { writer in
            if let message { writer.bulk(message) } else { writer.simple("PONG") }
        }
    }

    func echo(_ request: Request) { reply { $0.bulk(request.bytes(1)) } }

    func quit(_ request: Request) {
        reply { $0.simple("OK") }
        end()
    }

    func resetConnection(_ request: Request) {
        unsubscribeAll()
        version = .resp2
        client.name = ""
        recordClient()
        reply { $0.simple("RESET") }
    }

    func select(_ request: Request) {
        guard let index = request.integer(1) else {
            return reply(error: "ERR value is not an integer or out of range")
        }
        guard index == 0 else { return reply(error: "ERR DB index is out of range") }
        reply { $0.simple("OK") }
    }

    /// There are no passwords: rights come from the socket. The default user is accepted, as by a Redis without one.
    func authenticate(_ request: Request) {
        guard request.count <= 3 else { return reply(error: "ERR syntax error") }
        guard request.count == 3 else {
            return reply(
                error: "ERR AUTH <password> called without any password configured for the default "
                    + "user. Are you sure your configuration is correct?")
        }
        guard request.shown(1) == "default" else { return reply(error: Self.wrongPassword) }
        reply { $0.simple("OK") }
    }

    private static let wrongPassword =
        "WRONGPASS invalid username-password pair or user is disabled."

    func hello(_ request: Request) {
        var chosen = version
        var name: String?
        var next = 1
        if request.count > 1 {
            guard let number = request.integer(1) else {
                return reply(error: "ERR Protocol version is not an integer or out of range")
            }
            guard let known = ProtocolVersion(rawValue: number) else {
                return reply(error: "NOPROTO unsupported protocol version")
            }
            chosen = known
            next = 2
        }
        while next < request.count {
            if request.isWord(next, "AUTH"), next + 2 < request.count {
                guard request.shown(next + 1) == "default" else {
                    return reply(error: Self.wrongPassword)
                }
                next += 3
            } else if request.isWord(next, "SETNAME"), next + 1 < request.count {
                guard let valid = validName(request, next + 1) else { return }
                name = valid
                next += 2
            } else {
                return reply(
                    error: "ERR Syntax error in HELLO option '\(request.shown(next))'")
            }
        }
        version = chosen
        if let name { client.name = name }
        recordClient()
        replyHello()
    }

    private func replyHello() {
        reply { writer in
            writer.map(7)
            writer.bulk("server")
            writer.bulk("millrace")
            writer.bulk("version")
            writer.bulk(redisCompatibility)
            writer.bulk("proto")
            writer.integer(version.rawValue)
            writer.bulk("id")
            writer.integer(Int64(clamping: id))
            writer.bulk("mode")
            writer.bulk("standalone")
            writer.bulk("role")
            writer.bulk("master")
            writer.bulk("modules")
            writer.array(0)
        }
    }

    // MARK: - CLIENT

    func client(_ request: Request) {
        let arity = request.count
        func exactly(_ count: Int, _ name: String, _ body: () -> Void) {
            if arity == count { body() } else { replyWrongArity("client|\(name)") }
        }
        if request.isWord(1, "ID") {
            exactly(2, "id") { reply { $0.integer(Int64(clamping: id)) } }
        } else if request.isWord(1, "GETNAME") {
            exactly(2, "getname") {
                reply { if client.name.isEmpty { $0.null() } else { $0.bulk(client.name) } }
            }
        } else if request.isWord(1, "SETNAME") {
            exactly(3, "setname") { setName(request) }
        } else if request.isWord(1, "SETINFO") {
            exactly(4, "setinfo") { setInfo(request) }
        } else if request.isWord(1, "INFO") {
            exactly(2, "info") { reply { $0.verbatim(client.line(now: loop.now) + "\n") } }
        } else if request.isWord(1, "LIST") {
            listClients()
        } else if request.isWord(1, "NO-EVICT") || request.isWord(1, "NO-TOUCH") {
            guard arity == 3, request.isWord(2, "ON") || request.isWord(2, "OFF") else {
                return reply(error: "ERR syntax error")
            }
            reply { $0.simple("OK") }
        } else if request.isWord(1, "HELP") {
            replyHelp("client")
        } else {
            replyUnknownSubcommand("client", request)
        }
    }

    private func setName(_ request: Request) {
        guard let name = validName(request, 2) else { return }
        client.name = name
        recordClient()
        reply { $0.simple("OK") }
    }

    private func setInfo(_ request: Request) {
        let name = request.shown(2)
        let isLibrary = request.isWord(2, "LIB-NAME")
        guard isLibrary || request.isWord(2, "LIB-VER") else {
            return reply(error: "ERR Unrecognized option '\(name)'")
        }
        guard let value = validName(request, 3, what: name.lowercased()) else { return }
        if isLibrary { client.libraryName = value } else { client.libraryVersion = value }
        recordClient()
        reply { $0.simple("OK") }
    }

    /// Names stand in lines of `CLIENT LIST`: printable ASCII without spaces. Replies with the error itself.
    private func validName(
        _ request: Request, _ index: Int, what: String = "Client names"
    ) -> String? {
        let bytes = request.bytes(index)
        guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            reply(
                error: "ERR \(what) cannot contain spaces, newlines or special characters.")
            return nil
        }
        guard bytes.count <= Self.nameBytesMax else {
            reply(
                error: "ERR \(what) cannot be longer than \(Self.nameBytesMax) bytes: "
                    + "this has \(bytes.count)")
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let nameBytesMax = 256

    private func listClients() {
        guard right >= .read else { return refuse("client|list", needs: .read) }
        let now = loop.now
        let lines = loop.state.clients.withLock { clients in
            clients.values.sorted { $0.id < $1.id }.map { $0.line(now: now) + "\n" }
        }
        reply { $0.verbatim(lines.joined()) }
    }

    func recordClient() {
        client.version = version.rawValue
        let record = client
        loop.state.clients.withLock { clients in
            if clients[record.id] != nil { clients[record.id] = record }
        }
    }

    func replyHelp(_ name: String) {
        let command = Command.all.first { $0.name == name }
        reply { writer in
            writer.array(2)
            writer.simple("\(name.uppercased()) \(command?.syntax ?? "")")
            writer.simple(command?.summary ?? "")
        }
    }

    func time(_ request: Request) {
        let milliseconds = loop.state.clock.wallMilliseconds
        reply {
            $0.array(2)
            $0.bulk(String(milliseconds / 1_000))
            $0.bulk(String(milliseconds % 1_000 * 1_000))
        }
    }
}
