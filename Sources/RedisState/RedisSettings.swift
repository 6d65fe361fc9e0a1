// Where the Redis is, how to get in, and how patient to be with it.

/// What a `RedisStateStore` needs to know; plain values, made by the executable from the configuration.
///
/// An ACL user needs `~<prefix>:*` and
/// `+fcall +info +function|load +ping +select +client|setname +hmget +hget +hgetall +hlen +hset +hdel +hscan
/// +xadd +xtrim +xrange +xrevrange +xlen +sadd +smembers +memory|usage +pexpire +persist +del +unlink +time`.
public struct RedisSettings: Sendable, Hashable {
    public enum Address: Sendable, Hashable, CustomStringConvertible {
        case unix(path: String)
        case tcp(host: String, port: Int)

        public var description: String {
            switch self {
            case .unix(let path): "unix:\(path)"
            case .tcp(let host, let port): "\(host):\(port)"
            }
        }
    }

    public var address: Address
    /// The ACL user; nil means `default`.
    public var user: String?
    public var password: String?
    public var database: Int
    /// The first part of every key's name.
    public var prefix: String
    /// How users are mapped to partitions; recorded with the layout, so that nobody changes it by accident.
    public var partitioner: String
    public var connectTimeoutMilliseconds: Int
    /// Longest silence of the server while it owes an answer.
    public var commandTimeoutMilliseconds: Int
    /// The back-off starts with this pause and doubles up to the other, each time shortened by up to a half at
    /// random.
    public var backoffMinMilliseconds: Int
    public var backoffMaxMilliseconds: Int

    public init(
        address: Address, user: String? = nil, password: String? = nil, database: Int = 0,
        prefix: String = "millrace", partitioner: String = "murmur2",
        connectTimeoutMilliseconds: Int = 1_000, commandTimeoutMilliseconds: Int = 5_000,
        backoffMinMilliseconds: Int = 20, backoffMaxMilliseconds: Int = 2_000
    ) {
        self.address = address
        self.user = user
        self.password = password
        self.database = database
        self.prefix = prefix
        self.partitioner = partitioner
        self.connectTimeoutMilliseconds = connectTimeoutMilliseconds
        self.commandTimeoutMilliseconds = commandTimeoutMilliseconds
        self.backoffMinMilliseconds = backoffMinMilliseconds
        self.backoffMaxMilliseconds = backoffMaxMilliseconds
    }
}
