// What is done around a list: the scenario it is made by, the id under which it is kept, its next page.

public import Filters
import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    // MARK: - Scenarios

    /// The scenarios of the settings, from the next list on.
    public func setScenarios(_ scenarios: [String: Scenario]) {
        guard scenarios != self.scenarios else { return }
        self.scenarios = scenarios
        versions.raiseAll()
    }

    /// Why a request cannot be served by the scenario it names; nil when it can.
    func scenarioProblem(_ name: String?) -> PortError? {
        guard let name, scenarios[name] == nil else { return nil }
        let names = scenarios.keys.sorted().joined(separator: ", ")
        return PortError(
            .refused,
            "there is no scenario '\(name)'; "
                + (names.isEmpty ? "the settings have none (scenarios)" : "there are \(names)"))
    }

    /// The rules of the scenario of that name, or of the one for requests that name none, with a request's filter.
    func scenario(_ name: String?, _ filter: Filter?) -> Scenario {
        var scenario = scenarios[name ?? Scenario.defaultName] ?? Scenario()
        if let filter { scenario.filters.append(filter) }
        return scenario
    }

    /// A list under a request's rules, of what `pool` scores; nil when that has nothing to go by.
    func arrange(
        _ request: RecommendRequest, state: UserState, _ budget: Budget,
        pool: (_ count: Int, _ gate: ListGate) -> [ListedItem]?
    ) -> [ListedItem]? {
        let scenario = scenario(request.scenario, request.filter)
        var began = moment
        let items = engine.arrange(
            scenario, count: request.count, seed: seed(of: request, state),
            walkMax: walkMax(budget, at: began), now: wall
        ) {
            // Four times the pool takes four times as long.
            let spent = moment - began
            began = moment
            return budget.left(at: moment) >= 4 * spent
        } pool: {
            pool($0, $1)
        }
        if scenario.exploration > 0, let items {
            exploredLists += 1
            exploredItems += UInt64(items.count { $0.propensity < 0.5 })
        }
        return items
    }

    /// Items in a millisecond that a filter can be asked about at least.
    private static let walkedAMillisecond = 1_000.0
    /// So many always are.
    private static let walkMin = 1_000

    /// Items that a list's filter may be asked about beyond the most popular ones.
    private func walkMax(_ budget: Budget, at moment: Double) -> Int {
        let left = budget.left(at: moment)
        guard left < 1e9 else { return .max }
        return max(Self.walkMin, Int(left * Self.walkedAMillisecond))
    }

    /// Of what a list explores: the same as long as the user does nothing, in every run and on every instance.
    private func seed(of request: RecommendRequest, _ state: UserState) -> UInt64 {
        let page = request.continues.flatMap { shelf.use($0, now: now)?.pages.count } ?? 0
        let text = "\(state.eventCount) \(page) \(request.scenario ?? "")"
        return xxh64(Array(text.utf8).span, seed: request.user.key)
    }

    /// What must not be in a request's list: what it says, and what pages before it showed.
    func excluded(_ request: RecommendRequest) -> [ItemKey] {
        let shown = request.continues.flatMap { shelf.use($0, now: now)?.shown } ?? []
        return request.exclude.map(\.key) + shown
    }

    /// Items that go with an item, by the scenario's rules like any list.
    public func similar(
        _ request: SimilarRequest,
        reply: (Result<[RecommendedItem], PortError>) -> Void
    ) {
        guard engine.statistics.items.number(of: request.item.key) != nil else {
            return reply(.failure(PortError(.refused, "item '\(request.item)' is unknown")))
        }
        if let problem = scenarioProblem(request.scenario) { return reply(.failure(problem)) }
        let scenario = scenario(request.scenario, request.filter)
        var sources: [ItemKey: SimilarItem.Source] = [:]
        let items = engine.arrange(
            scenario, count: request.count ?? scenario.count ?? RecommendRequest.countDefault,
            seed: request.item.key, now: wall
        ) { count, gate in
            engine.similar(to: request.item.key, count: count, gate: gate, now: wall).map { item in
                sources[item.item] = item.source
                return ListedItem(item: item.item, score: item.score, ruleScore: 0)
            }
        }
        reply(
            .success(
                (items ?? []).compactMap { item in
                    engine.id(of: item.item).map {
                        RecommendedItem(
                            id: $0, score: item.score,
                            source: sources[item.item]?.rawValue ?? "rules",
                            propensity: item.propensity)
                    }
                }))
    }

    // MARK: - Pages

    /// Hands out a list, kept for its next page when the request asks for that.
    func deliver(
        _ list: Recommendation, for request: RecommendRequest,
        _ reply: (Result<Recommendation, PortError>) -> Void
    ) {
        var list = list
        if let id = request.continues {
            // It may have had to make room while the user's state was loaded.
            guard shelf.use(id, now: now) != nil else { return reply(.failure(notKept(id))) }
            shelf.add(list, to: id, now: now)
            list.id = id
        } else if request.isKept {
            list.id = shelf.keep(request, list, now: now)
        }
        reply(.success(list))
    }

    /// The next page of a kept list: what the user's list is now, without what its pages showed.
    public func next(
        _ id: ListID, count: Int?,
        reply: @escaping (Result<Recommendation, PortError>) -> Void
    ) {
        guard let list = shelf.use(id, now: now) else { return reply(.failure(notKept(id))) }
        let shownCount = list.pages.reduce(0) { $0 + $1.items.count }
        guard shownCount < ListShelf.shownMax else {
            return reply(
                .failure(
                    PortError(
                        .refused,
                        "list '\(id)' has shown \(shownCount) items, at most "
                            + "\(ListShelf.shownMax): begin anew with REC.GET ... ASOF")))
        }
        var request = list.request
        request.continues = id
        if let count { (request.count, request.countIsGiven) = (count, true) }
        recommend(request, reply: reply)
    }

    func notKept(_ id: ListID) -> PortError {
        PortError(
            .refused,
            "list '\(id)' is not kept (any more): lists are kept for "
                + "\(configuration.listTimeToLive / 1_000) s after their last use (lists.kept-ttl), "
                + "within lists.kept-max; begin anew with REC.GET ... ASOF")
    }

    // MARK: - Numbers

    var listSection: InfoSection {
        InfoSection(
            title: "Lists",
            lines: listNumbers.map { InfoLine($0.name, "\($0.value)") })
    }

    var listNumbers: [(name: String, value: UInt64)] {
        [
            ("lists_kept", UInt64(shelf.count)), ("lists_kept_bytes", UInt64(shelf.bytes)),
            ("lists_expired", shelf.expiredCount), ("lists_dropped", shelf.droppedCount),
            ("list_pages", shelf.pageCount), ("lists_exploring", exploredLists),
            ("items_explored", exploredItems),
        ]
    }
}
