// Explanations against the lists that they explain.

import Filters
import Interactions
import Pipeline
import Ports
import Recommender
import TestKit
import Testing

extension SoleDaemon {
    /// One whose combiner has learnt.
    fileprivate static func taught(
        _ change: (inout PipelineConfiguration) -> Void = { _ in }
    ) -> SoleDaemon {
        let daemon = SoleDaemon(change: change)
        daemon.feed(MixtureTests.log(600), upTo: 600, batch: 64)
        return daemon
    }

    fileprivate func explain(
        _ item: ItemID, for user: String = "user-1",
        _ change: (inout ExplainRequest) throws -> Void = { _ in }
    ) throws -> Explanation {
        try explained(item, for: user, change).get()
    }

    fileprivate func explained(
        _ item: ItemID, for user: String = "user-1",
        _ change: (inout ExplainRequest) throws -> Void = { _ in }
    ) throws -> Result<Explanation, PortError> {
        let user = try #require(UserID(user))
        var request = ExplainRequest(item: item, list: RecommendRequest(user: user, count: 10))
        try change(&request)
        var answer: Result<Explanation, PortError>?
        tell { $0.explain(request) { answer = $0 } }
        return try #require(answer)
    }

    fileprivate var items: [ItemID] {
        (0..<Self.itemCount).compactMap { ItemID("item-\($0)") }
    }
}

@Suite("Explanations of the coordinator")
struct ExplanationTests {
    @Test("every item of the catalogue has its place in the list, or a stage that lost it")
    func stages() throws {
        let daemon = SoleDaemon.taught()
        let list = try daemon.list("user-1")
        try #require(list.rung.hasPrefix("mix"))
        var losses: [Explanation.Loss: Int] = [:]
        for item in daemon.items {
            let why = try daemon.explain(item)
            #expect(why.place == list.items.firstIndex { $0.id == item }.map { $0 + 1 })
            #expect((why.place == nil) == (why.lostAt != nil), "\(item)")
            if let place = why.place { #expect(why.rank == place) }
            #expect((why.lostAt == .removed) == (why.removedBy != nil))
            if let loss = why.lostAt { losses[loss, default: 0] += 1 }
        }
        // A ranker orders the combined list: that is what put an item there.
        let best = try #require(list.items.first)
        let ranked = try daemon.explain(best.id) { $0.list.mode = .trsr }
        #expect(ranked.mixture != nil && ranked.score == best.score)
        #expect(losses[.removed] ?? 0 > 0 && losses[.belowTheCut] ?? 0 > 0, "\(losses)")
        #expect(losses[.notProposed] ?? 0 > 0 && losses[.arranged] == nil, "\(losses)")
    }

    @Test("what the request keeps out is named, and the expression that does it")
    func removed() throws {
        let daemon = SoleDaemon.taught {
            let filter = try? Filter("categories = 'd'")
            $0.scenarios = ["default": Scenario(filters: filter.map { [$0] } ?? [])]
        }
        let item = try #require(try daemon.list("user-1").items.first?.id)
        let label = "c\(item.key % 5)"
        let other = try #require(daemon.items.first { $0.key % 5 != item.key % 5 })
        let filtered = try daemon.explain(item) {
            $0.list.filter = try Filter("categories != '\(label)'")
        }
        #expect(filtered.removedBy == "filtered" && filtered.rank == nil)
        #expect(filtered.filter == "categories != '\(label)'" && filtered.lostAt == .removed)
        #expect(try daemon.explain(item) { $0.list.exclude = [item] }.removedBy == "excluded")
        #expect(
            try daemon.explain(item) { $0.list.candidates = [other] }.removedBy
                == "not a candidate")
        #expect(try daemon.explain(item) { $0.list.session = [item] }.removedBy == "seen")
        let boosted = try daemon.explain(item) { $0.list.scenario = "default" }
        #expect(boosted.boosts.isEmpty && boosted.filter == nil)
        guard case .failure(let problem) = try daemon.explained(item, { $0.list.scenario = "no" })
        else {
            Issue.record("a scenario that there is not explains nothing")
            return
        }
        #expect(problem.reason.contains("'no'"))
    }

