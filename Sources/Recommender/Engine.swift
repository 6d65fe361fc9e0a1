// The deterministic heart: folds events into users and statistics, and makes lists. No I/O, no clock, no threads.
//
// The caller owns where users' states live (cache and store) and hands them in; what changed comes back as values.

public import Combiner
public import Interactions
public import Teachers

public struct EngineConfiguration: Sendable {
    public var history: HistoryRules
    public var rules: RuleParameters
    /// The first serves; in seconds.
    public var halfLivesSeconds: [Int64]
    public var itemsMax: Int
    public var pairsMax: Int
    /// How the sources are combined; nil: they are not.
    public var mixture: MixtureConfiguration?

    public init(
        history: HistoryRules, rules: RuleParameters = RuleParameters(),
        halfLivesSeconds: [Int64] = [61_200], itemsMax: Int = 1_000_000,
        pairsMax: Int = 50_000_000, mixture: MixtureConfiguration? = nil
    ) {
        self.history = history
        self.rules = rules
        self.halfLivesSeconds = halfLivesSeconds
        self.itemsMax = itemsMax
        self.pairsMax = pairsMax
        self.mixture = mixture
    }
}

/// Why an item is where it is in a user's ranking.
public struct Ranking: Sendable, Hashable {
    /// 1 is best; nil when something removes the item.
    public var rank: Int?
    public var score: Double
    public var ruleScore: Double
    public var popularityScore: Double
    public var evidence: [RuleEvidence]
    public var removal: Removal?
}

public final class Engine {
    public let configuration: EngineConfiguration
    public internal(set) var statistics: Statistics
    public internal(set) var catalogue: Catalogue
    /// Changes with every change of the catalogue that can change a list.
    public private(set) var catalogueVersion: UInt64 = 0
    /// Changes with every batch that changed the statistics.
    public private(set) var statisticsVersion: UInt64 = 0
    /// Of the log: how dense lessons are at an offset depends on it.
    public var partitionCount = 1
    /// By name; changed by `install`.
    var teachers: [String: any Teacher] = [:]
    var scorer: ListScorer
    var rung: ModelRung?
    var order = PopularityOrder()
    /// Whether the list arranged last might be another one with more time.
    public internal(set) var isListCut = false
    /// What combines all sources; nil when lists come from one rung each.
    var mixer: Mixer?
    /// Told of every event that the combiner learns from.
    public var onLearnt: ((LearntEvent) -> Void)?
    /// Told of the list just before.
    public var onList: ((ObservedEvent, CandidateList) -> Void)?

    public init(_ configuration: EngineConfiguration) {
        self.configuration = configuration
        statistics = Statistics(
            halfLivesSeconds: configuration.halfLivesSeconds, pairCountMax: configuration.pairsMax)
        catalogue = Catalogue(itemsMax: configuration.itemsMax)
        scorer = ListScorer(rules: configuration.rules)
        mixer = configuration.mixture.map { Mixer($0, rules: configuration.rules) }
        if mixer != nil { statistics.keepRecentPairs() }
    }

    // MARK: - Learning

    /// Folds one entry of the log, at this offset of its partition, into a user's state; the statistics change when the
    /// batch's edits are applied.
    public func fold(
        _ entry: LogEntry, at offset: Offset = 0, into state: inout UserState,
        edits: inout StatisticsEditsWriter
    ) -> FoldOutcome {
        switch entry {
        case .forget:
            guard !state.isEmpty else { return .duplicate }
            configuration.history.subtractAll(state, edits: &edits)
            state = UserState()
            return .applied
        case .interaction(let event):
            if let observed = observation(of: event, at: offset, state) {
                edits.append(.observed(observed))
            }
            return configuration.history.append(event, to: &state, edits: &edits)
        }
    }

    /// Applies (or takes back) a batch's edits: our own after a fold, a peer's, or those of the log of deltas.
    public func apply(edits: [UInt8], undo: Bool = false) throws(MalformedBytes) {
        guard !edits.isEmpty else { return }
        statisticsVersion &+= 1
        var application = try statistics.begin(edits, undo: undo)
        var isComplete = false
        while !isComplete {
            // Once up to the next observed event: reading `statistics` copies it, one retain for every array in it.
            var touched: [KeyIndex.Number] = []
            let observed: ObservedEvent?
            do throws(MalformedBytes) {
                observed = try statistics.advance(&application) { touched.append($0) }
            } catch {
                order.touch(touched, in: statistics)
                throw error
            }
            order.touch(touched, in: statistics)
            if let observed { learn(observed) } else { isComplete = true }
        }
    }

