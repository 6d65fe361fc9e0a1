// A recommendation service in memory, whose replies come from another thread as the engine's do.

import Foundation
import Interactions
import Ports
import Synchronization

final class FakeService: RecommendationService {
    struct State {
        var version: UInt64 = 1
        var recommendCalls = 0
        var listBytes = 0
        /// Requests of these users are never answered, or only by `release`.
        var held: [UserID] = []
        var heldReplies: [@Sendable () -> Void] = []
        var items: [ItemID: [UInt8]] = [:]
        var events: [ProducedInteraction] = []
        var feeds: [UserID: [FeedEntry]] = [:]
        var watched: [UserID: Int] = [:]
        var watchesAll = 0
        var observer: (any FeedObserver)?
        var sequence: UInt64 = 0
        var offset: Offset = 0
    }

    let state = Mutex(State())
    private let engine = DispatchQueue(label: "engine")

    static let asOf = AsOf(partition: 3, nextOffset: 42, userTime: 1_000, ageMilliseconds: 7)

    private func run(_ body: @escaping @Sendable () -> Void) { engine.async(execute: body) }

    private func position() -> LogPosition {
        state.withLock {
            $0.offset += 1
            return LogPosition(partition: 3, offset: $0.offset)
        }
    }

    static func list(_ ids: [String], version: UInt64 = 1) -> Recommendation {
        let items = ids.enumerated().compactMap { index, id in
            ItemID(id).map {
                RecommendedItem(id: $0, score: 1 / Double(index + 1), source: "rules")
            }
        }
        return Recommendation(items: items, rung: "cf", asOf: asOf, version: version)
    }

    func recommend(_ request: RecommendRequest, reply: @escaping Reply<Recommendation>) {
        run { [self] in
            let answer: (@Sendable () -> Void)? = state.withLock { state in
                state.recommendCalls += 1
                let (version, padding) = (state.version, state.listBytes)
                let answer: @Sendable () -> Void = {
                    reply(Self.answer(to: request, version: version, padding: padding))
                }
                guard state.held.contains(request.user) else { return answer }
                state.heldReplies.append(answer)
                return nil
            }
            answer?()
        }
    }

    private static func answer(
        to request: RecommendRequest, version: UInt64, padding: Int
    ) -> Result<Recommendation, PortError> {
        switch request.user.text {
        case "unavailable": return .failure(PortError(.unavailable, "state is loading"))
        case "refused": return .failure(PortError(.refused, "no\r\nway"))
        default:
            let tail = String(repeating: "x", count: padding)
            let ids = (0..<min(request.count, 1_000)).map { "\(request.user)-\($0)\(tail)" }
            return .success(list(ids, version: version))
        }
    }

    func release() {
        let replies = state.withLock { state in
            let replies = state.heldReplies
            state.heldReplies = []
            return replies
        }
        run { for reply in replies { reply() } }
    }

    func next(_ list: ListID, count: Int?, reply: @escaping Reply<Recommendation>) {
        run {
            guard list.epoch == 7 else {
                return reply(.failure(PortError(.refused, "list '\(list)' is not kept")))
            }
            var page = Self.list((0..<(count ?? 2)).map { "n\($0)" })
            page.id = list
            reply(.success(page))
        }
    }

    func similar(_ request: SimilarRequest, reply: @escaping Reply<[RecommendedItem]>) {
        run { reply(.success(Self.list(["s1", "s2"]).items)) }
    }

    func explain(_ request: ExplainRequest, reply: @escaping Reply<Explanation>) {
        run {
            reply(
                .success(
                    Explanation(
                        rank: 2, score: 0.5, sources: [.init("rules", 0.25)],
                        evidence: [.init("a", 0.125)], removedBy: nil,
                        asOf: Self.asOf)))
        }
    }

