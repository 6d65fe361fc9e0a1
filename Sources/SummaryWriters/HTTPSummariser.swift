// Summaries by any server that speaks OpenAI's chat completions: llama.cpp, vLLM, Ollama.

import JSONDocuments
import NIOCore
import NIOPosix
public import Summaries
import Synchronization

/// How text is drawn from a model.
public struct WriterParameters: Sendable, Hashable {
    public var model: String
    /// Longest answer.
    public var tokensMax: Int
    public var temperature: Double
    public var seed: Int

    public init(model: String, tokensMax: Int = 160, temperature: Double = 0, seed: Int = 42) {
        self.model = model
        self.tokensMax = tokensMax
        self.temperature = temperature
        self.seed = seed
    }

    var text: String { "\(model)|\(tokensMax)|\(temperature)|\(seed)" }
}

public final class HTTPSummariser: TextSummariser {
    public let name = "http"
    public let version: UInt64
    private let endpoint: HTTPEndpoint
    private let parameters: WriterParameters
    private let prompts: SummaryPrompts
    private let breaker = Mutex(CircuitBreaker())
    private let isStopped = Atomic(false)

    public init(
        endpoint: HTTPEndpoint, parameters: WriterParameters, prompts: SummaryPrompts = .standard
    ) {
        self.endpoint = endpoint
        self.parameters = parameters
        self.prompts = prompts
        version = summaryVersion(of: "http|\(parameters.text)", prompts)
    }

    private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000) }

    public func summarise(
        _ request: SummaryRequest,
        reply: @escaping @Sendable (Result<String, SummaryFailure>) -> Void
    ) {
        guard !isStopped.load(ordering: .acquiring) else {
            return reply(.failure(.unavailable("stopping")))
        }
        guard breaker.withLock({ $0.admit(now: Self.now) }) else {
            return reply(
                .failure(.unavailable("\(endpoint.name) failed repeatedly and is left alone")))
        }
        let name = endpoint.name
        endpoint.post(body(request), on: MultiThreadedEventLoopGroup.singleton) { [self] result in
            let text = result.flatMap { Self.text(of: $0, from: name) }
            let wasAnswered = (try? text.get()) != nil
            breaker.withLock { $0.ended(wasAnswered: wasAnswered, now: Self.now) }
            reply(text)
        }
    }

    public func stop() { isStopped.store(true, ordering: .releasing) }

    private func body(_ request: SummaryRequest) -> [UInt8] {
        func message(_ role: String, _ text: String) -> JSONValue {
            .members(["role": .string(role), "content": .string(text)])
        }
        return JSONValue.members([
            "model": .string(parameters.model),
            "messages": .array([
                message("system", prompts.instruction), message("user", prompts.question(request)),
            ]),
            "max_tokens": .integer(Int64(parameters.tokensMax)),
            "temperature": .real(parameters.temperature),
            "seed": .integer(Int64(parameters.seed)), "stream": false,
        ]).serialised()
    }

    /// `choices[0].message.content`.
    private static func text(
        of bytes: [UInt8], from name: String
    ) -> Result<String, SummaryFailure> {
        do throws(DocumentError) {
            let root = try JSONNode(
                parsing: bytes, document: "answer of \(name)", limits: JSONLimits(depthMax: 16))
            guard let choice = try root.member("choices").elements(countMax: 128).first else {
                return .failure(.unusable("\(name) answers without a choice"))
            }
            return .success(try choice.member("message").member("content").text())
        } catch {
            return .failure(.unusable("\(error)"))
        }
    }
}