    /// Replaces the statistics, at start or after a loss.
    public func replace(statistics new: Statistics) {
        statistics = new
        if mixer != nil { statistics.keepRecentPairs() }
        mixer?.forget()
        statisticsVersion &+= 1
        order = PopularityOrder()
        // Numbers changed with the statistics: the catalogue's marks are made again.
        let entries = Array(catalogue.all)
        catalogue = Catalogue(itemsMax: configuration.itemsMax)
        for entry in entries {
            _ = catalogue.set(entry, number: statistics.number(of: entry.id.key))
        }
        bindTeachers()
        catalogueVersion &+= 1
    }

    public func change(_ change: ItemChange) -> CatalogueOutcome {
        catalogueVersion &+= 1
        switch change {
        case .set(let record, let json):
            let before = catalogue[record.id.key]
            let entry = CatalogueEntry(record, json: json)
            let outcome = catalogue.set(entry, number: statistics.number(of: record.id.key))
            if outcome == .stored { rung?.set(entry, isNewText: before?.title != entry.title) }
            return outcome
        case .withdraw(let id):
            catalogue.withdraw(id, number: statistics.number(of: id.key))
            if catalogue[id.key] == nil { rung?.withdraw(id.key) }
            return .withdrawn
        }
    }

    // MARK: - Serving

    /// The identifier of an item with a record. Who asks `catalogue` from outside copies it: a reference counted for
    /// each of its tables, at each place of a list.
    public func id(of item: ItemKey) -> ItemID? { catalogue[item]?.id }

    /// The best `count` items for a user, best first.
    public func recommend(
        _ state: UserState, session: [ItemKey] = [], candidates: [ItemKey]? = nil,
        exclude: [ItemKey] = [], count: Int, rung: Rung, gate: ListGate = .open,
        now: Milliseconds
    ) -> [ListedItem] {
        order.refresh(statistics)
        let request = ListRequest(
            recent: recent(state, session: session),
            hidden: hidden(state, now: now) + session + exclude, candidates: candidates,
            count: count, rung: rung, gate: gate, now: now)
        let list = scorer.list(
            request, statistics: statistics, order: order, catalogue: catalogue)
        if scorer.wasCut { isListCut = true }
        return list
    }

    public func explain(
        _ item: ItemKey, for state: UserState, session: [ItemKey] = [], now: Milliseconds
    ) -> Ranking {
        let recent = recent(state, session: session)
        let evidence = scorer.rules.evidence(for: item, recent: recent, from: statistics)
        let rule = evidence.reversed().reduce(0) { $0 + $1.contribution }
        let number = statistics.items.number(of: item)
        let share = number.map { statistics.popularity.share($0) } ?? 0
        let popularity = configuration.rules.backoff * share
        var removal = catalogue.removal(item, now: now)
        let hidden = Set(hidden(state, now: now) + session)
        if removal == nil, hidden.contains(item) { removal = .seen }
        var rank: Int?
        if removal == nil, let number {
            let scores = scorer.scoreAll(recent: recent, statistics: statistics)
            let own = Candidate(number: number, key: item, score: scores[Int(number)])
            rank = 1
            for other in 0..<KeyIndex.Number(statistics.items.count)
            where other != number && catalogue.isRecommendable(other, now: now) {
                let key = statistics.items.keys[Int(other)]
                let rival = Candidate(number: other, key: key, score: scores[Int(other)])
                if Candidate.precedes(rival, own), !hidden.contains(key) { rank? += 1 }
            }
        }
        return Ranking(
            rank: rank, score: rule + popularity, ruleScore: rule, popularityScore: popularity,
            evidence: evidence, removal: removal)
    }

    /// Scores of all items for a user, by item number; the slow twin of `recommend`, for evaluation.
    public func scoreAll(_ state: UserState, rung: Rung = .cf) -> [Double] {
        scorer.scoreAll(
            recent: rung == .cf ? recent(state, session: []) : [], statistics: statistics)
    }

    /// Items that a user's history keeps out of lists at `now` (promise G3).
    public func hidden(_ state: UserState, now: Milliseconds) -> [ItemKey] {
        state.history.compactMap { isHidden($0, now: now) ? $0.item : nil }
    }

    func isHidden(_ entry: HistoryEntry, now: Milliseconds) -> Bool {
        switch configuration.history.types.seen(of: entry.type) {
        case .always: true
        case .never: false
        case .cooldown(let span): Milliseconds(entry.seconds) * 1_000 + span > now
        }
    }

    /// Positive items, newest first, the session's before the history's.
    func recent(_ state: UserState, session: [ItemKey]) -> [ItemKey] {
        var found: [ItemKey] = session.reversed()
        let limit = configuration.rules.sourcesMax
        let types = configuration.history.types
        for entry in state.history.reversed() where found.count < limit {
            if types.weight(of: entry.type) > 0, !session.contains(entry.item) {
                found.append(entry.item)
            }
        }
        return found
    }
}