    func user(_ user: UserID, reply: @escaping Reply<UserView?>) {
        run {
            let history = [UserView.Event(item: "a", type: "view", time: 9)]
            let view = UserView(history: history, eventCount: 4, bytes: 64, asOf: Self.asOf)
            reply(.success(user.text == "nobody" ? nil : view))
        }
    }

    func item(_ id: ItemID, reply: @escaping Reply<ItemView?>) {
        run { [self] in
            let json = state.withLock { $0.items[id] }
            let view = ItemView(json: json, available: true, count: 5, popularity: 0.5)
            reply(.success(json == nil ? nil : view))
        }
    }

    func addEvent(_ interaction: ProducedInteraction, reply: @escaping Reply<LogPosition>) {
        run { [self] in
            state.withLock { $0.events.append(interaction) }
            reply(.success(position()))
        }
    }

    func forget(_ user: UserID, reply: @escaping Reply<LogPosition>) {
        run { [self] in reply(.success(position())) }
    }

    func setItem(_ id: ItemID, json: [UInt8]?, reply: @escaping Reply<LogPosition>) {
        run { [self] in
            state.withLock { $0.items[id] = json }
            reply(.success(position()))
        }
    }

    func version(of user: UserID) -> UInt64 { state.withLock { $0.version } }

    func readFeeds(
        _ cursors: [FeedCursor], count: Int, reply: @escaping Reply<[FeedEntry]>
    ) {
        run { [self] in
            let found = state.withLock { state in
                cursors.flatMap { cursor -> [FeedEntry] in
                    guard let after = cursor.after else { return [] }
                    let newer = (state.feeds[cursor.user] ?? []).filter { $0.id > after }
                    return Array(newer.prefix(count))
                }
            }
            reply(.success(found))
        }
    }

    func watch(_ users: [UserID], observer: any FeedObserver) {
        state.withLock { state in
            state.observer = observer
            for user in users { state.watched[user, default: 0] += 1 }
        }
    }

    func unwatch(_ users: [UserID], observer: any FeedObserver) {
        state.withLock { state in
            for user in users {
                let left = (state.watched[user] ?? 0) - 1
                state.watched[user] = left == 0 ? nil : left
            }
        }
    }

    func watchAll(_ on: Bool, observer: any FeedObserver) {
        state.withLock { state in
            state.observer = observer
            state.watchesAll += on ? 1 : -1
        }
    }

    func digest(_ partition: PartitionIndex?, reply: @escaping Reply<DigestView>) {
        let digest = PartitionDigest(
            partition: partition ?? 0, nextOffset: nil, digest: StateDigest(low: 1), userCount: 2)
        run { reply(.success(DigestView(partitions: [digest], statistics: "00ff"))) }
    }

    func info(reply: @escaping Reply<[InfoSection]>) {
        run { reply(.success([InfoSection(title: "Ingest", lines: [InfoLine("lag", "0")])])) }
    }

    /// A user's list changes.
    func publish(_ user: UserID, _ ids: [String]) {
        let (entry, watched, all, observer) = state.withLock { state in
            state.sequence += 1
            state.version += 1
            let entry = FeedEntry(
                user: user, id: FeedID(epoch: 7, sequence: state.sequence),
                recommendation: Self.list(ids), skipped: 0)
            state.feeds[user, default: []].append(entry)
            return (entry, state.watched[user] != nil, state.watchesAll > 0, state.observer)
        }
        run {
            if watched {
                observer?.feedChanged(entry)
            } else if all {
                observer?.userChanged(user, asOf: Self.asOf)
            }
        }
    }
}

struct SystemClock: Clock {
    var wallMilliseconds: Milliseconds { Int64(Date().timeIntervalSince1970 * 1_000) }
    var monotonicSeconds: Double { ProcessInfo.processInfo.systemUptime }
}

/// Counts what it sees.
final class RecordingObserver: Observer {
    let served = Mutex<[String: Int]>([:])

    func observe(_ observation: Observation) {
        if case .requestServed(let command, _, _) = observation {
            served.withLock { $0[command, default: 0] += 1 }
        }
    }
}
