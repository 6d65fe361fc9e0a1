import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Teachers
import TestKit
import Testing

@Test("a damaged delta leaves nothing of itself in the statistics, and those around it count")
func damagedDelta() throws {
    var random = SeededRandom(seed: 1)
    let configuration = Shop.configuration(random: &random)
    let rules = configuration.engine.history
    func edits(_ item: String) throws -> [UInt8] {
        var state = UserState()
        var writer = StatisticsEditsWriter()
        for (user, item) in [("u", item), ("u", "\(item)-next")] {
            _ = rules.append(
                Interaction(
                    user: try #require(UserID(user)), item: try #require(ItemID(item)), type: 1,
                    time: 1_700_000_000_000), to: &state, edits: &writer)
        }
        return writer.finish(nextOffset: 2, fingerprint: rules.fingerprint)
    }
    let coordinator = Coordinator(configuration)
    coordinator.sourceReady(interactionPartitions: 1, itemPartitions: 1)
    coordinator.prepared(.success(()))
    for action in coordinator.takeActions() {
        if case .loadCheckpoint(let ticket) = action {
            coordinator.checkpointLoaded(ticket, .success(nil))
        }
    }
    // The operations of the second are whole up to its last byte, which is that of none.
    let all = [try edits("a"), try edits("b") + [0xFF], try edits("c")]
    for action in coordinator.takeActions() {
        if case .readDeltas(let purpose, after: _, let ticket) = action {
            let deltas = zip(Int64(1)..., all).map {
                StatisticsDelta(partition: 0, sequence: $0, edits: $1)
            }
            coordinator.deltasRead(purpose, ticket, .success(.deltas(deltas)))
        }
    }
    var expected = Statistics(halfLivesSeconds: configuration.engine.halfLivesSeconds)
    try expected.apply(all[0])
    try expected.apply(all[2])
    #expect(coordinator.engine.statistics.digest == expected.digest)
    #expect(coordinator.appliedSequence(of: 0) == 3)
}
