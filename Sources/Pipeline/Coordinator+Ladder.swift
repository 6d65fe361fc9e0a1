// The deadline ladder: the dearest list that the time left allows is made, and says what it is without.

import Combiner
import Filters
import Interactions
import Ports
import Recommender
import Teachers

extension Coordinator {
    /// Milliseconds by a clock that goes on while a list is made; of the same beginning as `now`.
    var moment: Double { configuration.stopwatch?() ?? Double(now) }

    func budget(of request: RecommendRequest) -> Budget {
        Budget(
            arrivedAt: request.arrivedSeconds.map { $0 * 1_000 } ?? moment,
            limit: Double(request.deadlineMilliseconds ?? configuration.deadlineMilliseconds))
    }

    /// Why a request is not begun any more: the reply would be late, and those behind it later.
    func turnedAway(_ budget: Budget) -> PortError? {
        let waited = max(0, moment - budget.arrivedAt)
        act(.observe(.requestWaited(seconds: waited / 1_000)))
        queueDelays.record(milliseconds: waited)
        guard budget.refusal(of: .popular, cost: 0, at: moment) != nil else { return nil }
        refusedCount += 1
        act(.observe(.requestRefused(at: "turn")))
        return PortError(
            .busy,
            "the request has waited \(Int(waited.rounded())) ms of its \(Int(budget.limit)) ms: try again, or "
                + "give a longer DEADLINE")
    }

    /// Runs `body` with the user's state. Without it, and with the reason, when the store cannot say or does not in
    /// time.
    func withState(
        of user: UserID, _ budget: Budget,
        _ body: @escaping (UserState?, Omission.Reason?) -> Void
    ) {
        if isOwned(partition(of: user)), let slot = cache.slot(of: user), !cache[slot].isLoading {
            return body(cache[slot].state, nil)
        }
        let isFirst = room.add(
            .init(wanted: .state(user), dueAt: budget.endsAt) { came in
                switch came {
                case .state(let state?): body(state, nil)
                case .state(nil), .record: body(nil, .failed)
                case .nothing: body(nil, .slow)
                }
            })
        guard isFirst else { return }
        withUser(user) { [unowned self] state, _ in
            for guest in room.take(.state(user)) { guest.body(.state(state)) }
        }
    }

    /// Answers those who have waited for the store as long as they may.
    func tendWaiting() {
        for guest in room.takeOverdue(moment) { guest.body(.nothing) }
    }

    // MARK: - Lists

    /// The list itself, by the dearest rung that there is time for. Without the user's state it is popularity alone,
    /// and says so.
    func makeList(
        _ request: RecommendRequest, state: UserState?, external: [UInt8] = [],
        budget: Budget = .unlimited, without missing: [Omission] = []
    ) -> Recommendation {
        var missing = missing
        let isRuled =
            request.filter != nil || scenarios[request.scenario ?? Scenario.defaultName] != nil
        for rung in rungs(for: request, hasState: state != nil) {
            let began = moment
            let cost = costs.estimate(rung, isRuled: isRuled, at: began)
            if rung != .popular, let reason = budget.refusal(of: rung, cost: cost, at: began) {
                missing.append(Omission(rung.name(of: request.teacher), reason))
                continue
            }
            guard
                var list = make(
                    rung, request, state: state ?? UserState(), external: external, budget)
            else { continue }
            let ended = moment
            costs.record(rung, isRuled: isRuled, cost: ended - began, at: ended)
            list.missing = missing + list.missing
            for omission in list.missing { noteLeftOut(omission) }
            return list
        }
        preconditionFailure("popularity makes a list of anything")
    }

    func noteLeftOut(_ omission: Omission) {
        leftOutCount += 1
        act(.observe(.leftOut(source: omission.source, reason: omission.reason.rawValue)))
    }

    /// The rungs that a request may be answered by, the dearest first; the last one always is.
    private func rungs(for request: RecommendRequest, hasState: Bool) -> [LadderStep] {
        guard hasState else { return [.popular] }
        if request.teacher != nil { return [.teacher, .rules, .popular] }
        switch request.mode {
        case .lmText: return [.text, .model, .rules, .popular]
        case .lm: return [.model, .rules, .popular]
        case .cf: return [.rules, .popular]
        case .popular: return [.popular]
        case .auto, .trsr:
            guard engine.isMixing else { return [.rules, .popular] }
            guard engine.mixesModel, engine.modelVersion != nil else {
                return [.mixture, .rules, .popular]
            }
            return (engine.mixesTokenHead ? [.writtenMixture] : [])
                + [.fullMixture, .mixture, .rules, .popular]
        }
    }

    /// Nil when the rung has nothing to go by.
    private func make(
        _ rung: LadderStep, _ request: RecommendRequest, state: UserState, external: [UInt8],
        _ budget: Budget
    ) -> Recommendation? {
        switch rung {
        case .text: makeModelList(request, state: state, byText: true, budget)
        case .model: makeModelList(request, state: state, byText: false, budget)
        case .teacher: makeTeacherList(request, external: external, state: state, budget)
        case .writtenMixture, .fullMixture, .mixture:
            makeMixedList(request, state: state, by: rung, budget)
        case .rules: makeCountedList(request, state: state, rung: .cf, budget)
        case .popular: makeCountedList(request, state: state, rung: .popular, budget)
        case .ranker: nil
        }
    }

