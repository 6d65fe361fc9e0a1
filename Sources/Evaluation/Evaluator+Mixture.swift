// The combined list among the judged sources: made by the serving engine, learnt from as the daemon learns.

public import Combiner
public import Interactions
public import Recommender
import Teachers
public import TokenTrie

extension Evaluator {
    var needsMixture: Bool { configuration.sources.contains { $0.isMixture } }
    public var combiner: Combiner? { engine.combiner }

    /// Whether an event is one of those that teach, as the daemon chooses them in a log of one partition.
    private func teaches(_ event: Interaction) -> Bool {
        guard var plan = configuration.engine.mixture else { return false }
        plan.learnInterval = max(configuration.mixtureLearnInterval, 1)
        return Engine.isChosen(
            event, every: plan.learnInterval(at: Offset(learnedCount), partitions: 1))
    }

    /// Learns from an event that was listed, if it is one of those that teach.
    func teachMixture(_ list: CandidateList, _ event: Interaction) {
        guard learnsMixture, teaches(event) else { return }
        engine.learn(list, outcome: event.item.key)
        let target = list.items.firstIndex(of: event.item.key)
        for absent in ablations.keys {
            ablations[absent]?.learn(ScoredList(list: list.without(absent), target: target))
        }
    }

    func fitMixtures() {
        engine.fitMixture()
        for absent in ablations.keys { ablations[absent]?.fit() }
    }

    /// Lists take what the model says from the code that serves it, its token head included, from now on.
    public func install(
        _ model: ServedModel, items: [ItemKey], vectors: [Float], trie: CatalogueTrie?
    ) {
        engine.install(model, items: items, vectors: vectors, trie: trie, usersCachedMax: 1_000)
    }

    /// Shows the combiner an event without judging it.
    public func warm(_ event: Interaction) {
        warm(event, given: states[event.user] ?? UserState())
    }

    public func warm(_ target: Interaction, after history: [Interaction]) {
        var state = UserState()
        for event in history { fold(event, into: &state, statistics: false) }
        warm(target, given: state)
    }

    private func warm(_ event: Interaction, given state: UserState) {
        guard teaches(event), engine.teachable(event, state) != nil,
            let list = mix(event, state)
        else { return }
        teachMixture(list.list, event)
    }

    func mix(_ event: Interaction, _ state: UserState) -> MixedCandidates? {
        guard needsMixture else { return nil }
        while engine.encodeItems(atMost: 1_000) {}
        return engine.mixture(
            event.user.key, state, model: engine.modelVersion == nil ? Self.modelName : nil,
            now: event.time)
    }

    /// Items that no source proposes stand behind the list, all alike.
    func mixedPlace(_ number: Int, by source: EvaluatedSource) -> Rank {
        let list = mixed?.list
        let count = list?.items.count ?? 0
        let key = engine.statistics.items.keys[number]
        guard var list, var combiner = engine.combiner,
            let index = list.items.firstIndex(of: key)
        else { return Rank(above: count, tied: max(candidateCount - count - 1, 0)) }
        if case .mixtureWithout(let absent) = source, let ablated = ablations[absent] {
            combiner = ablated
            list = list.without(absent)
        }
        let scores = combiner.scores(
            of: list,
            by: source == .mixtureLinear ? .linear : combiner.ordering(among: list.present))
        let own = scores[index]
        return Rank(
            above: scores.reduce(0) { $0 + ($1 > own ? 1 : 0) },
            tied: scores.reduce(-1) { $0 + ($1 == own ? 1 : 0) })
    }
}
