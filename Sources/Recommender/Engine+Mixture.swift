// The engine's combined list, and how it learns: from observed events among the edits, wherever they are applied.

public import Combiner
public import Interactions
public import Teachers

/// Candidates of all sources for a user, and what is needed to fill the list up behind them.
public struct MixedCandidates: Sendable {
    public let list: CandidateList
    let exclude: [ItemKey]
    let isClosed: Bool
}

/// An event that the combiner has learnt from, and where lists had its item just before.
public struct LearntEvent: Sendable {
    public let event: ObservedEvent
    public let measured: MeasuredList
    /// Histories that held the item.
    public let targetCount: Int64
}

extension Engine {
    /// The combiner as it stands; nil when sources are not combined.
    public var combiner: Combiner? { mixer?.combiner }

    /// Whether lists can be combined: something was learnt.
    public var isMixing: Bool { mixer?.combiner.isReady ?? false }

    /// Whether the item-aware model should take part in combined lists.
    public var mixesModel: Bool { mixer?.configuration.usesModel ?? false }

    /// Whether its token head should.
    public var mixesTokenHead: Bool { mixer?.usesTokenHead ?? false }

    /// Lists that may still be learnt from before a fit under way has to be waited for; nil when none is.
    public var listsBeforeFitDue: Int? { mixer?.combiner.listsBeforeDue }

    // MARK: - Serving

    /// Candidates of all sources for a user, with features; nil when sources are not combined. `asked` names a teacher
    /// that scores as the model; without it the served model does, unless there is no time for it or its token head.
    public func mixture(
        _ user: UInt64, _ state: UserState, model asked: String? = nil, withModel: Bool = true,
        withTokenHead: Bool = true, session: [ItemKey] = [],
        candidates: [ItemKey]? = nil, exclude: [ItemKey] = [], gate: ListGate = .open,
        now: Milliseconds
    ) -> MixedCandidates? {
        guard mixer != nil else { return nil }
        let request = MixtureRequest(
            user: observed(user, state, now: now), session: session, exclude: exclude,
            candidates: candidates, gate: gate, now: now)
        let teacher = asked.map { teacherColumn($0, state, request) }
        let list =
            teacher.map { mix(request, model: $0) }
            ?? mixByRung(request, withModel: withModel, withTokenHead: withTokenHead)
        return list.map {
            MixedCandidates(
                list: $0, exclude: session + exclude, isClosed: candidates != nil)
        }
    }

    private func mix(_ request: MixtureRequest, model: ModelColumn?) -> CandidateList? {
        order.refresh(statistics)
        return mixer?.list(
            request, model: model, statistics: statistics, order: order, catalogue: catalogue)
    }

    /// With what the served model has to say, of the short list also by its token head.
    private func mixByRung(
        _ request: MixtureRequest, withModel: Bool = true, withTokenHead: Bool = true
    ) -> CandidateList? {
        let model = withModel ? rungColumn(request) : nil
        guard let list = mix(request, model: model) else { return nil }
        guard model != nil, withTokenHead, mixesTokenHead,
            let places = mixer?.combiner.shortListPlaces(of: list),
            let amounts = rung?.logLikelihoods(
                of: places.map { list.items[$0] }, after: reader(request))
        else { return list }
        return list.adding(.tokenHead, amounts, at: places)
    }

    private func reader(_ request: MixtureRequest) -> ModelUser {
        ModelUser(
            key: request.user.key, history: request.positive, summary: request.user.summary)
    }

    /// The combined list, best first, with what ordered it. What no source proposed stands behind it, as rules and
    /// popularity order it, where the list would be too short. `gate` is the one under which candidates were found.
    public func recommendMixed(
        _ candidates: MixedCandidates, for state: UserState, by ordering: Ordering? = nil,
        count: Int, gate: ListGate = .open, now: Milliseconds
    ) -> (items: [ListedItem], ordering: Ordering) {
        guard let combiner = mixer?.combiner else { return ([], .linear) }
        let list = candidates.list
        let ordering = ordering ?? combiner.ordering(among: list.present)
        let scores = combiner.scores(of: list, by: ordering)
        var best = TopList(limit: count)
        for (index, key) in list.items.enumerated() {
            guard let score = gate.adjusted(Double(scores[index]), of: key, .logarithmic) else {
                continue
            }
            best.offer(Candidate(number: Int32(index), key: key, score: score))
        }
        var items = best.sorted().map {
            ListedItem(
                item: $0.key, score: $0.score, ruleScore: 0,
                source: combiner.mainSource(of: Int($0.number), in: list))
        }
        if items.count < count, !candidates.isClosed {
            let rest = recommend(
                state, exclude: candidates.exclude + list.items, count: count - items.count,
                rung: .cf, gate: gate, now: now)
            let floor = items.last?.score ?? 0
            for (place, item) in rest.enumerated() {
                var item = item
                item.source = item.ruleScore * 2 >= item.score ? "rules" : "popularity"
                item.score = floor - Double(place + 1)
                items.append(item)
            }
        }
        return (items, ordering)
    }

    // MARK: - Learning

