// `millrace train-ranker`: LLM-TRSR's yes/no recommender, fine-tuned on a log.

import ArgumentParser
import Checkpoints
import Evaluation
import JSONDocuments
import LanguageModel
import PreferenceRanking
import Summaries
import Tensors
import Tokenization
import Transformer

/// What both the training of a ranker and its judgement are about.
struct RankerDataOptions: ParsableArguments {
    @Option(help: "Items of the history that are shown one by one.") var recent = 5
    @Flag(inversion: .prefixedNo, help: "Put the template's summary of older events first.")
    var summary = true
    @Option(help: "Cases that are judged: of the end of the log, or of office's rows.")
    var judged = 1_000

    func validate() throws {
        guard (0...100).contains(recent) else {
            throw ValidationError("--recent \(recent) is not in 0...100")
        }
        guard (1...1_000_000).contains(judged) else {
            throw ValidationError("--judged \(judged) is not in 1...1000000")
        }
    }

    func data(_ folder: String, isOffice: Bool, trainCount: Int, seed: UInt64) throws -> RankerData
    {
        var options = RankerData.Options()
        options.recentCount = recent
        options.summarises = summary
        options.trainCount = trainCount
        options.judgedCount = judged
        options.seed = seed
        let data =
            try isOffice
            ? RankerData(office: folder, options) : RankerData(log: folder, options)
        guard !data.test.isEmpty else {
            throw CommandFailure(
                "\(folder): no event with \(options.historyMin) earlier ones of its user among the "
                    + "newest, or fewer than \(RankerData.othersJudged + 1) items")
        }
        return data
    }
}

