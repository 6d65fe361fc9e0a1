// Lists of the item-aware model: a user's query against the vectors of the whole catalogue, one product.
//
// One model version at a time, and everything kept is of that version: installing another replaces vectors and user
// states in one step, so no list can mix two (promise G8).

public import Interactions
public import ItemModel
import Teachers
import Tensors
import TokenTrie

/// A model as serving needs it; made off the lane that serves.
public struct ServedModel: Sendable {
    public let version: String
    let parameters: ItemModelParameters
    /// Rows of the identity table.
    let identityRows: [ItemKey: Int32]
    /// The tokens that frame a text.
    let beginToken: Int32
    let endToken: Int32
    /// Tokens of an item's text, framed.
    let tokens: @Sendable (String) -> [Int32]
    /// Tokens of the text of a stored summary, framed; none of one that it cannot read. Nil: the model reads none.
    let summaryTokens: (@Sendable (_ stored: [UInt8]) -> [Int32])?

    public init(
        version: String, parameters: ItemModelParameters, items: [ItemKey], beginToken: Int32,
        endToken: Int32, tokens: @escaping @Sendable (String) -> [Int32],
        summaryTokens: (@Sendable (_ stored: [UInt8]) -> [Int32])? = nil
    ) {
        self.summaryTokens = summaryTokens
        self.version = version
        self.parameters = parameters
        self.beginToken = beginToken
        self.endToken = endToken
        self.tokens = tokens
        var rows: [ItemKey: Int32] = [:]
        for (row, key) in items.enumerated() { rows[key] = Int32(row) }
        identityRows = rows
    }

    /// Vectors of items, one after the other; `texts` may come from an item cache.
    public func vectors(of items: [(key: ItemKey, textVector: [Float])]) -> [Float] {
        var vectors: [Float] = []
        vectors.reserveCapacity(items.count * width)
        for item in items { vectors += item.textVector }
        // An item the model does not know has no row, and its text is all of it.
        parameters.addIdentity(
            items.map { identityRows[$0.key] ?? Int32.max }, to: &vectors)
        return vectors
    }

    public var width: Int { parameters.layout.shape.width }
}

/// What the model is given of a user.
struct ModelUser {
    var key: UInt64
    /// Items of positive events, oldest first.
    var history: [ItemKey]
    /// As it is stored; empty without one.
    var summary: [UInt8]
}

/// What the model says of one item for one user.
public struct ModelScore: Sendable, Hashable {
    public var score: Double
    /// 1 is best; nil when something keeps the item out of the list.
    public var rank: Int?
}

/// Owned by the lane that serves.
struct ModelRung {
    let model: ServedModel
    private var encoder: ItemScorer
    private var states: HistoryStateCache
    /// Without a trie, short-lists are not ordered by their texts.
    private var texts: TextRung?
    private var slots: [ItemKey: Int32] = [:]
    private var keys: [ItemKey] = []
    /// keys.count × width.
    private var table: [Float] = []
    /// When each item stops being listed; the smallest number: it is not.
    private var listedUntil: [Milliseconds] = []
    /// Items whose text is not encoded yet.
    private var pending: [ItemKey: String] = [:]
    private(set) var encodedCount = 0

    init(_ model: ServedModel, trie: CatalogueTrie?, usersCachedMax: Int) {
        texts = trie.map { TextRung(model, trie: $0) }
        self.model = model
        encoder = ItemScorer(model.parameters)
        states = HistoryStateCache(model.parameters, capacity: usersCachedMax)
    }

    var itemCount: Int { keys.count }
    var pendingCount: Int { pending.count }
    var userCount: Int { states.count }
    var bytes: Int { table.count * 4 + states.bytes }
    var counters: [(name: String, value: Int)] {
        [
            ("model_items", keys.count), ("model_items_pending", pending.count),
            ("model_items_encoded", encodedCount), ("model_users_cached", states.count),
            ("model_user_rows", states.rowCount), ("model_user_hits", states.hitCount),
            ("model_user_rebuilds", states.rebuildCount),
            ("model_texts", texts?.itemCount ?? 0),
            ("model_texts_pending", texts?.pendingCount ?? 0),
            ("model_users_evicted", states.evictedCount),
        ]
    }

    // MARK: - Items

    /// Vectors that were made elsewhere: the catalogue at the time of the installation.
    mutating func install(_ items: [ItemKey], vectors: [Float]) {
        for (row, key) in items.enumerated() {
            put(key, vectors[row * model.width..<(row + 1) * model.width])
        }
    }

    /// An item's record came, or changed; its text is encoded by and by.
    mutating func set(_ entry: CatalogueEntry, isNewText: Bool) {
        let key = entry.id.key
        if isNewText || slots[key] == nil { pending[key] = entry.title }
        if let slot = slots[key] {
            if !entry.available {
                texts?.withdraw(slot)
            } else if listedUntil[Int(slot)] == .min {
                texts?.enter(slot, tokens: model.tokens(entry.title))
            }
            mark(slot, entry)
        }
    }

