// The keys of what comes in and where it is kept.

extension SettingKey {
    private static let day = Duration.seconds(86_400)

    static let input: [SettingKey] = [
        SettingKey(
            "kafka.brokers", \.kafka.brokers, .list(of: .broker, 1...64),
            "Brokers to find the cluster by."),
        SettingKey(
            "kafka.group", \.kafka.group, .name(bytesMax: 200),
            "Consumer group. Instances of one group share the partitions of the interactions topic."
        ),
        SettingKey(
            "kafka.instance-id", \.kafka.instanceID, .orNull(.name(bytesMax: 200)),
            """
            Static membership: a restart within the session timeout moves no partitions. Different
            on each instance.
            """
        ),
        SettingKey(
            "kafka.topics.interactions", \.kafka.topics.interactions, .topic,
            "Input; key = user id, a null payload forgets the user."),
        SettingKey(
            "kafka.topics.items", \.kafka.topics.items, .topic,
            "Input, compacted; key = item id, a null payload withdraws the item."),
        SettingKey(
            "kafka.topics.dead-letters", \.kafka.topics.deadLetters, .topic,
            "Output; what cannot be decoded goes there with the reason in its headers."),
        field(
            "interaction.user", \.kafka.interactionFields.user,
            "User id, when the record has no key."),
        field("interaction.item", \.kafka.interactionFields.item, "Item id."),
        field("interaction.type", \.kafka.interactionFields.type, "One of events.types."),
        field("interaction.value", \.kafka.interactionFields.value, "Optional number."),
        field(
            "interaction.time", \.kafka.interactionFields.time,
            "Milliseconds since 1970 or RFC 3339; the record's timestamp when absent."),
        field(
            "interaction.event-id", \.kafka.interactionFields.eventID,
            "Optional; the same id again is not counted again."),
        field("item.title", \.kafka.itemFields.title, "Required."),
        field("item.brand", \.kafka.itemFields.brand, "Optional text."),
        field("item.categories", \.kafka.itemFields.categories, "Optional list of text."),
        field("item.description", \.kafka.itemFields.description, "Optional text."),
        field("item.price", \.kafka.itemFields.price, "Optional number."),
        field(
            "item.available", \.kafka.itemFields.available,
            "Optional; false keeps the item out of every list."),
        field(
            "item.expires", \.kafka.itemFields.expires,
            "Optional time; from then on the item is not recommended."),
        SettingKey(
            "kafka.partitioner", \.kafka.partitioner, .choice,
            """
            How producers map a key to a partition: murmur2 (Java clients) or crc32 (librdkafka's
            default). Records that disagree are counted and named.
            """),
        SettingKey(
            "kafka.batch-records", \.kafka.batchRecordsMax, .integer(1...100_000),
            "Most records of a partition folded and committed in one step."),
        SettingKey(
            "kafka.batch-window", \.kafka.batchWindow, .duration(.zero ... .seconds(1)),
            "Longest wait for a batch to fill: adds to freshness, saves commits."),
        SettingKey(
            "kafka.prefetch-records", \.kafka.prefetchRecordsMax, .integer(1...10_000_000),
            "Most records read ahead of the last commit; at the limit reading pauses."),
        SettingKey(
            "kafka.prefetch-bytes", \.kafka.prefetchBytesMax, .size(1 << 20...16 << 30),
            "The same bound in bytes of payload."),
        SettingKey(
            "kafka.payload-max", \.kafka.payloadBytesMax, .size(256...64 << 20),
            "Longest payload of an interaction; longer ones become dead letters."),
        SettingKey(
            "kafka.item-payload-max", \.kafka.itemPayloadBytesMax, .size(256...64 << 20),
            "Longest payload of an item; longer ones become dead letters."),
        SettingKey(
            "kafka.future-tolerance", \.kafka.futureTolerance, .duration(.zero...day),
            """
            How far an event's time may lie after its record's timestamp; beyond it counts as that
            timestamp.
            """
        ),
        SettingKey(
            "kafka.offset-gap", \.kafka.offsetGap, .choice,
            """
            When the log no longer has the record to be read next (retention passed it): halt stops
            the daemon for a person to decide; skip goes on with the oldest record there is, what
            lies between is lost and counted; rewind is for a log that was made anew, and begins at
            its first record.
            """),
        SettingKey(
            "kafka.release-limit", \.kafka.releaseLimit,
            .duration(.milliseconds(100) ... .seconds(300)),
            "Longest wait for what is in flight when the group takes a partition away."),
        SettingKey(
            "kafka.librdkafka", \.kafka.librdkafka, PassThrough.codec,
            """
            Any librdkafka property, untouched: {security.protocol: sasl_ssl, sasl.mechanism:
            SCRAM-SHA-512, sasl.username: millrace, sasl.password: {credential: kafka-password}}.
            Secrets only so, never inline.
            """),
        SettingKey(
            "events.types", \.events.types, .kinds,
            """
            Known types. weight is what one event adds to popularity; 0 or less is no evidence of
            taste. seen: how long the item stays out of the user's lists: always (as long as the
            history remembers it), never, or a duration (repeat purchases: seen: 30d). weight is 1
            and seen always when left out. Histories store the position: append to the list, do not
            reorder or delete.
            """),
    ]

