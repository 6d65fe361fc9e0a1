// The table of commands: who may call them, with how many arguments, what they do. `COMMAND` and `COMMAND DOCS` read
// it too.

import Ports
import WireProtocol

struct Command: Sendable {
    typealias Run = @Sendable (Connection, Request) -> Void

    /// Lower case, as Redis names commands in errors.
    let name: String
    /// Name included; negative means "at least".
    let arity: Int
    let right: Right
    let group: String
    let summary: String
    /// Behind the name, for `COMMAND DOCS` and the manual.
    let syntax: String
    let run: Run
    /// Permitted to a RESP2 connection with subscriptions.
    var whileSubscribed = false
    private(set) var index = 0

    init(
        _ name: String, _ arity: Int, _ right: Right, _ group: String, _ summary: String,
        _ syntax: String = "", whileSubscribed: Bool = false, run: @escaping Run
    ) {
        self.name = name
        self.arity = arity
        self.right = right
        self.group = group
        self.summary = summary
        self.syntax = syntax
        self.whileSubscribed = whileSubscribed
        self.run = run
    }

    func accepts(_ count: Int) -> Bool { arity < 0 ? count >= -arity : count == arity }

    static let all: [Command] = (recommendations + models + streams + introspection + handshake)
        .enumerated().map { index, command in
            var command = command
            command.index = index
            return command
        }

    private static let byName = Dictionary(
        uniqueKeysWithValues: all.map { (PackedName($0.name), $0.index) })

    static func find(_ name: PackedName) -> Command? { byName[name].map { all[$0] } }

    private static let recommendations = [
        Command(
            "rec.get", -2, .read, "recommendation", "The best items for a user now",
            "user [COUNT n] [MODE auto|lm|cf|popular|teacher] [SESSION k item ...] "
                + "[CANDIDATES k item ...] [EXCLUDE k item ...] [FILTER expr] [SCENARIO name] "
                + "[DEADLINE ms] [WITHSCORES] [WITHSOURCES] [ASOF]"
        ) { $0.recommend($1) },
        Command(
            "rec.next", -2, .read, "recommendation",
            "The next page of a list, without what its pages showed",
            "recId [COUNT n] [WITHSCORES] [WITHSOURCES] [ASOF]"
        ) { $0.next($1) },
        Command(
            "rec.similar", -2, .read, "recommendation", "Items that go with an item",
            "item [COUNT n] [FILTER expr] [SCENARIO name] [WITHSCORES] [WITHSOURCES]"
        ) { $0.similar($1) },
        Command(
            "rec.explain", -3, .read, "recommendation",
            "Why an item is in a user's list, or is not",
            "user item [MODE auto|cf|teacher] [SESSION k item ...] [CANDIDATES k item ...] "
                + "[EXCLUDE k item ...] [FILTER expr] [SCENARIO name] [LIST recId] [EVENTS]"
        ) { $0.explain($1) },
        Command(
            "event.add", -4, .write, "event", "Appends an interaction to the log",
            "user item type [TS ms] [ID id] [VALUE x]"
        ) { $0.addEvent($1) },
        Command("item.set", 3, .write, "item", "Stores an item record", "id json") {
            $0.setItem($1)
        },
        Command("item.get", -2, .read, "item", "The record of an item", "id [WITHSTATS]") {
            $0.getItem($1)
        },
        Command("item.del", 2, .write, "item", "Withdraws an item at once", "id") {
            $0.deleteItem($1)
        },
        Command("user.get", 2, .read, "user", "What is known of a user", "user") {
            $0.getUser($1)
        },
        Command(
            "summary.get", 2, .read, "user", "What stands for a user's older events", "user"
        ) { $0.getSummary($1) },
        Command(
            "user.forget", 2, .admin, "user", "Removes a user and all that was learnt of it", "user"
        ) { $0.forgetUser($1) },
        Command(
            "digest", -1, .read, "server", "Digest of the state of a partition, or of all",
            "[partition]"
        ) { $0.digest($1) },
    ]

    private static let models = [
        Command(
            "model.list", 1, .read, "model", "Versions of the model, which serves, and why"
        ) { $0.listModels($1) },
        Command(
            "model.refresh", 1, .admin, "model", "Begins a refresh; INFO refresh tells of it"
        ) { $0.refreshModel($1) },
        Command(
            "model.rollback", -1, .admin, "model",
            "Serves the version before the current one, or the one named", "[version|base]"
        ) { $0.rollBackModel($1) },
        Command(
            "model.pin", 2, .admin, "model", "Serves a version and refuses refreshes", "version"
        ) { $0.pinModel($1) },
        Command("model.unpin", 1, .admin, "model", "Lets refreshes go on") { $0.unpinModel($1) },
    ]

