// One coordinator over a shop that has learnt a combination, with a stopwatch that the test turns and a store that
// answers when the test lets it.

import Combiner
import Interactions
import Ports
import Recommender
import Simulation
import Synchronization
import Teachers
import TestKit
import Testing

@testable import Pipeline

/// Milliseconds, as far as the test has turned them; a look may take time itself.
final class TestStopwatch: Sendable {
    private let time = Mutex(1_000.0)
    private let step = Mutex(0.0)

    var now: Double { time.withLock { $0 } }
    /// What passes with each look.
    func setStep(_ milliseconds: Double) { step.withLock { $0 = milliseconds } }
    func pass(_ milliseconds: Double) { time.withLock { $0 += milliseconds } }

    func look() -> Double {
        let step = step.withLock { $0 }
        return time.withLock {
            $0 += step
            return $0
        }
    }
}

final class LadderStage: CoordinatorStage {
    let watch = TestStopwatch()
    /// Loads and slices wait for the test.
    var holdsLoads = false
    var holdsFeedTurns = false
    private var held: [Action] = []
    private var isLettingGo = false
    var feedTurns = 0
    var produced: [FeedEntry] = []
    var records: [UserID] = []
    var observed: [Observation] = []

    init(
        events: Int = 200, items: Int = 25,
        _ change: (inout PipelineConfiguration) -> Void = { _ in }
    ) throws {
        var engine = EngineConfiguration(
            history: HistoryRules(types: Shop.types, historyMax: 30),
            halfLivesSeconds: MixtureConfiguration.halfLives(beside: [50_000]))
        var mixture = MixtureConfiguration.quick()
        mixture.proposalsMax = 8
        engine.mixture = mixture
        var configuration = PipelineConfiguration(
            engine: engine, feedEpoch: 7, partition: { _, _ in 0 },
            decodeItem: { id, _ in
                ItemRecord(id: id, title: id.text, brand: "b\(id.key % 3)", categories: ["c"])
            })
        configuration.deadlineMilliseconds = 100
        configuration.stopwatch = { [watch] in watch.look() }
        change(&configuration)
        super.init(configuration, items: items)
        begin()
        var random = SeededRandom(seed: 3)
        for entry in Shop.logs(partitions: 1, events: events, &random)[0] { receive([entry.entry]) }
        observed = []
    }

    static func view(_ user: String, _ item: Int, at time: Milliseconds) throws -> LogEntry {
        .interaction(
            Interaction(
                user: try #require(UserID(user)), item: try #require(ItemID("item-\(item % 25)")),
                type: 1, time: time))
    }

    func turn(_ milliseconds: Double) {
        watch.pass(milliseconds)
        tell {
            $0.now += Milliseconds(milliseconds)
            $0.wall += Milliseconds(milliseconds)
            $0.pulse()
        }
    }

    /// Does what was held.
    func letGo() {
        let actions = held
        held = []
        isLettingGo = true
        for action in actions { perform(action) }
        isLettingGo = false
        tell { _ in }
    }

    override func perform(_ action: Action) {
        switch action {
        case .load where holdsLoads && !isLettingGo: held.append(action)
        case .fitMixture(let fit, let ticket): coordinator.mixtureFitted(ticket, fit.run())
        case .makeFeedsAgain:
            guard !holdsFeedTurns || isLettingGo else { return held.append(action) }
            feedTurns += 1
            coordinator.feedTurn()
        case .produceFeed(let entry): produced.append(entry)
        case .loadExternalRecord(let user, _): records.append(user)
        case .observe(let observation): observed.append(observation)
        default: super.perform(action)
        }
    }

    // MARK: - Questions

    /// What comes back, when it does.
    final class Answer {
        var result: Result<Recommendation, PortError>?
        var count = 0
        var list: Recommendation? { try? result?.get() }
        var missing: [String] { list?.missing.map(\.description) ?? [] }
        var error: PortError? {
            if case .failure(let error) = result { error } else { nil }
        }
    }

    /// Asks for a list that has waited so long.
    func ask(
        _ user: String = "user-1", waited: Double = 0,
        _ change: (inout RecommendRequest) -> Void = { _ in }
    ) throws -> Answer {
        var request = RecommendRequest(user: try #require(UserID(user)), count: 5)
        request.arrivedSeconds = (watch.now - waited) / 1_000
        change(&request)
        let answer = Answer()
        tell {
            $0.recommend(request) {
                answer.result = $0
                answer.count += 1
            }
        }
        return answer
    }

    func number(_ name: String) -> Int { info[name].flatMap { Int($0) } ?? -1 }
}
