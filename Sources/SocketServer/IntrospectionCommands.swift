// INFO, SLOWLOG, LATENCY, COMMAND, CONFIG: the server about itself.

import Glibc
import Ports
import Synchronization
import WireProtocol

extension Connection {
    // MARK: - INFO

    func info(_ request: Request) {
        let wanted = Set((1..<request.count).map { request.shown($0).lowercased() })
        let words: Set = ["all", "default", "everything"]
        let everything = wanted.isEmpty || !wanted.isDisjoint(with: words)
        let own = ownSections.filter { everything || wanted.contains($0.title.lowercased()) }
        let ownTitles = Set(ownSections.map { $0.title.lowercased() })
        if !everything, wanted.isSubset(of: ownTitles) {
            return reply { $0.verbatim(InfoText.of(own)) }
        }
        loop.state.service.info(
            reply: later(request) {
                (sections: [InfoSection], writer: inout ReplyWriter) in
                let others = sections.filter {
                    everything || wanted.contains($0.title.lowercased())
                }
                writer.verbatim(InfoText.of(own + others))
            })
    }

    private var ownSections: [InfoSection] {
        let state = loop.state
        let uptime = max(0, Int(loop.now - state.startedSeconds))
        let counters = state.counters
        let totals = state.commandTotals
        let server = InfoSection(
            title: "Server",
            lines: [
                InfoLine("redis_version", redisCompatibility), InfoLine("redis_mode", "standalone"),
                InfoLine("server_name", "millrace"),
                InfoLine("millrace_version", state.configuration.version),
                InfoLine("process_id", String(getpid())),
                InfoLine("uptime_in_seconds", String(uptime)),
                InfoLine("uptime_in_days", String(uptime / 86_400)),
                InfoLine("io_threads_active", String(state.tallies.count)),
            ])
        let clients = state.clients.withLock { Array($0.values) }
        let clientsSection = InfoSection(
            title: "Clients",
            lines: [
                InfoLine("connected_clients", String(counters.connections.value)),
                InfoLine("maxclients", String(state.configuration.limits.connectionsMax)),
                InfoLine(
                    "pubsub_clients",
                    String(clients.count { $0.channels + $0.patterns > 0 })),
            ])
        let stats = InfoSection(
            title: "Stats",
            lines: [
                ("total_connections_received", counters.accepted.value),
                ("total_commands_processed", totals.reduce(0) { $0 + $1.calls }),
                ("rejected_connections", counters.rejectedByLimit.value),
                ("total_error_replies", counters.errorReplies.value),
                ("protocol_errors", counters.protocolErrors.value),
                ("refused_by_right", counters.refusedByRight.value),
                ("client_output_limit_disconnections", counters.closedByOutputLimit.value),
                ("request_timeouts", counters.timeouts.value),
                ("late_replies_dropped", counters.lateReplies.value),
                ("messages_sent", counters.messagesSent.value),
                ("messages_coalesced", counters.messagesCoalesced.value),
                ("hints_dropped", counters.hintsDropped.value),
                ("reply_cache_hits", counters.cacheHits.value),
                ("reply_cache_misses", counters.cacheMisses.value),
                ("slowlog_len", state.slowLog.count),
            ].map { InfoLine($0.0, String($0.1)) })
        return [server, clientsSection, stats, commandSection(totals)]
            + (state.configuration.models?.modelInfo ?? [])
    }

    private func commandSection(_ totals: [CommandTally]) -> InfoSection {
        let lines = zip(Command.all, totals).filter { $1.calls > 0 }.map { command, tally in
            let mean = ReplyWriter.text(
                (Double(tally.microseconds) / Double(tally.calls) * 100).rounded() / 100)
            return InfoLine(
                "cmdstat_\(command.name)",
                "calls=\(tally.calls),usec=\(tally.microseconds),usec_per_call=\(mean),"
                    + "rejected_calls=0,failed_calls=\(tally.failed)")
        }
        return InfoSection(title: "Commandstats", lines: lines)
    }

    // MARK: - SLOWLOG, LATENCY

    func slowLog(_ request: Request) {
        let log = loop.state.slowLog
        if request.isWord(1, "LEN"), request.count == 2 {
            reply { $0.integer(log.count) }
        } else if request.isWord(1, "RESET"), request.count == 2 {
            guard right >= .admin else { return refuse("slowlog|reset", needs: .admin) }
            log.reset()
            reply { $0.simple("OK") }
        } else if request.isWord(1, "GET"), request.count <= 3 {
            let count = request.count == 3 ? request.integer(2) : 10
            guard let count, count >= -1 else {
                return reply(error: "ERR count should be greater than or equal to -1")
            }
            replySlowLog(log.newest(count == -1 ? .max : count))
        } else if request.isWord(1, "HELP") {
            replyHelp("slowlog")
        } else {
            replyUnknownSubcommand("slowlog", request)
        }
    }

    private func replySlowLog(_ entries: [SlowLog.Entry]) {
        reply { writer in
            writer.array(entries.count)
            for entry in entries {
                writer.array(6)
                writer.integer(entry.id)
                writer.integer(entry.wallSeconds)
                writer.integer(entry.microseconds)
                writer.array(entry.arguments.count)
                for argument in entry.arguments { writer.bulk(argument) }
                writer.bulk(entry.client)
                writer.bulk(entry.clientName)
            }
        }
    }

