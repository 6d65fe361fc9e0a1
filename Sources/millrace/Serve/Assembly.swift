// Settings into the modules' own configurations: the one place where both sides are known.

import Combiner
import Interactions
import KafkaIngest
import OperationsServer
import Pipeline
import Ports
import Recommender
import RecordDecoding
import RedisState
import Settings
import SocketServer
import Teachers
import WireProtocol

struct Assembly {
    let settings: MillraceSettings
    let clock: any Clock

    // MARK: - Kafka

    func kafka() throws -> KafkaConfiguration {
        let from = settings.kafka
        var to = KafkaConfiguration(
            brokers: from.brokers.joined(separator: ","), eventTypes: eventTypes)
        to.interactionsTopic = from.topics.interactions
        to.itemsTopic = from.topics.items
        to.deadLetterTopic = from.topics.deadLetters
        to.feedTopic = settings.feeds.topic
        to.groupID = from.group
        to.groupInstanceID = from.instanceID
        to.partitioner = partitioner
        to.interactionFields = interactionFields
        to.itemFields = itemFields
        to.limits.interactionBytesMax = from.payloadBytesMax
        to.limits.itemBytesMax = from.itemPayloadBytesMax
        to.limits.futureTolerance = from.futureTolerance.wholeMilliseconds
        to.batchRecordsMax = from.batchRecordsMax
        to.batchWindowMilliseconds = Int(from.batchWindow.wholeMilliseconds)
        to.prefetchRecordsMax = from.prefetchRecordsMax
        to.prefetchBytesMax = from.prefetchBytesMax
        to.releaseWaitMilliseconds = Int(from.releaseLimit.wholeMilliseconds)
        for (name, value) in from.librdkafka {
            switch value {
            case .text(let text): to.settings[name] = text
            case .secret(let source): to.settings[name] = try source.read()
            }
        }
        return to
    }

    var partitioner: Partitioner { settings.kafka.partitioner == .crc32 ? .crc32 : .murmur2 }

    private var interactionFields: InteractionFields {
        let from = settings.kafka.interactionFields
        var to = InteractionFields()
        to.user = from.user
        to.item = from.item
        to.type = from.type
        to.value = from.value
        to.time = from.time
        to.eventID = from.eventID
        return to
    }

    private var itemFields: ItemFields {
        let from = settings.kafka.itemFields
        var to = ItemFields()
        to.title = from.title
        to.brand = from.brand
        to.categories = from.categories
        to.description = from.description
        to.price = from.price
        to.available = from.available
        to.expires = from.expires
        return to
    }

    var eventTypes: EventTypes {
        EventTypes(
            settings.events.types.map { type in
                let seen: SeenRule =
                    switch type.seen {
                    case .always: .always
                    case .never: .never
                    case .cooldown(let span): .cooldown(span.wholeMilliseconds)
                    }
                return EventType(name: type.name, weight: type.weight, seen: seen)
            })
    }

    // MARK: - State

    func redis() throws -> RedisState.RedisSettings {
        let from = settings.redis
        let address: RedisState.RedisSettings.Address =
            switch from.address {
            case .unix(let path): .unix(path: path)
            case .tcp(let place): .tcp(host: place.host, port: place.port)
            }
        return RedisState.RedisSettings(
            address: address, user: from.username, password: try from.password?.read(),
            database: from.database, prefix: from.prefix,
            partitioner: settings.kafka.partitioner.rawValue,
            connectTimeoutMilliseconds: Int(from.connectTimeout.wholeMilliseconds),
            commandTimeoutMilliseconds: Int(from.commandTimeout.wholeMilliseconds))
    }

    // MARK: - Pipeline

    var engine: EngineConfiguration {
        let recency: Recency =
            settings.rules.recency == .harmonic ? .harmonic : .geometric(settings.rules.decay)
        return EngineConfiguration(
            history: HistoryRules(
                types: eventTypes, historyMax: settings.engine.historyMax,
                eventKeysMax: settings.engine.eventIDsMax, cooccurrenceReach: cooccurrenceReach),
            rules: RuleParameters(
                recency: recency, sourcesMax: settings.rules.sourcesMax,
                prior: settings.rules.prior, backoff: settings.rules.backoff),
            halfLivesSeconds: mixture == nil
                ? halfLives : MixtureConfiguration.halfLives(beside: halfLives),
            itemsMax: settings.catalogue.itemsMax, pairsMax: settings.rules.pairsMax,
            mixture: mixture)
    }

    private var halfLives: [Int64] {
        settings.popularity.halfLives.map { max(1, $0.components.seconds) }
    }

