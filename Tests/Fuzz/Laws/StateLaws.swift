// What comes back from the store: users' states, statistics edits, checkpoints. A store may hold what an older, newer
// or broken writer left there: it is refused without a trace, or it is accepted and then everything works with it.

import Interactions
import Recommender
import Teachers
import TestKit

private let halfLivesSeconds: [Int64] = [61_200, 604_800]
private let fingerprint: UInt64 = 7
private let rules = HistoryRules(
    types: EventTypes([
        EventType(name: "view", weight: 1, seen: .always),
        EventType(name: "rate", weight: 4, seen: .cooldown(86_400_000)),
        EventType(name: "dislike", weight: -2, seen: .never),
    ]), historyMax: 12, eventKeysMax: 4)

/// A user who did `count` things with a few items, as the fold leaves them, and the edits it wrote.
private func folded(_ count: Int, seed: UInt64) -> (state: UserState, edits: StatisticsEditsWriter)
{
    var random = SeededRandom(seed: seed)
    var state = UserState()
    var edits = StatisticsEditsWriter()
    guard let user = UserID("user") else { return (state, edits) }
    for step in 0..<count {
        guard let item = ItemID("item\(random.below(count))") else { continue }
        _ = rules.append(
            Interaction(
                user: user, item: item, type: UInt8(random.below(3)),
                time: 1_700_000_000_000 + Milliseconds(step * 50_000_000),
                eventKey: step % 3 == 0 ? 0 : random.next()), to: &state, edits: &edits)
    }
    return (state, edits)
}

private func foldedEdits(_ count: Int, seed: UInt64) -> [UInt8] {
    var edits = folded(count, seed: seed).edits
    return edits.finish(nextOffset: Offset(count), fingerprint: fingerprint)
}

extension FuzzTarget {
    static let userState = FuzzTarget(
        "user-state",
        seeds: [
            UserState().encoded(), folded(3, seed: 1).state.encoded(),
            folded(30, seed: 2).state.encoded(),
            folded(3, seed: 3).state.encoded() + [200, 2, 1, 2],
            // Two histories: together longer than a history may be, they could not be read back once written.
            folded(2, seed: 4).state.encoded() + folded(2, seed: 5).state.encoded().dropFirst(2),
        ]
    ) { bytes in
        guard let state = try? UserState(decoding: bytes) else { return }
        let written = state.encoded()
        try require((try? UserState(decoding: written)) == state, "written, it reads otherwise")
        try requireBounds(state)
        // Forgetting takes back all that a history gives, whatever the history.
        var statistics = Statistics(halfLivesSeconds: halfLivesSeconds)
        let empty = statistics.digest
        for adds in [true, false] {
            var edits = StatisticsEditsWriter()
            if adds {
                rules.addAll(state, edits: &edits)
            } else {
                rules.subtractAll(state, edits: &edits)
            }
            try apply(edits.finish(nextOffset: nil, fingerprint: fingerprint), to: &statistics)
        }
        try require(statistics.digest == empty, "added and forgotten, something is left")
        try requireLists(state, statistics)
    }

    static let edits = FuzzTarget(
        "edits",
        seeds: [
            foldedEdits(1, seed: 1), foldedEdits(5, seed: 2), foldedEdits(40, seed: 3),
            // Good operations before a bad one.
            foldedEdits(5, seed: 2) + [9], foldedEdits(5, seed: 2).dropLast(),
            // An offset that no record can have.
            [1] + Array(repeating: 0, count: 8)
                + Array(repeating: 0xFF, count: 9) + [1, 1] + Array(repeating: 5, count: 8)
                + [2, 0, 1, 2, 0],
        ]
    ) { bytes in
        var statistics = Statistics(halfLivesSeconds: halfLivesSeconds, pairCountMax: 1 << 20)
        try apply(foldedEdits(6, seed: 9), to: &statistics)
        let before = Fingerprint(statistics)
        guard !bytes.isEmpty, var operations = try? StatisticsEdits(bytes),
            (try? operations.check()) != nil
        else { return }
        // What was checked is applied to its end.
        try apply(bytes, to: &statistics)
        try requireLists(folded(6, seed: 9).state, statistics)
        // Read one by one and written again, they say the same.
        try require(operations.nextOffset ?? 0 >= 0, "a negative offset")
        var writer = StatisticsEditsWriter()
        while let operation = try operations.next() { writer.append(operation) }
        let written = writer.finish(
            nextOffset: operations.nextOffset, fingerprint: operations.fingerprint)
        var other = Statistics(halfLivesSeconds: halfLivesSeconds, pairCountMax: 1 << 20)
        try other.apply(foldedEdits(6, seed: 9))
        try other.apply(written)
        try require(
            other.digest == statistics.digest
                && other.popularityDigest == statistics.popularityDigest,
            "written again, they say something else")
        try statistics.apply(bytes, undo: true)
        try require(statistics.digest == before.digest, "taken back, something is left")
    }

