// The writer of summaries that the settings name.

import Foundation
import JSONDocuments
import Pipeline
import Settings
import Summaries
import SummaryWriters

extension Assembly {
    /// Nil where no summaries are kept.
    func summaries() throws -> SummaryConfiguration? {
        let from = settings.summaries
        let maker: SummaryConfiguration.Maker
        switch from.summariser {
        case .none: return nil
        case .template: maker = .template(TemplateSummariser())
        case .http:
            maker = .writer(
                HTTPSummariser(
                    endpoint: try endpoint(), parameters: writerParameters, prompts: try prompts()))
        case .local:
            guard let folder = from.folder else {
                throw PromptFault(
                    description:
                        "summaries.summariser is local: set summaries.folder to a checkpoint")
            }
            let prompts = try prompts()
            maker = .writer(
                try named("summaries.folder") { () throws(DocumentError) in
                    try LocalSummariser(
                        folder: folder, parameters: writerParameters, prompts: prompts,
                        weightBytesMax: from.weightBytesMax)
                })
        }
        let blocks = BlockRules(
            blockSize: from.blockSize, openEventsMax: max(from.openEventsMax, from.blockSize),
            repairBlocks: from.repairBlocks)
        var to = SummaryConfiguration(maker, blocks: blocks)
        to.jobsInFlightMax = from.jobsMax
        to.jobsPerMinuteMax = from.jobsPerMinuteMax
        to.queueMax = from.queueMax
        to.attemptsMax = from.attemptsMax
        // The writer keeps the time itself; this is for one that does not.
        to.jobMillisecondsMax = 2 * from.timeout.wholeMilliseconds + 1_000
        return to
    }

    private var writerParameters: WriterParameters {
        let from = settings.summaries
        return WriterParameters(
            model: from.model, tokensMax: from.tokensMax, temperature: from.temperature,
            seed: from.seed)
    }

    private func endpoint() throws -> HTTPEndpoint {
        let from = settings.summaries
        let address: HTTPEndpoint.Address =
            switch from.address {
            case .unix(let path): .unix(path: path)
            case .tcp(let place): .tcp(host: place.host, port: place.port)
            }
        return HTTPEndpoint(
            address: address, path: from.path, key: try from.key?.read(),
            timeoutMilliseconds: from.timeout.wholeMilliseconds)
    }

    private func prompts() throws -> SummaryPrompts {
        guard let folder = settings.summaries.promptFolder else { return .standard }
        func text(_ name: String) throws -> String {
            try promptText(folder, name, "summaries.prompts")
        }
        return try SummaryPrompts(
            instruction: text("instruction"), first: text("first"), next: text("next"),
            merge: text("merge"))
    }

    /// Nil where no language model ranks lists.
    func ranking() throws -> RankingConfiguration? {
        let from = settings.ranking
        guard let folder = from.folder else { return nil }
        let prompts = try from.promptFolder.map {
            try RankingPrompts(
                instruction: promptText($0, "rank-instruction", "ranking.prompts"),
                question: promptText($0, "rank-question", "ranking.prompts"))
        }
        var to = RankingConfiguration(
            try named("ranking.folder") { () throws(DocumentError) in
                try LocalRanker(
                    folder: folder, adapter: from.adapter, prompts: prompts ?? .standard,
                    queueMax: from.queueMax, weightBytesMax: from.weightBytesMax)
            })
        to.recentCount = from.recentCount
        to.candidatesMax = from.candidatesMax
        to.learnShare = from.learnShare
        to.timeoutMilliseconds = from.timeout.wholeMilliseconds
        return to
    }

    /// What a folder is refused for, under the key that names it.
    private func named<Value>(
        _ key: String, _ body: () throws(DocumentError) -> Value
    ) throws(StartFailure) -> Value {
        do throws(DocumentError) { return try body() } catch {
            throw StartFailure(description: "\(key): \(error)")
        }
    }

    private func promptText(_ folder: String, _ name: String, _ key: String) throws -> String {
        let path = "\(folder)/\(name).txt"
        guard let bytes = FileManager.default.contents(atPath: path),
            bytes.count <= PromptText.bytesMax,
            let text = String(validating: bytes, as: UTF8.self)
        else {
            throw PromptFault(
                description: "\(path) cannot be read as a text of at most "
                    + "\(PromptText.bytesMax) bytes (\(key))")
        }
        return text
    }
}
