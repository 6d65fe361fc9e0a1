// The engine's combined list, and what it learns from.

public import Combiner
public import Interactions
import Teachers

extension Engine {
    /// The combiner as it stands; nil when sources are not combined.
    public var combiner: Combiner? { mixer?.combiner }

    /// Goes on with weights that were stored.
    public func restore(_ weights: CombinerWeights) {
        guard let mixer else { return }
        self.mixer?.combiner = Combiner(mixer.configuration.combiner, weights: weights)
    }

    /// Candidates of all sources for a user, with features; nil when sources are not combined. `asked` names a teacher
    /// that scores as the model; without it the served model does.
    public func mixture(
        _ user: UInt64, _ state: UserState, model asked: String? = nil, session: [ItemKey] = [],
        candidates: [ItemKey]? = nil, exclude: [ItemKey] = [], gate: ListGate = .open,
        now: Milliseconds
    ) -> CandidateList? {
        guard mixer != nil else { return nil }
        order.refresh(statistics)
        let items = statistics.items
        let keys = recent(state, session: session)
        let hidden = Set(
            (hidden(state, now: now) + session + exclude).compactMap { items.number(of: $0) })
        let request = MixtureRequest(
            recent: keys.compactMap { items.number(of: $0) }, recentKeys: keys, hidden: hidden,
            seen: Set(state.history.compactMap { items.number(of: $0.item) }),
            candidates: candidates.map { wanted in
                Set(wanted.compactMap { items.number(of: $0) }).filter {
                    !hidden.contains($0) && catalogue.isRecommendable($0, now: now)
                        && gate.passes(items.keys[Int($0)])
                }
            }.map(Array.init),
            context: ListContext(
                historyCount: state.history.count,
                gapSeconds: state.history.last.map { now / 1_000 - Int64($0.seconds) }),
            gate: gate, now: now)
        mixer?.model.begin(items.count)
        if let asked {
            if let teacher = teachers[asked], var scores = mixer?.model {
                teacher.score(
                    TeacherUser(state, rules: configuration.history), from: statistics,
                    into: &scores)
                mixer?.model = scores
            }
        } else {
            scoreByModel(user, state, session: session)
        }
        return mixer?.list(
            request, statistics: statistics, order: order, catalogue: catalogue)
    }

    /// The combined list, best first, with what ordered it. `gate` is the one under which the candidates were found.
    public func recommendMixed(
        _ list: CandidateList, by ordering: Ordering? = nil, count: Int, gate: ListGate = .open
    ) -> (items: [ListedItem], ordering: Ordering) {
        guard let combiner = mixer?.combiner else { return ([], .linear) }
        let ordering = ordering ?? combiner.ordering
        let scores = combiner.scores(of: list, by: ordering)
        var best = TopList(limit: count)
        for (index, key) in list.items.enumerated() {
            guard let score = gate.adjusted(Double(scores[index]), of: key, .logarithmic) else {
                continue
            }
            best.offer(Candidate(number: Int32(index), key: key, score: score))
        }
        let rules = Feature.rules
        return (
            best.sorted().map {
                ListedItem(
                    item: $0.key, score: $0.score,
                    ruleScore: Double(list.score(rules, of: Int($0.number))))
            }, ordering
        )
    }

    /// Learns what came after a list had been made. Returns whether the weights changed.
    @discardableResult
    public func learn(_ list: CandidateList, outcome item: ItemKey) -> Bool {
        mixer?.trend.add(catalogue[item]?.categories ?? [])
        let scored = ScoredList(list: list, target: list.items.firstIndex(of: item))
        return mixer?.combiner.learn(scored) ?? false
    }

    /// Fits the combiner to what it holds, however little is new.
    public func fitMixture() { mixer?.combiner.fit() }

    private func scoreByModel(_ user: UInt64, _ state: UserState, session: [ItemKey]) {
        guard let scores = rung?.allScores(user, history: positive(state, session: session))
        else { return }
        for (key, score) in scores {
            if let number = statistics.items.number(of: key) {
                mixer?.model.add(number, Double(score))
            }
        }
    }
}
