// Feeds change after a commit, never before: what a subscriber hears is durable.

public import Interactions
public import Ports
import Recommender

extension Coordinator {
    /// Puts the watched users among those just committed in line for their lists.
    func publish(
        _ users: [UserID], partition: PartitionIndex, newestTime: Milliseconds
    ) {
        // A replayed log's times say nothing about freshness.
        let isFresh = newestTime > 0 && wall >= newestTime && wall - newestTime < 3_600_000
        let committedAt = moment
        for user in users where feeds.isWatched(user) {
            feeds.note(
                user, eventTime: isFresh ? newestTime : 0, committedAt: committedAt, now: wall)
        }
        makeFeeds(withRound: false)
        guard !feeds.everybody.isEmpty else { return }
        for user in users where !feeds.isWatched(user) {
            let asOf = AsOf(
                partition: partition, nextOffset: owned[partition]?.committedOffset ?? 0,
                userTime: newestTime, ageMilliseconds: 0)
            for entry in feeds.everybody.values { entry.observer.userChanged(user, asOf: asOf) }
        }
    }

    // What waits on the lane meanwhile, requests and events, waits no longer than a slice.
    private static let feedSliceMilliseconds = 2.0
    private static let feedSliceListsMax = 32
    /// A change that has waited so long is shown by rules and popularity, at a tenth of the cost, which shortens the
    /// line; the combined list comes with the next round or change.
    static let feedPatienceMilliseconds = 4.0
    /// Feeds whose users' states the store still owes.
    private static let feedsComputingMax = 512

    /// Makes lists of feeds for a slice of time; while feeds are in line, further slices follow behind what else the
    /// lane has to do. What only others changed is looked after with every pulse.
    func makeFeeds(withRound: Bool) {
        let endsAt = moment + Self.feedSliceMilliseconds
        var made = 0
        while withRound || feeds.inLineCount > 0, made < Self.feedSliceListsMax,
            feeds.computingCount < Self.feedsComputingMax,
            let user = feeds.takeNext(now: wall)
        {
            compute(user)
            made += 1
            if moment >= endsAt { break }
        }
        continueFeeds()
    }

    /// A further slice was asked for.
    public func feedTurn() {
        hasFeedTurn = false
        makeFeeds(withRound: false)
    }

    private func continueFeeds() {
        guard feeds.inLineCount > 0, !hasFeedTurn,
            feeds.computingCount < Self.feedsComputingMax
        else { return }
        hasFeedTurn = true
        act(.makeFeedsAgain)
    }

    /// Computes a watched user's list and tells everybody concerned when it is a new one.
    private func compute(_ user: UserID) {
        withUser(user) { [unowned self] state, _ in
            defer {
                feeds.end(user, isMade: state != nil, now: wall)
                for reader in feedReaders.removeValue(forKey: user) ?? [] { reader() }
                continueFeeds()
            }
            guard let state else { return }
            var request = RecommendRequest(user: user, count: configuration.feedListCount)
            request.scenario = configuration.feedScenario
            let change = feeds.takeChange(user)
            let isLate =
                change.count > 0 && moment - change.committedAt > Self.feedPatienceMilliseconds
            if isLate { request.mode = .cf }
            var list = makeList(
                request, state: state,
                without: isLate && engine.isMixing ? [Omission("mixture", .overload)] : [])
            list.version = version(of: user)
            if change.count > 0 {
                let waited = max(0, moment - change.committedAt)
                feedDelays.record(milliseconds: waited)
                act(.observe(.feedWaited(seconds: waited / 1_000)))
            }
            guard let entry = feeds.add(user, list, after: change) else { return }
            tell(entry, coalesced: max(0, change.count - 1))
        }
    }

    private func tell(_ entry: FeedEntry, coalesced: Int) {
        let observers =
            feeds.observers(of: entry.user) + feeds.everybody.values.map(\.observer)
        for observer in observers { observer.feedChanged(entry) }
        act(.observe(.feedPublished(coalesced: coalesced)))
        if entry.causedAt > 0 {
            let age = Double(max(0, wall - entry.causedAt))
            feedReadable.record(milliseconds: age)
            act(.observe(.feedReadable(seconds: age / 1_000)))
        }
        produce(entry)
    }

    var feedSection: InfoSection {
        InfoSection(
            title: "Feeds",
            lines: [
                InfoLine("feeds_watched", "\(feeds.feeds.count)"),
                InfoLine("feeds_in_line", "\(feeds.inLineCount)"),
                InfoLine("feeds_published", "\(feeds.publishedCount)"),
                InfoLine("feeds_coalesced", "\(feeds.coalescedCount)"),
                InfoLine("feeds_refused", "\(feeds.refusedCount)"),
            ] + feedDelays.lines(named: "feeds_wait")
                + feedReadable.lines(named: "feeds_readable") + feedTopicLines)
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
                feeds.want(cursor.user, now: wall)
                feedReaders[cursor.user, default: []].append(finish)
            }
        }
        makeFeeds(withRound: false)
        finish()
    }

    public func watch(_ users: [UserID], observer: any FeedObserver) {
        for user in users {
            feeds.watch(user, observer, now: wall)
            if feeds.newest(user) == nil { feeds.want(user, now: wall) }
        }
        makeFeeds(withRound: false)
    }

    public func unwatch(_ users: [UserID], observer: any FeedObserver) {
        for user in users { feeds.unwatch(user, observer) }
    }

    public func watchAll(_ on: Bool, observer: any FeedObserver) { feeds.watchAll(on, observer) }
}
