// Metrics, health and a status page over HTTP/1.1, on a Unix socket and, when asked for, on loopback.
//
// Knows nothing of the daemon: what it answers comes from closures. There is no login, so nothing but loopback is
// listened on, and nothing can be changed through it.

public import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What the server answers with. Called on its event loop: must return within milliseconds.
public struct OperationsAnswers: Sendable {
    /// Prometheus text.
    public var metrics: @Sendable () -> String
    /// A JSON object.
    public var status: @Sendable () -> String
    /// Why the daemon is not ready to serve; empty when it is.
    public var unreadiness: @Sendable () -> [String]
    /// Whether the daemon's own parts still make progress.
    public var isAlive: @Sendable () -> Bool

    public init(
        metrics: @escaping @Sendable () -> String, status: @escaping @Sendable () -> String,
        unreadiness: @escaping @Sendable () -> [String],
        isAlive: @escaping @Sendable () -> Bool = { true }
    ) {
        self.metrics = metrics
        self.status = status
        self.unreadiness = unreadiness
        self.isAlive = isAlive
    }
}

/// Where to listen.
public enum OperationsAddress: Sendable {
    /// A path, made anew with this mode; a socket left there by a dead process is removed.
    case unix(path: String, mode: Int)
    /// A bound, listening descriptor from systemd.
    case descriptor(Int32)
    /// Loopback only. Port 0 takes any.
    case tcp(host: String, port: Int)
}

/// Why the server could not listen.
public struct OperationsError: Error, Sendable, CustomStringConvertible {
    public var description: String
}

public final class OperationsServer: Sendable {
    public static let connectionsMax = 64
    public static let headerBytesMax = 16 << 10
    /// A request body is not wanted; more than this closes the connection.
    public static let bodyBytesMax = 64 << 10
    /// From one reply to the next a connection has this long.
    public static let exchangeSecondsMax: Int64 = 30

    private let answers: OperationsAnswers
    private let group: any EventLoopGroup
    private let exchangeLimit: TimeAmount
    private let channels = Mutex<[any Channel]>([])
    private let connectionCount = Atomic<Int>(0)

    /// `exchangeLimit` is for tests.
    public init(
        answers: OperationsAnswers, group: any EventLoopGroup,
        exchangeLimit: TimeAmount = .seconds(OperationsServer.exchangeSecondsMax)
    ) {
        self.answers = answers
        self.group = group
        self.exchangeLimit = exchangeLimit
    }

    /// Starts listening; returns the port for `tcp`.
    @discardableResult
    public func listen(on address: OperationsAddress) async throws -> Int? {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { [self] in prepare($0) }
        let channel: any Channel
        switch address {
        case .unix(let path, let mode):
            channel = try await bootstrap.bind(
                unixDomainSocketPath: path, cleanupExistingSocketFile: true
            ).get()
            guard chmodPath(path, mode) else {
                try await channel.close()
                throw OperationsError(description: "cannot set mode of \(path)")
            }
        case .descriptor(let descriptor):
            channel = try await bootstrap.withBoundSocket(descriptor).get()
        case .tcp(let host, let port):
            let resolved = try SocketAddress.makeAddressResolvingHost(host, port: port)
            guard resolved.isLoopback else {
                throw OperationsError(
                    description: "\(host):\(port) is not loopback: anyone could read the metrics; "
                        + "use 127.0.0.1 or [::1], or a reverse proxy with a login")
            }
            channel =
                try await bootstrap
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(to: resolved).get()
        }
        channels.withLock { $0.append(channel) }
        return channel.localAddress?.port
    }

    /// Stops listening. Exchanges under way end with their connections.
    public func stop() async {
        let channels = channels.withLock { channels in
            defer { channels = [] }
            return channels
        }
        for channel in channels { try? await channel.close() }
    }

    private func prepare(_ channel: any Channel) -> EventLoopFuture<Void> {
        let count = connectionCount.wrappingAdd(1, ordering: .relaxed).newValue
        channel.closeFuture.whenComplete { [self] _ in
            connectionCount.wrappingSubtract(1, ordering: .relaxed)
        }
        return channel.eventLoop.makeCompletedFuture {
            guard count <= Self.connectionsMax else { throw ChannelError.connectTimeout(.zero) }
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = Self.headerBytesMax
            limits.maxHeaderListSize = Self.headerBytesMax
            limits.maxHeaderFieldCount = 64
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline(
                withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
            try pipeline.addHandler(OperationsHandler(answers, exchangeLimit: exchangeLimit))
        }
    }
}

extension SocketAddress {
    var isLoopback: Bool {
        switch self {
        case .v4: ipAddress?.hasPrefix("127.") == true
        case .v6: ipAddress == "::1"
        case .unixDomainSocket: false
        }
    }
}
