// Requests: lists, explanations, users, items. Answered from memory, after a load, or without the user's state in
// need.

import Filters
public import Interactions
public import Ports
import Recommender
import Teachers

extension Coordinator {
    typealias Reply<Value> = (Result<Value, PortError>) -> Void

    /// Runs `body` with the user's state: from memory, or after a load. Nil when the store cannot answer now.
    func withUser(_ user: UserID, _ body: @escaping (UserState?, _ bytes: Int) -> Void) {
        let partition = partition(of: user)
        guard isOwned(partition) else {
            loadForeign(user, partition, body)
            return
        }
        let waiter: Waiter = { loaded in
            body(loaded?.state, loaded?.blobBytes ?? 0)
            return false
        }
        if let slot = cache.slot(of: user) {
            if !cache[slot].isLoading {
                body(cache[slot].state, cache[slot].blobBytes)
            } else if failedLoads.contains(where: { $0.users.contains(user) }) {
                body(nil, 0)
            } else {
                waiters[user, default: []].append(waiter)
            }
            return
        }
        _ = cache.insert(user, partition: partition)
        waiters[user, default: []].append(waiter)
        act(.load(partition, [user], ticket(of: partition)))
    }

    /// A user of a partition that another instance owns: read afresh every time, because only the owner knows of
    /// changes.
    private func loadForeign(
        _ user: UserID, _ partition: PartitionIndex,
        _ body: @escaping (UserState?, _ bytes: Int) -> Void
    ) {
        foreignReads[user, default: []].append(body)
        if foreignReads[user]?.count == 1 { act(.load(partition, [user], 0)) }
    }

    /// Answers reads of users of partitions that are not ours; returns whether there were any.
    func foreignLoaded(_ users: [UserID], _ result: Result<[[UInt8]?], PortError>) {
        for (index, user) in users.enumerated() {
            guard let bodies = foreignReads.removeValue(forKey: user) else { continue }
            var state: UserState?
            var bytes = 0
            if case .success(let blobs) = result, index < blobs.count {
                if let blob = blobs[index] {
                    bytes = blob.count
                    do throws(MalformedBytes) { state = try UserState(decoding: blob) } catch {
                        note(.error, "a user's state is damaged: \(error.reason)")
                    }
                } else {
                    state = UserState()
                }
            }
            for body in bodies { body(state, bytes) }
        }
    }

    /// The store cannot say: waiting requests are answered without the user's state.
    func answerWithoutState(_ users: [UserID]) {
        for user in users {
            guard let waiting = waiters.removeValue(forKey: user) else { continue }
            let patient = waiting.filter { $0(nil) }
            if !patient.isEmpty { waiters[user] = patient }
        }
    }

    public func recommend(
        _ request: RecommendRequest,
        reply: @escaping (Result<Recommendation, PortError>) -> Void
    ) {
        guard partitionCount > 0, hasCatalogue else { return reply(.failure(Self.notReady)) }
        if let problem = scenarioProblem(request.scenario) { return reply(.failure(problem)) }
        var request = request
        if !request.countIsGiven {
            request.count = scenario(request.scenario, nil).count ?? request.count
        }
        let budget = budget(of: request)
        if let busy = turnedAway(budget) { return reply(.failure(busy)) }
        if let name = request.teacher { return recommend(request, by: name, budget, reply: reply) }
        if request.mode == .trsr { return recommendRanked(request, budget, reply: reply) }
        if [.lm, .lmText].contains(request.mode), engine.modelVersion == nil {
            return reply(.failure(configuration.hasModel ? Self.modelNotReady : Self.noModel))
        }
        let version = version(of: request.user)
        withState(of: request.user, budget) { [unowned self, request] state, reason in
            var list = makeList(
                request, state: state, budget: budget,
                without: reason.map { [Omission("state", $0)] } ?? [])
            list.version = version
            deliver(list, for: request, reply)
        }
    }

    private static let noModel = PortError(
        .refused, "no model is configured (model.folder); use MODE auto, cf or popular")
    private static let modelNotReady = PortError(
        .unavailable, "the model is being loaded; try again shortly, or use MODE cf")

    static let noState = PortError(.unavailable, "the state store cannot be read now")

    static let notReady = PortError(
        .unavailable, "the daemon is still recovering; try again shortly")

    func asOf(_ user: UserID, state: UserState) -> AsOf {
        let partition = partition(of: user)
        let entry = owned[partition]
        return AsOf(
            partition: partition, nextOffset: entry?.nextOffset ?? peerOffsets[partition] ?? 0,
            userTime: Milliseconds(state.history.last?.seconds ?? 0) * 1_000,
            ageMilliseconds: entry.map { now - $0.lastEventAt } ?? 0)
    }

    public func version(of user: UserID) -> UInt64 { versions.version(user.key) }

    /// An item's identifier, or its key where only events have named it.
    func name(of key: ItemKey) -> String {
        engine.id(of: key)?.text ?? "#" + String(key, radix: 16)
    }

    public func user(
        _ user: UserID,
        reply: @escaping (Result<UserView?, PortError>) -> Void
    ) {
        withUser(user) { [unowned self] state, bytes in
            guard let state else { return reply(.failure(Self.noState)) }
            guard !state.isEmpty else { return reply(.success(nil)) }
            let types = configuration.engine.history.types
            let history = state.history.map {
                UserView.Event(
                    item: name(of: $0.item), type: types[$0.type].name,
                    time: Milliseconds($0.seconds) * 1_000)
            }
            reply(
                .success(
                    UserView(
                        history: history, eventCount: state.eventCount, bytes: bytes,
                        asOf: asOf(user, state: state), summary: summaryView(of: state))))
        }
    }

    public func item(_ id: ItemID) -> ItemView? {
        let number = engine.statistics.items.number(of: id.key)
        let entry = engine.catalogue[id.key]
        let count = number.map { engine.statistics.counts[Int($0)] } ?? 0
        guard entry != nil || count != 0 else { return nil }
        return ItemView(
            json: entry?.json, available: entry?.available ?? false, count: count,
            popularity: number.map { engine.statistics.popularity.share($0) } ?? 0)
    }

    /// Replies when the tombstone at `position` has been applied and is durable.
    public func awaitForgotten(
        _ position: LogPosition, reply: @escaping (LogPosition) -> Void
    ) {
        guard isOwned(position.partition),
            owned[position.partition]?.committedOffset ?? 0 <= position.offset
        else { return reply(position) }
        owned[position.partition]?.forgetting.append((offset: position.offset, reply: reply))
    }

    public func digest(_ only: PartitionIndex?) -> DigestView {
        let partitions = owned.keys.sorted().filter { only == nil || only == $0 }.map {
            PartitionDigest(
                partition: $0, nextOffset: owned[$0]?.nextOffset,
                digest: owned[$0]?.digest ?? StateDigest(), userCount: owned[$0]?.userCount ?? 0)
        }
        return DigestView(partitions: partitions, statistics: engine.statistics.digest)
    }
}
