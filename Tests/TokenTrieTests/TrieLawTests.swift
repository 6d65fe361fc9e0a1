import TestKit
import Testing
import TokenTrie

@Suite("the trie answers as the plain list of paths does")
struct TrieLawTests {
    /// Compares every answer at every prefix, and at tokens that lead nowhere.
    static func expectEqual(_ trie: CatalogueTrie, _ list: PathList) {
        #expect(trie.count == list.paths.count)
        for prefix in list.prefixes {
            guard let node = trie.node(prefix) else {
                #expect(prefix.isEmpty == false && list.items(below: prefix).isEmpty, "\(prefix)")
                continue
            }
            let next = list.next(after: prefix)
            #expect(trie.items(below: node) == list.items(below: prefix))
            #expect(trie.itemCount(below: node) == list.items(below: prefix).count)
            #expect(trie.legalTokens(node) == next)
            #expect(trie.children(of: node).map(\.token) == next)
            #expect(trie.isForced(node) == (next.count == 1))
            #expect(trie.isComplete(node) == (prefix.last == PathList.endToken))
            for token in Int32(0)..<Int32(PathList.vocabulary) {
                #expect((trie.child(node, token) != nil) == next.contains(token))
            }
            for (token, child) in trie.children(of: node) {
                #expect(trie.child(node, token) == child)
                #expect(child.depth == prefix.count + 1)
            }
        }
        for (item, path) in list.paths {
            #expect(trie.path(of: item) == path)
            #expect(trie.items(at: path) == list.items(below: path))
            let branchings = trie.branchings(of: path)
            let expected = path.indices.filter { list.next(after: Array(path[..<$0])).count > 1 }
            #expect(branchings?.map(\.node.depth) == expected)
            #expect(branchings?.map(\.token) == expected.map { path[$0] })
        }
    }

    @Test("at every prefix of many random catalogues")
    func random() throws {
        for seed in 0..<30 {
            var random = SeededRandom(seed: UInt64(seed))
            let list = PathList.random(random.below(40), &random)
            Self.expectEqual(try list.trie, list)
        }
    }

    @Test("forced runs end where the path branches or is complete, and hold what was skipped")
    func forced() throws {
        var random = SeededRandom(seed: 3)
        let list = PathList.random(30, &random)
        let trie = try list.trie
        for prefix in list.prefixes {
            var run = prefix
            let node = try #require(trie.node(prefix))
            let end = trie.followForced(node, appending: &run)
            #expect(trie.node(run) == end)
            #expect(trie.isComplete(end) || trie.legalTokens(end).count > 1)
            for length in prefix.count..<run.count {
                #expect(list.next(after: Array(run[..<length])) == [run[length]])
            }
        }
    }

    @Test("after any sequence of changes and merges, as one built anew")
    func incremental() throws {
        for seed in 0..<12 {
            var random = SeededRandom(seed: UInt64(seed))
            var list = PathList.random(random.below(25), &random)
            var owner = TrieOwner(try list.trie)
            var merging: CatalogueTrie?
            for _ in 0..<25 {
                let changes = (0..<1 + random.below(4)).map { _ in
                    change(&list, &random)
                }
                let before = owner.trie
                let beforeItems = before.items(below: before.root)
                try owner.apply(changes)
                #expect(before.items(below: before.root) == beforeItems, "a held value changed")
                if random.chance(0.3), merging == nil { merging = owner.beginMerge() }
                if random.chance(0.3), let value = merging {
                    try owner.finishMerge(value.merged())
                    merging = nil
                }
                if random.chance(0.4) { Self.expectEqual(owner.trie, list) }
            }
            Self.expectEqual(owner.trie, list)
            let merged = owner.trie.merged()
            #expect(merged.pendingCount == 0)
            Self.expectEqual(merged, list)
            #expect(merged.baseItems == (try list.trie).baseItems)
        }
    }

    private func change(_ list: inout PathList, _ random: inout SeededRandom) -> TrieChange {
        let item = Int32(random.below(35))
        if random.chance(0.45) {
            list.paths[item] = nil
            return .withdraw(item: item)
        }
        // Often the path it has, or that of another: withdrawals taken back, and duplicates.
        let known = list.paths.sorted { $0.key < $1.key }.map(\.value)
        let path =
            random.chance(0.3) && !known.isEmpty
            ? known[random.below(known.count)] : PathList.path(&random)
        list.paths[item] = path
        return .enter(item: item, path: path)
    }