    private static let streams = [
        Command(
            "xread", -4, .read, "feed", "Entries of feeds after a position",
            "[COUNT n] [BLOCK ms] STREAMS feed:user [feed:user ...] id|$ [id|$ ...]"
        ) { $0.xread($1) },
        Command(
            "subscribe", -2, .read, "feed", "Hints when a user's list changes",
            "feed:user [feed:user ...]", whileSubscribed: true
        ) { $0.subscribe($1) },
        Command(
            "unsubscribe", -1, .none, "feed", "Ends subscriptions", "[feed:user ...]",
            whileSubscribed: true
        ) { $0.unsubscribe($1) },
        Command(
            "psubscribe", -2, .read, "feed", "Hints when any matching user changes",
            "pattern [pattern ...]", whileSubscribed: true
        ) { $0.psubscribe($1) },
        Command(
            "punsubscribe", -1, .none, "feed", "Ends subscriptions to patterns", "[pattern ...]",
            whileSubscribed: true
        ) { $0.punsubscribe($1) },
    ]

    private static let introspection = [
        Command("info", -1, .read, "server", "Numbers about the server", "[section ...]") {
            $0.info($1)
        },
        Command(
            "prequential", -1, .read, "server", "What lists were worth, as the stream went on",
            "[FROM n] [COUNT n]"
        ) { $0.prequential($1) },
        Command("slowlog", -2, .read, "server", "Slow requests", "GET [n] | LEN | RESET") {
            $0.slowLog($1)
        },
        Command(
            "latency", -2, .read, "server", "How long commands took", "HISTOGRAM [command ...]"
        ) { $0.latency($1) },
        Command("time", 1, .none, "server", "Seconds and microseconds since 1970") { $0.time($1) },
        Command(
            "command", -1, .none, "server", "What commands there are",
            "[COUNT | LIST | DOCS [command ...] | INFO [command ...]]"
        ) { $0.command($1) },
        Command("config", -2, .none, "server", "Limits that clients ask for", "GET pattern ...") {
            $0.config($1)
        },
    ]

    private static let handshake = [
        Command("ping", -1, .none, "connection", "PONG", "[message]", whileSubscribed: true) {
            $0.ping($1)
        },
        Command("echo", 2, .none, "connection", "The message back", "message") { $0.echo($1) },
        Command(
            "hello", -1, .none, "connection", "Chooses RESP2 or RESP3",
            "[2|3 [AUTH user password] [SETNAME name]]"
        ) { $0.hello($1) },
        Command(
            "client", -2, .none, "connection", "About this connection",
            "ID | INFO | LIST | GETNAME | SETNAME name | SETINFO LIB-NAME|LIB-VER text"
        ) { $0.client($1) },
        Command("select", 2, .none, "connection", "There is database 0", "0") { $0.select($1) },
        Command(
            "auth", -2, .none, "connection",
            "Accepted for user default; rights come from the socket",
            "[user] password"
        ) { $0.authenticate($1) },
        Command("reset", 1, .none, "connection", "As if newly connected", whileSubscribed: true) {
            $0.resetConnection($1)
        },
        Command("quit", -1, .none, "connection", "Closes", whileSubscribed: true) { $0.quit($1) },
    ]
}

extension Connection {
    /// Finds the command and runs it, or says why not.
    func dispatch(_ request: Request) {
        current = nil
        failed = false
        guard let command = Command.find(request.name) else {
            return reply(error: unknownCommand(request))
        }
        current = command
        guard command.accepts(request.count) else {
            return reply(error: "ERR wrong number of arguments for '\(command.name)' command")
        }
        guard right >= command.right else {
            return refuse(command.name, needs: command.right)
        }
        if version == .resp2, feeds.subscriptionCount > 0, !command.whileSubscribed {
            return reply(
                error: "ERR Can't execute '\(command.name)': only (P|S)SUBSCRIBE / "
                    + "(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
        }
        command.run(self, request)
        if !deferred { loop.tallies.count(command.index, seconds: 0, failed: failed) }
    }

    func refuse(_ name: String, needs: Right) {
        loop.state.counters.refusedByRight.increase()
        reply(error: loop.state.configuration.access.refusal(of: name, needs: needs, peer: peer))
    }

    func reply(error text: String) {
        failed = true
        loop.state.counters.errorReplies.increase()
        let prefix = String(text.prefix { $0 != " " })
        loop.state.observer.observe(
            .requestFailed(command: current?.name ?? "unknown", prefix: prefix))
        reply { $0.error(text) }
    }

    private func unknownCommand(_ request: Request) -> String {
        var shown = ""
        var index = 1
        while index < request.count, shown.utf8.count < 128 {
            shown += "'\(request.shown(index, bytesMax: 128 - shown.utf8.count))' "
            index += 1
        }
        return "ERR unknown command '\(request.shown(0))', with args beginning with: \(shown)"
    }

    /// For commands that hold others: what was asked for is none of them, or has the wrong number of arguments.
    func replyUnknownSubcommand(_ container: String, _ request: Request) {
        let name = request.shown(1)
        reply(error: "ERR unknown subcommand '\(name)'. Try \(container.uppercased()) HELP.")
    }

    func replyWrongArity(_ name: String) {
        reply(error: "ERR wrong number of arguments for '\(name)' command")
    }
}

/// How failures of ports look to a Redis client.
enum ErrorText {
    static func of(_ error: PortError) -> String {
        "\(prefix(error)) \(error.reason)"
    }

    static func prefix(_ error: PortError) -> String {
        switch error.code {
        case .unavailable: return "TRYAGAIN"
        case .busy: return "BUSY"
        case .timeout: return "TIMEOUT"
        case .refused, .corrupt: return "ERR"
        }
    }
}
