// Short-lists in the order in which the model would write the items' texts: the token head over the catalogue's trie,
// which items enter and leave while it serves.

public import Interactions
import ItemModel
public import TokenTrie

/// A trie to be merged beside serving, and whose it is.
public struct TrieMerge: Sendable {
    let modelVersion: String
    let trie: CatalogueTrie

    /// The same with nothing pending: the long part of the work.
    public func merged() -> TrieMerge {
        TrieMerge(modelVersion: modelVersion, trie: trie.merged())
    }
}

extension ServedModel {
    /// Paths of items by their place in the catalogue of the installation; to be made off the lane that serves. A text
    /// that is no path (longer than a path may be) is left out: the token head does not know the item.
    public func trie(of texts: [[Int32]]) -> CatalogueTrie? {
        var paths = ItemPaths(
            vocabulary: parameters.layout.shape.vocabulary, endToken: endToken)
        for (slot, tokens) in texts.enumerated() {
            try? paths.append(item: Int32(slot), path: Array(tokens.dropFirst()))
        }
        return try? CatalogueTrie(paths)
    }
}

/// The token head of a served model.
struct TextRung {
    private var owner: TrieOwner
    private var head: TokenHead
    /// Not yet applied; a question applies them.
    private var changes: [Int32: TrieChange] = [:]

    /// Changes that wait are applied together from this number on.
    private static let changesMax = 256
    /// A merge beside serving begins when so many are pending: well before one would be made in its way.
    private static let mergeAt = 1_024

    init(_ model: ServedModel, trie: CatalogueTrie) {
        owner = TrieOwner(trie)
        head = TokenHead(model.parameters, trie: trie, beginToken: model.beginToken)
    }

    var itemCount: Int { owner.trie.count }
    var pendingCount: Int { owner.trie.pendingCount + changes.count }

    mutating func enter(_ slot: Int32, tokens: [Int32]) {
        change(slot, .enter(item: slot, path: Array(tokens.dropFirst())))
    }

    mutating func withdraw(_ slot: Int32) { change(slot, .withdraw(item: slot)) }

    /// The last change of an item is the one that counts.
    private mutating func change(_ slot: Int32, _ change: TrieChange) {
        changes[slot] = change
        if changes.count >= Self.changesMax { apply() }
    }

    private mutating func apply() {
        guard !changes.isEmpty else { return }
        let waiting = changes.sorted { $0.key < $1.key }.map(\.value)
        changes.removeAll(keepingCapacity: true)
        do throws(TrieError) {
            try owner.apply(waiting)
        } catch {
            // One text that is no path must not keep the others out.
            for change in waiting { try? owner.apply([change]) }
        }
        head.trie = owner.trie
    }

    mutating func beginMerge() -> CatalogueTrie? {
        guard pendingCount >= Self.mergeAt else { return nil }
        apply()
        return owner.beginMerge()
    }

    mutating func finishMerge(_ merged: CatalogueTrie) {
        try? owner.finishMerge(merged)
        head.trie = owner.trie
    }

    /// Log-likelihoods of the slots' texts after a history.
    mutating func logLikelihoods(of slots: [Int32], after history: HistoryState) -> [Double] {
        apply()
        return (try? head.logLikelihoods(of: slots, after: history))
            ?? slots.map { _ in -.infinity }
    }
}

extension Engine {
    /// A trie that should be merged; the answer goes to `finish`.
    public func beginTrieMerge() -> TrieMerge? {
        guard let version = modelVersion, let trie = rung?.beginTrieMerge() else { return nil }
        return TrieMerge(modelVersion: version, trie: trie)
    }

    /// Nothing happens when another model serves by now.
    public func finish(_ merge: TrieMerge) {
        guard merge.modelVersion == modelVersion else { return }
        rung?.finishTrieMerge(merge.trie)
    }

    /// The model's short-list in the order in which it would write the texts; nil without a model, or when it knows
    /// nothing of the user. Scores are log-likelihoods over the whole catalogue.
    public func recommendByText(
        _ user: UInt64, _ state: UserState, session: [ItemKey] = [],
        candidates: [ItemKey]? = nil, exclude: [ItemKey] = [], count: Int,
        gate: ListGate = .open, now: Milliseconds
    ) -> [ListedItem]? {
        rung?.textList(
            reader(user, state, session: session),
            hidden: hidden(state, now: now) + session + exclude, candidates: candidates,
            count: count, gate: gate, now: now)
    }
}