struct TrainRankerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train-ranker",
        abstract: "Fine-tune a language model to say whether a user will choose an item.",
        discussion: """
            LLM-TRSR's recommender: a prompt of summary, recent items and a candidate, answered by yes or no. With \
            --base, an instruct checkpoint with a chat template gets a LoRA adapter, written to --out as a PEFT \
            folder. Without, a small decoder is trained from nothing, and --out is a model folder.
            """)

    @Option(name: .customLong("protocol"), help: "log or office (the split released with TCA4Rec).")
    var source: TrainCommand.Source = .log
    @Option(help: "The folder with events.jsonl and items.jsonl; for office with the CSV files.")
    var data: String
    @Option(help: "The folder that is written.") var out: String
    @Option(help: "An instruct checkpoint (Llama, Qwen2, Qwen3) to adapt.") var base: String?
    @OptionGroup var what: RankerDataOptions
    @Option(help: "Choices to learn from, the newest; each with one item that was not chosen.")
    var examples = 10_000
    @Option(help: "Seed of everything that is drawn.") var seed: UInt64 = 1
    @Option(help: "Passes over the examples at most.") var epochs = 5
    @Option(help: "Epochs without a better one before training ends.") var patience = 2
    @Option(help: "Examples a step.") var batch = 64
    @Option(help: "Highest learning rate; by default 1e-4 with --base, else 2e-3.")
    var learningRate: Float?
    @Option(
        help: "Weight of the loss over the prompts' tokens; by default 0 with --base, else 0.1.")
    var textWeight: Float?
    @Option(help: "Rank of the adapter.") var rank = 8
    @Option(help: "Alpha of the adapter: its changes are multiplied by alpha / rank.")
    var alpha: Float = 16
    @Option(help: "Width of a model trained from nothing.") var width = 96
    @Option(help: "Blocks of a model trained from nothing.") var layers = 3
    @Option(help: "Tokens of its vocabulary.") var vocabulary = 4_000

    func validate() throws {
        guard (1...10_000_000).contains(examples) else {
            throw ValidationError("--examples \(examples) is not in 1...10000000")
        }
        guard (1...1_000).contains(epochs), patience >= 1, (1...10_000).contains(batch) else {
            throw ValidationError(
                "--epochs is in 1...1000, --patience 1 or more, --batch in 1...10000")
        }
        guard (1...512).contains(rank), alpha > 0 else {
            throw ValidationError("--rank is in 1...512 and --alpha above 0")
        }
        guard (8...4_096).contains(width), width.isMultiple(of: 8), (1...64).contains(layers),
            (300...200_000).contains(vocabulary)
        else {
            throw ValidationError(
                "--width is a multiple of 8 in 8...4096, --layers in 1...64, --vocabulary in 300...200000"
            )
        }
        guard learningRate ?? 1 > 0, textWeight ?? 0 >= 0 else {
            throw ValidationError("--learning-rate is above 0 and --text-weight 0 or more")
        }
    }

    func run() throws { try waited(for: train) }

    private func train() async throws {
        setLinearAlgebraThreads(1)
        let set = try what.data(
            data, isOffice: source == .office, trainCount: examples, seed: seed)
        guard !set.train.isEmpty, !set.validation.isEmpty else {
            throw CommandFailure("\(data): no choice to learn from, or none to choose the epoch by")
        }
        try makeFolder(out)
        let ranker = try base.map(adapted) ?? untrained(set)
        let trainer = RankerTrainer(ranker, examples: try trained(set, ranker), training: training)
        print(
            "\(grouped(set.train.count)) choices, \(grouped(set.items.count)) items, "
                + "\(grouped(parameterCount(ranker))) parameters")
        var best: (recalls: Double, epoch: Int)?
        var kept = ranker
        while trainer.epoch < epochs, trainer.epoch - (best?.epoch ?? 0) < patience {
            var progress = ProgressBar(
                "epoch \(trainer.epoch + 1)", total: 2 * set.train.count)
            let loss = try await trainer.runEpoch { done, _ in progress.update(done) }
            progress.finish()
            let trial = try judge(trainer.ranker, set, set.validation)
            print(
                "epoch \(trainer.epoch): loss of answers \(fixed(loss.answer, 4))"
                    + (training.textWeight > 0 ? ", of tokens \(fixed(loss.text, 4))" : "")
                    + "; validation \(trial.text)")
            if trial.sumOfRecalls > best?.recalls ?? -1 {
                best = (trial.sumOfRecalls, trainer.epoch)
                kept = trainer.ranker
                try write(kept)
            }
        }
        print("kept epoch \(best?.epoch ?? 0), in \(out)")
        print("test, ranker:     \(try judge(kept, set, set.test).text)")
        print("test, popularity: \(RankerTrial(popularity: set, set.test).text)")
    }

    private func judge(
        _ ranker: PreferenceRanker, _ set: RankerData, _ cases: [RankerData.Case]
    ) throws -> RankerTrial {
        var progress = ProgressBar("judging", total: cases.count)
        defer { progress.finish() }
        return try RankerTrial(ranker, set, cases) { progress.update($0) }
    }

    // MARK: - Models

    private func adapted(_ path: String) throws -> PreferenceRanker {
        var model = try LanguageModel(folder: path)
        model.addAdapter(rank: rank, alpha: alpha, seed: seed)
        return try PreferenceRanker(
            model, chatProgram: try chatProgram(folder: path), document: path)
    }

    private func untrained(_ set: RankerData) throws -> PreferenceRanker {
        var shape = RankerShape()
        shape.width = width
        shape.layerCount = layers
        shape.vocabularyCount = vocabulary
        let prompts = RankingPrompts.standard
        let words = set.items.map {
            prompts.question(RankingRequest(summary: nil, recent: [$0], candidate: $0))
        }
        let document = shape.tokenizerDocument(words + set.train.compactMap(\.summary))
        try replaceFile("\(out)/tokenizer.json", with: document.serialised())
        let settings = JSONDocuments.JSONValue.members([
            "chat_template": .string(RankerShape.chatProgram), "eos_token": "<|im_end|>",
            "pad_token": "<|pad|>", "tokenizer_class": "PreTrainedTokenizerFast",
        ])
        try replaceFile("\(out)/tokenizer_config.json", with: settings.serialised(.indented))
        let tokenizer = try Tokenizer(reading: JSONNode(document, document: "tokenizer.json"))
        return try PreferenceRanker(
            shape.model(tokenizer: tokenizer, seed: seed), chatProgram: RankerShape.chatProgram,
            document: out)
    }

    private func write(_ ranker: PreferenceRanker) throws {
        let decoder = ranker.model.decoder
        if let adapter = decoder.adapter {
            try adapter.adapter(shape: decoder.shape).write(folder: out)
        } else {
            try ranker.model.write(folder: out)
        }
    }

    private func parameterCount(_ ranker: PreferenceRanker) -> Int {
        let decoder = ranker.model.decoder
        return decoder.adapter?.parameters.count ?? decoder.parameters.count
    }

    // MARK: - Training

    private var training: RankerTraining {
        var training = RankerTraining()
        training.seed = seed
        training.epochsMax = epochs
        training.batchExamples = batch
        training.learningRate = learningRate ?? (base == nil ? 2e-3 : 1e-4)
        training.textWeight = textWeight ?? (base == nil ? 0.1 : 0)
        return training
    }

    /// Each choice as two examples: what was chosen, and what was not.
    private func trained(
        _ set: RankerData, _ ranker: PreferenceRanker
    ) throws -> [RankingExample] {
        var progress = ProgressBar("writing prompts", total: set.train.count)
        defer { progress.finish() }
        var examples: [RankingExample] = []
        for (index, one) in set.train.enumerated() {
            for (item, isChosen) in [(one.target, true)] + one.others.map({ ($0, false) }) {
                examples.append(
                    RankingExample(
                        prompt: try ranker.prompt(set.request(one, candidate: item)),
                        isChosen: isChosen))
            }
            progress.update(index + 1)
        }
        return examples
    }
}
