// How good the lists are on the stream itself: every event is scored with the state just before it, then learned.
//
// What is scored is the list that would have been served, in the daemon, from the daemon's state; seen items are left
// out and an event of a seen item is not scored. The last `windowsMax` windows are kept for a chart.

import Interactions
import Ports

/// Hits and gains of one source over some events.
struct AccuracySum: Sendable, Hashable {
    var scored = 0
    var hits = 0
    var gain = 0.0

    /// `place` is 0 for the top of the list, nil when the item was not in it.
    mutating func add(place: Int?) {
        scored += 1
        guard let place else { return }
        hits += 1
        gain += Self.discounts[place]
    }

    static func + (left: AccuracySum, right: AccuracySum) -> AccuracySum {
        AccuracySum(
            scored: left.scored + right.scored, hits: left.hits + right.hits,
            gain: left.gain + right.gain)
    }

    /// 1 / log2(place + 2) for the first ten places: the gains of NDCG with one relevant item.
    private static let discounts = [
        1, 0.630_929_753_571_457_4, 0.5, 0.430_676_558_073_393_1, 0.386_852_807_234_541_6,
        0.356_207_187_108_022_2, 0.333_333_333_333_333_3, 0.315_464_876_785_728_7,
        0.301_029_995_663_981_2, 0.289_064_826_317_887_8,
    ]
}

struct PrequentialMeter {
    static let listCount = 10
    static let eventsPerWindow = 1_000
    static let windowsMax = 2_048

    struct Window: Sendable, Hashable {
        /// Events applied before the window began.
        var start: UInt64
        var time: Milliseconds
        /// Of the clock, when the window's last event was scored.
        var wall: Milliseconds = 0
        var events = 0
        var rules = AccuracySum()
        var popularity = AccuracySum()
    }

    private(set) var windows: [Window] = []
    private(set) var total = Window(start: 0, time: 0)
    private var eventCount: UInt64 = 0

    /// Notes an event and, unless it could not be scored, where each source's list had its item.
    mutating func note(
        time: Milliseconds, wall: Milliseconds, places: (rules: Int?, popularity: Int?)?
    ) {
        if windows.last.map({ $0.events >= Self.eventsPerWindow }) ?? true {
            if windows.count >= Self.windowsMax { windows.removeFirst() }
            windows.append(Window(start: eventCount, time: time))
        }
        eventCount &+= 1
        let last = windows.count - 1
        windows[last].events += 1
        windows[last].time = max(windows[last].time, time)
        windows[last].wall = wall
        total.events += 1
        guard let places else { return }
        windows[last].rules.add(place: places.rules)
        windows[last].popularity.add(place: places.popularity)
        total.rules.add(place: places.rules)
        total.popularity.add(place: places.popularity)
    }

    /// `total` and one line a window: start, time, scored, then hits and gain of each source.
    var info: InfoSection {
        InfoSection(
            title: "Prequential",
            lines: [InfoLine("list_count", "\(Self.listCount)"), line("total", total)]
                + windows.enumerated().map { line("window_\($0.offset)", $0.element) })
    }

    private func line(_ name: String, _ window: Window) -> InfoLine {
        InfoLine(
            name,
            "start=\(window.start),time=\(window.time),wall=\(window.wall),"
                + "events=\(window.events),scored=\(window.rules.scored),"
                + "rules_hits=\(window.rules.hits),rules_gain=\(window.rules.gain),"
                + "popularity_hits=\(window.popularity.hits),popularity_gain=\(window.popularity.gain)"
        )
    }
}