    static let checkpoint = FuzzTarget(
        "checkpoint",
        seeds: [0, 3, 40].map { count in
            var statistics = Statistics(halfLivesSeconds: halfLivesSeconds)
            try? statistics.apply(foldedEdits(count, seed: 5))
            return statistics.checkpointChunks(fingerprint: fingerprint).reduce(into: []) {
                $0 += FuzzInput.block($1)
            }
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        var chunks: [[UInt8]] = []
        while !input.isEmpty { chunks.append(input.block()) }
        guard var statistics = try? restored(chunks) else { return }
        let written = statistics.checkpointChunks(fingerprint: fingerprint)
        guard let again = try? restored(written) else {
            throw BrokenLaw("written, it cannot be read")
        }
        try require(Fingerprint(again) == Fingerprint(statistics), "written, it reads otherwise")
        try requireLists(folded(6, seed: 9).state, statistics)
        try apply(foldedEdits(6, seed: 9), to: &statistics)
        try requireLists(folded(6, seed: 9).state, statistics)
    }
}

private func restored(_ chunks: [[UInt8]]) throws(MalformedBytes) -> Statistics {
    try Statistics(
        checkpointChunks: chunks, halfLivesSeconds: halfLivesSeconds, pairCountMax: 1 << 20,
        fingerprint: fingerprint)
}

private func apply(_ edits: [UInt8], to statistics: inout Statistics) throws {
    do throws(MalformedBytes) { try statistics.apply(edits) } catch {
        throw BrokenLaw("our own edits are refused: \(error)")
    }
}

/// All that can be seen of statistics.
private struct Fingerprint: Equatable {
    var digest: String
    var popularityDigest: String
    var itemCount: Int
    var values: [[Int64]]
    var totals: [Int64]
    var rowSums: [Int64]

    init(_ statistics: Statistics) {
        digest = statistics.digest
        popularityDigest = statistics.popularityDigest
        itemCount = statistics.items.count
        values = statistics.popularities.map(\.values)
        totals = statistics.popularities.map(\.total)
        rowSums = statistics.transitions.rowSums
    }
}

private func requireBounds(_ state: UserState) throws {
    try require(
        state.history.count <= UserState.historyCountMax
            && state.eventKeys.count <= UserState.eventKeyCountMax, "longer than a state may be")
}

/// Lists, explanations and folds work with whatever was accepted.
private func requireLists(_ state: UserState, _ statistics: Statistics) throws {
    let engine = Engine(
        EngineConfiguration(history: rules, halfLivesSeconds: halfLivesSeconds))
    engine.replace(statistics: statistics)
    guard let id = ItemID("item1") else { return }
    _ = engine.change(.set(ItemRecord(id: id, title: "title"), json: []))
    for rung in [Rung.cf, .popular] {
        let list = engine.recommend(state, count: 10, rung: rung, now: 1_700_000_000_000)
        try require(list.count <= 1, "a list of more than the catalogue")
    }
    _ = engine.similar(to: id.key, count: 10, now: 1_700_000_000_000)
    _ = engine.explain(id.key, for: state, now: 1_700_000_000_000)
}
