// Every setting of the daemon as plain values: what the rest of the program sees of the settings file.
//
// The defaults written here are the only ones: `SettingKey.all` describes each key, and the annotated file in Config/
// is rendered from both. Names carry the key's words; quantities are a `Duration`, or bytes where the name says so.

public struct MillraceSettings: Sendable, Hashable {
    public var kafka = KafkaSettings()
    public var events = EventSettings()
    public var redis = RedisSettings()
    public var engine = EngineSettings()
    public var model = ModelSettings()
    public var refresh = RefreshSettings()
    public var rules = RulesSettings()
    public var mixture = MixtureSettings()
    public var teachers = TeacherSettings()
    public var summaries = SummarySettings()
    public var ranking = RankingSettings()
    public var popularity = PopularitySettings()
    public var catalogue = CatalogueSettings()
    public var lists = ListSettings()
    public var serving = ServingSettings()
    public var feeds = FeedSettings()
    public var socket = SocketSettings()
    public var operations = OperationsSettings()
    public var telemetry = TelemetrySettings()
    public var shutdown = ShutdownSettings()

    public init() {}
}

// MARK: - In

public struct KafkaSettings: Sendable, Hashable {
    public enum Partitioner: String, Sendable, CaseIterable {
        case murmur2, crc32
    }

    public enum OffsetGapPolicy: String, Sendable, CaseIterable {
        case halt, skip, rewind
    }

    public struct Topics: Sendable, Hashable {
        public var interactions = "interactions"
        public var items = "items"
        public var deadLetters = "millrace-dead-letters"

        public init() {}
    }

    /// The names under which a record's JSON object carries what we read.
    public struct InteractionFields: Sendable, Hashable {
        public var user = "user"
        public var item = "item"
        public var type = "type"
        public var value = "value"
        public var time = "ts"
        public var eventID = "id"

        public init() {}
    }

    public struct ItemFields: Sendable, Hashable {
        public var title = "title"
        public var brand = "brand"
        public var categories = "categories"
        public var description = "description"
        public var price = "price"
        public var available = "available"
        public var expires = "expires"

        public init() {}
    }

    public var brokers = ["localhost:9092"]
    public var group = "millrace"
    /// Static group membership when set.
    public var instanceID: String?
    public var topics = Topics()
    public var interactionFields = InteractionFields()
    public var itemFields = ItemFields()
    public var partitioner = Partitioner.murmur2
    public var batchRecordsMax = 1_000
    public var batchWindow = Duration.milliseconds(2)
    public var prefetchRecordsMax = 50_000
    public var prefetchBytesMax = 32 << 20
    public var payloadBytesMax = 64 << 10
    public var itemPayloadBytesMax = 1 << 20
    public var futureTolerance = Duration.seconds(300)
    public var offsetGap = OffsetGapPolicy.halt
    public var releaseLimit = Duration.seconds(10)
    public var librdkafka: [String: PassThroughValue] = [:]

    public init() {}
}

/// The value of a librdkafka property handed through untouched.
public enum PassThroughValue: Sendable, Hashable {
    case text(String)
    case secret(SecretSource)
}

public struct EventSettings: Sendable, Hashable {
    /// How long an item a user met in this way stays out of the user's lists.
    public enum Seen: Sendable, Hashable {
        case always
        case never
        case cooldown(Duration)
    }

    public struct Kind: Sendable, Hashable {
        public var name: String
        public var weight: Int
        public var seen: Seen

        public init(name: String, weight: Int, seen: Seen) {
            self.name = name
            self.weight = weight
            self.seen = seen
        }
    }

    public var types = [
        Kind(name: "view", weight: 1, seen: .always),
        Kind(name: "click", weight: 1, seen: .always),
        Kind(name: "cart", weight: 3, seen: .always),
        Kind(name: "purchase", weight: 5, seen: .always),
        Kind(name: "rating", weight: 1, seen: .always),
        Kind(name: "rate", weight: 1, seen: .always),
        Kind(name: "like", weight: 3, seen: .always),
        Kind(name: "dislike", weight: -1, seen: .always),
    ]

    public init() {}
}

// MARK: - State

public struct RedisSettings: Sendable, Hashable {
    public enum Address: Sendable, Hashable {
        case unix(path: String)
        case tcp(HostPort)
    }

