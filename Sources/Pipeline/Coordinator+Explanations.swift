// Why an item is in a list or is not: the list is made as it is served, and the item followed through its stages.

import Combiner
import Filters
import Interactions
public import Ports
import Recommender
import Summaries
import Teachers

extension Coordinator {
    /// Events that a list is made again without; each costs what the list costs.
    private static let effectsMax = 16
    /// In place of the user's key where the model keeps states: a history without an event is not the user's.
    private static let effectsUser: UInt64 = 0x65_6666_6563_7473

    public func explain(
        _ request: ExplainRequest, reply: @escaping (Result<Explanation, PortError>) -> Void
    ) {
        var request = request
        var past: PastPlace?
        if let id = request.past {
            guard let kept = shelf.use(id, now: now) else { return reply(.failure(notKept(id))) }
            guard kept.request.user == request.list.user else {
                return reply(
                    .failure(
                        PortError(
                            .refused, "list '\(id)' is not one of user '\(request.list.user)'")))
            }
            request.list = kept.request
            past = Self.place(of: request.item, in: kept.pages)
        }
        if let problem = scenarioProblem(request.list.scenario) { return reply(.failure(problem)) }
        request.list.isKept = false
        let answer: Reply<Explanation> = { result in
            reply(
                result.map {
                    var explanation = $0
                    explanation.past = past
                    return explanation
                })
        }
        if let teacher = request.list.teacher {
            return explain(
                user: request.list.user, item: request.item, by: teacher, reply: answer)
        }
        withUser(request.list.user) { [unowned self, request] state, _ in
            guard let state else { return answer(.failure(Self.noState)) }
            answer(.success(makeExplanation(request, state)))
        }
    }

    private func makeExplanation(_ request: ExplainRequest, _ state: UserState) -> Explanation {
        let list = request.list
        let item = request.item.key
        let session = list.session.map(\.key)
        let gate = engine.gate(of: scenario(list.scenario, list.filter), now: wall)
        let ranking = engine.explain(item, for: state, session: session, now: wall)
        let byModel = engine.explainByModel(
            item, user: list.user.key, state, session: session, now: wall)
        let filter = gate.filter(against: item)
        let removal =
            ranking.removal ?? removal(of: item, by: list) ?? filter.map { _ in .filtered }
        var explanation = Explanation(
            rank: removal == nil ? ranking.rank : nil, score: ranking.score,
            sources: [
                .init("rules", ranking.ruleScore), .init("popularity", ranking.popularityScore),
            ] + (byModel.map { [.init("lm", $0.score)] } ?? []),
            evidence: ranking.evidence.map { .init(name(of: $0.source), $0.contribution) },
            removedBy: removal?.rawValue, asOf: asOf(list.user, state: state))
        explanation.filter = filter?.text
        explanation.boosts = gate.boosts(of: item).map { .init($0.when.text, $0.by) }
        explanation.summary = summaryRead(of: state)
        explanation.phrases = phrases(of: state, naming: item)
        // A kept list may be of the model alone.
        if [.lm, .lmText].contains(list.mode), let byModel {
            explanation.rank = removal == nil ? byModel.rank : nil
            explanation.score = byModel.score
        }
        if isMixed(list),
            let mixed = mixedPlace(of: item, in: list, state, user: list.user.key, gate)
        {
            explanation.rank = removal == nil ? mixed.rank : nil
            explanation.score = mixed.score
            explanation.mixture = MixtureExplanation(mixed)
        }
        let shown = makeList(list, state: state).items
        explanation.place = shown.firstIndex { $0.id == request.item }.map { $0 + 1 }
        if explanation.place == nil {
            explanation.lostAt =
                switch explanation.rank {
                case _ where removal != nil: .removed
                case nil: .notProposed
                case let rank?: rank > shown.count ? .belowTheCut : .arranged
                }
        }
        if request.isByEvents {
            explanation.effects = effects(on: request.item, in: list, state, gate)
        }
        return explanation
    }

    /// What a ranker puts in order is the combined list.
    private func isMixed(_ list: RecommendRequest) -> Bool {
        [.auto, .trsr].contains(list.mode) && engine.isMixing
    }

    /// What the request itself keeps out.
    private func removal(of item: ItemKey, by list: RecommendRequest) -> Removal? {
        if list.exclude.contains(where: { $0.key == item }) { return .excluded }
        let isCandidate =
            list.candidates.isEmpty || list.candidates.contains { $0.key == item }
        return isCandidate ? nil : .notACandidate
    }

    private func mixedPlace(
        of item: ItemKey, in list: RecommendRequest, _ state: UserState, user: UInt64,
        _ gate: ListGate
    ) -> MixedPlace? {
        engine.explainMixed(
            item, user: user, state, session: list.session.map(\.key),
            candidates: list.candidates.isEmpty ? nil : list.candidates.map(\.key),
            exclude: list.exclude.map(\.key), gate: gate, now: wall)
    }

    /// What each of the latest events does to an item: score and rank in the list that is made without it.
    private func effects(
        on item: ItemID, in list: RecommendRequest, _ state: UserState, _ gate: ListGate
    ) -> [Explanation.Effect] {
        func standing(_ state: UserState) -> (score: Double, rank: Int?) {
            if isMixed(list),
                let place = mixedPlace(
                    of: item.key, in: list, state, user: Self.effectsUser, gate)
            {
                return (place.score, place.rank)
            }
            let ranking = engine.explain(
                item.key, for: state, session: list.session.map(\.key), now: wall)
            return (ranking.score, ranking.rank)
        }
        let whole = standing(state)
        return state.history.indices.suffix(Self.effectsMax).reversed().map { index in
            var less = state
            let entry = less.history.remove(at: index)
            let without = standing(less)
            return .init(
                item: name(of: entry.item), score: whole.score - without.score,
                rank: without.rank)
        }
    }

    /// Sentences of the user's summary that name a category, the brand or a word of the title.
    private func phrases(of state: UserState, naming item: ItemKey) -> [String] {
        guard let entry = engine.catalogue[item], let summary = summaryView(of: state) else {
            return []
        }
        return SummaryPhrases.of(
            summary.text, naming: entry.categories + (entry.brand.map { [$0] } ?? []),
            title: entry.title)
    }

    private static func place(of item: ItemID, in pages: [Recommendation]) -> PastPlace? {
        var before = 0
        for page in pages {
            if let index = page.items.firstIndex(where: { $0.id == item }) {
                let amounts = page.shares.isEmpty ? [] : page.shares[index]
                let features = zip(Feature.allCases, amounts).compactMap { feature, amount in
                    amount == 0 ? nil : Explanation.Share(feature.name, Double(amount))
                }
                return PastPlace(
                    page.items[index], place: before + index + 1,
                    features: features.sorted { abs($0.amount) > abs($1.amount) }, of: page)
            }
            before += page.items.count
        }
        return nil
    }
}

extension MixtureExplanation {
    init(_ place: MixedPlace) {
        self.init(
            rung: place.ordering.name, weightsVersion: place.weightsVersion,
            candidateCount: place.candidateCount, proposedBy: place.proposedBy,
            features: place.features.map {
                .init(
                    name: $0.feature.name, value: Double($0.value), weight: Double($0.weight),
                    contribution: Double($0.contribution))
            }, firstStage: Double(place.firstStage), correction: place.correction.map(Double.init))
    }
}
