// Items enter and leave. A change rebuilds the side only; merging the side into the base walks both once and is meant
// for a background lane: it takes a value and returns a value.

/// One change of the catalogue.
public enum TrieChange: Sendable, Equatable {
    /// Enters an item, or gives a present one another path.
    case enter(item: Int32, path: [Int32])
    /// Takes an item out; nothing happens when it is not in.
    case withdraw(item: Int32)
}

extension CatalogueTrie {
    /// Items entered and withdrawn since the last merge.
    public var pendingCount: Int { side.count + withdrawn.count }

    /// The trie after `changes`, applied in order. When more than `TrieLimits.pendingMax` would be pending, the
    /// result is merged at once: the pause of a rebuild instead of a refusal.
    ///
    /// Nothing is applied when one of them breaks a rule of `ItemPaths`.
    public func applying(_ changes: some Collection<TrieChange>) throws(TrieError) -> Self {
        var entered: [Int32: [Int32]] = [:]
        for position in 0..<side.count {
            entered[side.items[position]] = Array(side.path(at: position))
        }
        var gone = Set(withdrawn)
        for change in changes {
            switch change {
            case .enter(let item, let path):
                try check(item: item, path: path)
                entered[item] = nil
                let position = base.position(of: item)
                if let position, base.path(at: position).elementsEqual(path) {
                    gone.remove(Int32(position))
                } else {
                    if let position { gone.insert(Int32(position)) }
                    entered[item] = path
                }
            case .withdraw(let item):
                entered[item] = nil
                if let position = base.position(of: item) { gone.insert(Int32(position)) }
            }
        }
        let present = base.count - gone.count + entered.count
        guard present <= TrieLimits.itemsMax else { throw .tooManyItems(present) }
        var paths = ItemPaths(vocabulary: vocabulary, endToken: endToken)
        for (item, path) in entered { try paths.append(item: item, path: path) }
        guard base.tokens.count + paths.tokens.count <= TrieLimits.tokensMax else {
            throw .tooManyTokens(base.tokens.count + paths.tokens.count)
        }
        let changed = Self(
            vocabulary: vocabulary, endToken: endToken, base: base, side: try SortedPaths(paths),
            withdrawn: gone.sorted())
        return changed.pendingCount > TrieLimits.pendingMax ? changed.merged() : changed
    }

    /// The same trie with nothing pending.
    public func merged() -> Self {
        guard pendingCount > 0 else { return self }
        var assembly = PathAssembly(
            capacity: count, tokens: base.tokens.count + side.tokens.count)
        var (left, right, gone) = (0, 0, 0)
        while left < base.count || right < side.count {
            if gone < withdrawn.count, Int(withdrawn[gone]) == left {
                gone += 1
                left += 1
            } else if right == side.count || left < base.count && precedes(left, right) {
                assembly.append(base, left)
                left += 1
            } else {
                assembly.append(side, right)
                right += 1
            }
        }
        return Self(
            vocabulary: vocabulary, endToken: endToken, base: SortedPaths(assembly), side: .empty,
            withdrawn: [])
    }

    private func check(item: Int32, path: [Int32]) throws(TrieError) {
        var one = ItemPaths(vocabulary: vocabulary, endToken: endToken)
        try one.append(item: item, path: path)
    }

    /// Whether base position `left` comes before side position `right` in order of (path, item).
    private func precedes(_ left: Int, _ right: Int) -> Bool {
        var a = Int(base.starts[left])
        var b = Int(side.starts[right])
        let aEnd = a + Int(base.lengths[left])
        let bEnd = b + Int(side.lengths[right])
        while a < aEnd, b < bEnd {
            if base.tokens[a] != side.tokens[b] { return base.tokens[a] < side.tokens[b] }
            a += 1
            b += 1
        }
        if aEnd - a != bEnd - b { return aEnd - a < bEnd - b }
        return base.items[left] < side.items[right]
    }
}

extension PathAssembly {
    fileprivate mutating func append(_ paths: SortedPaths, _ position: Int) {
        append(
            item: paths.items[position], paths.tokens, at: Int(paths.starts[position]),
            length: Int(paths.lengths[position]))
    }
}

/// The one owner of a trie that changes: gives out snapshots, takes changes, and lets a merge run elsewhere meanwhile.
public struct TrieOwner: Sendable {
    public private(set) var trie: CatalogueTrie
    /// Changes since a merge began; nil when none is under way.
    private var since: [TrieChange]?

    public init(_ trie: CatalogueTrie) { self.trie = trie }

    public mutating func apply(_ changes: [TrieChange]) throws(TrieError) {
        trie = try trie.applying(changes)
        since?.append(contentsOf: changes)
        // A merge that fell so far behind would only be merged again.
        if let count = since?.count, count > TrieLimits.pendingMax { since = nil }
    }

    /// The value to merge in the background; nil when nothing is pending or a merge is under way.
    public mutating func beginMerge() -> CatalogueTrie? {
        guard since == nil, trie.pendingCount > 0 else { return nil }
        since = []
        return trie
    }

    /// Takes the merged value over and applies to it what changed meanwhile; drops it when it fell too far behind.
    public mutating func finishMerge(_ merged: CatalogueTrie) throws(TrieError) {
        guard let changes = since else { return }
        since = nil
        trie = try merged.applying(changes)
    }
}
