// The engine's language model, when it has one.

public import Interactions
import Teachers
public import TokenTrie

extension Engine {
    /// Puts a model in the place of the one before, with vectors, and texts by their place, of the items of the
    /// catalogue as it was when they were made; what changed since is encoded by and by.
    public func install(
        _ model: ServedModel, items: [ItemKey], vectors: [Float], trie: CatalogueTrie? = nil,
        usersCachedMax: Int
    ) {
        var rung = ModelRung(model, trie: trie, usersCachedMax: usersCachedMax)
        rung.install(items, vectors: vectors)
        rung.refreshMarks(catalogue.all)
        self.rung = rung
    }

    public func removeModel() { rung = nil }

    public var modelVersion: String? { rung?.model.version }

    /// Counters of the model, for status pages; empty without one.
    public var modelCounters: [(name: String, value: Int)] { rung?.counters ?? [] }

    /// Encodes texts of items that came lately; returns whether lists may have changed.
    public func encodeItems(atMost count: Int) -> Bool {
        guard rung?.pendingCount ?? 0 > 0 else { return false }
        let catalogue = catalogue
        rung?.encode(atMost: count) { catalogue[$0] }
        return true
    }

    /// The model's best items for a user; nil without a model, or when it knows nothing of the user.
    public func recommendByModel(
        _ user: UInt64, _ state: UserState, session: [ItemKey] = [],
        candidates: [ItemKey]? = nil, exclude: [ItemKey] = [], count: Int,
        gate: ListGate = .open, now: Milliseconds
    ) -> [ListedItem]? {
        rung?.list(
            reader(user, state, session: session),
            hidden: hidden(state, now: now) + session + exclude, candidates: candidates,
            count: count, gate: gate, now: now)
    }

    public func explainByModel(
        _ item: ItemKey, user: UInt64, _ state: UserState, session: [ItemKey] = [],
        now: Milliseconds
    ) -> ModelScore? {
        rung?.explain(
            item, user: reader(user, state, session: session),
            hidden: hidden(state, now: now) + session, now: now)
    }

    /// What the model is given of a user.
    func reader(_ user: UInt64, _ state: UserState, session: [ItemKey]) -> ModelUser {
        ModelUser(
            key: user, history: positive(state, session: session), summary: state.summary)
    }

    /// Whether the model reads this stored summary of a user.
    public func modelReads(summary: [UInt8]) -> Bool {
        !summary.isEmpty && rung?.model.summaryTokens?(summary).isEmpty == false
    }

    /// Items of positive events, oldest first, the session's after the history's.
    public func positive(_ state: UserState, session: [ItemKey]) -> [ItemKey] {
        let types = configuration.history.types
        return state.history.compactMap { entry in
            types.weight(of: entry.type) > 0 && !session.contains(entry.item) ? entry.item : nil
        } + session
    }
}
