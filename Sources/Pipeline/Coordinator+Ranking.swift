// `MODE trsr`: the list of the ladder, put in order with a language model's odds (LLM-TRSR's recommender): beside the
// combined scores by what the odds have proved to be worth, or by the odds alone. The model is asked beside the
// engine's lane; when it fails or is late, the list is answered as it stood, under its own rung.

import Combiner
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
        /// Whether the odds alone make the order.
        var isAlone: Bool
        var reply: Coordinator.Reply<Recommendation>
    }

    var lessons = RankerLessons()
    private(set) var waiting: [UInt64: Waiting] = [:]
    private var last: UInt64 = 0
    var ranked: UInt64 = 0
    var failed: UInt64 = 0
    var late: UInt64 = 0

    mutating func add(_ one: Waiting) -> UInt64 {
        let id = newID()
        waiting[id] = one
        return id
    }

    mutating func newID() -> UInt64 {
        last += 1
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
            let isAlone = goesByOddsAlone(request, ranking)
            // Odds are weighed against combined scores and no others.
            guard isAlone || servesRanker(ranking) && list.weightsVersion != nil else {
                return answer(list, request.count, unranked: .absent, reply)
            }
            let asked = request.candidates.isEmpty ? ranking.candidatesMax : list.items.count
            let requests = questions(
                list.items.prefix(asked).map(\.id.key), state, session: request.session, ranking)
            let askedAt = moment
            let id = rankings.add(
                .init(
                    list: list, count: request.count, askedAt: askedAt,
                    dueAt: min(askedAt + Double(ranking.timeoutMilliseconds), budget.endsAt),
                    isAlone: isAlone, reply: reply))
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

    /// The paper's recommender: of candidates that the request names, and where nothing is learnt.
    private func goesByOddsAlone(
        _ request: RecommendRequest, _ ranking: RankingConfiguration
    ) -> Bool {
        !request.candidates.isEmpty || engine.rankerStage == nil || ranking.learnShare == 0
    }

    func questions(
        _ items: [ItemKey], _ state: UserState, session: [ItemID],
        _ ranking: RankingConfiguration
    ) -> [RankingRequest] {
        let types = configuration.engine.history.types
        let liked = state.history.filter { types.weight(of: $0.type) > 0 }
        let stored = liked.suffix(ranking.recentCount).map { described($0) }
        let session = session.map { described($0.key, event: "session") }
        let recent = Array((stored + session).suffix(ranking.recentCount))
        let text = summaryView(of: state)?.text ?? ""
        return items.map {
            RankingRequest(
                summary: text.isEmpty ? nil : text, recent: recent,
                candidate: described($0, event: ""))
        }
    }

    /// The ranker has answered.
    public func ranked(_ id: UInt64, _ result: Result<[Double], RankingFailure>) {
        guard let one = rankings.take(id) else { return taught(id, result) }
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
            list.model = configuration.ranking?.ranker.version
            if one.isAlone { order(&list, by: scores) } else { weigh(&list, scores) }
        case .success:
            preconditionFailure("a score an item")
        }
        list.items = Array(list.items.prefix(one.count))
        one.reply(.success(list))
    }

    /// Places of scores, best first; of equals the one that stood higher.
    private static func order(_ scores: [Double]) -> [Int] {
        scores.indices.sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }
    }

    /// By the odds alone.
    private func order(_ list: inout Recommendation, by scores: [Double]) {
        list.rung = ServingMode.trsr.rawValue
        let best = Self.order(scores).map {
            RecommendedItem(
                id: list.items[$0].id, score: scores[$0], source: ServingMode.trsr.rawValue)
        }
        list.items = best + list.items.dropFirst(scores.count)
        // What the combiner went by is not why an item is where it is now.
        list.shares = []
    }

    /// By the scores that the list has, with the odds at what they have proved to be worth.
    private func weigh(_ list: inout Recommendation, _ probabilities: [Double]) {
        guard let stage = engine.rankerStage else { return }
        list.rung = "mix-" + ServingMode.trsr.rawValue
        let odds = probabilities.map(logOdds)
        let before = list.items.prefix(odds.count).map(\.score)
        let scores = stage.scores(before, odds: odds)
        let order = Self.order(scores)
        // Those that were not asked about follow as far behind as they stood.
        let (edge, floor) = (before.min() ?? 0, scores.min() ?? 0)
        let rest = list.items.dropFirst(odds.count).map { item in
            RecommendedItem(
                id: item.id, score: floor - max(edge - item.score, 0), source: item.source)
        }
        list.items =
            order.map { place in
                let item = list.items[place]
                return RecommendedItem(id: item.id, score: scores[place], source: item.source)
            } + rest
        guard !list.shares.isEmpty else { return }
        let added = stage.shares(odds: odds)
        let shares = order.map { place in
            var shares = list.shares[place]
            guard !shares.isEmpty else { return shares }
            for feature in shares.indices { shares[feature] *= stage.scoreWeight }
            shares[Feature.ranker.rawValue] = Float(added[place])
            return shares
        }
        list.shares = shares + list.shares.dropFirst(odds.count)
    }

    var rankingNumbers: [(name: String, value: UInt64)] {
        guard configuration.ranking != nil else { return [] }
        return [
            ("ranking_lists", rankings.ranked), ("ranking_failed", rankings.failed),
            ("ranking_late", rankings.late), ("ranking_waiting", UInt64(rankings.waiting.count)),
        ] + lessonNumbers
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
        tendLesson()
    }
}
