// The yes/no recommender of a folder, on a lane of its own: a request costs milliseconds to seconds by the model's
// size, which neither ingest nor other lists may wait for.

import Checkpoints
public import JSONDocuments
import Lanes
import LanguageModel
import PreferenceRanking
public import Summaries
import Synchronization
import Transformer

public final class LocalRanker: CandidateRanker {
    public let version: String
    private let ranker: PreferenceRanker
    private let lane = Lane(name: "ranker")
    private let queueMax: Int
    private let waiting = Atomic(0)
    private let isStopped = Atomic(false)

    /// Reads a folder of the Llama or Qwen families with its tokenizer and chat template, and a PEFT adapter of it. At
    /// most `queueMax` requests wait.
    public init(
        folder: String, adapter: String?, prompts: RankingPrompts = .standard, queueMax: Int,
        weightBytesMax: Int
    ) throws(DocumentError) {
        var model = try LanguageModel(folder: folder, weightBytesMax: weightBytesMax)
        if let adapter {
            model.decoder.adapter = try DecoderAdapter(
                Adapter(folder: adapter, for: model.configuration), shape: model.decoder.shape)
        }
        let program = try chatProgram(folder: folder)
        var hash = prompts.hash
        func add(_ value: UInt64) { hash = (hash ^ value) &* 1_099_511_628_211 }
        for value in model.decoder.parameters { add(UInt64(value.bitPattern)) }
        for value in model.decoder.adapter?.parameters ?? [] { add(UInt64(value.bitPattern)) }
        for byte in program.utf8 { add(UInt64(byte)) }
        version = String(hash, radix: 16)
        model.decoder = model.decoder.merged()
        ranker = try PreferenceRanker(
            model, chatProgram: program, prompts: prompts, document: folder)
        self.queueMax = queueMax
    }

    public func rank(
        _ requests: [RankingRequest],
        reply: @escaping @Sendable (Result<[Double], RankingFailure>) -> Void
    ) {
        guard !isStopped.load(ordering: .acquiring) else { return reply(.failure(.stopping)) }
        guard waiting.add(1, ordering: .relaxed).newValue <= queueMax else {
            waiting.subtract(1, ordering: .relaxed)
            return reply(.failure(.busy))
        }
        lane.run { [self] in
            defer { waiting.subtract(1, ordering: .relaxed) }
            guard !isStopped.load(ordering: .acquiring) else { return reply(.failure(.stopping)) }
            do throws(DecoderError) {
                var prompts: [[Int32]] = []
                for request in requests { prompts.append(try ranker.prompt(request)) }
                reply(.success(try ranker.probabilities(prompts).map(Double.init)))
            } catch {
                reply(.failure(.unusable("the ranker: \(error)")))
            }
        }
    }

    public func stop() {
        isStopped.store(true, ordering: .releasing)
        lane.finish()
    }
}
