// Lists by one teacher alone (`MODE ease`): what it proposes, filtered as every list is, and nothing to fill it up.

public import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    func recommend(
        _ request: RecommendRequest, by name: String, reply: @escaping Reply<Recommendation>
    ) {
        let version = version(of: request.user)
        ask(name, of: request.user) { [unowned self] result in
            switch result {
            case .failure(let error): reply(.failure(error))
            case .success(let record):
                recommend(request, by: name, external: record, version, reply)
            }
        }
    }

    func explain(
        user: UserID, item: ItemID, by name: String,
        reply: @escaping (Result<Explanation, PortError>) -> Void
    ) {
        ask(name, of: user) { [unowned self] result in
            let record: [UInt8]
            switch result {
            case .failure(let error): return reply(.failure(error))
            case .success(let found): record = found
            }
            withUser(user) { [unowned self] state, _ in
                guard let state else { return reply(.failure(Self.noState)) }
                let ranking = engine.explain(
                    item.key, for: state, by: name, external: record, now: wall)
                reply(
                    .success(
                        Explanation(
                            rank: ranking.rank, score: ranking.score,
                            sources: [.init(name, ranking.score)],
                            removedBy: ranking.removal?.rawValue, asOf: asOf(user, state: state))))
            }
        }
    }

    /// Whether a teacher can answer now; and what another system wrote of the user, if it wants that.
    private func ask(
        _ name: String, of user: UserID, _ body: @escaping (Result<[UInt8], PortError>) -> Void
    ) {
        guard partitionCount > 0, hasCatalogue else { return body(.failure(Self.notReady)) }
        guard let teacher = engine.teacher(named: name) else {
            return body(
                .failure(
                    PortError(
                        .refused, "teacher '\(name)' is not enabled: name it in teachers.enabled")))
        }
        guard teacher.version > 0 else {
            return body(.failure(PortError(.unavailable, nothingLearnt(name))))
        }
        guard type(of: teacher).material == .external else { return body(.success([])) }
        externalRecord(of: user, version: teacher.version) { result in
            body(result.map { $0 ?? [] })
        }
    }

    private func recommend(
        _ request: RecommendRequest, by name: String, external: [UInt8], _ version: UInt64,
        _ reply: @escaping Reply<Recommendation>
    ) {
        withUser(request.user) { [unowned self] state, _ in
            // Without the user's state the rung below answers, and says so.
            var list =
                state.map { makeList(request, by: name, external: external, state: $0) }
                ?? makeList(request, state: nil)
            list.version = version
            deliver(list, for: request, reply)
        }
    }

    private func makeList(
        _ request: RecommendRequest, by name: String, external: [UInt8], state: UserState
    ) -> Recommendation {
        let items = arrange(request, state: state) { count, gate in
            engine.recommend(
                state, by: name, external: external, session: request.session.map(\.key),
                candidates: request.candidates.isEmpty ? nil : request.candidates.map(\.key),
                exclude: excluded(request), count: count, gate: gate, now: wall)
        }
        return Recommendation(
            items: (items ?? []).compactMap { item in
                engine.catalogue[item.item].map {
                    RecommendedItem(
                        id: $0.id, score: item.score, source: name, propensity: item.propensity)
                }
            }, rung: name, asOf: asOf(request.user, state: state), version: 0)
    }

    private func nothingLearnt(_ name: String) -> String {
        guard let entry = models.entries[name] else {
            return "teacher '\(name)' has learnt nothing"
        }
        let state =
            switch entry.work {
            case .solving: "its first model is being solved, \(Int(entry.progress * 100)) % done"
            default: entry.failure.map { "its model \($0)" } ?? "it waits for its first model"
            }
        return "teacher '\(name)' has learnt nothing yet: \(state)"
    }

    /// One read for all who ask for a user at the same time.
    private func externalRecord(
        of user: UserID, version: UInt64,
        _ body: @escaping (Result<[UInt8]?, PortError>) -> Void
    ) {
        models.externalReads[user, default: []].append(body)
        if models.externalReads[user]?.count == 1 {
            act(.loadExternalRecord(user, version: version))
        }
    }

    public func externalRecordLoaded(_ user: UserID, _ result: Result<[UInt8]?, PortError>) {
        for body in models.externalReads.removeValue(forKey: user) ?? [] { body(result) }
    }
}
