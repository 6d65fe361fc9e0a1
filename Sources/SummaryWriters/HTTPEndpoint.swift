// One question to an HTTP server, one answer, within limits: a connection for each, over TCP or a Unix socket.

import NIOCore
import NIOHTTP1
import NIOPosix
import Summaries

/// Where an OpenAI-compatible server listens.
public struct HTTPEndpoint: Sendable, Hashable {
    public enum Address: Sendable, Hashable {
        case unix(path: String)
        case tcp(host: String, port: Int)
    }

    public var address: Address
    public var path: String
    /// Sent as bearer token.
    public var key: String?
    public var timeoutMilliseconds: Int64
    public var answerBytesMax: Int

    public init(
        address: Address, path: String = "/v1/chat/completions", key: String? = nil,
        timeoutMilliseconds: Int64 = 60_000, answerBytesMax: Int = 1 << 20
    ) {
        self.address = address
        self.path = path
        self.key = key
        self.timeoutMilliseconds = timeoutMilliseconds
        self.answerBytesMax = answerBytesMax
    }

    var host: String {
        switch address {
        case .unix: "localhost"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }

    typealias Answer = @Sendable (Result<[UInt8], SummaryFailure>) -> Void

    /// Posts `body`; answers once, with the body of a 200 or with a failure.
    func post(_ body: [UInt8], on group: any EventLoopGroup, answer: @escaping Answer) {
        let endpoint = self
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(.milliseconds(timeoutMilliseconds))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(HTTPExchange(endpoint, body, answer))
                }
            }
        let connected =
            switch address {
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            }
        connected.whenFailure { error in
            answer(.failure(.unavailable("\(endpoint.name) cannot be reached: \(error)")))
        }
    }

    var name: String {
        switch address {
        case .unix(let path): "unix:\(path)"
        case .tcp: host
        }
    }
}

/// Lives on its channel's event loop.
private final class HTTPExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let endpoint: HTTPEndpoint
    private let body: [UInt8]
    private var answer: HTTPEndpoint.Answer?
    private var status: HTTPResponseStatus?
    private var received: [UInt8] = []
    private var timeout: Scheduled<Void>?

    init(_ endpoint: HTTPEndpoint, _ body: [UInt8], _ answer: @escaping HTTPEndpoint.Answer) {
        self.endpoint = endpoint
        self.body = body
        self.answer = answer
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(
            in: .milliseconds(endpoint.timeoutMilliseconds)
        ) { bound.value.handler.finish(.failure(.timeout), bound.value.context) }
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: endpoint.path)
        head.headers.add(name: "Host", value: endpoint.host)
        head.headers.add(name: "Content-Type", value: "application/json")
        head.headers.add(name: "Content-Length", value: "\(body.count)")
        head.headers.add(name: "Connection", value: "close")
        if let key = endpoint.key {
            head.headers.add(name: "Authorization", value: "Bearer \(key)")
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(
            wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): status = head.status
        case .body(let part):
            guard received.count + part.readableBytes <= endpoint.answerBytesMax else {
                let reason =
                    "\(endpoint.name) answers with more than \(endpoint.answerBytesMax) bytes"
                return finish(.failure(.unusable(reason)), context)
            }
            received.append(contentsOf: part.readableBytesView)
        case .end:
            guard status == .ok else {
                let code = status.map { "\($0.code) \($0.reasonPhrase)" } ?? "nothing"
                return finish(
                    .failure(.unavailable("\(endpoint.name)\(endpoint.path) answers \(code)")),
                    context)
            }
            finish(.success(received), context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(
            .failure(.unavailable("\(endpoint.name) closed in the middle of an answer")), context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(.failure(.unavailable("\(endpoint.name): \(error)")), context)
    }

    private func finish(
        _ result: Result<[UInt8], SummaryFailure>, _ context: ChannelHandlerContext
    ) {
        guard let answer else { return }
        self.answer = nil
        timeout?.cancel()
        context.close(promise: nil)
        answer(result)
    }
}
