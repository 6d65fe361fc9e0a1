import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Teachers
import TestKit
import Testing

@Suite("The pipeline under faults")
struct SimulationTests {
    static let fixedSeeds: [UInt64] =
        [289, 1208, 1211, 2193, 3608, 5000, 5242, 5412, 6373, 8689, 20_581, 20_588] + Array(1...116)

    @Test("ends in the state of a plain fold, whatever happens on the way", arguments: fixedSeeds)
    func convergence(seed: UInt64) {
        checkConvergence(seed: seed)
    }

    @Test("ends in the state of a plain fold under a fresh seed")
    func freshSeed() {
        checkConvergence(seed: UInt64.random(in: 1_000...(.max)))
    }

    private func checkConvergence(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let partitions = 1 + random.below(4)
        let logs = Shop.logs(partitions: partitions, events: 300 + random.below(900), &random)
        let configuration = Shop.configuration(random: &random)
        let world = World(
            seed: seed, logs: logs, instances: 1 + random.below(3), configuration: configuration)
        let problem = world.run(stormySteps: 3_000)
        #expect(problem == nil, "seed \(seed): \(world.summary)")
        let reference = ReferenceFold(logs: logs, configuration: configuration.engine)
        for (index, log) in logs.enumerated() {
            let members = Set(log.map(\.entry.user))
            let stored = world.store.partitions[PartitionIndex(index)]?.users ?? [:]
            #expect(
                stored == reference.blobs(of: members) as [UserID: [UInt8]],
                "seed \(seed), partition \(index)")
        }
        let expected = reference.statistics
        for statistics in world.statistics {
            #expect(statistics.digest == expected.digest, "seed \(seed)")
            // A forgotten user may have moved the clock of events, by which old popularity expires.
            if statistics.popularity.newest == expected.popularity.newest {
                #expect(statistics.popularityDigest == expected.popularityDigest, "seed \(seed)")
            }
        }
    }
}

/// A small busy shop for the simulator.
enum Shop {
    static let types = EventTypes([
        EventType(name: "view", weight: 1, seen: .never),
        EventType(name: "buy", weight: 5, seen: .always),
        EventType(name: "dislike", weight: -2, seen: .always),
    ])

    static func configuration(random: inout SeededRandom) -> PipelineConfiguration {
        let history = HistoryRules(types: types, historyMax: 3 + random.below(20))
        var configuration = PipelineConfiguration(
            engine: EngineConfiguration(history: history, halfLivesSeconds: [50_000]),
            feedEpoch: 1,
            partition: { user, count in PartitionIndex(user.key % UInt64(count)) },
            decodeItem: { _, _ in nil })
        configuration.usersCachedMax = 1 + random.below(30)
        configuration.commitEventsMax = 1 + random.below(100)
        configuration.commitsInFlightMax = 1 + random.below(4)
        configuration.checkpointIntervalMilliseconds = 500
        configuration.peerIntervalMilliseconds = 100
        configuration.fencedRetryMilliseconds = 1_000
        return configuration
    }

    static func logs(
        partitions: Int, events: Int, _ random: inout SeededRandom
    ) -> [[RecordBatch.Entry]] {
        var logs: [[RecordBatch.Entry]] = Array(repeating: [], count: partitions)
        var time: Milliseconds = 1_700_000_000_000
        for _ in 0..<events {
            time += Milliseconds(random.below(3_600_000))
            guard let user = UserID("user-\(random.below(40))"),
                let item = ItemID("item-\(random.below(25))")
            else { continue }
            let partition = Int(user.key % UInt64(partitions))
            let entry: LogEntry
            if random.chance(0.01) {
                entry = .forget(user)
            } else {
                let late = random.chance(0.1) ? Milliseconds(random.below(90_000_000)) : 0
                entry = .interaction(
                    Interaction(
                        user: user, item: item, type: EventType.Index(random.below(3)),
                        time: time - late, eventKey: UInt64(random.below(400))))
            }
            let offset = Offset(logs[partition].count)
            logs[partition].append(RecordBatch.Entry(offset: offset, entry: entry))
        }
        return logs
    }
}