    /// An event that the combiner is to learn from, as it goes into the edits; nil when the event is not chosen or no
    /// list could have contained its item.
    func observation(
        of event: Interaction, at offset: Offset, _ state: UserState
    ) -> ObservedEvent? {
        guard isToTeach(event, at: offset),
            event.eventKey == 0 || !state.eventKeys.contains(event.eventKey)
        else { return nil }
        return teachable(event, state)
    }

    /// Whether the event at an offset of its partition is one of those that the combiner learns from.
    public func isToTeach(_ event: Interaction, at offset: Offset) -> Bool {
        guard let configuration = mixer?.configuration, configuration.learnInterval > 0 else {
            return false
        }
        return Self.isChosen(
            event, every: configuration.learnInterval(at: offset, partitions: partitionCount))
    }

    /// Whether the combiner may learn from an event: a list could have contained its item.
    public func teachable(_ event: Interaction, _ state: UserState) -> ObservedEvent? {
        guard configuration.history.types.weight(of: event.type) > 0 else { return nil }
        let user = observed(event.user.key, state, now: event.time)
        guard !user.history.contains(where: { $0.isHidden && $0.item == event.item.key }) else {
            return nil
        }
        return ObservedEvent(user: user, item: event.item.key, time: event.time)
    }

    /// One of `interval` events, by a hash of what the event is.
    public static func isChosen(_ event: Interaction, every interval: Int) -> Bool {
        guard interval > 1 else { return true }
        var mixed = event.user.key ^ (event.item.key &* 0x9E37_79B9_7F4A_7C15)
        mixed ^= UInt64(bitPattern: event.time) &* 0xC2B2_AE3D_27D4_EB4F
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return (mixed ^ (mixed >> 31)) % UInt64(interval) == 0
    }

    /// Scores an event by the state just before it, then learns from it.
    func learn(_ event: ObservedEvent) {
        let request = MixtureRequest(user: event.user, now: event.time)
        guard let list = mixByRung(request) else { return }
        onList?(event, list)
        learn(list, outcome: event.item)
        guard let onLearnt, let measured = mixer?.combiner.measured else { return }
        let number = statistics.items.number(of: event.item)
        onLearnt(
            LearntEvent(
                event: event, measured: measured,
                targetCount: number.map { statistics.counts[Int($0)] } ?? 0))
    }

    /// Learns what came after a list had been made. Returns whether the weights changed.
    @discardableResult
    public func learn(_ list: CandidateList, outcome item: ItemKey) -> Bool {
        let number = statistics.items.number(of: item)
        mixer?.trend.add(number.map { catalogue.categories(of: $0) } ?? [])
        let scored = ScoredList(list: list, target: list.items.firstIndex(of: item))
        return mixer?.combiner.learn(scored) ?? false
    }

    /// Fits the combiner to what it holds, at once.
    public func fitMixture() { mixer?.combiner.fit() }

    /// A fit to be made beside serving, told once.
    public func takeFitOrder() -> CombinerFit? { mixer?.combiner.takeOrder() }

    public func deliver(_ weights: CombinerWeights) { mixer?.combiner.deliver(weights) }

    // MARK: - Parts

    private func observed(
        _ user: UInt64, _ state: UserState, now: Milliseconds
    ) -> ObservedUser {
        let types = configuration.history.types
        return ObservedUser(
            key: user,
            history: state.history.map { entry in
                .init(
                    item: entry.item, isPositive: types.weight(of: entry.type) > 0,
                    isHidden: isHidden(entry, now: now))
            }, historyCount: state.history.count, lastSeconds: state.history.last?.seconds,
            summary: rung?.model.summaryTokens == nil ? [] : state.summary)
    }

    private func rungColumn(_ request: MixtureRequest) -> ModelColumn? {
        guard let mixer, mixer.configuration.usesModel, rung != nil else { return nil }
        return rung?.column(
            reader(request), hidden: request.hidden, proposals: mixer.configuration.proposalsMax,
            gate: request.gate,
            now: request.now,
            items: statistics.items)
    }

    /// A teacher in the place of the model, for evaluation.
    private func teacherColumn(
        _ name: String, _ state: UserState, _ request: MixtureRequest
    ) -> ModelColumn? {
        guard let teacher = teachers[name], let mixer else { return nil }
        let items = statistics.items
        var scores = SparseScores()
        scores.begin(items.count)
        teacher.score(
            TeacherUser(state, rules: configuration.history), from: statistics, into: &scores)
        guard !scores.touched.isEmpty else { return nil }
        let hidden = Set(request.hidden)
        var best = TopList(limit: mixer.configuration.proposalsMax)
        for number in scores.touched where best.admits(scores[number]) {
            let key = items.keys[Int(number)]
            guard !hidden.contains(key), catalogue.isRecommendable(number, now: request.now)
            else { continue }
            best.offer(Candidate(number: number, key: key, score: scores[number]))
        }
        return ModelColumn(proposals: best.sorted().map(\.number)) { number in
            scores[number] == 0 ? nil : scores[number]
        }
    }
}

extension Combiner {
    /// The family of features that speaks most for a candidate.
    func mainSource(of index: Int, in list: CandidateList) -> String {
        var sums: [String: Float] = [:]
        for (feature, amount) in contributions(to: index, of: list) {
            sums[feature.family, default: 0] += amount
        }
        let best = sums.max { $0.value != $1.value ? $0.value < $1.value : $0.key > $1.key }
        return best?.key ?? "popularity"
    }
}
