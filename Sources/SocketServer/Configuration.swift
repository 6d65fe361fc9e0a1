// Everything about the socket that an operator decides; the executable fills it from the settings.

public import Ports
public import WireProtocol

/// Where connections come from.
public enum ListenAddress: Sendable, Hashable {
    /// A Unix socket file that the server makes. `group` nil leaves the group of the process.
    case path(String, mode: UInt32 = 0o660, group: UInt32? = nil)
    /// A listening socket somebody else made (systemd socket activation); it is theirs to remove.
    case descriptor(Int32)
}

/// Who holds a right, by the peer's user id or any of its groups.
public struct Principals: Sendable, Hashable {
    public var everyone: Bool
    public var users: Set<UInt32>
    public var groups: Set<UInt32>

    public init(everyone: Bool = false, users: Set<UInt32> = [], groups: Set<UInt32> = []) {
        self.everyone = everyone
        self.users = users
        self.groups = groups
    }

    /// Everybody whom the mode of the socket file lets connect.
    public static let everyone = Principals(everyone: true)
    public static let nobody = Principals()
}

/// The three rights; each contains the ones before it. Root and the daemon's own user always hold all.
public struct AccessRules: Sendable, Hashable {
    public var read: Principals
    public var write: Principals
    public var admin: Principals
    /// Under which key of the configuration file these lists stand: named in refusals.
    public var settingName: String

    public init(
        read: Principals = .everyone, write: Principals = .everyone, admin: Principals = .nobody,
        settingName: String = "socket.access"
    ) {
        self.read = read
        self.write = write
        self.admin = admin
        self.settingName = settingName
    }
}

/// What bounds a connection and the server.
public struct SocketLimits: Sendable, Hashable {
    public var request = RequestLimits()
    /// Further connections are told `max number of clients reached` and closed.
    public var connectionsMax = 1_024
    /// Requests in flight per connection; reading stops there until replies have left.
    public var pipelineMax = 1_024
    /// Unsent bytes at which a connection is no longer read, and its feed messages are coalesced.
    public var outputSoftBytesMax = 256 * 1_024
    /// Unsent bytes at which a connection is closed.
    public var outputHardBytesMax = 32 * 1_024 * 1_024
    /// Channels and patterns of one connection.
    public var subscriptionsMax = 10_000
    /// Users whose changes wait for one slow `PSUBSCRIBE` reader; further ones are only counted as skipped.
    public var hintsMax = 4_096
    /// Entries of one user in one `XREAD` reply.
    public var feedEntriesMax = 100
    /// Bytes of cached `REC.GET` replies per event loop; 0 switches the cache off.
    public var cacheBytesMax = 16 * 1_024 * 1_024
    public var slowLogEntriesMax = 128

    public init() {}
}

/// What bounds waiting.
public struct SocketTimes: Sendable, Hashable {
    /// When no `DEADLINE` is given, for reads.
    public var readDeadlineMilliseconds = 1_000
    /// For commands that wait for the broker, or for a commit.
    public var writeDeadlineMilliseconds = 10_000
    /// The longest `DEADLINE` accepted.
    public var deadlineMillisecondsMax = 60_000
    /// How old a repeated `REC.GET` reply may be while the user has not changed.
    public var cacheStalenessMilliseconds = 1_000
    /// Requests that took at least this long enter the slow log; negative switches it off.
    public var slowLogMicroseconds = 10_000

    public init() {}
}

public struct SocketServerConfiguration: Sendable {
    public var address: ListenAddress
    public var access: AccessRules
    public var limits: SocketLimits
    public var times: SocketTimes
    public var eventLoopThreads: Int
    /// Shown by `INFO`.
    public var version: String
    /// Why a JSON record for `ITEM.SET` cannot be an item; nil when it can.
    public var itemProblem: @Sendable (_ json: [UInt8]) -> String?
    /// Names of teachers that MODE accepts beside the rungs of the ladder; the service says which are enabled.
    public var teachers: [String] = []
    /// Who answers MODEL.*; nil: nobody.
    public var models: (any ModelService)?

    public init(
        address: ListenAddress, access: AccessRules = AccessRules(),
        limits: SocketLimits = SocketLimits(), times: SocketTimes = SocketTimes(),
        eventLoopThreads: Int = 1, version: String = "0",
        itemProblem: @escaping @Sendable (_ json: [UInt8]) -> String? = { _ in nil }
    ) {
        self.address = address
        self.access = access
        self.limits = limits
        self.times = times
        self.eventLoopThreads = eventLoopThreads
        self.version = version
        self.itemProblem = itemProblem
    }
}

/// Why the server cannot start.
public struct SocketServerError: Error, Sendable, Hashable, CustomStringConvertible {
    public var reason: String

    init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}
