// Feeds change after a commit, never before: what a subscriber hears is durable.

public import Interactions
public import Ports
import Recommender

extension Coordinator {
    /// Recomputes the lists of watched users among those just committed.
    func publish(
        _ users: [UserID], partition: PartitionIndex, newestTime: Milliseconds
    ) {
        for user in users where feeds.isWatched(user) {
            refresh(user, newestTime: newestTime)
        }
        guard !feeds.everybody.isEmpty else { return }
        for user in users where !feeds.isWatched(user) {
            let asOf = AsOf(
                partition: partition, nextOffset: owned[partition]?.committedOffset ?? 0,
                userTime: newestTime, ageMilliseconds: 0)
            for entry in feeds.everybody.values { entry.observer.userChanged(user, asOf: asOf) }
        }
    }

    /// Computes a watched user's list and tells everybody concerned when it is a new one.
    func refresh(
        _ user: UserID, newestTime: Milliseconds = 0,
        then done: @escaping () -> Void = {}
    ) {
        feeds.setComputing(user, true)
        withUser(user) { [unowned self] state, _ in
            defer { done() }
            guard let state else {
                feeds.setComputing(user, false)
                return
            }
            var request = RecommendRequest(user: user, count: configuration.feedListCount)
            request.scenario = configuration.feedScenario
            var list = makeList(request, state: state)
            list.version = version(of: user)
            guard let entry = feeds.add(user, list, now: wall) else { return }
            let observers = feeds.observers(of: user) + feeds.everybody.values.map(\.observer)
            for observer in observers { observer.feedChanged(entry) }
            act(.observe(.feedPublished(coalesced: 0)))
            // A replayed log's times say nothing about freshness.
            if newestTime > 0, wall - newestTime < 3_600_000, wall >= newestTime {
                act(.observe(.freshness(seconds: Double(wall - newestTime) / 1_000)))
            }
        }
    }

    public func readFeeds(
        _ cursors: [FeedCursor], count: Int,
        reply: @escaping (Result<[FeedEntry], PortError>) -> Void
    ) {
        guard partitionCount > 0, hasCatalogue else { return reply(.failure(Self.notReady)) }
        var waiting = 1
        let finish = { [unowned self] in
            waiting -= 1
            guard waiting == 0 else { return }
            reply(
                .success(
                    cursors.flatMap { cursor in
                        cursor.after.map { feeds.entries(of: cursor.user, after: $0, count: count) }
                            ?? []
                    }))
        }
        for cursor in cursors {
            guard feeds.open(cursor.user, now: wall) else {
                return reply(
                    .failure(
                        PortError(
                            .unavailable,
                            "\(configuration.feedWatchedMax) feeds are watched already (feeds.watched-max)"
                        )))
            }
            if feeds.newest(cursor.user) == nil {
                waiting += 1
                refresh(cursor.user, then: finish)
            }
        }
        finish()
    }

    public func watch(_ users: [UserID], observer: any FeedObserver) {
        for user in users {
            feeds.watch(user, observer, now: wall)
            if feeds.newest(user) == nil { refresh(user) }
        }
    }

    public func unwatch(_ users: [UserID], observer: any FeedObserver) {
        for user in users { feeds.unwatch(user, observer) }
    }

    public func watchAll(_ on: Bool, observer: any FeedObserver) { feeds.watchAll(on, observer) }
}
