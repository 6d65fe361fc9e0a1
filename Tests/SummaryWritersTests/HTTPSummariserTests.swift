// A language model behind a real HTTP server, over both kinds of socket, with everything a server can do wrong.

import JSONDocuments
import NIOCore
import NIOHTTP1
import NIOPosix
import Summaries
import SummaryWriters
import Synchronization
import TestKit
import Testing

/// What the server does with a question.
enum Behaviour: Sendable {
    case content(String)
    case status(HTTPResponseStatus)
    case raw(String)
    case silence
    case hangUp
    case endless
}

/// An HTTP server that answers as told and remembers what it was asked.
final class ScriptedServer: Sendable {
    private let channel: any Channel
    private let script: Mutex<[Behaviour]>
    private let heard = Mutex<[(head: HTTPRequestHead, body: [UInt8])]>([])

    init(unix path: String? = nil, _ script: [Behaviour]) async throws {
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

    var port: Int { channel.localAddress?.port ?? 0 }
    var requests: [(head: HTTPRequestHead, body: [UInt8])] { heard.withLock { $0 } }
    func stop() async throws { try await channel.close() }

    fileprivate func take(_ head: HTTPRequestHead, _ body: [UInt8]) -> Behaviour {
        heard.withLock { $0.append((head: head, body: body)) }
        return script.withLock { $0.count > 1 ? $0.removeFirst() : $0.first ?? .silence }
    }

    fileprivate final class Box: Sendable {
        let server = Mutex<ScriptedServer?>(nil)
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

@Suite("Summaries over HTTP")
struct HTTPSummariserTests {
    static let request = SummaryRequest(
        previous: "Likes tea.",
        block: [SummaryItem(title: "Green tea", brand: "Leaf", event: "purchase")])

    private func summariser(
        port: Int, key: String? = nil, timeout: Int64 = 10_000
    ) -> HTTPSummariser {
        HTTPSummariser(
            endpoint: HTTPEndpoint(
                address: .tcp(host: "127.0.0.1", port: port), key: key,
                timeoutMilliseconds: timeout, answerBytesMax: 100_000),
            parameters: WriterParameters(model: "tiny"))
    }

    private func ask(_ summariser: HTTPSummariser) async -> Result<String, SummaryFailure> {
        await withCheckedContinuation { continuation in
            summariser.summarise(Self.request) { continuation.resume(returning: $0) }
        }
    }

    @Test("asks for what the prompts say, with the key, and returns the answer's text")
    func asked() async throws {
        let server = try await ScriptedServer([.content("Likes green tea.\nAvoids coffee.")])
        let answer = await ask(summariser(port: server.port, key: "secret"))
        #expect(answer == .success("Likes green tea.\nAvoids coffee."))
        let request = try #require(server.requests.first)
        #expect(request.head.uri == "/v1/chat/completions")
        #expect(request.head.headers["Authorization"] == ["Bearer secret"])
        let root = try JSONNode(parsing: request.body, document: "question")
        let messages = try root.member("messages").elements()
        #expect(try messages.map { try $0.member("role").text() } == ["system", "user"])
        let question = try messages[1].member("content").text()
        #expect(question == SummaryPrompts.standard.question(Self.request))
        #expect(try root.member("model").text() == "tiny")
        try await server.stop()
    }

    @Test("goes through a Unix socket")
    func unix() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/llm.sock"
        let server = try await ScriptedServer(unix: path, [.content("fine")])
        let summariser = HTTPSummariser(
            endpoint: HTTPEndpoint(address: .unix(path: path)),
            parameters: WriterParameters(model: "m"))
        #expect(await ask(summariser) == .success("fine"))
        try await server.stop()
    }

    @Test(
        "a status, damaged JSON, too many bytes, a hang-up, silence: a failure that says so, once")
    func faults() async throws {
        let faults: [Behaviour] = [
            .status(.serviceUnavailable), .raw("{\"choices\":[]}"), .raw("{\"choices\":"), .endless,
            .hangUp, .silence, .status(.unauthorized),
        ]
        let words = [
            "503", "without a choice", "answer of", "more than 100000", "closed",
            "no answer in time", "401",
        ]
        for (fault, word) in zip(faults, words) {
            let server = try await ScriptedServer([fault])
            let answer = await ask(summariser(port: server.port, timeout: 1_000))
            guard case .failure(let failure) = answer else {
                Issue.record("\(fault) was answered")
                continue
            }
            #expect(failure.reason.contains(word), "\(fault): \(failure.reason)")
            try await server.stop()
        }
        let server = try await ScriptedServer([.silence])
        let port = server.port
        try await server.stop()
        let refused = await ask(summariser(port: port))
        #expect((try? refused.get()) == nil)
    }

    @Test("a server that fails five times in a row is not asked again for a while")
    func breaker() async throws {
        let server = try await ScriptedServer([.status(.internalServerError)])
        let summariser = summariser(port: server.port)
        for _ in 0..<8 { #expect((try? await ask(summariser).get()) == nil) }
        #expect(server.requests.count == 5)
        try await server.stop()
    }
}
