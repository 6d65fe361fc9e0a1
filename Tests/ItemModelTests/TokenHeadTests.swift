// The token head against enumeration and against the twin in Double.

import ReferenceModel
import TestKit
import Testing
import TokenTrie

@testable import ItemModel

#if canImport(Glibc)
    import Glibc
#endif

@Suite("The token head")
struct TokenHeadTests {
    private let model = SmallModel { $0.interBlocks = 2 }

    private func head(_ model: SmallModel) throws -> TokenHead {
        TokenHead(
            model.parameters, trie: try model.table.trie, beginToken: SmallModel.beginToken)
    }

    /// Items of distinct paths: 6 has that of 3, 5 is not listed.
    private let distinct: [Int32] = [0, 1, 2, 3, 4]
    private let histories: [[Int32]] = [[], [0], [4, 6, 0], [1, 2, 3, 4, 5]]

    @Test("Likelihoods of all distinct paths sum to 1, also for the empty history")
    func sum() throws {
        let table = model.vectors
        var head = try head(model)
        for history in histories {
            let state = model.historyState(history, table: table)
            let logs = try head.logLikelihoods(of: distinct, after: state)
            #expect(abs(logs.reduce(0) { $0 + exp($1) } - 1) < 1e-5)
            #expect(logs.allSatisfy { $0 < 0 })
        }
    }

    @Test("Likelihoods are those of the twin, in one question or one by one")
    func twin() throws {
        let table = model.vectors
        let twin = model.reference
        var head = try head(model)
        for history in histories {
            let state = model.historyState(history, table: table)
            let vectors = history.map { model.row(Int($0), of: table).map(Double.init) }
            let logs = try head.logLikelihoods(of: distinct, after: state)
            for (item, ours) in zip(distinct, logs) {
                let loss = twin.answerLoss(
                    model.items[Int(item)].map(Int.init), after: vectors,
                    items: model.items.map { $0.map(Int.init) },
                    listed: model.listed.map { $0 == 1 })
                #expect(abs(ours + loss) < 1e-4, "\(item)")
                let single = try head.logLikelihoods(of: [item], after: state)
                #expect(abs(single[0] - ours) < 1e-5)
            }
        }
    }

    @Test("A beam of full width is the enumeration, and duplicates share a path and its likelihood")
    func beam() throws {
        let table = model.vectors
        var head = try head(model)
        for history in histories {
            let state = model.historyState(history, table: table)
            let all = try head.logLikelihoods(of: [0, 1, 2, 3, 4, 5, 6], after: state)
            #expect(all[3] == all[6])
            #expect(all[5] == -.infinity)
            let found = try head.beam(width: 10, after: state)
            #expect(Set(found.flatMap(\.items)) == [0, 1, 2, 3, 4, 6])
            #expect(found.count == distinct.count)
            let order = found.map(\.logLikelihood)
            #expect(order == order.sorted(by: >))
            for path in found {
                #expect(path.items == (path.items.contains(3) ? [3, 6] : path.items))
                for item in path.items {
                    #expect(path.path == Array(model.items[Int(item)].dropFirst()))
                    #expect(abs(all[Int(item)] - path.logLikelihood) < 1e-5)
                }
            }
            #expect(try head.beam(width: 1, after: state).count == 1)
        }
    }

    @Test("Items enter and leave with the trie, and the head keeps what it computed")
    func changes() throws {
        let table = model.vectors
        let state = model.historyState([0, 1], table: table)
        var head = try head(model)
        let before = try head.logLikelihoods(of: distinct, after: state)
        let computed = head.computedCount
        head.trie = try head.trie.applying([.withdraw(item: 1)])
        let without = try head.logLikelihoods(of: distinct, after: state)
        #expect(without[1] == -.infinity)
        #expect(
            abs([0, 2, 3, 4].reduce(0) { $0 + exp(without[$1]) } - 1) < 1e-5)
        // Its siblings share what it had; others stay.
        #expect(without[0] > before[0] && abs(without[3] - before[3]) < 1e-5)
        let path = Array(model.items[1].dropFirst())
        head.trie = try head.trie.applying([.enter(item: 9, path: path)])
        let again = try head.logLikelihoods(of: [0, 9, 2, 3, 4], after: state)
        #expect(zip(before, again).allSatisfy { abs($0 - $1) < 1e-5 })
        #expect(head.computedCount == computed)
        let found = try head.beam(width: 10, after: state)
        #expect(found.contains { $0.items == [9] } && !found.contains { $0.items.contains(1) })
        // A path through a place where there was no choice needs one state more.
        head.trie = try head.trie.applying([.enter(item: 10, path: [9, 10, 14, 2])])
        let entered = try head.logLikelihoods(of: [10, 0, 9, 2, 3, 4], after: state)
        #expect(abs(entered.reduce(0) { $0 + exp($1) } - 1) < 1e-5)
        #expect(head.computedCount == computed + 1)
    }

    @Test("At the limit of kept prefixes they are computed anew, with the same answers")
    func limit() throws {
        let table = model.vectors
        let state = model.historyState([2, 3], table: table)
        var free = try head(model)
        let wanted = try free.logLikelihoods(of: distinct, after: state)
        let needed = free.computedCount
        #expect(free.keptCount == needed)
        _ = try free.logLikelihoods(of: distinct, after: state)
        #expect(free.computedCount == needed)

        var tight = try head(model)
        tight.prefixesMax = needed
        for _ in 0..<2 {
            let logs = try tight.logLikelihoods(of: distinct, after: state)
            #expect(zip(logs, wanted).allSatisfy { abs($0 - $1) < 1e-5 })
            #expect(tight.keptCount <= needed)
        }
        // All are known, so nothing was thrown away.
        #expect(tight.computedCount == needed)
        // One more choice than is kept.
        tight.trie = try tight.trie.applying([.enter(item: 10, path: [9, 10, 14, 2])])
        for _ in 0..<2 {
            let more = distinct + [10]
            let logs = try tight.logLikelihoods(of: more, after: state)
            #expect(abs(logs.reduce(0) { $0 + exp($1) } - 1) < 1e-5)
            #expect(tight.keptCount <= needed)
        }
    }

    @Test("A catalogue of one text has nothing to decide, an empty one nothing to say")
    func smallest() throws {
        var one = model
        one.listed = [0, 0, 0, 1, 0, 0, 1]
        var head = try head(one)
        let state = model.historyState([0], table: model.vectors)
        #expect(try head.logLikelihoods(of: [3, 6, 0], after: state) == [0, 0, -.infinity])
        #expect(try head.beam(width: 3, after: state).map(\.items) == [[3, 6]])
        one.listed = Array(repeating: 0, count: 7)
        var none = try self.head(one)
        #expect(try none.logLikelihoods(of: [3], after: state) == [-.infinity])
        #expect(try none.beam(width: 3, after: state).isEmpty)
    }
}
