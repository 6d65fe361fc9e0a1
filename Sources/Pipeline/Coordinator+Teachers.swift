// Lists by one teacher alone (`MODE ease`): what it proposes, filtered as every list is, and nothing to fill it up.

public import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    func recommend(
        _ request: RecommendRequest, by name: String, _ budget: Budget,
        reply: @escaping Reply<Recommendation>
    ) {
        let version = version(of: request.user)
        ask(name, of: request.user, budget) { [unowned self] result in
            switch result {
            case .failure(let error) where error.code == .timeout:
                // Another system's words did not come in time: the rung below answers, and says so.
                var plain = request
                plain.teacher = nil
                plain.mode = .cf
                recommend(plain, external: [], version, budget, [Omission(name, .slow)], reply)
            case .failure(let error): reply(.failure(error))
            case .success(let record):
                recommend(request, external: record, version, budget, [], reply)
            }
        }
    }

    func explain(
        user: UserID, item: ItemID, by name: String,
        reply: @escaping (Result<Explanation, PortError>) -> Void
    ) {
        ask(name, of: user, .unlimited) { [unowned self] result in
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
        _ name: String, of user: UserID, _ budget: Budget,
        _ body: @escaping (Result<[UInt8], PortError>) -> Void
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
        externalRecord(of: user, version: teacher.version, budget) { result in
            body(result.map { $0 ?? [] })
        }
    }

    private func recommend(
        _ request: RecommendRequest, external: [UInt8], _ version: UInt64, _ budget: Budget,
        _ missing: [Omission], _ reply: @escaping Reply<Recommendation>
    ) {
        withState(of: request.user, budget) { [unowned self] state, reason in
            // Without the user's state the rung below answers, and says so.
            var list = makeList(
                request, state: state, external: external, budget: budget,
                without: missing + (reason.map { [Omission("state", $0)] } ?? []))
            list.version = version
            deliver(list, for: request, reply)
        }
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
        of user: UserID, version: UInt64, _ budget: Budget,
        _ body: @escaping (Result<[UInt8]?, PortError>) -> Void
    ) {
        let isFirst = room.add(
            .init(wanted: .record(user), dueAt: budget.endsAt) { came in
                switch came {
                case .record(let result): body(result)
                case .nothing, .state: body(.failure(Self.recordIsLate))
                }
            })
        if isFirst { act(.loadExternalRecord(user, version: version)) }
    }

    private static let recordIsLate = PortError(
        .timeout, "what the other system wrote of the user was not read in time")

    public func externalRecordLoaded(_ user: UserID, _ result: Result<[UInt8]?, PortError>) {
        for guest in room.take(.record(user)) { guest.body(.record(result)) }
    }
}