    mutating func withdraw(_ key: ItemKey) {
        pending[key] = nil
        if let slot = slots[key] {
            listedUntil[Int(slot)] = .min
            texts?.withdraw(slot)
        }
    }

    private mutating func mark(_ slot: Int32, _ entry: CatalogueEntry) {
        listedUntil[Int(slot)] = entry.available ? entry.expires ?? .max : .min
    }

    /// Encodes some of the texts that wait; `entry` knows the catalogue.
    mutating func encode(atMost count: Int, entry: (ItemKey) -> CatalogueEntry?) {
        guard !pending.isEmpty else { return }
        let some = pending.keys.sorted().prefix(count)
        let tokens = some.map { model.tokens(pending.removeValue(forKey: $0) ?? "") }
        let vectors = encoder.vectors(
            of: zip(some, tokens).map { key, tokens in
                (number: model.identityRows[key] ?? Int32.max, tokens: tokens)
            })
        encodedCount += some.count
        var hasChanged = false
        for (row, key) in some.enumerated() {
            hasChanged = hasChanged || slots[key] != nil
            put(key, vectors[row * model.width..<(row + 1) * model.width])
            if let slot = slots[key] {
                if let entry = entry(key), entry.available {
                    mark(slot, entry)
                    self.texts?.enter(slot, tokens: tokens[row])
                } else {
                    listedUntil[Int(slot)] = .min
                    self.texts?.withdraw(slot)
                }
            }
        }
        // Users' states hold the vectors of before.
        if hasChanged { states.removeAll() }
    }

    mutating func refreshMarks(_ entries: some Sequence<CatalogueEntry>) {
        for index in listedUntil.indices { listedUntil[index] = .min }
        for entry in entries {
            if let slot = slots[entry.id.key] {
                mark(slot, entry)
            } else {
                set(entry, isNewText: true)
            }
        }
        for slot in listedUntil.indices where listedUntil[slot] == .min {
            texts?.withdraw(Int32(slot))
        }
    }

    /// An item's vector at length 1; nil when it has none.
    func direction(of key: ItemKey) -> [Float]? {
        guard let slot = slots[key] else { return nil }
        let vector = table[Int(slot) * model.width..<(Int(slot) + 1) * model.width]
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? vector.map { $0 / length } : nil
    }

    /// The listed items whose vectors are most like an item's (cosine), most first; nil when it has none.
    func similar(
        to item: ItemKey, count: Int, gate: ListGate, now: Milliseconds
    ) -> [ListedItem]? {
        guard let own = direction(of: item) else { return nil }
        let width = model.width
        var best = TopList(limit: count)
        for (slot, key) in keys.enumerated() where listedUntil[slot] > now && key != item {
            var product: Float = 0
            var square: Float = 0
            let start = slot * width
            for place in 0..<width {
                let value = table[start + place]
                product += own[place] * value
                square += value * value
            }
            let cosine = square > 0 ? Double(product / square.squareRoot()) : 0
            guard best.admits(gate.bound(cosine, .linear)),
                let score = gate.adjusted(cosine, of: key, .linear)
            else { continue }
            best.offer(Candidate(number: Int32(slot), key: key, score: score))
        }
        return best.sorted().map { ListedItem(item: $0.key, score: $0.score, ruleScore: 0) }
    }

    mutating func beginTrieMerge() -> CatalogueTrie? { texts?.beginMerge() }
    mutating func finishTrieMerge(_ merged: CatalogueTrie) { texts?.finishMerge(merged) }

    private mutating func put(_ key: ItemKey, _ vector: ArraySlice<Float>) {
        if let slot = slots[key] {
            let start = Int(slot) * model.width
            table.replaceSubrange(start..<start + model.width, with: vector)
        } else {
            slots[key] = Int32(keys.count)
            keys.append(key)
            table += vector
            listedUntil.append(.max)
        }
    }

    // MARK: - Users

    /// Nil when none of the history has a vector. Oldest first.
    private mutating func state(_ user: ModelUser) -> HistoryState? {
        let width = model.width
        let known = user.history.compactMap { slots[$0] }
        let table = table
        guard let tokens = model.summaryTokens, !user.summary.isEmpty else {
            return states.state(
                of: user.key, history: known,
                vector: { Array(table[Int($0) * width..<(Int($0) + 1) * width]) })
        }
        var reader = encoder
        return states.state(
            of: user.key, history: known, summaryKey: xxh64(user.summary),
            summary: {
                let text = tokens(user.summary)
                return text.isEmpty ? [] : reader.textVectors(of: [text])
            }, vector: { Array(table[Int($0) * width..<(Int($0) + 1) * width]) })
    }

    /// Scores of all items by slot.
    private mutating func scores(_ user: ModelUser) -> [Float]? {
        state(user).map { encoder.logits(states: $0.query, table: table) }
    }

