// The catalogue as one trie of token paths, while items come and go.
//
// Two immutable `SortedPaths`: a large base and a small side for what came since the last merge, plus the base
// positions withdrawn since. Every question is answered as if there were one trie of the present items: a node is a
// prefix with its range in each part, and children without a present item do not exist. An update makes a new value
// in time proportional to the side; holders of older values keep theirs.

/// A prefix of at least one present item's path. Belongs to the trie value that returned it.
public struct TrieNode: Sendable, Hashable {
    /// Tokens of the prefix.
    public let depth: Int
    let base: PathCursor
    let side: PathCursor

    /// Positions below it in the base, and in the side (which count from 0 too).
    public var baseRange: Range<Int> { base.range }
    public var sideRange: Range<Int> { side.range }
}

/// All present items by their token paths. A value: copies are cheap, and a copy never changes.
public struct CatalogueTrie: Sendable {
    public let vocabulary: Int
    public let endToken: Int32
    let base: SortedPaths
    let side: SortedPaths
    /// Positions of the base that are no longer present, ascending.
    public let withdrawn: [Int32]

    /// Sorts all paths; 200 000 items of 12 tokens take about a tenth of a second.
    public init(_ paths: ItemPaths) throws(TrieError) {
        self.init(
            vocabulary: paths.vocabulary, endToken: paths.endToken, base: try SortedPaths(paths),
            side: .empty, withdrawn: [])
    }

    init(
        vocabulary: Int, endToken: Int32, base: SortedPaths, side: SortedPaths, withdrawn: [Int32]
    ) {
        self.vocabulary = vocabulary
        self.endToken = endToken
        self.base = base
        self.side = side
        self.withdrawn = withdrawn
    }

    /// Number of present items.
    public var count: Int { base.count - withdrawn.count + side.count }

    /// Bytes held by its arrays.
    public var bytes: Int { base.bytes + side.bytes + withdrawn.count * 4 }

    /// Items at the positions that `TrieNode.baseRange` counts, withdrawn ones among them.
    public var baseItems: [Int32] { base.items }
    /// Items at the positions that `TrieNode.sideRange` counts.
    public var sideItems: [Int32] { side.items }

    /// The empty prefix; has no children when the trie is empty.
    public var root: TrieNode {
        TrieNode(depth: 0, base: present(base.root), side: side.root)
    }

    // MARK: Down from a node

    /// The prefix one token longer, or nil when no present item has it.
    public func child(_ node: TrieNode, _ token: Int32) -> TrieNode? {
        let below = TrieNode(
            depth: node.depth + 1,
            base: present(base.child(of: node.base, depth: node.depth, token: token)),
            side: side.child(of: node.side, depth: node.depth, token: token))
        return below.base.isEmpty && below.side.isEmpty ? nil : below
    }

    /// Calls `body` with every child and its token, by ascending token, until it returns false.
    public func forEachChild(of node: TrieNode, _ body: (Int32, TrieNode) -> Bool) {
        var left = PartChildren(base, node.base, depth: node.depth)
        var right = PartChildren(side, node.side, depth: node.depth)
        var leftChild = nextPresent(&left)
        var rightChild = right.next()
        while true {
            let token = min(leftChild?.token ?? .max, rightChild?.token ?? .max)
            guard token < .max else { return }
            var parts = (base: PathCursor.empty, side: PathCursor.empty)
            if let child = leftChild, child.token == token {
                parts.base = child.cursor
                leftChild = nextPresent(&left)
            }
            if let child = rightChild, child.token == token {
                parts.side = child.cursor
                rightChild = right.next()
            }
            let node = TrieNode(depth: node.depth + 1, base: parts.base, side: parts.side)
            guard body(token, node) else { return }
        }
    }

    /// Children with their tokens, by ascending token.
    public func children(of node: TrieNode) -> [(token: Int32, node: TrieNode)] {
        var all: [(token: Int32, node: TrieNode)] = []
        forEachChild(of: node) { token, child in
            all.append((token, child))
            return true
        }
        return all
    }

    /// Whether exactly one token can follow: a step that needs no model.
    public func isForced(_ node: TrieNode) -> Bool { forcedChild(node) != nil }

    /// Whether the prefix is the whole path of the items below it.
    public func isComplete(_ node: TrieNode) -> Bool {
        if !node.base.isEmpty { return node.depth >= Int(base.lengths[Int(node.base.first)]) }
        guard !node.side.isEmpty else { return false }
        return node.depth >= Int(side.lengths[Int(node.side.first)])
    }

    /// Follows single children from `node`, appending their tokens to `run`, to the next prefix that branches or is
    /// complete.
    public func followForced(_ node: TrieNode, appending run: inout [Int32]) -> TrieNode {
        var node = node
        while true {
            if node.side.isEmpty, !node.base.isEmpty {
                let shared = base.sharedDepth(node.base)
                let start = Int(base.starts[Int(node.base.first)])
                run.append(contentsOf: base.tokens[start + node.depth..<start + shared])
                node = TrieNode(depth: shared, base: node.base, side: node.side)
            }
            guard let next = forcedChild(node) else { return node }
            run.append(next.token)
            node = next.node
        }
    }

