// Scores logged events with the serving scorer, before it learns them.
//
// The daemon's own Engine ranks: what is measured is what is served. Every protocol is an order of three calls:
// `learn`, `learnUserOnly` and `score`. For every scored event the list that would have been served is made as well
// and compared with the full ranking, so that a difference between the fast path and the measured one cannot stay
// unseen.

public import Combiner
public import Interactions
public import Recommender
public import Summaries
public import Teachers

/// What is ranked by.
public enum EvaluatedSource: Sendable, Hashable {
    /// Sequential rules with popularity behind them: what `REC.GET` serves.
    case rules
    /// Decayed popularity alone: the lowest rung.
    case popularity
    /// Events an item ever had, undecayed and repeats included: a baseline that is never served.
    case count
    /// One teacher alone, by its name.
    case teacher(String)
    /// All sources combined as `REC.GET` combines them, and by the first stage alone.
    case mixture
    case mixtureLinear
    /// All combined as if features had been missing from the first list on; their source still proposes.
    case mixtureWithout(FeatureSet)

    /// `rules` and `popularity` are the rungs that serve; every other teacher is asked directly.
    public init?(name: String) {
        switch name {
        case "rules": self = .rules
        case "popularity": self = .popularity
        case "count": self = .count
        case "mix": self = .mixture
        case "mix-linear": self = .mixtureLinear
        default:
            if name.hasPrefix(Self.withoutPrefix) {
                let names = name.dropFirst(Self.withoutPrefix.count).split(separator: "+")
                let features = names.compactMap { name in
                    Feature.allCases.first { $0.name == name }
                }
                guard !features.isEmpty, features.count == names.count else { return nil }
                self = .mixtureWithout(FeatureSet(features))
                return
            }
            guard TeacherRegistry.teacher(named: name) != nil else { return nil }
            self = .teacher(name)
        }
    }

    public var name: String {
        switch self {
        case .rules: "rules"
        case .popularity: "popularity"
        case .count: "count"
        case .teacher(let name): name
        case .mixture: "mix"
        case .mixtureLinear: "mix-linear"
        case .mixtureWithout(let absent):
            Self.withoutPrefix
                + Feature.allCases.filter { absent.contains($0) }.map(\.name)
                .joined(separator: "+")
        }
    }

    private static let withoutPrefix = "mix-without-"

    public var isMixture: Bool {
        switch self {
        case .mixture, .mixtureLinear, .mixtureWithout: true
        case .rules, .popularity, .count, .teacher: false
        }
    }

    /// Every name that is one.
    public static var names: [String] {
        ["rules", "popularity", "count", "mix", "mix-linear"]
            + TeacherRegistry.all.map { $0.name }.filter { $0 != "rules" && $0 != "popularity" }
    }
}

/// Which items take part in the ranking.
public enum RankedItems: String, Sendable, CaseIterable {
    /// Every item with a record, from the start.
    case all
    /// Items join with their first event.
    case known
}

public struct EvaluatorConfiguration: Sendable {
    public var engine: EngineConfiguration
    public var sources: [EvaluatedSource]
    public var rankedItems: RankedItems
    /// Length of the list that is judged.
    public var cutoff: Int
    /// The teachers among the sources, with their parameters; those not given have default ones.
    public var teachers: [any Teacher]
    /// Models are solved anew after so many learnt events.
    public var solveInterval: Int
    /// The combiner learns from one of so many events.
    public var mixtureLearnInterval = 1
    /// Folds users' summaries where a source reads them.
    public var summariser: TemplateSummariser?
    /// Whole blocks that wait before they are folded: 1 where histories are too short for several.
    public var summaryBlocksAtOnce = TemplateSummariser.blocksAtOnce

    public init(
        engine: EngineConfiguration, sources: [EvaluatedSource] = [.rules, .popularity],
        rankedItems: RankedItems = .all, cutoff: Int = 10, teachers: [any Teacher] = [],
        solveInterval: Int = 5_000
    ) {
        precondition(solveInterval > 0, "an interval is positive")
        self.teachers = teachers
        self.solveInterval = solveInterval
        self.engine = engine
        self.sources = sources
        self.rankedItems = rankedItems
        self.cutoff = cutoff
    }
}

public final class Evaluator {
    public let configuration: EvaluatorConfiguration
    /// One list a source, in the order of `configuration.sources`; all of the same events.
    public private(set) var outcomes: [[Outcome]]
    /// Events that no list could have contained, because the user's history hides the item.
    public private(set) var unscorableCount = 0
    /// Served lists that contradict the full ranking; anything but 0 is a defect.
    public private(set) var contradictionCount = 0
    public private(set) var learnedCount = 0
    /// What learns from the same lists without some of their features.
    var ablations: [FeatureSet: Combiner] = [:]
    /// Models solved so far.
    public var solvedCount = 0
    /// Events learnt when models were last solved.
    var solvedAt = -1
    /// What kept a model from being solved, as last seen.
    public var solveFailure: SolveFailure?

