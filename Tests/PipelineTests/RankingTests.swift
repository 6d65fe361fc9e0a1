// MODE trsr in the coordinator: what the ranker is asked, what becomes of its answers, and of none.

import Interactions
import Pipeline
import Ports
import Summaries
import TestKit
import Testing

/// Its answers are the test's.
struct SilentRanker: CandidateRanker {
    let version = "r1"
    func rank(
        _ requests: [RankingRequest],
        reply: @escaping @Sendable (Result<[Double], RankingFailure>) -> Void
    ) {}
    func stop() {}
}

@Suite("lists ranked by a language model")
struct RankingTests {
    private static func stage(candidates: Int = 5) throws -> Stage {
        var ranking = RankingConfiguration(SilentRanker())
        ranking.candidatesMax = candidates
        ranking.recentCount = 3
        ranking.timeoutMilliseconds = 400
        let stage = try Stage(teachers: [], ranking: ranking)
        stage.fold()
        return stage
    }

    /// Asks, and keeps what comes back.
    private final class Asked {
        var result: Result<Recommendation, PortError>?
        var list: Recommendation? { try? result?.get() }
        var items: [String] { list?.items.map(\.id.text) ?? [] }

        init(_ stage: Stage, _ request: RecommendRequest) {
            stage.tell { $0.recommend(request) { [self] in result = $0 } }
        }
    }

    private static func request(
        _ mode: ServingMode, count: Int = 4, candidates: [String] = [], deadline: Int? = nil
    ) throws -> RecommendRequest {
        RecommendRequest(
            user: try #require(UserID("user-1")), count: count, mode: mode,
            candidates: candidates.compactMap(ItemID.init), deadlineMilliseconds: deadline)
    }

    @Test("the best of the list are put in the ranker's order; the rest follows as it stood")
    func ranks() throws {
        let stage = try Self.stage()
        let plain = Asked(stage, try Self.request(.auto, count: 8))
        let asked = Asked(stage, try Self.request(.trsr, count: 8))
        #expect(asked.result == nil)
        let job = try #require(stage.rankings.first)
        #expect(job.requests.count == 5)
        #expect(job.requests.allSatisfy { $0.recent.count == 3 })
        #expect(job.requests.map(\.candidate.title) == plain.items.prefix(5).map { $0 })
        stage.tell { $0.ranked(job.id, .success([0.1, 0.9, 0.4, 0.9, 0.2])) }
        let order = [1, 3, 2, 4, 0].map { plain.items[$0] }
        #expect(asked.items == order + plain.items.dropFirst(5))
        #expect(asked.list?.rung == "trsr" && asked.list?.model == "r1")
        #expect(asked.list?.items.first?.source == "trsr")
        // Late, doubled, never asked.
        stage.tell { $0.ranked(job.id, .success([0.1])) }
        stage.tell { $0.ranked(99, .success([0.1])) }
        #expect(asked.items == order + plain.items.dropFirst(5))
    }

    @Test("named candidates are asked about whole, whatever the count")
    func candidates() throws {
        let stage = try Self.stage(candidates: 2)
        let names = Asked(stage, try Self.request(.auto, count: 20)).items
        let asked = Asked(stage, try Self.request(.trsr, count: 1, candidates: names.suffix(7)))
        let job = try #require(stage.rankings.first)
        #expect(Set(job.requests.map(\.candidate.title)) == Set(names.suffix(7)))
        let scores = job.requests.map { $0.candidate.title == names.last ? 1.0 : 0.0 }
        stage.tell { $0.ranked(job.id, .success(scores)) }
        #expect(asked.items == [names.last])
    }

    @Test("a ranker that fails or is late leaves the list as it stood, under its own rung")
    func fallsBack() throws {
        let stage = try Self.stage()
        let plain = Asked(stage, try Self.request(.auto))
        let failed = Asked(stage, try Self.request(.trsr))
        stage.tell { $0.ranked(stage.rankings[0].id, .failure(.busy)) }
        #expect(failed.items == plain.items && failed.list?.rung == plain.list?.rung)
        let late = Asked(stage, try Self.request(.trsr))
        let hurried = Asked(stage, try Self.request(.trsr, deadline: 200))
        stage.pass(140)
        #expect(late.result == nil && hurried.result == nil)
        stage.pass(20)
        #expect(hurried.items == plain.items && late.result == nil)
        stage.pass(300)
        #expect(late.items == plain.items && late.list?.rung == plain.list?.rung)
    }

    @Test("without a ranker the mode is refused with the way out; without a state there is a list")
    func refused() throws {
        let stage = try Stage(teachers: [])
        stage.fold()
        let asked = Asked(stage, try Self.request(.trsr))
        guard case .failure(let error) = asked.result else {
            Issue.record("refused")
            return
        }
        #expect(error.code == .refused && error.reason.contains("ranking.folder"))
    }
}
