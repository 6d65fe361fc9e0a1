// `millrace train`: an item-aware base model from a catalogue and a log, as a Hugging Face folder.

import Alignment
import ArgumentParser
import Checkpoints
import Evaluation
import ItemModel
import JSONDocuments
import Lanes
import ModelFolders
import Summaries
import Synchronization
import Tensors
import TokenTrie
import Tokenization

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train an item-aware model on a catalogue and a log, into a Hugging Face folder.",
        discussion: """
            Learns a tokenizer from the titles, then the model. The newest events choose the epoch that is kept. \
            The same data, options and seed give the same model. Interrupted, the same command goes on.
            """)

    enum Source: String, ExpressibleByArgument, CaseIterable {
        case log
        case office
    }

    enum Teacher: String, ExpressibleByArgument, CaseIterable {
        case none
        case transitions
    }

    enum Older: String, ExpressibleByArgument, CaseIterable {
        case none
        case mean

        var reading: OlderReading? { self == .mean ? .mean : nil }
    }

    @Option(name: .customLong("protocol"), help: "log or office (the split released with TCA4Rec).")
    var source: Source = .log
    @Option(help: "The folder with events.jsonl and items.jsonl; for office with the CSV files.")
    var data: String
    @Option(help: "The folder the model is written to.") var out: String
    @Option(help: "Seed of everything that is drawn.") var seed: UInt64 = 1
    @Option(help: "Passes over the histories at most.") var epochs = 6
    @Option(help: "Epochs without a better one before training ends.") var patience = 2
    @Option(help: "Histories a step.") var batch: Int?
    @Option(help: "Items drawn besides those of a step's histories.") var negatives = 1_024
    @Option(help: "Width of the model, a multiple of 4.") var width = 64
    @Option(help: "Items of a history that the model reads.") var historyMax = 30
    @Flag(
        help:
            "The model reads the template's summary of what was before a window (docs/summaries.md)."
    )
    var summaries = false
    @Option(
        help: ArgumentHelp(
            "What the model reads of the items before its window: none, or mean, of their vectors.",
            discussion: "It stands with the summary in one row before the window."))
    var older: Older = .none
    @Option(help: "Tokens of a vocabulary.") var vocabulary = 4_000
    @Option(help: "Dropout in the inter blocks.") var dropout: Float = 0.25
    @Option(help: "Highest learning rate.") var learningRate: Float = 3e-3
    @Option(help: "Weight of the token head's loss; 0 trains none.") var answerWeight: Float = 0.4
    @Option(help: "Share of the targets whose texts the token head learns in an epoch.")
    var answerShare: Float = 1
    @Option(help: "Share of the log that chooses the epoch.") var validationShare = 0.1
    @Option(help: "Share of the log, or of office's training rows, to learn from: the oldest.")
    var dataShare = 1.0
    @Option(help: "Newest share of the log that the kept epoch is scored on; 0 is none.")
    var testShare = 0.0
    @Option(help: "The teacher of the item head's labels: transitions (of other users) or none.")
    var teacher: Teacher = .none
    @OptionGroup(title: "With --teacher") var labels: LabelOptions
    @Option(
        help: "What an item is to the model: gated, text or identity (only to compare with).",
        transform: named)
    var vectors: ItemVectors = .gated
    @Option(
        help: "split, or plain: all tokens of a history in every block (only to compare with).",
        transform: named)
    var attention: HistoryAttention = .split

    func validate() throws {
        func check(_ name: String, _ value: some Comparable, _ isRight: Bool, _ range: String)
            throws
        {
            if !isRight { throw ValidationError("--\(name) \(value) is not \(range)") }
        }
        try check("epochs", epochs, (1...1_000).contains(epochs), "in 1...1000")
        try check("patience", patience, patience >= 1, "1 or more")
        if let batch { try check("batch", batch, (1...100_000).contains(batch), "in 1...100000") }
        try check("negatives", negatives, (0...1_000_000).contains(negatives), "in 0...1000000")
        try check(
            "width", width, (8...4_096).contains(width) && width.isMultiple(of: 4),
            "a multiple of 4 in 8...4096")
        try check(
            "history-max", historyMax, (1...4_096).contains(historyMax), "in 1...4096")
        try check(
            "vocabulary", vocabulary, (300...200_000).contains(vocabulary), "in 300...200000")
        try check("dropout", dropout, (0..<1).contains(dropout), "in 0..<1")
        try check("learning-rate", learningRate, learningRate > 0, "above 0")
        try check(
            "validation-share", validationShare, (0.001...0.5).contains(validationShare),
            "in 0.001...0.5")
        do { _ = try labels.alignment(isTaught: teacher == .transitions) } catch {
            throw ValidationError("\(error)")
        }
        try check("data-share", dataShare, (0.01...1).contains(dataShare), "in 0.01...1")
        try check("test-share", testShare, (0...0.5).contains(testShare), "in 0...0.5")
        if summaries, attention == .plain || vectors == .identity {
            throw ValidationError("--summaries needs --attention split and vectors of texts")
        }
        if older != .none, attention == .plain {
            throw ValidationError("--older needs --attention split")
        }
        if attention == .plain, vectors == .identity {
            throw ValidationError(
                "--attention plain reads tokens, which --vectors identity has none of")
        }
    }

    func run() throws { try waited(for: train) }

    private func train() async throws {
        setLinearAlgebraThreads(1)
        try makeFolder(out)
        let set = try dataset()
        try check(set)
        let document = tokenizerDocument(set.titles)
        let tokenizer = try Tokenizer(reading: JSONNode(document, document: "tokenizer.json"))
        let shape = shape(vocabulary: tokenizer.vocabularyCount)
        let items = set.titles.map {
            tokenizer.encodeFramed($0, contentMax: shape.contentTokensMax)
        }
        let summaryTokens = self.summaryTokens(tokenizer, shape)
        let answers = try AnswerTable(
            items: items, listed: set.listed, vocabulary: shape.vocabulary,
            endToken: tokenizer.id(of: BPETraining().end) ?? 0)
        let alignment = try labels.alignment(isTaught: teacher == .transitions)
        let words = alignment == nil ? [] : set.transitions()
        let trainer = ItemTrainer(
            ItemModelParameters(ItemModelLayout(shape), seed: seed), items: items,
            sequences: set.train.map(\.items),
            summaries: set.train.map { summaryTokens($0.summary) },
            older: set.train.map(\.older), answers: answers, teachers: words, alignment: alignment,
            training: training)
        say(alignment, words)
        print(
            "\(grouped(set.train.count)) histories, \(grouped(items.count)) items, "
                + "\(grouped(trainer.parameters.values.count)) parameters and "
                + "\(grouped(vectors == .text ? 0 : items.count * width)) of identity vectors")
        var run = try TrainingRun(folder: out, fingerprint: fingerprint(set))
        try run.resume(trainer)
        var scoring = ModelScoring(items: items, set: set, summaryTokens: summaryTokens)
        var best = trainer.parameters
        while !run.isOver(patience: patience, epochsMax: epochs) {
            var progress = ProgressBar("epoch \(trainer.epoch + 1)", total: set.train.count)
            let clock = ContinuousClock()
            let start = clock.now
            let loss = await trainer.runEpoch { done, _ in progress.update(done) }
            progress.finish()
            let trained = start.duration(to: clock.now)
            let ranks = scoring.ranks(of: set.validation, trainer.parameters)
            let row = TrainingRun.Row(
                epoch: trainer.epoch, loss: loss.item, answerLoss: loss.answer,
                seconds: trained.seconds,
                hitRate: ranks.mean(.hitRate), gain: ranks.mean(.gain))
            print(row.text)
            if run.add(row) {
                best = trainer.parameters
                if shape.isServable {
                    let folder = try ItemModelFolder(
                        parameters: trainer.parameters, tokenizerDocument: document, items: set.ids)
                    try folder.write(to: out)
                }
            }
            if shape.isServable { try run.save(trainer) }
        }
        run.finish()
        let kept = "kept epoch \(run.best?.epoch ?? 0)"
        if shape.isServable {
            let folder = try ItemModelFolder(path: out)
            best = folder.parameters
            print("\(kept), version \(folder.version), in \(out)")
        } else {
            print("\(kept); nothing is written: such a model is only to compare with")
        }
        report(set, &scoring, best)
        if training.answerWeight > 0 { try reportAnswers(set, scoring, best, answers.trie) }
    }

    private func check(_ set: ItemDataset) throws {
        guard !set.train.isEmpty, !set.validation.isEmpty else {
            throw CommandFailure(
                "\(data): no history of two items or more, or none after the first "
                    + "\(fixed((1 - validationShare) * 100, 0)) % of the events")
        }
    }

    /// What evidence leaves of alpha.
    private func say(_ alignment: AlignmentSettings?, _ words: [[ItemTargets]]) {
        guard let alignment else { return }
        let shares = words.joined().map {
            $0.items.isEmpty ? 0 : alignment.alpha(evidence: Double($0.evidence))
        }
        let mean = shares.reduce(0, +) / Double(max(1, shares.count))
        print("the teacher's share in the labels: \(fixed(mean, 3))")
    }

    private func summaryTokens(
        _ tokenizer: Tokenizer, _ shape: ItemModelShape
    ) -> (String) -> [Int32] {
        { text in
            guard let reading = shape.summaries, !text.isEmpty else { return [] }
            return tokenizer.encodeFramed(text, contentMax: reading.tokensMax)
        }
    }

    private func dataset() throws -> ItemDataset {
        switch source {
        case .office: try ItemDataset(office: data, historyMax: historyMax, share: dataShare)
        case .log:
            try ItemDataset(
                log: data, validationShare: validationShare, testShare: testShare,
                historyMax: historyMax, share: dataShare)
        }
    }

    private func tokenizerDocument(_ titles: [String]) -> JSONDocuments.JSONValue {
        var training = BPETraining()
        training.vocabularyCount = vocabulary
        return training.train(titles)
    }

    private func shape(vocabulary: Int) -> ItemModelShape {
        var shape = ItemModelShape(vocabulary: vocabulary)
        shape.width = width
        shape.feedForward = width * 5 / 2
        shape.historyMax = historyMax
        shape.vectors = vectors
        shape.attention = attention
        shape.older = older.reading
        if summaries {
            shape.summaries = SummaryReading(summariserVersion: SummaryTrail.template.version)
        }
        return shape
    }

    private var training: ItemTraining {
        var training = ItemTraining()
        training.seed = seed
        training.epochsMax = epochs
        // Small batches are better where histories are long and few (accuracy measured on MovieTweetings).
        training.batchSequences = batch ?? (source == .office ? 256 : 64)
        training.negatives = negatives
        training.dropout = dropout
        training.learningRate = learningRate
        // What has no states of tokens within one item has no token head.
        training.answerWeight = attention == .split && vectors != .identity ? answerWeight : 0
        training.answerShare = answerShare
        return training
    }

    /// What a training that goes on must have been started with.
    private func fingerprint(_ set: ItemDataset) -> String {
        "\(source) \(seed) \(epochs) \(training.batchSequences) \(negatives) \(width) \(historyMax) "
            + "\(vocabulary) \(dropout) \(learningRate) \(answerWeight) \(answerShare) "
            + "\(validationShare) \(testShare) \(dataShare) \(vectors) \(attention) \(set.ids.count) \(set.train.count)"
            + (summaries ? " summaries" : "") + (older == .none ? "" : " older \(older)")
            + (teacher == .none ? "" : " \(teacher) \(labels.text)")
    }

    /// The test rows, by how often the target was trained on, and those of users with a long past, for whom a window
    /// and a summary are different things.
    private func report(
        _ set: ItemDataset, _ scoring: inout ModelScoring, _ parameters: ItemModelParameters
    ) {
        guard !set.test.isEmpty else { return }
        let ranks = scoring.ranks(of: set.test, parameters)
        let counts = set.test.map { Int(parameters.identity.counts[Int($0.target)]) }
        for (name, range) in [
            ("all", 0...Int.max), ("never seen", 0...0), ("1 to 3", 1...3), ("more", 4...Int.max),
        ] {
            let part = zip(ranks, counts).filter { range.contains($0.1) }.map(\.0)
            print("test, \(name): \(part.summary) of \(grouped(part.count))")
        }
        for least in [20, 60] {
            let part = zip(ranks, set.test).filter { $0.1.history.count >= least }.map(\.0)
            guard !part.isEmpty else { continue }
            print("test, \(least) or more before: \(part.summary) of \(grouped(part.count))")
        }
    }

    /// The token head alone, exactly, on some of the test rows: it asks about every choice of the catalogue.
    private func reportAnswers(
        _ set: ItemDataset, _ scoring: ModelScoring, _ parameters: ItemModelParameters,
        _ trie: CatalogueTrie
    ) throws {
        guard !set.test.isEmpty else { return }
        let some = Array(set.test.prefix(Self.answersMax))
        var progress = ProgressBar("token head", total: some.count)
        let outcome = try scoring.answerRanks(of: some, parameters, trie, beginToken: 1) {
            progress.update($0)
        }
        progress.finish()
        print(
            "test, token head alone, exact: \(outcome.exact.summary) of \(grouped(some.count)); "
                + "beam of 20: \(outcome.beam.summary); "
                + "mass of all paths 1 within \(outcome.massError)")
    }

    private static let answersMax = 1_500
}

/// One of the cases of an enumeration that is not ours to conform.
private func named<Value: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Value {
    if let value = Value(rawValue: text) { return value }
    let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
    throw ValidationError("'\(text)' is none of \(known)")
}

/// Runs asynchronous work from a command, which is not.
func waited(for work: @escaping @Sendable () async throws -> Void) throws {
    let done = Semaphore()
    let failure = Mutex<(any Error)?>(nil)
    Task {
        do { try await work() } catch { failure.withLock { $0 = error } }
        done.signal()
    }
    done.wait()
    if let error = failure.withLock({ $0 }) { throw error }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
