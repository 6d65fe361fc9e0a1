// A writer of summaries whose texts tell exactly which events they hold.

public import Summaries

public struct ScriptedWriter: TextSummariser {
    public init() {}

    public var name: String { "scripted" }
    public var version: UInt64 { 4 }

    /// The previous text, and one word an event.
    public static func text(_ request: SummaryRequest) -> String {
        ([request.previous].compactMap { $0 } + request.parts
            + request.block.map { "\($0.title)/\($0.event)" })
            .joined(separator: " ")
    }

    public func summarise(
        _ request: SummaryRequest,
        reply: @escaping @Sendable (Result<String, SummaryFailure>) -> Void
    ) { reply(.success(Self.text(request))) }

    public func stop() {}
}
