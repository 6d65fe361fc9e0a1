// One connection: reads a request, answers it, and starts over; closes what is too slow, too long or not HTTP.

import Glibc
import NIOCore
import NIOHTTP1

final class OperationsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answers: OperationsAnswers
    private let exchangeLimit: TimeAmount
    private var head: HTTPRequestHead?
    private var bodyBytes = 0
    private var deadline: Scheduled<Void>?

    init(_ answers: OperationsAnswers, exchangeLimit: TimeAmount) {
        self.answers = answers
        self.exchangeLimit = exchangeLimit
    }

    func channelActive(context: ChannelHandlerContext) {
        startExchange(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodyBytes = 0
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > OperationsServer.bodyBytesMax { context.close(promise: nil) }
        case .end:
            guard let head else { return }
            self.head = nil
            write(OperationsReply(to: head, answers), to: head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The pipeline has answered 400 where that was possible.
        context.close(promise: nil)
    }

    private func write(
        _ reply: OperationsReply, to request: HTTPRequestHead, _ context: ChannelHandlerContext
    ) {
        var headers = HTTPHeaders([
            ("Content-Type", reply.contentType), ("Content-Length", "\(reply.body.utf8.count)"),
            ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", reply.contentSecurityPolicy),
        ])
        if reply.status == .methodNotAllowed { headers.add(name: "Allow", value: "GET, HEAD") }
        if !request.isKeepAlive { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: reply.status, headers: headers)
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            let body = context.channel.allocator.buffer(string: reply.body)
            context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let channel = context.channel
        let isLast = !request.isKeepAlive
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in
            if isLast { channel.close(promise: nil) }
        }
        startExchange(context)
    }

    /// Gives the connection its time for the next request and reply.
    private func startExchange(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: exchangeLimit) {
            channel.close(promise: nil)
        }
    }
}

/// The answer to one request.
struct OperationsReply {
    var status: HTTPResponseStatus
    var contentType: String
    var body: String

    private static let plain = "text/plain; charset=utf-8"

    init(_ status: HTTPResponseStatus, _ body: String, contentType: String = Self.plain) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    init(to request: HTTPRequestHead, _ answers: OperationsAnswers) {
        guard request.method == .GET || request.method == .HEAD else {
            self.init(.methodNotAllowed, "only GET and HEAD\n")
            return
        }
        let path = request.uri.prefix { $0 != "?" && $0 != "#" }
        switch path {
        case "/metrics":
            self.init(
                .ok, answers.metrics(), contentType: "text/plain; version=0.0.4; charset=utf-8")
        case "/livez":
            let isAlive = answers.isAlive()
            self.init(isAlive ? .ok : .serviceUnavailable, isAlive ? "alive\n" : "stuck\n")
        case "/readyz":
            let reasons = answers.unreadiness()
            self.init(
                reasons.isEmpty ? .ok : .serviceUnavailable,
                reasons.isEmpty ? "ready\n" : reasons.map { $0 + "\n" }.joined())
        case "/status.json":
            self.init(.ok, answers.status(), contentType: "application/json; charset=utf-8")
        case "/":
            self.init(.ok, StatusPage.html, contentType: "text/html; charset=utf-8")
        default:
            self.init(
                .notFound, "nothing here; try /, /status.json, /metrics, /livez, /readyz\n")
        }
    }

    /// The page holds its own style and script and talks to nobody else.
    var contentSecurityPolicy: String {
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
            + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    }
}

/// Whether the permissions of `path` could be set.
func chmodPath(_ path: String, _ mode: Int) -> Bool {
    unsafe chmod(path, mode_t(truncatingIfNeeded: mode)) == 0
}