    func latency(_ request: Request) {
        if request.isWord(1, "HELP") { return replyHelp("latency") }
        guard request.isWord(1, "HISTOGRAM") else {
            return replyUnknownSubcommand("latency", request)
        }
        let wanted = Set((2..<request.count).map { request.shown($0).lowercased() })
        let shown = zip(Command.all, loop.state.commandTotals).filter { command, tally in
            tally.calls > 0 && (wanted.isEmpty || wanted.contains(command.name))
        }
        reply { writer in
            writer.map(shown.count)
            for (command, tally) in shown {
                writer.bulk(command.name)
                writer.map(2)
                writer.bulk("calls")
                writer.integer(tally.calls)
                writer.bulk("histogram_usec")
                InfoText.write(tally, to: &writer)
            }
        }
    }

    // MARK: - COMMAND

    func command(_ request: Request) {
        guard request.count > 1 else { return replyCommands(Command.all) }
        let names = (2..<request.count).map { request.shown($0).lowercased() }
        if request.isWord(1, "COUNT"), names.isEmpty {
            reply { $0.integer(Command.all.count) }
        } else if request.isWord(1, "LIST"), names.isEmpty {
            reply { writer in
                writer.array(Command.all.count)
                for command in Command.all { writer.bulk(command.name) }
            }
        } else if request.isWord(1, "DOCS") {
            replyDocs(Command.all.filter { names.isEmpty || names.contains($0.name) })
        } else if request.isWord(1, "INFO") {
            replyCommands(
                names.isEmpty
                    ? Command.all : names.map { name in Command.all.first { $0.name == name } })
        } else if request.isWord(1, "HELP") {
            replyHelp("command")
        } else {
            replyUnknownSubcommand("command", request)
        }
    }

    private func replyCommands(_ commands: [Command?]) {
        reply { writer in
            writer.array(commands.count)
            for command in commands {
                guard let command else {
                    writer.nullArray()
                    continue
                }
                InfoText.write(command, to: &writer)
            }
        }
    }

    private func replyDocs(_ commands: [Command]) {
        reply { writer in
            writer.map(commands.count)
            for command in commands {
                writer.bulk(command.name)
                writer.map(command.syntax.isEmpty ? 3 : 4)
                writer.bulk("summary")
                writer.bulk(command.summary)
                writer.bulk("since")
                writer.bulk("0.1.0")
                writer.bulk("group")
                writer.bulk(command.group)
                guard !command.syntax.isEmpty else { continue }
                // One argument that reads as the whole grammar: redis-cli shows it as the hint.
                writer.bulk("arguments")
                writer.array(1)
                writer.map(3)
                writer.bulk("name")
                writer.bulk(command.syntax)
                writer.bulk("type")
                writer.bulk("string")
                writer.bulk("display_text")
                writer.bulk(command.syntax)
            }
        }
    }

    // MARK: - CONFIG

    func config(_ request: Request) {
        if request.isWord(1, "HELP") { return replyHelp("config") }
        guard request.isWord(1, "GET"), request.count >= 3 else {
            if request.isWord(1, "GET") { return replyWrongArity("config|get") }
            guard request.isWord(1, "SET") else { return replyUnknownSubcommand("config", request) }
            return reply(
                error: "ERR the configuration is a file: change it there and reload the service")
        }
        let patterns = (2..<request.count).map { request.shown($0).lowercased() }
        let limits = loop.state.configuration.limits
        let times = loop.state.configuration.times
        let known = [
            ("appendonly", "no"), ("databases", "1"),
            ("maxclients", String(limits.connectionsMax)),
            ("proto-max-bulk-len", String(limits.request.bulkBytesMax)), ("save", ""),
            ("slowlog-log-slower-than", String(times.slowLogMicroseconds)),
            ("slowlog-max-len", String(limits.slowLogEntriesMax)), ("timeout", "0"),
        ].filter { name, _ in patterns.contains { Glob.matches($0, name) } }
        reply { writer in
            writer.map(known.count)
            for (name, value) in known {
                writer.bulk(name)
                writer.bulk(value)
            }
        }
    }
}

/// How statistics and commands look on the wire.
enum InfoText {
    static func of(_ sections: [InfoSection]) -> String {
        sections.map { section in
            "# \(section.title)\r\n"
                + section.lines.map { "\($0.key):\($0.value)\r\n" }.joined()
        }.joined(separator: "\r\n")
    }

    /// Cumulative counts by upper bound, as `LATENCY HISTOGRAM` of Redis: only buckets in which something changed.
    static func write(_ tally: CommandTally, to writer: inout ReplyWriter) {
        var sum = 0
        let steps: [(Int, Int)] = (0..<CommandTally.bucketCount).compactMap { bucket in
            guard tally.buckets[bucket] > 0 else { return nil }
            sum += tally.buckets[bucket]
            return (1 << bucket, sum)
        }
        writer.map(steps.count)
        for (bound, count) in steps {
            writer.integer(bound)
            writer.integer(count)
        }
    }

    /// The ten fields of `COMMAND`: there are no keys, as there is no cluster to route by them.
    static func write(_ command: Command, to writer: inout ReplyWriter) {
        writer.array(10)
        writer.bulk(command.name)
        writer.integer(command.arity)
        let flags = flags(command)
        writer.set(flags.count)
        for flag in flags { writer.simple(flag) }
        for _ in 0..<3 { writer.integer(0) }
        writer.set(1)
        writer.simple("@\(command.group)")
        for _ in 0..<3 { writer.array(0) }
    }

    private static func flags(_ command: Command) -> [String] {
        switch command.right {
        case .none: ["fast", "loading", "stale"]
        case .read: ["readonly"]
        case .write: ["write"]
        case .admin: ["admin", "write"]
        }
    }
}
