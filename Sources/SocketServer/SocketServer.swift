// The Unix socket on which any Redis client is a client: listens, spreads connections over event loops, stops in an
// orderly way.

import CShims
import Glibc
import NIOCore
import NIOPosix
public import Ports
import Synchronization

/// Serves a `RecommendationService` in RESP2 and RESP3.
public final class SocketServer: Sendable {
    private struct Running: Sendable {
        var group: MultiThreadedEventLoopGroup
        var channel: any Channel
        var listener: Listener
        var loops: [NIOLoopBound<LoopContext>]
    }

    private let state: ServerState
    private let running = Mutex<Running?>(nil)

    public init(
        configuration: SocketServerConfiguration, service: any RecommendationService,
        observer: any Observer, clock: any Clock
    ) {
        state = ServerState(
            configuration: configuration, service: service, observer: observer, clock: clock)
    }

    /// Starts to listen; when it returns, clients can connect. Not to be called on an event loop.
    public func start() throws {
        let listener = try Listener(state.configuration.address)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: state.tallies.count)
        let state = state
        do {
            let loops = try group.makeIterator().enumerated().map { index, eventLoop in
                try eventLoop.submit {
                    NIOLoopBound(
                        LoopContext(state: state, eventLoop: eventLoop, index: index),
                        eventLoop: eventLoop)
                }.wait()
            }
            let channel = try Self.bootstrap(
                group, loops, address: Self.name(state),
                softBytesMax: state.configuration.limits.outputSoftBytesMax
            ).withBoundSocket(listener.descriptor).wait()
            running.withLock {
                $0 = Running(group: group, channel: channel, listener: listener, loops: loops)
            }
        } catch {
            listener.removeFile()
            try? group.syncShutdownGracefully()
            throw error
        }
    }

    /// Accepts nothing more, answers what was accepted, and closes what is left after the limit. `done` runs on some
    /// thread.
    public func stop(withinMilliseconds limit: Int, done: @escaping @Sendable () -> Void) {
        guard let running = running.withLock({ $0.take() }) else { return done() }
        running.channel.close(promise: nil)
        running.listener.removeFile()
        let finished = running.loops.map { loop in
            let promise = loop.eventLoop.makePromise(of: Void.self)
            loop.eventLoop.execute { loop.value.beginDraining { promise.succeed() } }
            loop.eventLoop.scheduleTask(in: .milliseconds(Int64(limit))) { loop.value.closeAll() }
            return promise.futureResult
        }
        let all = EventLoopFuture.andAllComplete(finished, on: running.channel.eventLoop)
        all.whenComplete { _ in running.group.shutdownGracefully { _ in done() } }
    }

    private static func name(_ state: ServerState) -> String {
        switch state.configuration.address {
        case .path(let path, _, _): "\(path):0"
        case .descriptor(let descriptor): "fd\(descriptor):0"
        }
    }

    private static func bootstrap(
        _ group: MultiThreadedEventLoopGroup, _ loops: [NIOLoopBound<LoopContext>], address: String,
        softBytesMax: Int
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Listener.backlog)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: max(1, softBytesMax / 2), high: max(2, softBytesMax))
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let loop = loops.first(where: { $0.eventLoop === channel.eventLoop })
                    else { throw ChannelError.operationUnsupported }
                    let peer = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                        of: NIOBSDSocket.Handle.self
                    ) { Peer(descriptor: $0) }
                    let connection = Connection(
                        loop: loop.value, peer: peer ?? nil, address: address)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
    }
}