    /// The teacher that takes the served model's place.
    static let modelName = "lm"
    let engine: Engine
    let types: EventTypes
    var states: [UserID: UserState] = [:]
    /// Histories of sequences that belong to no user; kept only when a model is trained on them.
    var sequences: [UserState] = []
    /// Candidates of the event being scored.
    var mixed: MixedCandidates?
    /// Whether the combiner goes on learning while it is judged.
    public var learnsMixture = true
    private var userNumbers: [UserID: Int32] = [:]
    /// By item number.
    private var eventCounts: [Int] = []
    /// By item number: 1 when the item takes part in rankings.
    private var candidates: [UInt8] = []
    /// Items that leave the ranking at a time, soonest last.
    private var expiring: [(time: Milliseconds, number: Int)] = []
    /// Records of items that have had no event yet, when only known items are ranked.
    private var waiting: [ItemKey: ItemRecord] = [:]

    public init(_ configuration: EvaluatorConfiguration) {
        self.configuration = configuration
        engine = Engine(configuration.engine)
        types = configuration.engine.history.types
        outcomes = configuration.sources.map { _ in [] }
        installTeachers()
        for case .mixtureWithout(let absent) in configuration.sources {
            ablations[absent] = engine.combiner.map { Combiner($0.configuration) }
        }
    }

    public var userCount: Int { states.count }
    public var candidateCount: Int { candidates.reduce(0) { $0 + Int($1) } }

    // MARK: - Learning

    /// Takes an item record: new, changed or (not available) withdrawn.
    public func set(_ record: ItemRecord) {
        let isKnown = engine.catalogue[record.id.key] != nil
        if configuration.rankedItems == .known, !isKnown, count(of: record.id.key) == 0 {
            waiting[record.id.key] = record
        } else {
            enter(record)
        }
    }

    /// Folds an event into its user and the statistics.
    public func learn(_ event: Interaction) {
        fold(event, into: &states[event.user, default: UserState()], statistics: true)
    }

    /// Folds an event into its user only: the statistics stay as they were trained.
    public func learnUserOnly(_ event: Interaction) {
        fold(event, into: &states[event.user, default: UserState()], statistics: false)
    }

    /// Learns a sequence as if it were the whole history of a user who is never asked for.
    public func learn(sequence: [Interaction]) {
        var state = UserState()
        for event in sequence { fold(event, into: &state, statistics: true) }
        if needsHistories { sequences.append(state) }
    }

    func fold(_ event: Interaction, into state: inout UserState, statistics: Bool) {
        var edits = StatisticsEditsWriter()
        let outcome = engine.fold(.interaction(event), into: &state, edits: &edits)
        if outcome == .applied { noteForSummary(event, in: &state) }
        guard statistics, outcome == .applied else { return }
        do {
            try engine.apply(edits: edits.finish(nextOffset: nil, fingerprint: 0))
        } catch {
            preconditionFailure("our own edits are readable: \(error)")
        }
        learnedCount += 1
        guard let number = engine.statistics.items.number(of: event.item.key) else { return }
        reserve(Int(number))
        eventCounts[Int(number)] += 1
        if let record = waiting.removeValue(forKey: event.item.key) { enter(record) }
    }

    private func noteForSummary(_ event: Interaction, in state: inout UserState) {
        guard let summariser = configuration.summariser else { return }
        let entry = HistoryEntry(
            item: event.item.key, seconds: state.history.last?.seconds ?? 0, type: event.type)
        _ = summariser.note(
            entry, in: &state, rules: BlockRules(), blocksAtOnce: configuration.summaryBlocksAtOnce
        ) { entry in
            TemplateSummariser.Event(
                traits: engine.catalogue[entry.item].map {
                    ItemTraits(
                        title: $0.title, brand: $0.brand, categories: $0.categories,
                        price: $0.price)
                }, weight: types.weight(of: entry.type))
        }
    }

    private func enter(_ record: ItemRecord) {
        guard engine.change(.set(record, json: [])) == .stored,
            let number = engine.statistics.items.number(of: record.id.key).map(Int.init)
        else { return }
        reserve(number)
        candidates[number] = record.available ? 1 : 0
        expiring.removeAll { $0.number == number }
        guard let expires = record.expires else { return }
        expiring.append((time: expires, number: number))
        expiring.sort { $0.time > $1.time }
    }

    private func reserve(_ number: Int) {
        guard candidates.count <= number else { return }
        let added = number + 1 - candidates.count
        candidates.append(contentsOf: repeatElement(0, count: added))
        eventCounts.append(contentsOf: repeatElement(0, count: added))
    }

