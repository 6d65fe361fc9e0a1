// Token paths in lexicographic order: a prefix is a range of positions, so the items below it, their number and the
// sum of any weights over them come from one range (as in STATIC, arXiv 2602.22647). Only prefixes with several
// continuations are stored, about one in twenty; a chain of single ones is read off any path below it.
//
// Immutable after it is made: serving lanes hold one while the next is built.

/// A prefix within one `SortedPaths`: the positions below it, and the first prefix at or below it that branches.
struct PathCursor: Sendable, Hashable {
    var first: Int32
    var end: Int32
    /// Index of the branching node at or below; -1 when all positions share one path.
    var branch: Int32

    static let empty = PathCursor(first: 0, end: 0, branch: -1)

    var isEmpty: Bool { first == end }
    var range: Range<Int> { Int(first)..<Int(end) }
}

final class SortedPaths: Sendable {
    /// Item at each position, in order of (path, item).
    let items: [Int32]
    /// Where each position's path begins in `tokens`; equal for equal paths, and for no others.
    let starts: [Int32]
    let lengths: [UInt8]
    let tokens: [Int32]
    /// Positions in order of item number, for look-ups by item.
    let byItem: [Int32]

    // Branching nodes, breadth first. Children of node b are childStarts[b]..<childStarts[b + 1]; child c holds the
    // positions from the end of its predecessor (of the node's first position for the first) to childEnds[c].
    let branchDepths: [UInt8]
    let childStarts: [Int32]
    let childTokens: [Int32]
    let childEnds: [Int32]
    let childBranches: [Int32]

    static let empty = SortedPaths(items: [], starts: [], lengths: [], tokens: [])

    /// From parallel arrays that are in order already.
    init(items: [Int32], starts: [Int32], lengths: [UInt8], tokens: [Int32]) {
        self.items = items
        self.starts = starts
        self.lengths = lengths
        self.tokens = tokens
        let numbers = items.span
        byItem = (0..<Int32(items.count)).sorted { numbers[Int($0)] < numbers[Int($1)] }
        var nodes = BranchBuilder(starts: starts, lengths: lengths, tokens: tokens)
        nodes.build()
        branchDepths = nodes.depths
        childStarts = nodes.childStarts
        childTokens = nodes.childTokens
        childEnds = nodes.childEnds
        childBranches = nodes.childBranches
    }

    convenience init(_ paths: ItemPaths) throws(TrieError) {
        var assembly = PathAssembly(capacity: paths.count, tokens: paths.tokens.count)
        for index in paths.sortedOrder() {
            assembly.append(
                item: paths.items[Int(index)], paths.tokens, at: paths.start(Int(index)),
                length: Int(paths.ends[Int(index)]) - paths.start(Int(index)))
        }
        self.init(assembly)
        if let item = repeatedItem() { throw .repeatedItem(item) }
    }

    convenience init(_ assembly: PathAssembly) {
        self.init(
            items: assembly.items, starts: assembly.starts, lengths: assembly.lengths,
            tokens: assembly.tokens)
    }

    var count: Int { items.count }

    var root: PathCursor {
        PathCursor(first: 0, end: Int32(count), branch: branchDepths.isEmpty ? -1 : 0)
    }

    /// Bytes of all arrays.
    var bytes: Int {
        4
            * (items.count + starts.count + tokens.count + byItem.count + childStarts.count
                + childTokens.count * 3) + lengths.count + branchDepths.count
    }

    func token(_ position: Int32, _ depth: Int) -> Int32 {
        tokens[Int(starts[Int(position)]) + depth]
    }

    func path(at position: Int) -> ArraySlice<Int32> {
        tokens[Int(starts[position])..<Int(starts[position]) + Int(lengths[position])]
    }

    /// Tokens down to which all paths below a non-empty cursor agree: those of the next branching node, or of the
    /// whole path.
    func sharedDepth(_ cursor: PathCursor) -> Int {
        cursor.branch >= 0
            ? Int(branchDepths[Int(cursor.branch)]) : Int(lengths[Int(cursor.first)])
    }

    func children(_ branch: Int32) -> Range<Int> {
        Int(childStarts[Int(branch)])..<Int(childStarts[Int(branch) + 1])
    }

    /// Cursor of child `index` of the branching node at `cursor`.
    func child(_ index: Int, of cursor: PathCursor) -> PathCursor {
        let isFirst = index == Int(childStarts[Int(cursor.branch)])
        return PathCursor(
            first: isFirst ? cursor.first : childEnds[index - 1], end: childEnds[index],
            branch: childBranches[index])
    }

    /// The cursor one token further down; empty when no path goes there.
    func child(of cursor: PathCursor, depth: Int, token: Int32) -> PathCursor {
        guard !cursor.isEmpty else { return .empty }
        let shared = sharedDepth(cursor)
        if depth < shared { return self.token(cursor.first, depth) == token ? cursor : .empty }
        guard cursor.branch >= 0, depth == shared else { return .empty }
        let all = children(cursor.branch)
        var (low, high) = (all.lowerBound, all.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if childTokens[middle] < token { low = middle + 1 } else { high = middle }
        }
        guard low < all.upperBound, childTokens[low] == token else { return .empty }
        return child(low, of: cursor)
    }

    func position(of item: Int32) -> Int? {
        var (low, high) = (0, byItem.count)
        while low < high {
            let middle = (low + high) / 2
            if items[Int(byItem[middle])] < item { low = middle + 1 } else { high = middle }
        }
        guard low < byItem.count, items[Int(byItem[low])] == item else { return nil }
        return Int(byItem[low])
    }

    private func repeatedItem() -> Int32? {
        for index in byItem.indices.dropFirst()
        where items[Int(byItem[index])] == items[Int(byItem[index - 1])] {
            return items[Int(byItem[index])]
        }
        return nil
    }
}

/// Collects positions in sorted order; equal neighbours share their tokens.
struct PathAssembly {
    private(set) var items: [Int32] = []
    private(set) var starts: [Int32] = []
    private(set) var lengths: [UInt8] = []
    private(set) var tokens: [Int32] = []

    init(capacity: Int, tokens: Int) {
        items.reserveCapacity(capacity)
        starts.reserveCapacity(capacity)
        lengths.reserveCapacity(capacity)
        self.tokens.reserveCapacity(tokens)
    }

    mutating func append(item: Int32, _ source: [Int32], at start: Int, length: Int) {
        items.append(item)
        if let last = starts.last, let lastLength = lengths.last, Int(lastLength) == length,
            equal(source, start, Int(last), length)
        {
            starts.append(last)
        } else {
            starts.append(Int32(tokens.count))
            tokens.append(contentsOf: source[start..<start + length])
        }
        lengths.append(UInt8(length))
    }

    private func equal(_ source: [Int32], _ start: Int, _ last: Int, _ length: Int) -> Bool {
        for index in 0..<length where source[start + index] != tokens[last + index] { return false }
        return true
    }
}
