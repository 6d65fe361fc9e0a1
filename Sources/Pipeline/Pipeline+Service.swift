// The pipeline as the service that clients call: every call hops to the engine's lane and back.

public import Filters
public import Interactions
import Lanes
public import Ports
public import Recommender
public import TokenTrie

extension Pipeline: RecommendationService {
    public func recommend(
        _ request: RecommendRequest, reply: @escaping Reply<Recommendation>
    ) {
        var request = request
        request.arrivedSeconds = request.arrivedSeconds ?? clock.monotonicSeconds
        admit(reply, within: request.deadlineMilliseconds) { [request] coordinator, reply in
            coordinator.recommend(request, reply: reply)
        }
    }

    /// Has a request answered on the engine's lane, unless that would not begin in time or too many are under way.
    func admit<Value>(
        _ reply: @escaping Reply<Value>, within milliseconds: Int? = nil,
        _ body: @escaping @Sendable (Coordinator, @escaping Reply<Value>) -> Void
    ) {
        let limit = Double(milliseconds ?? deadlineMilliseconds) / 1_000
        let arrived = clock.monotonicSeconds
        if let busy = gate.enter(toBeginWithin: limit * Budget.endShare) {
            observer.observe(.requestRefused(at: "door"))
            return reply(.failure(busy))
        }
        perform { [self] coordinator in
            let now = clock.monotonicSeconds
            gate.begin(
                atNanoseconds: UInt64(max(0, now) * 1e9),
                isPressed: now - arrived > limit * LadderStep.rules.startShare)
            body(coordinator) { [gate] result in
                gate.leave()
                reply(result)
            }
        }
    }

    public func next(_ list: ListID, count: Int?, reply: @escaping Reply<Recommendation>) {
        admit(reply) { $0.next(list, count: count, reply: $1) }
    }

    public func similar(_ request: SimilarRequest, reply: @escaping Reply<[RecommendedItem]>) {
        admit(reply) { $0.similar(request, reply: $1) }
    }

    public func explain(_ request: ExplainRequest, reply: @escaping Reply<Explanation>) {
        admit(reply) { $0.explain(request, reply: $1) }
    }

    public func journal(from number: UInt64, count: Int, reply: @escaping Reply<JournalPage>) {
        perform { $0.journal(from: number, count: count, reply: reply) }
    }

    public func user(_ user: UserID, reply: @escaping Reply<UserView?>) {
        admit(reply) { $0.user(user, reply: $1) }
    }

    public func item(_ id: ItemID, reply: @escaping Reply<ItemView?>) {
        admit(reply) { $1(.success($0.item(id))) }
    }

    public func addEvent(_ interaction: ProducedInteraction, reply: @escaping Reply<LogPosition>) {
        sink.produce(interaction, completion: reply)
    }

    public func forget(_ user: UserID, reply: @escaping Reply<LogPosition>) {
        sink.produceForget(user) { [self] result in
            switch result {
            case .failure: reply(result)
            case .success(let position):
                perform { $0.awaitForgotten(position) { reply(.success($0)) } }
            }
        }
    }

    public func setItem(_ id: ItemID, json: [UInt8]?, reply: @escaping Reply<LogPosition>) {
        sink.produceItem(id, json: json, completion: reply)
    }

    public func version(of user: UserID) -> UInt64 { versionFromAnyThread(of: user) }

    public func readFeeds(
        _ cursors: [FeedCursor], count: Int, reply: @escaping Reply<[FeedEntry]>
    ) {
        admit(reply) { $0.readFeeds(cursors, count: count, reply: $1) }
    }

    public func watch(_ users: [UserID], observer: any FeedObserver) {
        perform { $0.watch(users, observer: observer) }
    }

    public func unwatch(_ users: [UserID], observer: any FeedObserver) {
        perform { $0.unwatch(users, observer: observer) }
    }

    public func watchAll(_ on: Bool, observer: any FeedObserver) {
        perform { $0.watchAll(on, observer: observer) }
    }

    public func digest(_ partition: PartitionIndex?, reply: @escaping Reply<DigestView>) {
        perform { reply(.success($0.digest(partition))) }
    }

    public func info(reply: @escaping Reply<[InfoSection]>) {
        perform { [self] coordinator in
            reply(.success(coordinator.infoSections() + [queueSection]))
        }
    }

    private var queueSection: InfoSection {
        InfoSection(
            title: "Queue",
            lines: [
                InfoLine("requests_waiting", "\(gate.waitingCount)"),
                InfoLine("requests_held", "\(gate.heldCount)"),
                InfoLine("requests_refused_at_door", "\(gate.refusedCount)"),
                InfoLine("request_turn_us", "\(Int(gate.turnSeconds * 1e6))"),
                InfoLine("lane_jobs", "\(lane.depth)"),
            ])
    }
}

extension Pipeline {
    /// Texts of the catalogue, on the engine's lane.
    public func catalogueTexts(
        _ reply: @escaping @Sendable ([(key: ItemKey, title: String)]) -> Void
    ) {
        perform { reply($0.catalogueTexts()) }
    }

    /// Makes lists by these scenarios from the next one on.
    public func setScenarios(_ scenarios: [String: Scenario]) {
        perform { $0.setScenarios(scenarios) }
    }

    /// Calls back when the engine has done what was asked of it before.
    public func whenDone(_ body: @escaping @Sendable () -> Void) { perform { _ in body() } }

    public func removeModel() { perform { $0.removeModel() } }

    /// Serves by this model from the next list on.
    public func install(
        _ model: ServedModel, items: [ItemKey], vectors: [Float], trie: CatalogueTrie?
    ) {
        perform { $0.install(model, items: items, vectors: vectors, trie: trie) }
    }
}