    @Test("boosts move the score by what they say; a cap's victim was arranged away")
    func rules() throws {
        let plain = SoleDaemon.taught()
        let item = try #require(try plain.list("user-1").items.first?.id)
        let boost = Boost(when: try Filter("id = '\(item)'"), by: 2)
        let ruled = SoleDaemon.taught {
            $0.scenarios = [
                "boosted": Scenario(boosts: [boost]), "capped": Scenario(categoryMax: 1),
            ]
        }
        let before = try ruled.explain(item)
        let after = try ruled.explain(item) { $0.list.scenario = "boosted" }
        #expect(after.boosts == [.init("id = '\(item)'", 2)])
        #expect(abs(after.score - before.score - 0.693_147) < 1e-5)
        // Every item has category d: one place is all there is.
        let second = try #require(try plain.list("user-1").items.dropFirst().first?.id)
        let capped = try ruled.explain(second) {
            $0.list.scenario = "capped"
            $0.list.count = 2
        }
        #expect(capped.rank == 2 && capped.place == nil && capped.removedBy == nil)
        #expect(capped.lostAt == .belowTheCut || capped.lostAt == .arranged)
    }

    @Test("an event's effect is what the list of a user without that event lacks")
    func events() throws {
        let daemon = SoleDaemon.taught()
        let (first, second) = (daemon.items[3], daemon.items[11])
        let start: Milliseconds = SoleDaemon.end - 600_000
        for (user, items) in [("one", [first]), ("two", [first, second])] {
            let id = try #require(UserID(user))
            daemon.receive(
                items.enumerated().map { place, item in
                    .interaction(
                        Interaction(
                            user: id, item: item, type: 0,
                            time: start + Milliseconds(place) * 1_000))
                })
        }
        for item in daemon.items.prefix(40) where item != first && item != second {
            let alone = try daemon.explain(item, for: "one")
            let both = try daemon.explain(item, for: "two") { $0.isByEvents = true }
            #expect(both.effects.map(\.item) == [second.text, first.text])
            let effect = try #require(both.effects.first)
            #expect(abs(both.score - effect.score - alone.score) < 1e-9, "\(item)")
            #expect(effect.rank == alone.rank, "\(item)")
            #expect(try daemon.explain(item, for: "two").effects.isEmpty)
        }
    }

    @Test("a kept list is explained by its own numbers, whatever came later")
    func past() throws {
        let daemon = SoleDaemon.taught()
        let user = try #require(UserID("user-1"))
        var request = RecommendRequest(user: user, count: 5)
        request.isKept = true
        let list = try daemon.list(request).get()
        let id = try #require(list.id)
        let shown = try #require(list.items.dropFirst().first)
        let then = try daemon.explain(shown.id)
        daemon.receive([
            .interaction(
                Interaction(user: user, item: list.items[0].id, type: 0, time: SoleDaemon.end))
        ])
        var answer: Result<Recommendation, PortError>?
        daemon.tell { $0.next(id, count: 5) { answer = $0 } }
        let page = try #require(answer).get()
        daemon.feed(MixtureTests.log(1_200), upTo: 1_200, batch: 64)

        let past = try #require(try daemon.explain(shown.id) { $0.past = id }.past)
        #expect(past.place == 2 && past.score == shown.score && past.source == shown.source)
        #expect(past.rung == list.rung && past.asOf == list.asOf)
        #expect(past.weightsVersion == then.mixture?.weightsVersion)
        let features = (then.mixture?.features ?? []).filter { $0.contribution != 0 }
        #expect(Set(past.features.map(\.name)) == Set(features.map(\.name)))
        let sum = past.features.reduce(0) { $0 + $1.amount }
        #expect(abs(sum - (then.mixture?.firstStage ?? 0)) < 1e-4)
        let later = try #require(page.items.last)
        #expect(try daemon.explain(later.id) { $0.past = id }.past?.place == 5 + page.items.count)
        let never = try #require(
            daemon.items.first { id in !(list.items + page.items).contains { $0.id == id } })
        #expect(try daemon.explain(never) { $0.past = id }.past == nil)
        for (name, list) in [("user-2", id), ("user-1", ListID(epoch: 9, number: 1))] {
            guard
                case .failure(let problem) = try daemon.explained(
                    shown.id, for: name, { $0.past = list })
            else {
                Issue.record("explained")
                continue
            }
            #expect(problem.code == .refused && problem.reason.contains("'\(list)'"))
        }
    }
}
