// A language model behind a real HTTP server, over both kinds of socket, with everything a server can do wrong.

import JSONDocuments
import ModelServer
import NIOHTTP1
import Summaries
import SummaryWriters
import TestKit
import Testing

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
        let server = try await ModelServer([.content("Likes green tea.\nAvoids coffee.")])
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
        let server = try await ModelServer(unix: path, [.content("fine")])
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
            let server = try await ModelServer([fault])
            let answer = await ask(summariser(port: server.port, timeout: 1_000))
            guard case .failure(let failure) = answer else {
                Issue.record("\(fault) was answered")
                continue
            }
            #expect(failure.reason.contains(word), "\(fault): \(failure.reason)")
            try await server.stop()
        }
        let server = try await ModelServer([.silence])
        let port = server.port
        try await server.stop()
        let refused = await ask(summariser(port: port))
        #expect((try? refused.get()) == nil)
    }

    @Test("a server that fails five times in a row is not asked again for a while")
    func breaker() async throws {
        let server = try await ModelServer([.status(.internalServerError)])
        let summariser = summariser(port: server.port)
        for _ in 0..<8 { #expect((try? await ask(summariser).get()) == nil) }
        #expect(server.requests.count == 5)
        try await server.stop()
    }
}