    private func forcedChild(_ node: TrieNode) -> (token: Int32, node: TrieNode)? {
        if node.side.isEmpty, !node.base.isEmpty, node.depth < base.sharedDepth(node.base) {
            let below = TrieNode(depth: node.depth + 1, base: node.base, side: node.side)
            return (base.token(node.base.first, node.depth), below)
        }
        var only: (token: Int32, node: TrieNode)?
        var isForced = false
        forEachChild(of: node) { token, child in
            isForced = only == nil
            only = (token, child)
            return isForced
        }
        return isForced ? only : nil
    }

    // MARK: Items

    public func contains(_ item: Int32) -> Bool { place(of: item) != nil }

    /// The path of a present item.
    public func path(of item: Int32) -> [Int32]? {
        switch place(of: item) {
        case .base(let position)?: Array(base.path(at: position))
        case .side(let position)?: Array(side.path(at: position))
        case nil: nil
        }
    }

    /// The branching prefixes on the way of a path, each with the token the path takes there; nil when no present
    /// item has this path.
    public func branchings(of path: [Int32]) -> [(node: TrieNode, token: Int32)]? {
        var branchings: [(node: TrieNode, token: Int32)] = []
        var run: [Int32] = []
        run.reserveCapacity(path.count)
        var node = followForced(root, appending: &run)
        while node.depth < path.count {
            guard let next = child(node, path[node.depth]) else { return nil }
            branchings.append((node, path[node.depth]))
            run.append(path[node.depth])
            node = followForced(next, appending: &run)
        }
        return run == path && isComplete(node) ? branchings : nil
    }

    /// Number of present items below a node.
    public func itemCount(below node: TrieNode) -> Int {
        presentCount(node.base) + node.side.range.count
    }

    /// Present items below a node, by ascending number.
    public func items(below node: TrieNode) -> [Int32] {
        var gone = withdrawnIndex(Int32(node.base.range.lowerBound))
        var items: [Int32] = []
        for position in node.base.range {
            if gone < withdrawn.count, Int(withdrawn[gone]) == position {
                gone += 1
            } else {
                items.append(base.items[position])
            }
        }
        items.append(contentsOf: side.items[node.side.range])
        return items.sorted()
    }

    /// All items with exactly this path, by ascending number: several when texts repeat, none when it is not complete.
    public func items(at path: [Int32]) -> [Int32] {
        var node = root
        for token in path {
            guard let next = child(node, token) else { return [] }
            node = next
        }
        return isComplete(node) ? items(below: node) : []
    }

    // MARK: Presence

    enum Place: Equatable {
        case base(Int)
        case side(Int)
    }

    func place(of item: Int32) -> Place? {
        if let position = side.position(of: item) { return .side(position) }
        guard let position = base.position(of: item) else { return nil }
        let index = withdrawnIndex(Int32(position))
        let isGone = index < withdrawn.count && Int(withdrawn[index]) == position
        return isGone ? nil : .base(position)
    }

    /// Number of withdrawn positions below `position`.
    func withdrawnIndex(_ position: Int32) -> Int {
        var (low, high) = (0, withdrawn.count)
        while low < high {
            let middle = (low + high) / 2
            if withdrawn[middle] < position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func presentCount(_ cursor: PathCursor) -> Int {
        guard !withdrawn.isEmpty else { return cursor.range.count }
        return cursor.range.count - withdrawnIndex(cursor.end) + withdrawnIndex(cursor.first)
    }

    private func present(_ cursor: PathCursor) -> PathCursor {
        presentCount(cursor) == 0 ? .empty : cursor
    }

    private func nextPresent(_ children: inout PartChildren) -> PartChildren.Child? {
        while let child = children.next() {
            if presentCount(child.cursor) > 0 { return child }
        }
        return nil
    }
}

/// Children of a cursor in one part, withdrawn or not, by ascending token.
struct PartChildren {
    typealias Child = (token: Int32, cursor: PathCursor)

    private let paths: SortedPaths
    private let cursor: PathCursor
    private let forced: Int32?
    private var remaining: Range<Int>

    init(_ paths: SortedPaths, _ cursor: PathCursor, depth: Int) {
        self.paths = paths
        self.cursor = cursor
        if cursor.isEmpty {
            forced = nil
            remaining = 0..<0
        } else if depth < paths.sharedDepth(cursor) {
            forced = paths.token(cursor.first, depth)
            remaining = 0..<1
        } else {
            forced = nil
            remaining = cursor.branch < 0 ? 0..<0 : paths.children(cursor.branch)
        }
    }

    mutating func next() -> Child? {
        guard let index = remaining.popFirst() else { return nil }
        if let forced { return (forced, cursor) }
        return (paths.childTokens[index], paths.child(index, of: cursor))
    }
}