    @Test("children's masses are sums over the items below them")
    func sums() throws {
        var random = SeededRandom(seed: 8)
        var list = PathList.random(30, &random)
        var owner = TrieOwner(try list.trie)
        for _ in 0..<20 { try owner.apply([change(&list, &random)]) }
        let trie = owner.trie
        var weights = (trie.baseItems + trie.sideItems).map { Double($0) + 0.5 }
        for position in trie.withdrawn { weights[Int(position)] = 0 }
        var children = ChildSums()
        for prefix in list.prefixes {
            let node = try #require(trie.node(prefix))
            children.sum(below: node, of: trie, weights: weights.span)
            #expect(children.tokens == list.next(after: prefix))
            for (token, sum) in zip(children.tokens, children.sums) {
                let items = list.items(below: prefix + [token])
                #expect(sum == items.reduce(0) { $0 + Double($1) + 0.5 })
            }
        }
    }
}

@Suite("what a trie refuses")
struct TrieRefusalTests {
    @Test("paths that break a rule, by name, and nothing is added")
    func paths() {
        var paths = ItemPaths(vocabulary: 5, endToken: 4)
        let long = [Int32](repeating: 1, count: TrieLimits.pathTokensMax) + [4]
        let refused: [(Int32, [Int32], TrieError)] = [
            (-1, [4], .negativeItem(-1)),
            (7, [], .emptyPath(item: 7)),
            (7, [1, 2], .noEnd(item: 7, endToken: 4)),
            (7, [1, 4, 2, 4], .endInside(item: 7, index: 1)),
            (7, [5, 4], .foreignToken(item: 7, token: 5, vocabulary: 5)),
            (7, [-1, 4], .foreignToken(item: 7, token: -1, vocabulary: 5)),
            (7, long, .longPath(item: 7, tokens: TrieLimits.pathTokensMax + 1)),
        ]
        for (item, path, error) in refused {
            #expect(throws: error) { try paths.append(item: item, path: path) }
            #expect(!error.description.isEmpty)
        }
        #expect(paths.count == 0)
    }

    @Test("an item that comes twice")
    func repeated() throws {
        var paths = ItemPaths(vocabulary: 5, endToken: 4)
        try paths.append(item: 3, path: [1, 4])
        try paths.append(item: 3, path: [2, 4])
        #expect(throws: TrieError.repeatedItem(3)) { try CatalogueTrie(paths) }
    }

    @Test("a path at the limit of length is taken, and paths may differ at their last token only")
    func deep() throws {
        var paths = ItemPaths(vocabulary: 5, endToken: 4)
        let stem = [Int32](repeating: 1, count: TrieLimits.pathTokensMax - 2)
        try paths.append(item: 0, path: stem + [2, 4])
        try paths.append(item: 1, path: stem + [3, 4])
        try paths.append(item: 2, path: stem + [4])
        let trie = try CatalogueTrie(paths)
        let branchings = try #require(trie.branchings(of: stem + [3, 4]))
        #expect(branchings.map(\.node.depth) == [stem.count])
        #expect(trie.legalTokens(branchings[0].node) == [2, 3, 4])
    }

    @Test("a change that breaks a rule leaves the trie as it was")
    func change() throws {
        var random = SeededRandom(seed: 1)
        let list = PathList.random(10, &random)
        var owner = TrieOwner(try list.trie)
        #expect(throws: TrieError.emptyPath(item: 50)) {
            try owner.apply([.withdraw(item: 1), .enter(item: 50, path: [])])
        }
        TrieLawTests.expectEqual(owner.trie, list)
    }

    @Test("at the limit of pending changes the trie merges by itself")
    func pending() throws {
        var owner = TrieOwner(try PathList().trie)
        let changes = (0...Int32(TrieLimits.pendingMax)).map {
            TrieChange.enter(item: $0, path: [1 + $0 % 8, 1 + $0 / 8 % 8, 0])
        }
        try owner.apply(Array(changes.dropLast()))
        #expect(owner.trie.pendingCount == TrieLimits.pendingMax)
        let begun = owner.beginMerge()
        #expect(begun != nil)
        try owner.apply([changes[changes.count - 1]])
        #expect(owner.trie.pendingCount == 0)
        #expect(owner.trie.count == changes.count)
    }

    @Test("a merge that fell behind is dropped")
    func late() throws {
        var owner = TrieOwner(try PathList().trie)
        try owner.apply([.enter(item: 0, path: [1, 0])])
        let begun = owner.beginMerge()
        let merging = try #require(begun)
        let second = owner.beginMerge()
        #expect(second == nil, "one at a time")
        for _ in 0...TrieLimits.pendingMax / 1000 {
            try owner.apply((0..<1000).map { .enter(item: $0, path: [2, 0]) })
        }
        let before = owner.trie.items(at: [2, 0])
        try owner.finishMerge(merging.merged())
        #expect(owner.trie.items(at: [2, 0]) == before)
    }
}
