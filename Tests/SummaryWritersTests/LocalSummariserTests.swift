// The daemon's own decoder as a writer: what it writes is what the model says, and the same every time.

import Checkpoints
import Foundation
import LanguageModel
import Summaries
import SummaryWriters
import TestKit
import Testing
import Tokenization
import Transformer

@Suite("Summaries by a local model")
struct LocalSummariserTests {
    /// A tiny random model with a real tokenizer and chat template.
    private func folder(positionsMax: Int = 4_096) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures")
        let bytes = try Data(contentsOf: fixtures.appending(path: "tokenizer-qwen.json"))
        try bytes.write(to: URL(filePath: directory.file("tokenizer.json")))
        try Data("{{ '<|im_start|>' }} {{ '<|im_end|>' }}".utf8).write(
            to: URL(filePath: directory.file("chat_template.jinja")))
        let tokenizer = try Tokenizer(reading: readDocument(directory.file("tokenizer.json")))
        var configuration = ModelConfiguration(
            family: .qwen2, vocabularyCount: tokenizer.vocabularyCount, hiddenSize: 16,
            intermediateSize: 24, layerCount: 2, headCount: 4, positionsMax: positionsMax)
        configuration.keyValueHeadCount = 2
        configuration.tiesEmbeddings = true
        configuration.headSize = 4
        var random = SeededRandom(seed: 5)
        let count = configuration.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
        let model = LanguageModel(
            configuration, masks: .ordinary(layerCount: 2),
            parameters: (0..<count).map { _ in Float.random(in: -0.6...0.6, using: &random) })
        try model.write(folder: directory.path)
        return directory
    }

    private func ask(_ summariser: LocalSummariser) async -> Result<String, SummaryFailure> {
        await withCheckedContinuation { continuation in
            summariser.summarise(HTTPSummariserTests.request) { continuation.resume(returning: $0) }
        }
    }

    private func summariser(
        _ folder: TemporaryDirectory, _ parameters: WriterParameters
    ) throws -> LocalSummariser {
        try LocalSummariser(
            folder: folder.path, parameters: parameters, weightBytesMax: 1 << 24)
    }

    @Test("writes what the model generates from the prompt, the same again by seed")
    func generates() async throws {
        let folder = try folder()
        let parameters = WriterParameters(model: "tiny", tokensMax: 24)
        let first = try summariser(folder, parameters)
        let second = try summariser(folder, parameters)
        #expect(first.version == second.version)
        let text = try await ask(first).get()
        #expect(try await ask(second).get() == text)

        let model = try LanguageModel(folder: folder.path)
        let template = try ChatTemplate(
            program: "<|im_start|><|im_end|>", tokenizer: try #require(model.tokenizer),
            document: "t")
        var limits = model.limits(countMax: 24)
        limits.stopTokens.insert(template.endOfTurn)
        var state = DecoderState(model.decoder.shape)
        var scratch = DecoderScratch()
        var expected = ""
        let prompts = SummaryPrompts.standard
        _ = try model.generate(
            DecoderInput(
                template.prompt([
                    ChatMessage(.system, prompts.instruction),
                    ChatMessage(.user, prompts.question(HTTPSummariserTests.request)),
                ])), state: &state, limits: limits, scratch: &scratch
        ) {
            expected += $0
            return true
        }
        #expect(text == expected)

        let warm = WriterParameters(model: "tiny", tokensMax: 24, temperature: 1, seed: 7)
        let drawn = try summariser(folder, warm)
        let redrawn = try summariser(folder, warm)
        #expect(drawn.version != first.version)
        let warmText = try await ask(drawn).get()
        #expect(try await ask(redrawn).get() == warmText)
        #expect(warmText != text)
        for made in [first, second, drawn, redrawn] { made.stop() }
        #expect((try? await ask(first).get()) == nil)
    }

    @Test("a prompt that does not fit the model is a failure that says so")
    func tooLong() async throws {
        let folder = try folder(positionsMax: 32)
        let summariser = try summariser(folder, WriterParameters(model: "tiny"))
        guard case .failure(.unusable(let reason)) = await ask(summariser) else {
            Issue.record("a prompt of more than 32 tokens was answered")
            return
        }
        #expect(reason.contains("local model"))
        summariser.stop()
    }
}
