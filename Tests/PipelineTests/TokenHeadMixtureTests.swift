// The token head as a feature of the combined list: learnt and served alike, the same in every replay, left out whole.

import Combiner
import Interactions
import ItemModel
import Ports
import Recommender
import TestKit
import Testing
import TokenTrie

@testable import Pipeline

/// Random weights over the letters of titles; what it says is nonsense, but always the same nonsense.
struct SmallServedModel {
    var hasTexts = true

    /// Puts it in place, for items that come later.
    func install(in engine: Engine) {
        var shape = ItemModelShape(vocabulary: 45)
        shape.width = 8
        shape.feedForward = 12
        let model = ServedModel(
            version: "small", parameters: ItemModelParameters(ItemModelLayout(shape), seed: 3),
            items: [], beginToken: 1, endToken: 2,
            tokens: { title in [1] + title.utf8.map { 3 + Int32($0 % 42) } + [2] })
        engine.install(
            model, items: [], vectors: [], trie: hasTexts ? model.trie(of: []) : nil,
            usersCachedMax: 500)
    }
}

@Suite("The token head in combined lists")
struct TokenHeadMixtureTests {
    private static func weight(_ daemon: SoleDaemon) -> Float {
        daemon.coordinator.engine.combiner?.weight(of: .tokenHead) ?? 0
    }

    @Test(
        "learns the same from the same log, whatever the batches, the restarts and the requests between"
    )
    func replays() throws {
        let model = SmallServedModel()
        let plain = try MixtureTests.run(batch: 5, model: model, 400)
        let expected = try MixtureTests.outcome(plain)
        #expect(Self.weight(plain) != 0)
        let requested = try MixtureTests.run(batch: 64, model: model, 400) { daemon, end in
            for user in 0..<end / 20 { _ = try daemon.list("user-\(user)") }
        }
        #expect(try MixtureTests.outcome(requested) == expected)
        for checkpointEvery in [1, 3] {
            let restarted = try MixtureTests.run(batch: 10, model: model, 400) { daemon, end in
                if end / 100 % checkpointEvery == 0 { daemon.tick() }
                if end % 200 == 100 { daemon.restart() }
            }
            #expect(restarted.checkpointCount >= 1)
            #expect(try MixtureTests.outcome(restarted) == expected)
        }
    }

    @Test("switched off, or of a model without it, lists are those without it to the last bit")
    func absent() throws {
        let off = try MixtureTests.run(
            batch: 20, model: SmallServedModel(),
            change: { $0.engine.mixture?.usesTokenHead = false })
        let none = try MixtureTests.run(batch: 20, model: SmallServedModel(hasTexts: false))
        #expect(Self.weight(off) == 0 && Self.weight(none) == 0)
        #expect(try MixtureTests.outcome(off) == MixtureTests.outcome(none))
        #expect(try off.list("user-1").missing.isEmpty)
        #expect(try none.list("user-1").missing.map(\.description) == ["token-head: absent"])
        let on = try MixtureTests.run(batch: 20, model: SmallServedModel())
        #expect(try on.list("user-1").missing.isEmpty)
        #expect(try MixtureTests.outcome(on) != MixtureTests.outcome(off))
        // The first stage knows nothing of it.
        for feature in Feature.allCases where feature != .tokenHead {
            let (left, right) = (on.coordinator.engine.combiner, off.coordinator.engine.combiner)
            #expect(left?.weight(of: feature) == right?.weight(of: feature), "\(feature)")
        }
    }

    @Test("with no time for it a list goes without, and with no time for the model without both")
    func ladder() throws {
        let stage = try LadderStage {
            $0.hasModel = true
            $0.engine.mixture?.usesTokenHead = true
        }
        SmallServedModel().install(in: stage.coordinator.engine)
        while stage.coordinator.engine.encodeItems(atMost: 1_000) {}
        #expect(try stage.ask().missing.isEmpty)
        let now = stage.watch.now
        stage.coordinator.costs.record(.writtenMixture, isRuled: false, cost: 400, at: now)
        let without = try stage.ask()
        #expect(without.list?.rung.hasPrefix("mix") == true && without.list?.model == "small")
        #expect(without.missing == ["token-head: deadline"])
        stage.coordinator.costs.record(.fullMixture, isRuled: false, cost: 400, at: now)
        let bare = try stage.ask()
        #expect(bare.list?.rung.hasPrefix("mix") == true && bare.list?.model == nil)
        #expect(bare.missing == ["token-head: deadline", "model: deadline"])
    }

    @Test("an explanation tells what it does to a place, beside what the first stage adds up")
    func explained() throws {
        let daemon = try MixtureTests.run(batch: 20, model: SmallServedModel())
        let user = try #require(UserID("user-1"))
        let list = try daemon.list("user-1", count: 5)
        for item in list.items {
            var answer: Result<Explanation, PortError>?
            let request = ExplainRequest(
                item: item.id, list: RecommendRequest(user: user, count: 5))
            daemon.tell { $0.explain(request) { answer = $0 } }
            let mixture = try #require(try answer?.get().mixture)
            let written = try #require(mixture.features.first { $0.name == "tokenHead" })
            #expect(written.value < 0 && written.weight == Double(Self.weight(daemon)))
            let sum = mixture.features.reduce(-written.contribution) { $0 + $1.contribution }
            #expect(abs(sum - mixture.firstStage) < 1e-4)
        }
    }
}
