// `millrace train`: an item-aware base model from a catalogue and a log, as a Hugging Face folder.

import ArgumentParser
import Evaluation
import Interactions
import ItemModel
import JSONDocuments
import Lanes
import Synchronization
import Tensors
import Tokenization

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train an item-aware model on a catalogue and a log.")

    @Option(help: "The folder of the Office split.") var data: String
    @Option(help: "Random numbers of training.") var seed: UInt64 = 1
    @Option(help: "Passes over the histories at most.") var epochs = 8
    @Option(help: "Width of the model.") var width = 64
    @Option var dropout: Float = 0.25
    @Option var rate: Float = 3e-3
    @Option var batch = 256
    @Option var negatives = 1_024
    @Flag var strict = false

    func run() throws { try waited(for: train) }

    private func train() async throws {
        setLinearAlgebraThreads(1)
        let clock = ContinuousClock()
        var started = clock.now
        let set = try ItemDataset(office: data)
        let tokenizer = try Tokenizer(
            reading: JSONNode(BPETraining().train(set.titles), document: "tokenizer.json"))
        let items = set.titles.map { tokenizer.encodeFramed($0, contentMax: 10) }
        writeError("read and tokenised in \(started.duration(to: clock.now))\n")
        var shape = ItemModelShape(vocabulary: tokenizer.vocabularyCount)
        shape.width = width
        shape.feedForward = width * 5 / 2
        shape.seesItself = !strict
        var training = ItemTraining()
        training.seed = seed
        training.epochsMax = epochs
        training.dropout = dropout
        training.learningRate = rate
        training.batchSequences = batch
        training.negatives = negatives
        let trainer = ItemTrainer(
            ItemModelParameters(ItemModelLayout(shape), seed: seed), items: items,
            sequences: set.train, training: training)
        for epoch in 1...epochs {
            started = clock.now
            let loss = await trainer.runEpoch()
            let taken = started.duration(to: clock.now)
            let valid = score(trainer.parameters, items, set.valid, set.listed)
            let test = score(trainer.parameters, items, set.test, set.listed)
            let counts = trainer.parameters.identity.counts
            let cold = zip(set.test, test).filter { counts[Int($0.0.target)] == 0 }.map(\.1)
            print(
                "epoch \(epoch): loss \(fixed(loss, 4)) in \(taken), valid \(figures(valid)), "
                    + "test \(figures(test)), never seen \(figures(cold)) of \(cold.count)")
        }
    }

    private func figures(_ ranks: [Rank]) -> String {
        let count = Double(max(1, ranks.count))
        let hits = ranks.reduce(0.0) { $0 + Metric.hitRate.value($1, cutoff: 10) } / count
        let gain = ranks.reduce(0.0) { $0 + Metric.gain.value($1, cutoff: 10) } / count
        return "HR@10 \(fixed(hits, 4)) NDCG@10 \(fixed(gain, 4))"
    }

    private func score(
        _ parameters: ItemModelParameters, _ items: [[Int32]], _ cases: [ItemDataset.Case],
        _ listed: [UInt8]
    ) -> [Rank] {
        var scorer = ItemScorer(parameters)
        let table = scorer.vectors(
            of: items.enumerated().map { (number: Int32($0.offset), tokens: $0.element) })
        var ranks: [Rank] = []
        for start in stride(from: 0, to: cases.count, by: 256) {
            let part = cases[start..<min(cases.count, start + 256)]
            let states = scorer.states(of: part.map(\.history), table: table)
            let logits = scorer.logits(states: states, table: table)
            for (row, one) in part.enumerated() {
                let scores = logits[row * items.count..<(row + 1) * items.count].map(Double.init)
                ranks.append(Rank(of: Int(one.target), scores: scores, candidates: listed))
            }
        }
        return ranks
    }
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

/// Histories as numbers of items.
struct ItemDataset {
    struct Case {
        var history: [Int32]
        var target: Int32
    }

    var titles: [String] = []
    /// 1 for items that are ranked.
    var listed: [UInt8] = []
    var train: [[Int32]] = []
    var valid: [Case] = []
    var test: [Case] = []
    private var numbers: [ItemID: Int32] = [:]

    init(office folder: String) throws {
        let split = try OfficeSplit(folder: folder, test: "test_5000.csv")
        let validation = try OfficeSplit(folder: folder, test: "valid_5000.csv")
        for record in split.items {
            numbers[record.id] = Int32(titles.count)
            titles.append(record.title)
            listed.append(1)
        }
        train = split.train.map { ($0.history + [$0.target]).map { number(of: $0.item) } }
        valid = validation.test.map { one(of: $0) }
        test = split.test.map { one(of: $0) }
    }

    private mutating func number(of item: ItemID) -> Int32 {
        if let known = numbers[item] { return known }
        numbers[item] = Int32(titles.count)
        titles.append(item.text)
        listed.append(0)
        return Int32(titles.count - 1)
    }

    private mutating func one(of row: SequenceRow) -> Case {
        let history = row.history.map { number(of: $0.item) }
        return Case(history: history, target: number(of: row.target.item))
    }
}