    static let state: [SettingKey] = [
        SettingKey(
            "redis.address", \.redis.address, .redisAddress, "Redis 7.0 or later."),
        SettingKey(
            "redis.username", \.redis.username, .orNull(.name(bytesMax: 128)),
            "ACL user; null logs in as the default user."),
        SettingKey(
            "redis.password", \.redis.password, .orNull(.secret),
            "Null sends none."),
        SettingKey("redis.database", \.redis.database, .integer(0...15), "0 on a cluster."),
        SettingKey(
            "redis.prefix", \.redis.prefix, .keyPrefix,
            "Start of every key: instances of one group share it."),
        SettingKey(
            "redis.connect-timeout", \.redis.connectTimeout,
            .duration(.milliseconds(10) ... .seconds(60)), "Longest wait for a connection."),
        SettingKey(
            "redis.command-timeout", \.redis.commandTimeout,
            .duration(.milliseconds(10) ... .seconds(300)),
            """
            Longest wait for a reply; after it the connection is made anew and the commit repeated.
            """
        ),
        SettingKey(
            "redis.user-ttl", \.redis.userTTL, .duration(.zero...day * 3_650),
            "A user idle for longer is forgotten; 0s keeps every user."),
        SettingKey(
            "redis.users-bytes-max", \.redis.usersBytesMax, .size(1 << 20...1 << 40),
            """
            Most bytes of user state; at the limit the longest idle users are forgotten, and
            counted.
            """
        ),
        SettingKey(
            "redis.checkpoint-interval", \.redis.checkpointInterval,
            .duration(.seconds(1)...day),
            """
            How often statistics are stored for a fast start; a start without one folds the
            histories again.
            """
        ),
        SettingKey(
            "redis.checkpoint-edits-max", \.redis.checkpointEditBytesMax, .size(64 << 10...4 << 30),
            "Changes of statistics kept between checkpoints; at the limit one is made early."),
        SettingKey(
            "redis.peer-interval", \.redis.peerInterval,
            .duration(.milliseconds(10) ... .seconds(300)),
            "How often the statistics of other instances are fetched."),
        SettingKey(
            "engine.history-max", \.engine.historyMax, .integer(1...4_096),
            "Distinct items a user's history holds; an older one is forgotten exactly."),
        SettingKey(
            "engine.users-cached-max", \.engine.usersCachedMax, .integer(16...100_000_000),
            "Users held in memory; others are read from Redis when they come."),
        SettingKey(
            "engine.event-ids-max", \.engine.eventIDsMax, .integer(0...256),
            "Event ids remembered per user, against events produced twice; 8 bytes each."),
        SettingKey(
            "model.folder", \.model.folder, .orNull(.name(bytesMax: 4_096)), effect: .reload,
            """
            The folder that millrace train wrote. A reload reads it again, also when only its
            content has changed; the model before serves until the new one is ready.
            """),
        SettingKey(
            "model.adapters", \.model.adapters, .orNull(.name(bytesMax: 4_096)), effect: .reload,
            """
            The folder that millrace refresh keeps adapters in. The model serves with the one that
            is current for it there; a reload looks again.
            """),
        SettingKey(
            "model.cache-folder", \.model.cacheFolder, .orNull(.name(bytesMax: 4_096)),
            effect: .reload,
            "Where vectors of item texts are kept between starts, a file a model; null keeps none."),
        SettingKey(
            "model.users-cached-max", \.model.usersCachedMax, .integer(1...100_000_000),
            "Users whose state in the model is kept; others are computed from their history."),
        SettingKey(
            "model.memory-max", \.model.memoryBytesMax, .size(1 << 20...1 << 40),
            effect: .reload,
            "Most memory of weights, item vectors and user states; a model above it is refused."),
    ]

    private static func field(
        _ name: String, _ place: any WritableKeyPath<MillraceSettings, String> & Sendable,
        _ summary: String
    ) -> SettingKey {
        SettingKey("kafka.fields." + name, place, .field, summary)
    }
}

private func * (duration: Duration, factor: Int) -> Duration {
    .seconds(duration.components.seconds * Int64(factor))
}