    private func count(of key: ItemKey) -> Int {
        guard let number = engine.statistics.items.number(of: key) else { return 0 }
        return Int(number) < eventCounts.count ? eventCounts[Int(number)] : 0
    }

    // MARK: - Scoring

    /// Ranks what really came, with the state just before it. Returns false when the event cannot be judged.
    @discardableResult
    public func score(_ event: Interaction) -> Bool {
        score(event, given: states[event.user] ?? UserState())
    }

    /// Ranks `target` after a history that belongs to no stored user.
    @discardableResult
    public func score(_ target: Interaction, after history: [Interaction]) -> Bool {
        var state = UserState()
        for event in history { fold(event, into: &state, statistics: false) }
        return score(target, given: state)
    }

    private func score(_ event: Interaction, given state: UserState) -> Bool {
        let hidden = engine.hidden(state, now: event.time)
        guard types.weight(of: event.type) > 0, !hidden.contains(event.item.key) else {
            unscorableCount += 1
            return false
        }
        expire(before: event.time)
        let number = engine.statistics.items.number(of: event.item.key).map(Int.init)
        let ranked = number.flatMap { $0 < candidates.count && candidates[$0] == 1 ? $0 : nil }
        let excluded = mark(hidden, as: 0)
        defer { for number in excluded { candidates[number] = 1 } }
        let previous = state.history.last.map { Milliseconds($0.seconds) * 1_000 }
        let user = userNumber(event.user)
        mixed = mix(event, state)
        for (index, source) in configuration.sources.enumerated() {
            let rank = ranked.map { place($0, by: source, for: state) }
            outcomes[index].append(
                Outcome(
                    user: user, rank: rank, targetEvents: count(of: event.item.key),
                    historyCount: state.history.count, time: event.time,
                    sameDay: previous.map { day($0) == day(event.time) } ?? false))
            check(rank, of: event, by: source, for: state)
        }
        if let mixed { teachMixture(mixed.list, event) }
        return true
    }

    private func place(_ number: Int, by source: EvaluatedSource, for state: UserState) -> Rank {
        if source.isMixture { return mixedPlace(number, by: source) }
        let scores =
            switch source {
            case .mixture, .mixtureLinear, .mixtureWithout: [Double]()
            case .rules: engine.scoreAll(state, rung: .cf)
            case .popularity: engine.scoreAll(state, rung: .popular)
            case .count: eventCounts.map { Double($0) }
            case .teacher(let name):
                // Items without a score stand behind all others, and all alike.
                engine.scoreAll(state, by: name).map { $0 ?? -.infinity }
            }
        reserve(max(scores.count, 1) - 1)
        return Rank(of: number, scores: scores, candidates: candidates)
    }

    /// The served list breaks ties by key, so its place lies anywhere among the tied ones.
    private func check(
        _ rank: Rank?, of event: Interaction, by source: EvaluatedSource, for state: UserState
    ) {
        let count = configuration.cutoff
        let list: [ListedItem]
        switch source {
        case .count, .mixtureWithout: return
        case .mixture, .mixtureLinear:
            guard let mixed else { return }
            list =
                engine.recommendMixed(
                    mixed, for: state, by: source == .mixture ? nil : .linear, count: count,
                    now: event.time
                ).items
        case .teacher(let name):
            list = engine.recommend(state, by: name, count: count, now: event.time)
        case .rules, .popularity:
            list = engine.recommend(
                state, count: count, rung: source == .rules ? .cf : .popular, now: event.time)
        }
        let place = list.firstIndex { $0.item == event.item.key }
        let isConsistent = Self.isConsistent(
            place: place, rank: rank, cutoff: configuration.cutoff)
        if !isConsistent { contradictionCount += 1 }
    }

    private static func isConsistent(place: Int?, rank: Rank?, cutoff: Int) -> Bool {
        guard let rank else { return place == nil }
        guard let place else { return rank.above + rank.tied >= cutoff }
        return rank.above <= place && place <= rank.above + rank.tied
    }

    private func mark(_ keys: [ItemKey], as value: UInt8) -> [Int] {
        keys.compactMap { key in
            guard let number = engine.statistics.items.number(of: key).map(Int.init),
                number < candidates.count, candidates[number] != value
            else { return nil }
            candidates[number] = value
            return number
        }
    }

    private func expire(before now: Milliseconds) {
        while let next = expiring.last, next.time <= now {
            candidates[next.number] = 0
            expiring.removeLast()
        }
    }

    private func userNumber(_ user: UserID) -> Int32 {
        if let number = userNumbers[user] { return number }
        let number = Int32(truncatingIfNeeded: userNumbers.count)
        userNumbers[user] = number
        return number
    }

    private func day(_ time: Milliseconds) -> Int64 { time / 86_400_000 }
}
