// An OpenAI-compatible server as far as a summariser can tell, with everything a server can do wrong.

import JSONDocuments
import NIOCore
public import NIOHTTP1
import NIOPosix
import Synchronization

/// What the server does with a question.
public enum Behaviour: Sendable {
    case content(String)
    case status(HTTPResponseStatus)
    case raw(String)
    case silence
    case hangUp
    case endless
}

/// An HTTP server that answers as told, the last of its script for ever, and remembers what it was asked.
public final class ModelServer: Sendable {
    private let channel: any Channel
    private let script: Mutex<[Behaviour]>
    private let heard = Mutex<[(head: HTTPRequestHead, body: [UInt8])]>([])

    /// On a Unix socket, or on a free port of the loopback.
    public init(unix path: String? = nil, _ script: [Behaviour]) async throws {
        let held = Mutex(script)
        self.script = held
        let box = Box()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline()
                    try pipeline.addHandler(Handler(box))
                }
            }
        channel =
            if let path {
                try await bootstrap.bind(unixDomainSocketPath: path).get()
            } else { try await bootstrap.bind(host: "127.0.0.1", port: 0).get() }
        box.server.withLock { $0 = self }
    }

    public var port: Int { channel.localAddress?.port ?? 0 }
    public var requests: [(head: HTTPRequestHead, body: [UInt8])] { heard.withLock { $0 } }
    public func stop() async throws { try await channel.close() }

    fileprivate func take(_ head: HTTPRequestHead, _ body: [UInt8]) -> Behaviour {
        heard.withLock { $0.append((head: head, body: body)) }
        return script.withLock { $0.count > 1 ? $0.removeFirst() : $0.first ?? .silence }
    }

    fileprivate final class Box: Sendable {
        let server = Mutex<ModelServer?>(nil)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let box: Box
        private var head: HTTPRequestHead?
        private var body: [UInt8] = []

        init(_ box: Box) { self.box = box }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(let part): body.append(contentsOf: part.readableBytesView)
            case .end:
                guard let head, let server = box.server.withLock({ $0 }) else { return }
                answer(server.take(head, body), context)
            }
        }

        private func answer(_ behaviour: Behaviour, _ context: ChannelHandlerContext) {
            switch behaviour {
            case .content(let text):
                let reply = JSONValue.members([
                    "choices": .array([
                        .members([
                            "message": .members([
                                "role": "assistant", "content": .string(text),
                            ])
                        ])
                    ])
                ])
                send(.ok, reply.serialised(), context)
            case .status(let status): send(status, [], context)
            case .raw(let text): send(.ok, Array(text.utf8), context)
            case .silence: break
            case .hangUp: context.close(promise: nil)
            case .endless: send(.ok, [UInt8](repeating: 0x20, count: 300_000), context)
            }
        }

        private func send(
            _ status: HTTPResponseStatus, _ bytes: [UInt8], _ context: ChannelHandlerContext
        ) {
            var head = HTTPResponseHead(version: .http1_1, status: status)
            head.headers.add(name: "Content-Length", value: "\(bytes.count)")
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