    /// Rules and popularity, or popularity alone.
    private func makeCountedList(
        _ request: RecommendRequest, state: UserState, rung: Rung, _ budget: Budget
    ) -> Recommendation {
        let items = arrange(request, state: state, budget) { count, gate in
            engine.recommend(
                state, session: request.session.map(\.key),
                candidates: request.candidates.isEmpty ? nil : request.candidates.map(\.key),
                exclude: excluded(request), count: count, rung: rung, gate: gate, now: wall)
        }
        return finished(
            request, (items ?? []).compactMap(place), rung: rung.rawValue, state: state)
    }

    /// The model's list; nil when it has nothing to go by: then the next rung answers.
    private func makeModelList(
        _ request: RecommendRequest, state: UserState, byText: Bool, _ budget: Budget
    ) -> Recommendation? {
        let session = request.session.map(\.key)
        let candidates = request.candidates.isEmpty ? nil : request.candidates.map(\.key)
        let exclude = excluded(request)
        let rung: Rung = byText ? .lmText : .lm
        let items = arrange(request, state: state, budget) { count, gate in
            byText
                ? engine.recommendByText(
                    request.user.key, state, session: session, candidates: candidates,
                    exclude: exclude, count: count, gate: gate, now: wall)
                : engine.recommendByModel(
                    request.user.key, state, session: session, candidates: candidates,
                    exclude: exclude, count: count, gate: gate, now: wall)
        }
        guard let items else { return nil }
        return finished(
            request, listed(items, by: rung.rawValue), rung: rung.rawValue,
            model: engine.modelVersion, state: state)
    }

    /// What one teacher proposes, filtered as every list is, and nothing to fill it up.
    private func makeTeacherList(
        _ request: RecommendRequest, external: [UInt8], state: UserState, _ budget: Budget
    ) -> Recommendation? {
        guard let name = request.teacher else { return nil }
        let items = arrange(request, state: state, budget) { count, gate in
            engine.recommend(
                state, by: name, external: external, session: request.session.map(\.key),
                candidates: request.candidates.isEmpty ? nil : request.candidates.map(\.key),
                exclude: excluded(request), count: count, gate: gate, now: wall)
        }
        return finished(request, listed(items ?? [], by: name), rung: name, state: state)
    }

    /// The combined list; nil when nothing was learnt yet, or sources are not combined.
    private func makeMixedList(
        _ request: RecommendRequest, state: UserState, by step: LadderStep, _ budget: Budget
    ) -> Recommendation? {
        var ordering = Ordering.linear
        let withModel = step != .mixture
        var offered: CandidateList?
        let items = arrange(request, state: state, budget) { count, gate in
            guard
                let candidates = engine.mixture(
                    request.user.key, state, withModel: withModel,
                    withTokenHead: step == .writtenMixture, session: request.session.map(\.key),
                    candidates: request.candidates.isEmpty ? nil : request.candidates.map(\.key),
                    exclude: excluded(request), gate: gate, now: wall)
            else { return nil }
            offered = candidates.list
            let list = engine.recommendMixed(
                candidates, for: state, count: count, gate: gate, now: wall)
            ordering = list.ordering
            return list.items
        }
        guard let items, let present = offered?.present else { return nil }
        let isModelled = present.contains(.model)
        var list = finished(
            request, items.compactMap(place), rung: ordering.name,
            model: isModelled ? engine.modelVersion : nil, state: state)
        if configuration.hasModel, engine.mixesModel, !isModelled,
            withModel || engine.modelVersion == nil
        {
            list.missing.append(Omission("model", .absent))
        }
        if isModelled, step == .writtenMixture, !present.contains(.tokenHead) {
            list.missing.append(Omission("token-head", .absent))
        }
        if let combiner = engine.combiner {
            list.weightsVersion = combiner.weights.version
            if request.isKept, let offered {
                list.shares = combiner.shares(of: list.items.map(\.id.key), in: offered)
            }
        }
        return list
    }

    private func listed(_ items: [ListedItem], by source: String) -> [RecommendedItem] {
        items.compactMap { item in
            engine.id(of: item.item).map {
                RecommendedItem(
                    id: $0, score: item.score, source: source, propensity: item.propensity)
            }
        }
    }

    private func finished(
        _ request: RecommendRequest, _ items: [RecommendedItem], rung: String,
        model: String? = nil, state: UserState
    ) -> Recommendation {
        var list = Recommendation(
            items: items, rung: rung, model: model, asOf: asOf(request.user, state: state),
            version: 0)
        if engine.isListCut { list.missing.append(Omission("catalogue", .deadline)) }
        return list
    }

    private func place(_ item: ListedItem) -> RecommendedItem? {
        engine.id(of: item.item).map { id in
            RecommendedItem(
                id: id, score: item.score,
                source: item.source
                    ?? (item.ruleScore * 2 >= item.score && item.ruleScore > 0
                        ? "rules" : "popularity"),
                propensity: item.propensity)
        }
    }

    // MARK: - Numbers

    var ladderNumbers: [(name: String, value: UInt64)] {
        [
            ("requests_waiting_for_state", UInt64(room.guests.count)),
            ("requests_refused_late", refusedCount), ("parts_left_out", leftOutCount),
        ]
    }

    var ladderSection: InfoSection {
        InfoSection(
            title: "Ladder",
            lines: ladderNumbers.map { InfoLine($0.name, "\($0.value)") }
                + queueDelays.lines(named: "request_wait"))
    }
}
