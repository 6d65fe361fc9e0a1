// The keys of recommending, of what goes out, and of what is around it.

extension SettingKey {
    static let recommending: [SettingKey] = [
        SettingKey(
            "rules.recency", \.rules.recency, .choice,
            """
            How the items of a history count, newest first: geometric (decay^age, for steady
            tastes) or harmonic (1/(1+age), for logs where demand moves fast).
            """),
        SettingKey(
            "rules.decay", \.rules.decay, .number(0.01...1), "Base of the geometric recency."),
        SettingKey(
            "rules.prior", \.rules.prior, .number(0...10_000),
            "Evidence, in events, at which an item's rules weigh half."),
        SettingKey(
            "rules.backoff", \.rules.backoff, .number(0...100),
            "Share of popularity mixed into the rules."),
        SettingKey(
            "rules.sources-max", \.rules.sourcesMax, .integer(1...100),
            "Items of a history that take part, newest first."),
        SettingKey(
            "rules.pairs-max", \.rules.pairsMax, .integer(1_000...2_000_000_000),
            "Item pairs counted; 16 bytes each, further pairs are not counted."),
        SettingKey(
            "popularity.half-lives", \.popularity.halfLives,
            .list(of: .duration(.seconds(60) ... .seconds(3_650 * 86_400)), 1...8),
            """
            After this long a demand counts half; several make several time scales, shortest first.
            """
        ),
        SettingKey(
            "catalogue.items-max", \.catalogue.itemsMax, .integer(1...100_000_000),
            "Most items; further ones are refused by name and counted."),
    ]

    static let output: [SettingKey] = [
        SettingKey(
            "serving.prequential", \.serving.prequential, .boolean,
            """
            Score every event's item against the list its user would have got, before learning from it;
            the accuracy is in INFO prequential. Costs one list an event.
            """
        ),
        SettingKey(
            "serving.deadline", \.serving.deadline,
            .duration(.milliseconds(1) ... .seconds(60)),
            """
            When an answer is due if the request does not say. Cheaper lists are made while there is no
            time for better ones (docs/lists.md); what is late all the same is an error.
            """
        ),
        SettingKey(
            "serving.requests-max", \.serving.requestsMax, .integer(1...10_000_000),
            "Requests that wait or are answered at a time; further ones are told BUSY."),
        SettingKey(
            "serving.write-deadline", \.serving.writeDeadline,
            .duration(.milliseconds(10) ... .seconds(60)),
            "The same for what waits for the broker or for a commit."),
        SettingKey(
            "serving.staleness", \.serving.staleness, .duration(.zero ... .seconds(300)),
            """
            How long an answer may be repeated to a user who did nothing since, while others'
            events move the statistics. A user's own event always changes the very next answer.
            """),
        SettingKey(
            "serving.cache-max", \.serving.cacheBytesMax, .size(0...64 << 30),
            "Answers kept for repetition, for each thread; 0 keeps none."),
        SettingKey(
            "serving.slow-threshold", \.serving.slowThreshold, .duration(.zero ... .seconds(60)),
            "Requests that took at least this long are kept for SLOWLOG."),
        SettingKey(
            "serving.threads", \.serving.threads, .integer(1...64),
            "Threads that read and write the sockets."),
        SettingKey(
            "feeds.watched-max", \.feeds.watchedMax, .integer(1...1_000_000),
            "Users whose list is kept up to date; further ones are refused."),
        SettingKey(
            "feeds.entries-kept", \.feeds.entriesKept, .integer(1...1_000),
            """
            Entries of a feed that can be read again; who is further behind gets the full newest
            list.
            """
        ),
        SettingKey("feeds.list-size", \.feeds.listSize, .integer(1...1_000), "Items in an entry."),
        SettingKey(
            "feeds.scenario", \.feeds.scenario, .orNull(.name(bytesMax: 64)),
            "The scenario of lists.scenarios that feeds are made by; null takes the default one."),
        SettingKey(
            "feeds.watch-ttl", \.feeds.watchTTL, .duration(.seconds(1) ... .seconds(86_400)),
            "How long a feed nobody reads is still kept up to date."),
        SettingKey(
            "feeds.refresh-interval", \.feeds.refreshInterval,
            .duration(.milliseconds(100) ... .seconds(86_400)),
            """
            How often watched lists follow what others did; the user's own events change them at
            once.
            """
        ),
        SettingKey(
            "feeds.topic", \.feeds.topic, .orNull(.topic),
            """
            Kafka topic that new lists of watched users are also produced to, keyed by user; null
            produces none.
            """
        ),
        SettingKey(
            "socket.path", \.socket.path, .socketPath, "Unused under systemd socket activation."),
        SettingKey(
            "socket.mode", \.socket.mode, .mode,
            "Who can connect at all: permissions of the socket."),
        SettingKey(
            "socket.group", \.socket.group, .orNull(.group), "Group that the socket is given to."),
        SettingKey(
            "socket.access.read", \.socket.access.read, .access,
            "Recommendations, feeds, users, items."),
        SettingKey(
            "socket.access.write", \.socket.access.write, .access,
            "Events and items into the log."),
        SettingKey(
            "socket.access.admin", \.socket.access.admin, .access,
            "Forgetting users, other clients, slow requests."),
        SettingKey(
            "socket.connections-max", \.socket.connectionsMax, .integer(1...100_000),
            "Further connections are refused with an error."),
        SettingKey(
            "socket.frame-max", \.socket.frameBytesMax, .size(1 << 10...64 << 20),
            "Longest request; a longer one closes the connection."),
        SettingKey(
            "socket.bulk-max", \.socket.bulkBytesMax, .size(1 << 10...64 << 20),
            "Longest argument."),
        SettingKey(
            "socket.arguments-max", \.socket.argumentsMax, .integer(16...1_000_000),
            "Most arguments of a request."),
        SettingKey(
            "socket.pipeline-max", \.socket.pipelineMax, .integer(1...100_000),
            "Requests of a connection in flight; at the limit it is not read from."),
        SettingKey(
            "socket.output-max", \.socket.outputBytesMax, .size(64 << 10...1 << 30),
            "Bytes waiting for a client that does not read; at the limit it is closed."),
    ]

    static let around: [SettingKey] = [
        SettingKey(
            "operations.path", \.operations.path, .socketPath,
            "Unused under systemd socket activation."),
        SettingKey(
            "operations.mode", \.operations.mode, .mode, "Permissions of the socket."),
        SettingKey(
            "operations.tcp", \.operations.tcp, .orNull(.loopback),
            """
            A second address for scrapers that cannot use a Unix socket. There is no login:
            loopback only.
            """
        ),
        SettingKey(
            "telemetry.log-level", \.telemetry.logLevel, .choice, effect: .reload,
            "The least that is logged."),
        SettingKey(
            "telemetry.journal", \.telemetry.journal, .choice,
            """
            Structured fields to the journal: auto does so when stderr is the journal, else lines
            on stderr.
            """
        ),
        SettingKey(
            "shutdown.drain-limit", \.shutdown.drainLimit,
            .duration(.milliseconds(100) ... .seconds(300)),
            """
            Longest time from SIGTERM to the end: accepted requests finish, batches in flight are
            committed.
            """
        ),
    ]
}
