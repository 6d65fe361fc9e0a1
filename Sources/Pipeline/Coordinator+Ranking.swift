// `MODE trsr`: the list of the ladder, put in the order a language model gives it (LLM-TRSR's recommender). The model
// is asked beside the engine's lane; when it fails or is late, the list is answered as it stood, under its own rung.

import Interactions
import Ports
import Recommender
public import Summaries
import Teachers

/// Lists that wait for the ranker.
struct RankingDesk {
    struct Waiting {
        var list: Recommendation
        var count: Int
        /// By the stopwatch.
        var askedAt: Double
        var dueAt: Double
        var reply: Coordinator.Reply<Recommendation>
    }

    private(set) var waiting: [UInt64: Waiting] = [:]
    private var last: UInt64 = 0
    var ranked: UInt64 = 0
    var failed: UInt64 = 0
    var late: UInt64 = 0

    mutating func add(_ one: Waiting) -> UInt64 {
        last += 1
        waiting[last] = one
        return last
    }

    mutating func take(_ id: UInt64) -> Waiting? { waiting.removeValue(forKey: id) }

    /// Numbers of those whose time is over.
    func overdue(_ moment: Double) -> [UInt64] {
        waiting.filter { $0.value.dueAt <= moment }.map(\.key).sorted()
    }
}

extension Coordinator {
    private static let noRanker = PortError(
        .refused, "no ranker is configured (ranking.folder); use MODE auto, lm, cf or popular")

    func recommendRanked(
        _ request: RecommendRequest, _ budget: Budget, reply: @escaping Reply<Recommendation>
    ) {
        guard let ranking = configuration.ranking else { return reply(.failure(Self.noRanker)) }
        let version = version(of: request.user)
        let reply: Reply<Recommendation> = { [unowned self] result in
            switch result {
            case .success(let list): deliver(list, for: request, reply)
            case .failure: reply(result)
            }
        }
        withState(of: request.user, budget) { [unowned self] state, reason in
            var first = request
            first.mode = .auto
            first.count = max(
                request.count,
                request.candidates.isEmpty ? ranking.candidatesMax : request.candidates.count)
            var list = makeList(
                first, state: state, budget: budget,
                without: reason.map { [Omission("state", $0)] } ?? [])
            list.version = version
            guard let state, !list.items.isEmpty else {
                list.items = Array(list.items.prefix(request.count))
                return reply(.success(list))
            }
            if let refusal = refusalOfRanking(ranking, budget) {
                return answer(list, request.count, unranked: refusal, reply)
            }
            let asked = request.candidates.isEmpty ? ranking.candidatesMax : list.items.count
            let requests = questions(list.items.prefix(asked), state, request, ranking)
            let askedAt = moment
            let id = rankings.add(
                .init(
                    list: list, count: request.count, askedAt: askedAt,
                    dueAt: min(askedAt + Double(ranking.timeoutMilliseconds), budget.endsAt),
                    reply: reply))
            act(.rank(RankingJob(id: id, requests: requests)))
        }
    }

    /// Why the ranker is not asked; nil when it is.
    private func refusalOfRanking(
        _ ranking: RankingConfiguration, _ budget: Budget
    ) -> Omission.Reason? {
        guard rankings.waiting.count < ranking.listsWaitingMax else { return .overload }
        let cost = costs.estimate(.ranker, isRuled: false, at: moment)
        if cost > Double(ranking.timeoutMilliseconds) { return .deadline }
        return budget.refusal(of: .ranker, cost: cost, at: moment)
    }

    /// The list as it stood, with the reason.
    private func answer(
        _ list: Recommendation, _ count: Int, unranked reason: Omission.Reason,
        _ reply: Reply<Recommendation>
    ) {
        var list = list
        list.items = Array(list.items.prefix(count))
        let omission = Omission(ServingMode.trsr.rawValue, reason)
        list.missing.append(omission)
        noteLeftOut(omission)
        reply(.success(list))
    }

    private func questions(
        _ items: ArraySlice<RecommendedItem>, _ state: UserState, _ request: RecommendRequest,
        _ ranking: RankingConfiguration
    ) -> [RankingRequest] {
        let types = configuration.engine.history.types
        let liked = state.history.filter { types[$0.type].weight > 0 }
        let stored = liked.suffix(ranking.recentCount).map { described($0) }
        let session = request.session.map { described($0.key, event: "session") }
        let recent = Array((stored + session).suffix(ranking.recentCount))
        let text = summaryView(of: state)?.text ?? ""
        return items.map {
            RankingRequest(
                summary: text.isEmpty ? nil : text, recent: recent,
                candidate: described($0.id.key, event: ""))
        }
    }

    /// The ranker has answered.
    public func ranked(_ id: UInt64, _ result: Result<[Double], RankingFailure>) {
        guard let one = rankings.take(id) else { return }
        var list = one.list
        switch result {
        case .failure(let failure):
            rankings.failed += 1
            if case .unusable(let reason) = failure { note(.warning, reason) }
            let isBusy = if case .busy = failure { true } else { false }
            return answer(list, one.count, unranked: isBusy ? .overload : .failed, one.reply)
        case .success(let scores) where scores.count <= list.items.count:
            rankings.ranked += 1
            let ended = moment
            costs.record(.ranker, isRuled: false, cost: ended - one.askedAt, at: ended)
            list.rung = ServingMode.trsr.rawValue
            list.model = configuration.ranking?.ranker.version
            // Stable: of equals the one that stood higher.
            let order = scores.indices.sorted {
                scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1]
            }
            let best = order.map {
                RecommendedItem(
                    id: list.items[$0].id, score: scores[$0], source: ServingMode.trsr.rawValue)
            }
            list.items = best + list.items.dropFirst(scores.count)
            // What the combiner went by is not why an item is where it is now.
            list.shares = []
        case .success:
            preconditionFailure("a score an item")
        }
        list.items = Array(list.items.prefix(one.count))
        one.reply(.success(list))
    }

    var rankingNumbers: [(name: String, value: UInt64)] {
        guard configuration.ranking != nil else { return [] }
        return [
            ("ranking_lists", rankings.ranked), ("ranking_failed", rankings.failed),
            ("ranking_late", rankings.late), ("ranking_waiting", UInt64(rankings.waiting.count)),
        ]
    }

    /// Answers what has waited too long.
    func tendRankings() {
        let late = moment
        for id in rankings.overdue(late) {
            guard let one = rankings.take(id) else { continue }
            rankings.late += 1
            // It takes that long at least.
            costs.record(.ranker, isRuled: false, cost: late - one.askedAt, at: late)
            answer(one.list, one.count, unranked: .slow, one.reply)
        }
    }
}
