// What is kept of a user between requests against the pass over the whole history.

import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("The state of a history, appended item by item")
struct HistoryStateTests {
    private func history(_ count: Int, seed: UInt64) -> [Int32] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in Int32(random.below(7)) }
    }

    @Test("With one inter block equals the full pass at every length up to three windows")
    func oneBlock() {
        for seesItself in [true, false] {
            let model = SmallModel { $0.seesItself = seesItself }
            let table = model.vectors
            let history = history(3 * model.shape.historyMax, seed: 1)
            var scorer = ItemScorer(model.parameters)
            for length in 1...history.count {
                let start = Array(history[..<length])
                let state = model.historyState(start, table: table)
                #expect(close(state.query, scorer.states(of: [start], table: table)), "\(length)")
                #expect(state.items == Array(start.suffix(model.shape.historyMax)))
                #expect(state.caches[0].rows == state.items.count)
            }
        }
    }

    @Test("With two inter blocks equals the full pass until something is dropped")
    func twoBlocks() {
        let model = SmallModel { $0.interBlocks = 2 }
        let table = model.vectors
        let history = history(2 * model.shape.historyMax, seed: 2)
        var scorer = ItemScorer(model.parameters)
        for length in 1...history.count {
            let start = Array(history[..<length])
            let state = model.historyState(start, table: table)
            let full = scorer.states(of: [start], table: table)
            if length <= model.shape.historyMax {
                #expect(close(state.query, full), "\(length)")
            } else {
                // Rows that stay remember what they saw; bounded, and not the window alone.
                #expect(state.query.allSatisfy { $0.isFinite })
                #expect(state.caches.allSatisfy { $0.rows == model.shape.historyMax })
            }
        }
    }

    // MARK: - The cache

    private func vector(_ model: SmallModel, _ table: [Float]) -> (Int32) -> [Float] {
        { model.row(Int($0), of: table) }
    }

    /// Any history at any time: what the cache answers is what the full pass does.
    @Test("Equals the full pass whatever histories become", arguments: 0..<4 as Range<UInt64>)
    func anyHistories(_ seed: UInt64) throws {
        let model = SmallModel()
        let table = model.vectors
        var scorer = ItemScorer(model.parameters)
        var cache = HistoryStateCache(model.parameters, capacity: 3)
        var random = SeededRandom(seed: seed)
        var histories = Array(repeating: [Int32](), count: 5)
        for _ in 0..<200 {
            let user = random.below(histories.count)
            switch random.below(6) {
            case 0 where !histories[user].isEmpty: histories[user].removeFirst()
            case 1 where !histories[user].isEmpty: histories[user].removeLast()
            case 2:
                let item = Int32(random.below(7))
                histories[user].removeAll { $0 == item }
                histories[user].append(item)
            case 3: break
            case 4 where random.chance(0.3): histories[user] = []
            default: histories[user].append(Int32(random.below(7)))
            }
            let state = cache.state(
                of: UInt64(user), history: histories[user], vector: vector(model, table))
            guard !histories[user].isEmpty else {
                #expect(state == nil)
                continue
            }
            let window = Array(histories[user].suffix(model.shape.historyMax))
            #expect(state?.items == window)
            #expect(
                close(
                    try #require(state).query, scorer.states(of: [histories[user]], table: table)))
            #expect(cache.count <= 3)
        }
    }

    @Test("A request repeated costs nothing, one more event one row, anything else a rebuild")
    func costs() {
        let model = SmallModel()
        let table = model.vectors
        var cache = HistoryStateCache(model.parameters, capacity: 8)
        func ask(_ history: [Int32]) -> [Int] {
            let before = [cache.rowCount, cache.hitCount, cache.rebuildCount]
            _ = cache.state(of: 1, history: history, vector: vector(model, table))
            return zip([cache.rowCount, cache.hitCount, cache.rebuildCount], before).map { $0 - $1 }
        }
        #expect(ask([]) == [0, 0, 0])
        #expect(ask([0, 1, 2]) == [3, 0, 1])
        #expect(ask([0, 1, 2]) == [0, 1, 0])
        #expect(ask([0, 1, 2, 3]) == [1, 0, 0])
        // The oldest moved to the end of a window that is not full: one item fewer than by appending.
        #expect(ask([1, 2, 3, 0]) == [4, 0, 1])
        #expect(ask([1, 2, 3, 0, 4]) == [1, 0, 0])
        // The full window slides by one, by two, and so far that one item is left.
        #expect(ask([1, 2, 3, 0, 4, 5]) == [1, 0, 0])
        #expect(ask([1, 2, 3, 0, 4, 5, 6, 1]) == [2, 0, 0])
        // Only the newest item is left of the window: four rows instead of five.
        #expect(ask([1, 2, 3, 4, 5]) == [4, 0, 0])
        #expect(ask([1, 2, 3, 4, 5, 0, 6, 0, 6]) == [4, 0, 0])
        // The oldest of a full window moved to its end is a slide.
        #expect(ask([0, 6, 0, 6, 5]) == [1, 0, 0])
        #expect(ask([6, 0, 6, 5, 0]) == [1, 0, 0])
        // Another moved is not; nor is a shorter history.
        #expect(ask([6, 0, 5, 0, 6]) == [5, 0, 1])
        #expect(ask([5, 0, 6]) == [3, 0, 1])
        cache.removeAll()
        #expect(cache.count == 0 && cache.bytes == 0)
        #expect(ask([5, 0, 6]) == [3, 0, 1])
    }

    @Test("At the capacity the user not asked for longest goes")
    func leastRecent() {
        let model = SmallModel()
        let table = model.vectors
        var cache = HistoryStateCache(model.parameters, capacity: 3)
        func isHit(_ user: UInt64) -> Bool {
            let before = cache.hitCount
            _ = cache.state(of: user, history: [1, 2], vector: vector(model, table))
            return cache.hitCount == before + 1
        }
        for user in 0..<3 as Range<UInt64> { #expect(!isHit(user)) }
        #expect(isHit(0))
        #expect(!isHit(3))
        #expect(cache.count == 3 && cache.evictedCount == 1)
        #expect(isHit(0) && isHit(2) && isHit(3))
        #expect(!isHit(1))
        #expect(!isHit(0))
        #expect(cache.count == 3 && cache.bytes > 0)
    }
}