    public var address = Address.tcp(HostPort(host: "127.0.0.1", port: 6_379))
    public var username: String?
    public var password: SecretSource?
    public var database = 0
    public var prefix = "millrace"
    public var connectTimeout = Duration.seconds(1)
    public var commandTimeout = Duration.seconds(5)
    /// Zero keeps every user.
    public var userTTL = Duration.zero
    public var usersBytesMax = 4 << 30
    public var checkpointInterval = Duration.seconds(60)
    public var checkpointEditBytesMax = 16 << 20
    public var peerInterval = Duration.milliseconds(500)

    public init() {}
}

public struct HostPort: Sendable, Hashable {
    /// Without the brackets of an IPv6 address.
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

public struct EngineSettings: Sendable, Hashable {
    public var historyMax = 512
    public var usersCachedMax = 200_000
    public var eventIDsMax = 16

    public init() {}
}

public struct ModelSettings: Sendable, Hashable {
    /// Without one, no model serves.
    public var folder: String?
    /// Without one, the model serves as it was trained.
    public var adapters: String?
    public var cacheFolder: String?
    public var usersCachedMax = 10_000
    public var memoryBytesMax = 1 << 30

    public init() {}
}

// MARK: - Recommending

public struct RulesSettings: Sendable, Hashable {
    public enum Recency: String, Sendable, CaseIterable {
        case geometric, harmonic
    }

    public var recency = Recency.harmonic
    public var decay = 0.8
    public var prior = 20.0
    public var backoff = 1.5
    public var sourcesMax = 10
    public var pairsMax = 50_000_000

    public init() {}
}

public struct PopularitySettings: Sendable, Hashable {
    public var halfLives = [Duration.seconds(17 * 3_600)]

    public init() {}
}

public struct CatalogueSettings: Sendable, Hashable {
    public var itemsMax = 1_000_000

    public init() {}
}

// MARK: - Out

public struct ServingSettings: Sendable, Hashable {
    public var prequential = false
    public var deadline = Duration.seconds(1)
    public var requestsMax = 10_000
    public var writeDeadline = Duration.seconds(10)
    public var staleness = Duration.seconds(1)
    public var cacheBytesMax = 16 << 20
    public var slowThreshold = Duration.milliseconds(10)
    public var threads = 1

    public init() {}
}

public struct FeedSettings: Sendable, Hashable {
    public var watchedMax = 10_000
    public var entriesKept = 16
    public var listSize = 20
    /// Of `lists.scenarios`; without one, that of the name `default`.
    public var scenario: String?
    public var watchTTL = Duration.seconds(300)
    public var refreshInterval = Duration.seconds(2)
    /// Nil produces no lists.
    public var topic: String?

    public init() {}
}

public struct SocketSettings: Sendable, Hashable {
    /// Who may use commands of a level. Root and the daemon's own user always may.
    public struct Access: Sendable, Hashable {
        public var anyone: Bool
        public var uids: Set<UInt32>
        public var gids: Set<UInt32>

        public static let anyone = Access(anyone: true)
        public static let nobody = Access(anyone: false)

        public init(anyone: Bool, uids: Set<UInt32> = [], gids: Set<UInt32> = []) {
            self.anyone = anyone
            self.uids = uids
            self.gids = gids
        }
    }

    public struct Levels: Sendable, Hashable {
        public var read = Access.anyone
        public var write = Access.anyone
        public var admin = Access.nobody

        public init() {}
    }

    public var path = "/run/millrace/millrace.sock"
    public var mode = 0o660
    public var group: UInt32?
    public var access = Levels()
    public var connectionsMax = 1_024
    public var frameBytesMax = 4 << 20
    public var bulkBytesMax = 2 << 20
    public var argumentsMax = 4_096
    public var pipelineMax = 1_024
    public var outputBytesMax = 32 << 20

    public init() {}
}

// MARK: - Around

public struct OperationsSettings: Sendable, Hashable {
    public var path = "/run/millrace/operations.sock"
    public var mode = 0o660
    /// Loopback only; nil listens on the Unix socket alone.
    public var tcp: HostPort?

    public init() {}
}

public struct TelemetrySettings: Sendable, Hashable {
    public enum Level: String, Sendable, CaseIterable {
        case debug, info, notice, warning, error
    }

    public enum Journal: String, Sendable, CaseIterable {
        case auto, always, never
    }

    public var logLevel = Level.info
    public var journal = Journal.auto

    public init() {}
}

public struct ShutdownSettings: Sendable, Hashable {
    public var drainLimit = Duration.seconds(20)

    public init() {}
}

// MARK: - Durations for modules that count

extension Duration {
    /// Whole milliseconds, rounded down.
    public var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }

    public var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
