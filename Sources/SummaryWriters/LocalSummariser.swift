// Summaries by an instruct checkpoint that the daemon runs itself, on a lane of its own at a low priority.

import Checkpoints
public import JSONDocuments
import Lanes
import LanguageModel
public import Summaries
import Synchronization
import Tokenization
import Transformer

public final class LocalSummariser: TextSummariser {
    public let name = "local"
    public let version: UInt64
    private let model: LanguageModel
    private let template: ChatTemplate
    private let tokenizer: Tokenizer
    private let sampling: Sampling
    private let limits: GenerationLimits
    private let prompts: SummaryPrompts
    private let lane = Lane(name: "summaries", niceness: 10)
    private let isStopped = Atomic(false)

    /// Reads a folder of the Llama or Qwen families with its tokenizer and chat template. The weights and the template
    /// are in the version.
    public init(
        folder: String, parameters: WriterParameters, prompts: SummaryPrompts = .standard,
        weightBytesMax: Int
    ) throws(DocumentError) {
        let model = try LanguageModel(folder: folder, weightBytesMax: weightBytesMax)
        guard let tokenizer = model.tokenizer else {
            throw DocumentError(folder, "it has no tokenizer.json: text cannot be written")
        }
        self.model = model
        self.tokenizer = tokenizer
        let program = try chatProgram(folder: folder)
        template = try ChatTemplate(program: program, tokenizer: tokenizer, document: folder)
        var ends = model.limits(countMax: parameters.tokensMax)
        ends.stopTokens.insert(template.endOfTurn)
        limits = ends
        sampling = Sampling(
            temperature: Float(parameters.temperature), seed: UInt64(clamping: parameters.seed))
        self.prompts = prompts
        let fingerprint = model.decoder.parameters.reduce(into: UInt64(14_695_981_039_346_656_037))
        {
            $0 = ($0 ^ UInt64($1.bitPattern)) &* 1_099_511_628_211
        }
        version = summaryVersion(of: "local|\(parameters.text)|\(fingerprint)|\(program)", prompts)
    }

    public func summarise(
        _ request: SummaryRequest,
        reply: @escaping @Sendable (Result<String, SummaryFailure>) -> Void
    ) {
        guard !isStopped.load(ordering: .acquiring) else {
            return reply(.failure(.unavailable("stopping")))
        }
        lane.run { [self] in reply(write(request)) }
    }

    private func write(_ request: SummaryRequest) -> Result<String, SummaryFailure> {
        let prompt = template.prompt([
            ChatMessage(.system, prompts.instruction),
            ChatMessage(.user, prompts.question(request)),
        ])
        var state = DecoderState(model.decoder.shape)
        var scratch = DecoderScratch()
        var text = ""
        do throws(DecoderError) {
            let made = try model.generate(
                DecoderInput(prompt), state: &state, sampling: sampling, limits: limits,
                scratch: &scratch
            ) { piece in
                text += piece
                return !isStopped.load(ordering: .relaxed)
            }
            if case .cancelled = made.end { return .failure(.unavailable("stopping")) }
            return .success(text)
        } catch {
            return .failure(.unusable("the local model: \(error)"))
        }
    }

    public func stop() {
        isStopped.store(true, ordering: .releasing)
        lane.finish()
    }
}