    private var mixture: MixtureConfiguration? {
        let from = settings.mixture
        guard from.enabled else { return nil }
        var to = MixtureConfiguration()
        to.learnInterval = from.learnInterval
        to.usesModel = from.model
        to.usesTokenHead = from.tokenHead
        to.combiner.usesShortList = from.shortList
        to.combiner.listsMax = from.listsMax
        to.combiner.refitInterval = from.refitInterval
        to.combiner.fitDelay = from.refitInterval / 5
        return to
    }

    func pipeline() -> PipelineConfiguration {
        let partitioner = partitioner
        let items = ItemTexts(fields: itemFields, bytesMax: settings.kafka.itemPayloadBytesMax)
        var to = PipelineConfiguration(
            engine: engine, feedEpoch: UInt64(clock.wallMilliseconds),
            partition: { user, count in partitioner.partition(of: user, count: count) },
            decodeItem: { id, json in items.record(id, json) })
        to.offsetGap = OffsetGapPolicy(rawValue: settings.kafka.offsetGap.rawValue) ?? .halt
        to.samplesEvents = settings.model.folder != nil && settings.model.adapters != nil
        to.usersCachedMax = settings.engine.usersCachedMax
        to.hasModel = settings.model.folder != nil
        to.modelUsersCachedMax = settings.model.usersCachedMax
        to.userIdleSecondsMax = settings.redis.userTTL.components.seconds
        to.userBytesMax = Int64(settings.redis.usersBytesMax)
        to.checkpointIntervalMilliseconds = settings.redis.checkpointInterval.wholeMilliseconds
        to.checkpointEditBytes = settings.redis.checkpointEditBytesMax
        to.peerIntervalMilliseconds = settings.redis.peerInterval.wholeMilliseconds
        to.scenarios = settings.lists.scenarios
        to.feedScenario = settings.feeds.scenario
        to.listsBytesMax = settings.lists.keptBytesMax
        to.listTimeToLive = settings.lists.keptTTL.wholeMilliseconds
        to.deadlineMilliseconds = Int(settings.serving.deadline.wholeMilliseconds)
        to.requestsMax = settings.serving.requestsMax
        to.producesFeeds = settings.feeds.topic != nil
        to.prequential = settings.serving.prequential
        to.feedWatchedMax = settings.feeds.watchedMax
        to.feedEntriesKept = settings.feeds.entriesKept
        to.feedListCount = settings.feeds.listSize
        to.feedIdleMilliseconds = settings.feeds.watchTTL.wholeMilliseconds
        to.feedRefreshMilliseconds = settings.feeds.refreshInterval.wholeMilliseconds
        configureTeachers(&to)
        return to
    }

    // MARK: - Sockets

    /// `descriptor` is the listening socket systemd passed, if it did.
    func socket(descriptor: Int32?) -> SocketServerConfiguration {
        let from = settings.socket
        let address: ListenAddress =
            descriptor.map { .descriptor($0) }
            ?? .path(from.path, mode: UInt32(from.mode), group: from.group)
        var limits = SocketLimits()
        limits.request.frameBytesMax = from.frameBytesMax
        limits.request.bulkBytesMax = from.bulkBytesMax
        limits.request.argumentsMax = from.argumentsMax
        limits.connectionsMax = from.connectionsMax
        limits.pipelineMax = from.pipelineMax
        limits.outputHardBytesMax = from.outputBytesMax
        limits.outputSoftBytesMax = min(limits.outputSoftBytesMax, from.outputBytesMax / 2)
        var times = SocketTimes()
        times.readDeadlineMilliseconds = Int(settings.serving.deadline.wholeMilliseconds)
        times.writeDeadlineMilliseconds = Int(settings.serving.writeDeadline.wholeMilliseconds)
        times.slowLogMicroseconds = Int(settings.serving.slowThreshold.wholeMilliseconds) * 1_000
        limits.cacheBytesMax = settings.serving.cacheBytesMax
        times.cacheStalenessMilliseconds = Int(settings.serving.staleness.wholeMilliseconds)
        let items = ItemTexts(fields: itemFields, bytesMax: settings.kafka.itemPayloadBytesMax)
        var to = SocketServerConfiguration(
            address: address,
            access: AccessRules(
                read: principals(from.access.read), write: principals(from.access.write),
                admin: principals(from.access.admin)),
            limits: limits, times: times, eventLoopThreads: settings.serving.threads,
            version: Millrace.version, itemProblem: { items.problem($0) })
        to.teachers = TeacherRegistry.all.map { $0.name }
        return to
    }

    private func principals(_ access: SocketSettings.Access) -> Principals {
        Principals(everyone: access.anyone, users: access.uids, groups: access.gids)
    }

    func operations(descriptor: Int32?) -> [OperationsAddress] {
        let from = settings.operations
        var addresses: [OperationsAddress] = [
            descriptor.map { .descriptor($0) } ?? .unix(path: from.path, mode: from.mode)
        ]
        if let place = from.tcp { addresses.append(.tcp(host: place.host, port: place.port)) }
        return addresses
    }
}
