// Folding in turns: what a request that comes in the middle of a long catch-up waits for.

import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Teachers
import Testing

/// Three partitions, and a lane whose turns the test gives.
private final class TurnStage: CoordinatorStage {
    static let partitions: PartitionIndex = 3
    static let batchCount = 10
    /// Turns that stand in the lane's queue.
    var askedTurns = 0
    /// Partitions in the order of their commits.
    var commits: [PartitionIndex] = []

    init() {
        var configuration = PipelineConfiguration(
            engine: EngineConfiguration(
                history: HistoryRules(types: Shop.types, historyMax: 30),
                halfLivesSeconds: [50_000]),
            feedEpoch: 1,
            partition: { user, count in PartitionIndex(user.key % UInt64(count)) },
            decodeItem: { id, _ in ItemRecord(id: id, title: id.text) })
        configuration.commitEventsMax = Self.batchCount
        super.init(configuration, items: 20)
        begin()
    }

    override func begin() {
        tell { $0.storeHealthChanged(StoreHealth(incarnation: "a")) }
        tell { $0.sourceReady(interactionPartitions: Self.partitions, itemPartitions: 1) }
        tell { $0.partitionsAssigned(Array(0..<Self.partitions)) }
    }

    override func perform(_ action: Action) {
        switch action {
        case .fold: askedTurns += 1
        case .commit(let commit):
            commits.append(commit.partition)
            super.perform(action)
        default: super.perform(action)
        }
    }

    func turn() {
        askedTurns -= 1
        tell { $0.foldTurn() }
    }

    /// One batch of a partition, from the offset that follows.
    func receive(_ partition: PartitionIndex, batch: Int) throws {
        let users = (0..<1_000).compactMap { UserID("user-\($0)") }
            .filter { $0.key % UInt64(Self.partitions) == UInt64(partition) }
        let first = batch * Self.batchCount
        let entries = try (first..<first + Self.batchCount).map { place in
            RecordBatch.Entry(
                offset: Offset(place),
                entry: .interaction(
                    Interaction(
                        user: users[place], item: try #require(ItemID("item-\(place % 20)")),
                        type: 0, time: 1_700_000_000_000, eventKey: UInt64(place))))
        }
        let message = RecordBatch(
            partition: partition, firstOffset: first == 0 ? -1 : Offset(first), entries: entries,
            nextOffset: Offset(first + Self.batchCount), recordCount: Self.batchCount)
        tell { $0.received(message) }
    }
}

@Suite("Turns of folding")
struct FoldTurnTests {
    @Test("one at a time stands in the lane's queue, one commit each, and partitions alternate")
    func turns() throws {
        let stage = TurnStage()
        let batches = 4
        for batch in 0..<batches {
            for partition in 0..<TurnStage.partitions {
                try stage.receive(partition, batch: batch)
                #expect(stage.askedTurns == 1)
            }
        }
        #expect(stage.commits.isEmpty)
        while stage.askedTurns > 0 {
            let before = stage.commits.count
            stage.turn()
            #expect(stage.commits.count == before + 1)
            #expect(stage.askedTurns <= 1)
        }
        #expect(stage.commits == (0..<batches).flatMap { _ in [0, 1, 2] })
        for partition in 0..<TurnStage.partitions {
            #expect(
                stage.store.partitions[partition]?.nextOffset
                    == Offset(batches * TurnStage.batchCount))
        }
        // Nothing is left to fold, and what comes later is asked for anew.
        try stage.receive(1, batch: batches)
        #expect(stage.askedTurns == 1)
        stage.turn()
        #expect(stage.askedTurns == 0)
        #expect(stage.commits.last == 1)
    }
}