    /// Candidates that the token head puts in order, when none are given: the best of the item head.
    private static let shortListCount = 50

    /// A short-list in the order of the token head's likelihoods.
    mutating func textList(
        _ user: ModelUser, hidden: [ItemKey], candidates: [ItemKey]?, count: Int,
        gate: ListGate, now: Milliseconds
    ) -> [ListedItem]? {
        guard texts != nil,
            let short = list(
                user, hidden: hidden, candidates: candidates,
                count: max(count, candidates?.count ?? Self.shortListCount), gate: gate, now: now),
            let state = state(user)
        else { return nil }
        let known = short.compactMap { slots[$0.item] }
        let likelihoods = texts?.logLikelihoods(of: known, after: state) ?? []
        var best = TopList(limit: count)
        for (slot, likelihood) in zip(known, likelihoods) where likelihood > -.infinity {
            let key = keys[Int(slot)]
            guard let score = gate.adjusted(likelihood, of: key, .logarithmic) else { continue }
            best.offer(Candidate(number: slot, key: key, score: score))
        }
        return best.sorted().map { ListedItem(item: $0.key, score: $0.score, ruleScore: 0) }
    }

    /// Log-likelihoods of items' texts after a user's history; nil among them for an item without a path, and instead
    /// of them when the token head has nothing to go by.
    mutating func logLikelihoods(of keys: [ItemKey], after user: ModelUser) -> [Double?]? {
        guard texts != nil, let state = state(user) else { return nil }
        let known = keys.compactMap { slots[$0] }
        var next = (texts?.logLikelihoods(of: known, after: state) ?? []).makeIterator()
        return keys.map { key in
            guard slots[key] != nil, let amount = next.next(), amount > -.infinity else {
                return nil
            }
            return amount
        }
    }

    /// What the model says for a combined list; nil when it has nothing to go by.
    mutating func column(
        _ user: ModelUser, hidden: [ItemKey], proposals count: Int,
        gate: ListGate, now: Milliseconds, items: KeyIndex
    ) -> ModelColumn? {
        guard let scores = scores(user) else { return nil }
        let best = best(
            of: scores, hidden: hidden, candidates: nil, count: count, gate: gate, now: now)
        let slots = slots
        return ModelColumn(proposals: best.compactMap { items.number(of: $0.key) }) { number in
            slots[items.keys[Int(number)]].map { Double(scores[Int($0)]) }
        }
    }

    /// The best items for a user; nil when the model has nothing to go by.
    mutating func list(
        _ user: ModelUser, hidden: [ItemKey], candidates: [ItemKey]?, count: Int,
        gate: ListGate, now: Milliseconds
    ) -> [ListedItem]? {
        guard let scores = scores(user) else { return nil }
        return best(
            of: scores, hidden: hidden, candidates: candidates, count: count, gate: gate, now: now
        ).map { ListedItem(item: $0.key, score: $0.score, ruleScore: 0) }
    }

    private func best(
        of scores: [Float], hidden: [ItemKey], candidates: [ItemKey]?, count: Int,
        gate: ListGate, now: Milliseconds
    ) -> [Candidate] {
        let away = Set(hidden.compactMap { slots[$0] })
        var best = TopList(limit: count)
        func offer(_ slot: Int32) {
            let plain = Double(scores[Int(slot)])
            let key = keys[Int(slot)]
            guard best.admits(gate.bound(plain, .logarithmic)), listedUntil[Int(slot)] > now,
                !away.contains(slot),
                let score = gate.adjusted(plain, of: key, .logarithmic)
            else { return }
            best.offer(Candidate(number: slot, key: key, score: score))
        }
        if let candidates {
            for slot in Set(candidates.compactMap { slots[$0] }) { offer(slot) }
        } else {
            for slot in 0..<Int32(keys.count) { offer(slot) }
        }
        return best.sorted()
    }

    /// The item's place in the user's full ranking; nil when the model cannot say.
    mutating func explain(
        _ item: ItemKey, user: ModelUser, hidden: [ItemKey], now: Milliseconds
    ) -> ModelScore? {
        guard let slot = slots[item], let scores = scores(user) else { return nil }
        let away = Set(hidden.compactMap { slots[$0] })
        let own = Candidate(number: slot, key: item, score: Double(scores[Int(slot)]))
        guard listedUntil[Int(slot)] > now, !away.contains(slot) else {
            return ModelScore(score: own.score, rank: nil)
        }
        var rank = 1
        for other in 0..<Int32(keys.count)
        where listedUntil[Int(other)] > now && !away.contains(other) {
            let rival = Candidate(
                number: other, key: keys[Int(other)], score: Double(scores[Int(other)]))
            if Candidate.precedes(rival, own) { rank += 1 }
        }
        return ModelScore(score: own.score, rank: rank)
    }
}
