// Lists that clients may come back to: what was asked, and what has been shown. Bounded by bytes and by time since the
// last use; what must go first is what was used longest ago. Kept in memory: an id of an earlier run is as unknown as
// one that expired, and the client begins anew.

import DequeModule
import Filters
import Interactions
import Ports

struct ListShelf {
    struct Kept {
        var request: RecommendRequest
        /// As they were handed out.
        var pages: [Recommendation]
        fileprivate var usedAt: Milliseconds
        /// `usedAt` when it was last put in line.
        fileprivate var queuedAt: Milliseconds
        fileprivate var bytes: Int

        var shown: [ItemKey] { pages.flatMap { $0.items.map(\.id.key) } }
    }

    /// Items that pages of one list may show; the next page is refused.
    static let shownMax = 10_000

    private let epoch: UInt64
    private let bytesMax: Int
    private let timeToLive: Milliseconds
    private var kept: [UInt64: Kept] = [:]
    private var line = Deque<UInt64>()
    private var number: UInt64 = 0
    private(set) var bytes = 0
    private(set) var expiredCount: UInt64 = 0
    private(set) var droppedCount: UInt64 = 0
    private(set) var pageCount: UInt64 = 0

    init(epoch: UInt64, bytesMax: Int, timeToLive: Milliseconds) {
        self.epoch = epoch
        self.bytesMax = bytesMax
        self.timeToLive = timeToLive
    }

    var count: Int { kept.count }

    /// Keeps a first page; `now` never goes back.
    mutating func keep(
        _ request: RecommendRequest, _ page: Recommendation, now: Milliseconds
    ) -> ListID {
        number += 1
        let size = Self.bytes(of: request) + Self.bytes(of: page)
        kept[number] = Kept(
            request: request, pages: [page], usedAt: now, queuedAt: now, bytes: size)
        bytes += size
        line.append(number)
        clear(now: now)
        return ListID(epoch: epoch, number: number)
    }

    /// What was asked for and what was shown; nil when it is not kept (any more).
    mutating func use(_ id: ListID, now: Milliseconds) -> Kept? {
        clear(now: now)
        guard id.epoch == epoch, kept[id.number] != nil else { return nil }
        kept[id.number]?.usedAt = now
        return kept[id.number]
    }

    mutating func add(_ page: Recommendation, to id: ListID, now: Milliseconds) {
        guard id.epoch == epoch, kept[id.number] != nil else { return }
        let size = Self.bytes(of: page)
        kept[id.number]?.pages.append(page)
        kept[id.number]?.usedAt = now
        kept[id.number]?.bytes += size
        bytes += size
        pageCount += 1
        clear(now: now)
    }

    /// Drops what nobody used for long, and the longest unused above the bound.
    mutating func clear(now: Milliseconds) {
        while let number = line.first, let list = kept[number] {
            let isOld = now - list.queuedAt >= timeToLive
            guard isOld || bytes > bytesMax else { return }
            line.removeFirst()
            if list.usedAt > list.queuedAt {
                // Used since it was put in line: it goes to where it would stand now.
                kept[number]?.queuedAt = list.usedAt
                line.append(number)
                continue
            }
            kept[number] = nil
            bytes -= list.bytes
            if isOld { expiredCount += 1 } else { droppedCount += 1 }
        }
    }

    /// Roughly what the process holds: the struct and its table slot, texts, the filter's tree.
    private static func bytes(of request: RecommendRequest) -> Int {
        let named = request.session + request.candidates + request.exclude
        let texts = named.reduce(request.user.text.utf8.count) { $0 + $1.text.utf8.count + 32 }
        return 512 + texts + 8 * (request.filter?.text.utf8.count ?? 0)
    }

    /// Identifiers are shared with the catalogue; an array has a head of 32 bytes.
    private static func bytes(of page: Recommendation) -> Int {
        MemoryLayout<Recommendation>.stride + 64
            + page.items.count * MemoryLayout<RecommendedItem>.stride
            + page.shares.reduce(0) { $0 + 40 + $1.count * MemoryLayout<Float>.stride }
    }
}
