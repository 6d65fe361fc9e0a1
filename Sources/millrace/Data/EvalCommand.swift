// `millrace eval`: how good the lists are, measured with the scorer that serves them.

public import ArgumentParser
import Combiner
public import Evaluation
import Interactions
import ItemModel
import ModelFolders
import Recommender
import Settings
import Summaries
import Teachers
import Tensors

struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Measure recommendation accuracy on a log: full ranking, ties in the middle.",
        discussion: """
            prequential    every event after the warm-up is scored with the state just before it
            leave-one-out  every user's last event is scored by what all other events taught
            time-split     later events are scored while only histories go on
            office         the fixed Amazon Office split released with TCA4Rec

            The last source is the baseline of the paired differences.
            """)

    enum Order: String, ExpressibleByArgument, CaseIterable {
        case office
        case prequential
        case leaveOneOut = "leave-one-out"
        case timeSplit = "time-split"
    }

    @Option(name: .customLong("protocol"), help: "office, prequential, leave-one-out, time-split.")
    var order: Order = .prequential
    @Option(
        help:
            "The folder with events.jsonl and items.jsonl; for office with the released CSV files.")
    var data: String
    @Option(
        help: ArgumentHelp(
            "One of \(EvaluatedSource.names.joined(separator: ", ")); may be repeated.",
            discussion:
                "count is undecayed. Parameters follow a colon: item-knn:decay=0.5,shrink=5. "
                + "mix-without-model+isModelled lacks these features of mix.",
            valueName: "name"))
    var teacher: [JudgedTeacher] = [JudgedTeacher(.rules), JudgedTeacher(.popularity)]
    @Option(
        help: "An item-aware model's folder, judged as `lm`: see `millrace train`.")
    var model: String?
    @Option(help: "An adapter of the model or the ranker: see `millrace refresh`, `train-ranker`.")
    var adapter: String?
    @Option(
        help: ArgumentHelp(
            "Judge this ranker alone, by Recall and MRR over one chosen and 20 drawn items.",
            discussion:
                "See `millrace train-ranker`; --protocol is office, else the log's last tenth."))
    var ranker: String?
    @OptionGroup(title: "With --ranker") var rankerData: RankerDataOptions
    @Option(
        help: "Train the model anew, with so many epochs, before every --interval events; 0: never."
    )
    var retrainEpochs = 0
    @Option(help: "Items of a history within which two count as together; 0 counts none.")
    var reach: Int?
    @Option(help: "Models are solved anew after so many learnt events.") var interval = 5_000
    @Option(help: "Share of the events learned before the first one is scored.")
    var warmUp: Double?
    @Option(help: "Score only every n-th event.") var every = 1
    @Option(help: "mix: learn as a daemon does that has this mixture.learn-interval.")
    var learnInterval = 1
    @Flag(help: "mix: with the model's token head, as mixture.token-head gives it to the daemon.")
    var tokenHead = false
    @Option(help: "Length of the judged list.") var cutoff = 10
    @Option(help: "all: every item with a record; known: items join with their first event.")
    var ranked: RankedItems = .all
    @Flag(help: "Keep items in the ranking that the user has had.") var repeats = false
    @Option(help: "office: test_5000.csv or valid_5000.csv.") var split = "test_5000.csv"

    @Option(help: "Weight of older items in rules: harmonic, or a factor a step such as 0.8.")
    var recency: String?
    @Option(help: "Pseudo-transitions in the denominator of rules.") var prior: Double?
    @Option(help: "Weight of popularity behind rules.") var backoff: Double?
    @Option(help: "Half-life of popularity in hours.") var halfLife: Double?

    @Flag(help: "Print one JSON object instead of tables.") var json = false
    @Option(help: "Write a self-contained page, and its charts beside it as SVG.")
    var report: String?

    func validate() throws {
        guard (1...1_000).contains(cutoff) else {
            throw ValidationError("--cutoff \(cutoff) is not in 1...1000")
        }
        guard learnInterval >= 1 else {
            throw ValidationError("--learn-interval \(learnInterval) is below 1")
        }
        guard every >= 1 else { throw ValidationError("--every \(every) is below 1") }
        guard (0...1_000).contains(retrainEpochs), retrainEpochs == 0 || model != nil else {
            throw ValidationError("--retrain-epochs needs --model, and is in 0...1000")
        }
        guard adapter == nil || ranker != nil || (model != nil && retrainEpochs == 0) else {
            throw ValidationError("--adapter needs --model or --ranker, and no --retrain-epochs")
        }
        if let warmUp, !(0...1).contains(warmUp) {
            throw ValidationError("--warm-up \(warmUp) is not in 0...1")
        }
        if let halfLife, !(halfLife * 3_600 >= 1 && halfLife < 1e6) {
            throw ValidationError("--half-life \(halfLife) is not in 0.0003...1000000 hours")
        }
        if let recency, recency != "harmonic", !(0...1).contains(Double(recency) ?? -1) {
            throw ValidationError("--recency '\(recency)' is neither harmonic nor in 0...1")
        }
        if let reach, !(0...UserState.historyCountMax).contains(reach) {
            throw ValidationError("--reach \(reach) is not in 0...\(UserState.historyCountMax)")
        }
        guard interval >= 1 else { throw ValidationError("--interval \(interval) is below 1") }
        if Set(teacher.map(\.source)).count != teacher.count {
            throw ValidationError("--teacher names one twice")
        }
    }

    func run() throws {
        if let ranker { return try judge(ranker: ranker) }
        let start = ContinuousClock.now
        let found = order == .office ? try office() : try log()
        let elapsed = start.duration(to: .now)
        if let report { try write(found, to: report) }
        print(json ? found.json : found.text, terminator: json ? "\n" : "")
        writeError("took \(fixed(Double(elapsed.components.seconds), 0)) s\n")
        guard found.warnings.isEmpty else { throw ExitCode(2) }
    }

    /// The model, where there is one, stands first, so that the last teacher is the baseline.
    private var sources: [EvaluatedSource] {
        (model == nil ? [] : [.teacher(ItemModelTeacher.name)]) + teacher.map(\.source)
    }

    private var judgesMixture: Bool { teacher.contains { $0.source.isMixture } }

    /// The model's folder with its adapter, if there is one.
    private func modelFolder() throws -> ItemModelFolder? {
        guard let model else { return nil }
        setLinearAlgebraThreads(1)
        let folder = try ItemModelFolder(path: model)
        guard let adapter else { return folder }
        return try folder.applying(ItemAdapterFolder(path: adapter, for: folder))
    }

    private func models(
        _ folder: ItemModelFolder?, _ catalogue: [ItemRecord]
    ) -> [any Teacher] {
        let own: [any Teacher] = teacher.compactMap(\.model)
        guard let folder else { return own }
        let retraining =
            retrainEpochs > 0
            ? Retraining(
                folder, epochs: retrainEpochs, catalogue: catalogue,
                blocksAtOnce: Self.blocksAtOnce(order)) : nil
        let judged = ItemModelTeacher(
            folder, catalogue: catalogue, summaryTokens: Self.summaryTokens(folder),
            retraining: retraining?.train)
        return [judged] + own
    }

    /// Of a stored summary; nil where the model reads none.
    private static func summaryTokens(
        _ folder: ItemModelFolder
    ) -> (@Sendable (_ stored: [UInt8]) -> [Int32])? {
        guard folder.parameters.layout.shape.readsTrail else { return nil }
        let template = SummaryTrail.template
        return { folder.summaryTokens(of: template.text(ofStored: $0)) }
    }

    /// The rows of the fixed split are too short for several blocks.
    private static func blocksAtOnce(_ order: Order) -> Int {
        order == .office ? 1 : TemplateSummariser.blocksAtOnce
    }

    /// What folds users' summaries, where the model reads them.
    private static func summariser(_ folder: ItemModelFolder?) -> TemplateSummariser? {
        folder?.parameters.layout.shape.readsTrail == true ? SummaryTrail.template : nil
    }

    /// Combined lists take the model as it is served; one that is trained anew takes part as a teacher, without its
    /// token head.
    private func serve(
        _ folder: ItemModelFolder?, _ catalogue: [ItemRecord], in evaluator: Evaluator
    ) {
        guard let folder, judgesMixture, retrainEpochs == 0 else { return }
        let model = ServedModel(folder, summaryTokens: Self.summaryTokens(folder))
        var encoder = ItemScorer(folder.parameters)
        let items = catalogue.map(\.id.key)
        let tokens = catalogue.map { folder.tokens(of: $0.title) }
        evaluator.install(
            model, items: items,
            vectors: model.vectors(of: items, texts: encoder.textVectors(of: tokens)),
            trie: model.trie(of: tokens))
    }

    // MARK: - Protocols

    private func office() throws -> EvaluationReport {
        let split = try OfficeSplit(folder: data, test: split)
        let folder = try modelFolder()
        let types = EventTypes([EventType(name: "review", weight: 1, seen: .never)])
        var configuration = EvaluatorConfiguration(
            engine: engine(types, rules: .baskets), sources: sources,
            cutoff: cutoff, teachers: models(folder, split.items))
        configuration.summariser = Self.summariser(folder)
        configuration.summaryBlocksAtOnce = Self.blocksAtOnce(order)
        let evaluator = Evaluator(configuration)
        for record in split.items { evaluator.set(record) }
        serve(folder, split.items, in: evaluator)
        var progress = ProgressBar(
            "evaluating", total: split.train.count + split.test.count)
        let validation =
            judgesMixture
            ? try OfficeSplit(folder: data, test: "valid_5000.csv").test : []
        evaluator.run(train: split.train, validation: validation, test: split.test) {
            progress.update($0)
        }
        progress.finish()
        return summary(
            of: evaluator, title: "Office, \(split.test.count) test rows",
            method:
                "Fixed split of Amazon Office Products as released with TCA4Rec. "
                + "Every training row is a history of its own; "
                + "all \(grouped(evaluator.candidateCount)) items are ranked, seen ones included; "
                + "ties take the middle rank.",
            files: split.files)
    }

    private func log() throws -> EvaluationReport {
        let log = try LoadedLog(folder: data, seen: repeats ? .never : .always)
        let folder = try modelFolder()
        var configuration = EvaluatorConfiguration(
            engine: engine(log.types, rules: RuleParameters()),
            sources: sources, rankedItems: ranked, cutoff: cutoff,
            teachers: models(folder, log.records), solveInterval: interval)
        configuration.mixtureLearnInterval = learnInterval
        if learnInterval > 1 {
            let settings = MixtureSettings()
            configuration.engine.mixture?.combiner.refitInterval = settings.refitInterval
            configuration.engine.mixture?.combiner.fitDelay = settings.refitInterval / 5
        }
        configuration.summariser = Self.summariser(folder)
        let evaluator = Evaluator(configuration)
        serve(folder, log.records, in: evaluator)
        let share = warmUp ?? (order == .timeSplit ? 0.8 : 0.5)
        let (evaluation, method): (EvaluationProtocol, String) =
            switch order {
            case .timeSplit:
                (
                    .timeSplit(train: share),
                    "Learned on the first \(fixed(share * 100, 0)) % of the events; "
                        + "later ones are scored while only histories go on."
                )
            case .leaveOneOut:
                (.leaveOneOut, "Every user's last event, scored by what all other events taught.")
            default:
                (
                    .prequential(warmUp: share),
                    "Every event after the first \(fixed(share * 100, 0)) % is scored "
                        + "with the state just before it, then learned."
                )
            }
        var progress = ProgressBar("evaluating", total: log.changes.count)
        evaluator.run(evaluation, over: log.changes, every: every) { progress.update($0) }
        progress.finish()
        let seen = repeats ? "seen ones included" : "seen ones left out"
        return summary(
            of: evaluator, title: "\(folderName), \(order.rawValue)",
            method: "\(method) \(ranked == .all ? "All" : "All known") items are ranked, \(seen); "
                + "ties take the middle rank.",
            files: log.files)
    }

    private func summary(
        of evaluator: Evaluator, title: String, method: String, files: [ReportedFile]
    ) -> EvaluationReport {
        let engine = evaluator.configuration.engine
        // The fixed split tells no times, so nothing decays there.
        let halfLife =
            order == .office
            ? "none" : "\(fixed(Double(engine.halfLivesSeconds[0]) / 3_600, 2)) h of event time"
        var facts = [
            ReportedFact("events learned", grouped(evaluator.learnedCount)),
            ReportedFact("events scored", grouped(evaluator.outcomes.first?.count ?? 0)),
            ReportedFact("events no list could contain", grouped(evaluator.unscorableCount)),
            ReportedFact("items ranked", grouped(evaluator.candidateCount)),
            ReportedFact(
                "rules",
                "recency \(text(engine.rules.recency)), last \(engine.rules.sourcesMax) items, "
                    + "prior \(fixed(engine.rules.prior, 2)), "
                    + "back-off \(fixed(engine.rules.backoff, 3))"
            ),
            ReportedFact("half-life of popularity", halfLife),
        ]
        for model in teacher.compactMap(\.model) {
            facts.append(ReportedFact(model.name, model.parameterText))
        }
        facts.append(contentsOf: solveFacts(of: evaluator))
        if evaluator.userCount > 0 {
            facts.insert(ReportedFact("users", grouped(evaluator.userCount)), at: 3)
        }
        if every > 1 { facts.append(ReportedFact("scored", "every \(every)th event")) }
        var warnings: [String] = []
        if evaluator.contradictionCount > 0 {
            warnings.append(
                "\(evaluator.contradictionCount) served lists contradict the full ranking: a defect"
            )
        }
        if let failure = evaluator.solveFailure {
            warnings.append("a model has failed: \(failure)")
        }
        if evaluator.outcomes.allSatisfy(\.isEmpty) {
            warnings.append("no event could be scored: is the log long enough?")
        }
        return EvaluationReport(
            title: title, method: method, facts: facts, files: files, cutoff: cutoff,
            outcomes: zip(sources, evaluator.outcomes).map { ($0.name, $1) },
            warnings: warnings)
    }

    private func solveFacts(of evaluator: Evaluator) -> [ReportedFact] {
        let reach = evaluator.configuration.engine.history.cooccurrenceReach
        var facts: [ReportedFact] = []
        if reach > 0 {
            facts.append(ReportedFact("co-occurrence", "within \(reach) items of a history"))
        }
        if evaluator.solvedCount > 0 {
            facts.append(ReportedFact("models solved", grouped(evaluator.solvedCount)))
        }
        let isDrawn = teacher.contains { $0.model.map { type(of: $0).isDrawn } ?? false }
        facts.append(
            ReportedFact("seed", isDrawn ? "1" : "none: nothing is drawn at random"))
        return facts
    }

    // MARK: - Parts

    private func engine(_ types: EventTypes, rules: RuleParameters) -> EngineConfiguration {
        var rules = rules
        if let recency {
            rules.recency = Double(recency).map { .geometric($0) } ?? .harmonic
        }
        if let prior { rules.prior = prior }
        if let backoff { rules.backoff = backoff }
        var history = HistoryRules(types: types)
        // Counted where somebody reads it: it is the larger part of the work.
        let isRead =
            teacher.contains { $0.model.map { type(of: $0).readsCooccurrence } ?? false }
            || (judgesMixture && order == .office)
        history.cooccurrenceReach = reach ?? (isRead ? history.historyMax : 0)
        var configuration = EngineConfiguration(history: history, rules: rules)
        if let halfLife { configuration.halfLivesSeconds = [Int64(halfLife * 3_600)] }
        if judgesMixture {
            configuration.mixture = order == .office ? .fixedSplit : MixtureConfiguration()
            configuration.mixture?.usesTokenHead = tokenHead
            configuration.halfLivesSeconds = MixtureConfiguration.halfLives(
                beside: configuration.halfLivesSeconds)
        }
        return configuration
    }

    private func text(_ recency: Recency) -> String {
        switch recency {
        case .harmonic: "1/(1 + age)"
        case .geometric(let factor): "\(fixed(factor, 2))^age"
        }
    }

    private var folderName: String {
        data.split(separator: "/").last.map(String.init) ?? data
    }

    private func write(_ report: EvaluationReport, to path: String) throws {
        let page = try FileWriter(path)
        try page.write(report.html.utf8)
        try page.finish()
        let stem = path.hasSuffix(".html") ? String(path.dropLast(5)) : path
        for (chart, name) in zip(report.charts(), ["hr", "ndcg"]) {
            let file = try FileWriter("\(stem)-\(name).svg")
            try file.write(chart.svg.utf8)
            try file.finish()
        }
    }
}

/// A source as the command line names it: `rules`, or a teacher with parameters, `item-knn:decay=0.5`.
struct JudgedTeacher: ExpressibleByArgument {
    var source: EvaluatedSource
    /// Nil for the rungs that serve and for the count.
    var model: (any Teacher)?

    var defaultValueDescription: String { source.name }

    init(_ source: EvaluatedSource) { self.source = source }

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1)
        guard let name = parts.first.map(String.init),
            let source = EvaluatedSource(name: name)
        else { return nil }
        self.init(source)
        if case .teacher = source {
            guard let teacher = try? TeacherRegistry.teacher(described: argument) else {
                return nil
            }
            model = teacher
        } else if parts.count == 2 {
            return nil
        }
    }
}

extension RankedItems: ExpressibleByArgument {}
