// What the daemon measured of itself on the stream, entry after entry: where the lists had the item that came, the
// weights that came into force, the model that began to serve. A report is made of it by whoever reads it; the oldest
// entries leave when there are too many.

import Combiner
import DequeModule
import Interactions
import Ports
import Recommender
import Teachers

struct PrequentialJournal {
    static let entriesMax = 131_072
    static let pageMax = 10_000

    enum Entry: Sendable {
        case list(LearntEvent)
        case weights(version: UInt64, ordering: Ordering, values: [Float])
        /// Nil when none serves any more.
        case model(version: String?)
    }

    private struct Line: Sendable {
        var time: Milliseconds
        var wall: Milliseconds
        var entry: Entry
    }

    private var lines = Deque<Line>()
    /// Entries that have left.
    private(set) var droppedCount: UInt64 = 0
    /// Time of the newest event that was measured: where the others stand on its scale.
    private var latest: Milliseconds = 0

    mutating func add(_ entry: Entry, wall: Milliseconds) {
        if case .list(let learnt) = entry { latest = max(latest, learnt.event.time) }
        if lines.count >= Self.entriesMax {
            lines.removeFirst()
            droppedCount += 1
        }
        lines.append(Line(time: latest, wall: wall, entry: entry))
    }

    /// Entries from a number on, the oldest first.
    func page(from number: UInt64, count: Int) -> JournalPage {
        let start = Int(clamping: number) - Int(clamping: droppedCount)
        let first = min(max(start, 0), lines.count)
        let end = min(first + min(count, Self.pageMax), lines.count)
        return JournalPage(
            next: droppedCount + UInt64(end), droppedCount: droppedCount,
            lines: lines[first..<end].map(Self.text))
    }

    private static func text(_ line: Line) -> String {
        let times = "time=\(line.time) wall=\(line.wall)"
        switch line.entry {
        case .model(let version): return "model \(times) version=\(version ?? "none")"
        case .weights(let version, let ordering, let values):
            let weights = zip(Feature.allCases, values).map { "\($0.name)=\($1)" }
            return "weights \(times) version=\(version) serves=\(ordering.name) "
                + weights.joined(separator: " ")
        case .list(let learnt):
            let user = learnt.event.user
            let isSameDay = user.lastSeconds.map {
                Int64($0) / 86_400 == learnt.event.time / 86_400_000
            }
            let places = Ordering.all.compactMap { ordering in
                learnt.measured.places[ordering].map { "\(ordering.name)=\(text($0))" }
            }
            let served = learnt.measured.places[learnt.measured.served] ?? nil
            return "list time=\(learnt.event.time) wall=\(line.wall) "
                + "user=\(String(user.key, radix: 16)) history=\(user.historyCount) "
                + "target=\(learnt.targetCount) same_day=\(isSameDay == true ? 1 : 0) "
                + "served=\(text(served)) " + places.joined(separator: " ")
        }
    }

    private static func text(_ place: Double?) -> String { place.map { "\($0)" } ?? "-" }
}
