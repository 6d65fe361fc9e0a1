// `millrace refresh`: one LoRA refresh of an item-aware model on the newest events, as a PEFT folder that is written
// only when it is not worse than what it would replace.

import Alignment
import ArgumentParser
import Evaluation
import Glibc
import Interactions
import ItemModel
import ModelFolders
import Tensors

struct RefreshCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refresh",
        abstract: "Refresh an item-aware model on newer events, into a PEFT folder.",
        discussion: """
            The base stays as it is: an adapter of its inter blocks and of items' identity vectors is learnt from the \
            events that it has not seen. The newest events judge: the adapter is written only when sequential tests \
            of likelihood and NDCG show it not worse than the model with the previous adapter. Exit code 3: it was \
            refused. The same data, options and seed give the same adapter.
            """)

    /// Who speaks about targets: transitions (counted event by event, of other users), or one of `millrace eval`.
    enum TeacherChoice: ExpressibleByArgument, Equatable {
        case none
        case transitions
        case streamed(String)

        init?(argument: String) {
            switch argument {
            case "none": self = .none
            case "transitions": self = .transitions
            default:
                guard StreamedTeacher.names.contains(argument) else { return nil }
                self = .streamed(argument)
            }
        }

        static let allValueStrings = ["none", "transitions"] + StreamedTeacher.names
        var defaultValueDescription: String {
            switch self {
            case .none: "none"
            case .transitions: "transitions"
            case .streamed(let name): name
            }
        }

        var name: String? { if case .streamed(let name) = self { name } else { nil } }
    }

    @Option(help: "The base: a folder that `millrace train` wrote.") var model: String
    @Option(name: .customLong("protocol"), help: "log or office (the split released with TCA4Rec).")
    var source: TrainCommand.Source = .log
    @Option(help: "The folder with events.jsonl and items.jsonl; for office with the CSV files.")
    var data: String
    @Option(help: "The folder the adapter is written to; it must not be there yet.")
    var output: String?
    @Option(
        help: """
            A folder of adapters, as in model.adapters, instead of --output and --previous: the adapter becomes the \
            current one there, and the ledger says what was decided.
            """)
    var adapters: String?
    @Option(
        help:
            "The adapter that serves: learning goes on from it, and it is what must not be beaten.")
    var previous: String?
    @Option(help: "Share of the events that the base and the previous adapter know, the oldest.")
    var knownShare = 0.6
    @Option(
        help: """
            Milliseconds since 1970, instead of --known-share: events up to then are known, and --gate-share is a \
            share of the others.
            """)
    var knownUntil: Int64?
    @Option(help: "Share of the log's events, the newest, that only judge.") var gateShare = 0.1
    @Option(
        help: "Share of the log's events that have happened, as it were: newer ones are left out.")
    var dataShare = 1.0

    @Option(
        help: ArgumentHelp(
            "The teacher of the labels: \(TeacherChoice.allValueStrings.joined(separator: ", ")).",
            discussion: """
                transitions are counts of what others did next; what has to be solved is solved from the known events.
                """, valueName: "name"))
    var teacher: TeacherChoice = .none
    @OptionGroup(title: "With --teacher") var labels: LabelOptions

    @Option(help: "Seed of everything that is drawn.") var seed: UInt64 = 1
    @Option(help: "Passes over the new events.") var epochs = RefreshTraining().epochs
    @Option(help: "Histories a step.") var batch = RefreshTraining().batchWindows
    @Option(help: "Items drawn besides those of a step's histories.")
    var negatives = RefreshTraining().negatives
    @Option(help: "Highest learning rate.") var learningRate = RefreshTraining().learningRate
    @Option(help: "Dropout in the inter blocks.") var dropout = RefreshTraining().dropout
    @Option(help: "Rank of the adapter's pairs.") var rank = RefreshTraining().rank
    @Option(help: "Over the rank, what multiplies the pairs.")
    var loraAlpha = RefreshTraining().loraAlpha
    @Flag(help: "Learn the heads' own values too: the last norm's gain, and the item scale.")
    var head = false
    @Option(help: "Histories of the past beside each new one.")
    var replay = RefreshTraining().replayShare
    @Option(help: "Pull towards the previous adapter, a unit of learning rate.")
    var anchor = RefreshTraining().anchor
    @Option(help: "Weight of the matrices' softmax divergence from the previous adapter's (PESO).")
    var divergence = RefreshTraining().divergence

    @Option(help: "Seconds that learning may take; beyond, nothing is written.")
    var timeMax = 3_600.0
    @Option(help: "Niceness of the process, 0 to 19.") var niceness: Int32 = 19
    @Option(help: "Bytes of data that the process may have; beyond, it ends. 0: no limit.")
    var memoryMax = 0
    @Option(help: "A file that says how far the work is, and what came of it, as JSON.")
    var status: String?
    @Flag(
        help: """
            Shuffle the items among the new events first: a refresh that the gate has to refuse, to see that it does.
            """)
    var shuffleItems = false

    @Option(help: "Log-likelihood an event, in nats, by which worse is still called not worse.")
    var margin = RefreshGate.Margins().likelihood
    @Option(help: "NDCG@10 by which worse is still called not worse.")
    var gainMargin = RefreshGate.Margins().gain
    @Option(help: "Probability of passing an adapter that is worse by more than either margin.")
    var error = RefreshGate.Margins().error

    func validate() throws {
        func check(_ name: String, _ value: some Comparable, _ isRight: Bool, _ range: String)
            throws
        {
            if !isRight { throw ValidationError("--\(name) \(value) is not \(range)") }
        }
        guard (output == nil) != (adapters == nil), adapters == nil || previous == nil else {
            throw ValidationError("give --output, with --previous or without, or else --adapters")
        }
        try check("known-share", knownShare, (0...0.99).contains(knownShare), "in 0...0.99")
        try check("gate-share", gateShare, (0.001...0.5).contains(gateShare), "in 0.001...0.5")
        try check(
            "data-share", dataShare,
            source == .office || knownUntil != nil
                || dataShare <= 1 && dataShare > knownShare + gateShare,
            "above the known and the judging shares together, and at most 1")
        try check("epochs", epochs, (1...1_000).contains(epochs), "in 1...1000")
        try check("batch", batch, (1...100_000).contains(batch), "in 1...100000")
        try check("negatives", negatives, (0...1_000_000).contains(negatives), "in 0...1000000")
        try check("learning-rate", learningRate, learningRate > 0, "above 0")
        try check("dropout", dropout, (0..<1).contains(dropout), "in 0..<1")
        try check("rank", rank, (1...1_024).contains(rank), "in 1...1024")
        try check("lora-alpha", loraAlpha, loraAlpha > 0, "above 0")
        try check("replay", replay, (0...100).contains(replay), "in 0...100")
        try check(
            "anchor", anchor, anchor >= 0 && anchor * learningRate < 1, "in 0..<1/learning-rate")
        try check("divergence", divergence, (0...1e6).contains(divergence), "in 0...1000000")
        try check("time-max", timeMax, timeMax > 0, "above 0")
        try check("niceness", niceness, (0...19).contains(niceness), "in 0...19")
        try check("memory-max", memoryMax, memoryMax >= 0, "at least 0")
        try check("margin", margin, (0...1).contains(margin), "in 0...1")
        try check("gain-margin", gainMargin, (0..<1).contains(gainMargin), "in 0..<1")
        try check("error", error, (1e-6...0.5).contains(error), "in 0.000001...0.5")
        do { _ = try alignment } catch { throw ValidationError("\(error)") }
    }

    /// Nil without a teacher.
    private var alignment: AlignmentSettings? {
        get throws(AlignmentError) { try labels.alignment(isTaught: teacher != .none) }
    }

    func run() throws {
        setLinearAlgebraThreads(1)
        try keepLimits()
        let report = RefreshStatus.Writer(path: status)
        report.write(.reading)
        if let output, fileExists(output) {
            throw CommandFailure("\(output) is there already; choose another --output")
        }
        let base = try ItemModelFolder(path: model)
        guard base.parameters.layout.shape.isServable else {
            throw CommandFailure(
                "\(model) is a model to compare with: only what can serve is refreshed")
        }
        let store = adapters.map { AdapterStore(folder: $0, base: base) }
        let turn = try store?.takeTurn()
        defer { turn?.end() }
        let before = try (store?.current?.path ?? previous).map {
            try ItemAdapterFolder(path: $0, for: base)
        }
        var data = try data(before?.items ?? base.items, base.parameters.layout.shape)
        if shuffleItems { data.shuffleItems(seed: seed) }
        guard !data.new.isEmpty, !data.judging.isEmpty else {
            throw CommandFailure(
                "\(self.data): no history with events after the first "
                    + "\(fixed(knownShare * 100, 0)) %, or none among the newest that judge")
        }
        let clock = ContinuousClock()
        var start = clock.now
        var scorer = ItemScorer(base.parameters)
        let vectors = scorer.textVectors(of: data.titles.map(base.tokens))
        print("texts of \(grouped(data.ids.count)) items: \(seconds(since: &start)) s")
        let refresh = ItemRefresh(
            base.parameters, textVectors: vectors,
            summaryVectors: scorer.textVectors(of: data.summaries.map(base.summaryTokens)),
            fresh: data.new, replay: data.known,
            previous: before?.adapter, training: training, alignment: try alignment)
        print(
            "\(grouped(data.new.count)) new histories, \(grouped(data.known.count)) of the past, "
                + "\(grouped(refresh.adapter.pairCount)) numbers in the pairs and "
                + "\(grouped(refresh.adapter.rows.vectors.count)) in identity vectors")
        try learn(refresh, report)
        print("learnt: \(seconds(since: &start)) s")
        let current = before.map { base.parameters.applying($0.adapter) } ?? base.parameters
        let verdict = judge(refresh, base, current, data, vectors, report)
        print(verdict.text)
        print("judged: \(seconds(since: &start)) s")
        guard verdict.hasPassed else {
            try store?.note("refused", version: store?.current?.version, verdict.text)
            report.write(.refused(reason: verdict.text))
            writeError("refused: nothing was written, what serves stays\n")
            throw ExitCode(3)
        }
        let folder = ItemAdapterFolder(refresh.adapter, items: data.ids, of: base)
        let version = try base.applying(folder).version
        if let store {
            try store.publish(
                folder, version: version, reason: verdict.text, learntUntil: data.learntUntil)
        } else if let output {
            try write(folder, to: output)
        }
        report.write(
            .passed(version: version, reason: verdict.text, learntUntil: data.learntUntil))
        print("version \(version), an adapter of \(base.version), in \(output ?? adapters ?? "")")
    }

    private func data(_ items: [ItemID], _ shape: ItemModelShape) throws -> RefreshData {
        let examples = RefreshExamples(
            historyMax: shape.historyMax, isTaught: teacher != .none,
            olderMax: shape.older == nil ? 0 : ItemDataset.storedMax)
        let summarises = shape.readsTrail
        if shape.summaries != nil, !summarises {
            writeError("\(model) reads summaries of another summariser: it learns without them\n")
        }
        return switch source {
        case .office:
            try RefreshData(
                office: data, base: items, known: knownShare, examples: examples,
                teacher: teacher.name, summarises: summarises)
        case .log:
            try RefreshData(
                log: data, base: items,
                shares: .init(
                    known: knownShare, judging: gateShare, all: dataShare, knownUntil: knownUntil),
                examples: examples, teacher: teacher.name, summarises: summarises)
        }
    }

    private var training: RefreshTraining {
        var training = RefreshTraining()
        training.seed = seed
        training.epochs = epochs
        training.batchWindows = batch
        training.negatives = negatives
        training.learningRate = learningRate
        training.dropout = dropout
        training.rank = rank
        training.loraAlpha = loraAlpha
        training.replayShare = replay
        training.anchor = anchor
        training.divergence = divergence
        training.learnsHead = head
        return training
    }

    /// Beside a daemon that serves: whatever else wants the processor goes first.
    private func keepLimits() throws {
        _ = nice(niceness)
        guard memoryMax > 0 else { return }
        let limit = rlimit(rlim_cur: rlim_t(memoryMax), rlim_max: rlim_t(memoryMax))
        let code = unsafe withUnsafePointer(to: limit) {
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), $0)
        }
        guard code == 0 else {
            throw CommandFailure("--memory-max \(memoryMax): \(systemReason())")
        }
    }

    private func learn(_ refresh: ItemRefresh, _ report: RefreshStatus.Writer) throws {
        let end = ContinuousClock.now + .seconds(timeMax)
        for epoch in 1...epochs {
            var progress = ProgressBar("epoch \(epoch) of \(epochs)", total: nil)
            let loss = try refresh.runEpoch { done, all in
                progress.update(done)
                report.write(.learning(step: (epoch - 1) * all + done, steps: epochs * all))
                return .now < end
            }
            progress.finish()
            guard let loss else {
                throw CommandFailure(
                    "learning took more than --time-max \(fixed(timeMax, 0)) s: nothing was written"
                )
            }
            var line = "epoch \(epoch): loss \(fixed(loss.plain, 4))"
            if teacher != .none {
                line += ", with the teacher \(fixed(loss.aligned, 4)), its share in the labels "
                line += fixed(refresh.effectiveAlpha, 3)
            }
            print(line)
        }
    }

    private func judge(
        _ refresh: ItemRefresh, _ base: ItemModelFolder, _ current: ItemModelParameters,
        _ data: RefreshData, _ vectors: [Float], _ report: RefreshStatus.Writer
    ) -> RefreshGate.Verdict {
        var progress = ProgressBar("judging", total: data.judging.count)
        defer { progress.finish() }
        let gate = RefreshGate(
            textVectors: vectors, listed: data.listed, summaryTokens: base.summaryTokens)
        return gate.judge(
            base.parameters.applying(refresh.adapter), against: current, on: data.judging,
            margins: .init(likelihood: margin, gain: gainMargin, error: error),
            progress: {
                progress.update($0)
                report.write(.judging(event: $0, events: data.judging.count))
            })
    }

    private func seconds(since start: inout ContinuousClock.Instant) -> String {
        let now = ContinuousClock.now
        defer { start = now }
        return fixed(start.duration(to: now).seconds, 1)
    }
}

/// Under another name first: there is either the whole adapter or none.
func write(_ adapter: ItemAdapterFolder, to path: String) throws {
    let partial = "\(path).partial"
    try makeFolder(partial)
    try adapter.write(to: partial)
    guard unsafe rename(partial, path) == 0 else {
        throw CommandFailure("\(path) cannot be made: \(systemReason())")
    }
}
