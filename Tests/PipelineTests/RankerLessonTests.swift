// What the ranker's odds are worth, learnt beside the stream: whatever it answers or does not, all else stays as it is.

import Combiner
import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Summaries
import TestKit
import Testing

@Suite("Learning what a ranker is worth")
struct RankerLessonTests {
    private static func configure(_ configuration: inout PipelineConfiguration, share: Double) {
        var ranking = RankingConfiguration(SilentRanker())
        ranking.candidatesMax = 8
        ranking.learnShare = share
        configuration.ranking = ranking
        configuration.engine.mixture?.proposalsMax = 20
    }

    private static func title(_ entry: RecordBatch.Entry) -> String {
        if case .interaction(let event) = entry.entry { event.item.text } else { "" }
    }

    /// Events one by one; the ranker is asked `odds` of a candidate, knowing the item that comes.
    private static func run(
        _ count: Int = 380, share: Double = 1,
        odds: ((_ candidate: String, _ coming: String) -> Double?)?
    ) -> SoleDaemon {
        let log = MixtureTests.log(count)
        let daemon = SoleDaemon { configure(&$0, share: share) }
        for (place, entry) in log.enumerated() {
            daemon.ranker = { job in
                guard let odds else { return nil }
                let all = job.requests.compactMap { odds($0.candidate.title, title(entry)) }
                return all.count == job.requests.count ? .success(all) : .failure(.busy)
            }
            daemon.feed(log, upTo: place + 1, batch: 1)
        }
        #expect(daemon.store.partitions[0]?.nextOffset == Offset(log.count))
        return daemon
    }

    private static func field(_ daemon: SoleDaemon, _ name: String) -> Double {
        let fields = (daemon.info["mixture_trsr"] ?? "").split(separator: ",")
        let found = fields.first { $0.hasPrefix(name + "=") }
        return found.flatMap { Double($0.dropFirst(name.count + 1)) } ?? .nan
    }

    /// Without what is said of the ranker.
    private static func outcome(_ daemon: SoleDaemon) throws -> [String] {
        try MixtureTests.outcome(daemon).filter { !$0.hasPrefix("mixture_trsr") }
    }

    @Test("one that knows gets its weight, and MODE trsr lists are better and say so")
    func knowing() throws {
        var random = SeededRandom(seed: 4)
        let daemon = Self.run { candidate, coming in
            (candidate == coming ? 0.7 : 0.4) + Double.random(in: -0.1..<0.1, using: &random)
        }
        #expect(daemon.info["ranking_lessons"].flatMap { Int($0) } ?? 0 >= 60)
        #expect(Self.field(daemon, "serves") == 1 && Self.field(daemon, "weight") > 0.5)
        #expect(Self.field(daemon, "gain") > Self.field(daemon, "without") + 0.05)
        let auto = try daemon.list("user-1")
        daemon.ranker = { job in
            .success(job.requests.indices.map { $0 == job.requests.count - 1 ? 0.999 : 0.4 })
        }
        let ranked = try daemon.list("user-1", mode: .trsr)
        #expect(ranked.rung == "mix-trsr" && ranked.model == "r1" && ranked.missing.isEmpty)
        // What the ranker is sure of rises; what it was not asked about stays behind.
        #expect(ranked.items.first?.id == auto.items[7].id)
        #expect(ranked.items.dropFirst(8).map(\.id) == auto.items.dropFirst(8).map(\.id))
        let scores = ranked.items.map(\.score)
        #expect(scores == scores.sorted(by: >))
        #expect(ranked.items.first?.source == auto.items[7].source)
        // Candidates that a request names are ranked by the odds alone.
        let user = try #require(UserID("user-1"))
        let named = try daemon.list(
            RecommendRequest(
                user: user, count: 3, mode: .trsr, candidates: auto.items.prefix(3).map(\.id))
        ).get()
        #expect(named.rung == "trsr" && named.items.first?.id == auto.items[2].id)
    }

    @Test("one that guesses harms no list")
    func guessing() throws {
        var random = SeededRandom(seed: 5)
        let daemon = Self.run { _, _ in Double.random(in: 0.01..<0.99, using: &random) }
        #expect(abs(Self.field(daemon, "weight")) < 0.5)
        #expect(Self.field(daemon, "alone") < Self.field(daemon, "without"))
        guard Self.field(daemon, "serves") == 0 else {
            // Chance let it serve: then because lists were no worse.
            #expect(Self.field(daemon, "gain") > Self.field(daemon, "without"))
            return
        }
        let auto = try daemon.list("user-1")
        let ranked = try daemon.list("user-1", mode: .trsr)
        #expect(ranked.items == auto.items && ranked.rung == auto.rung)
        #expect(ranked.missing.map(\.description) == ["trsr: absent"])
    }

    @Test("whatever it answers or does not, nothing else is learnt or waits")
    func apart() throws {
        let plain = SoleDaemon { $0.engine.mixture?.proposalsMax = 20 }
        plain.feed(MixtureTests.log(380), upTo: 380, batch: 64)
        let expected = try Self.outcome(plain)
        let silent = Self.run(odds: nil)
        #expect(silent.rankings.count == 1)
        for daemon in [
            silent, Self.run { candidate, coming in candidate == coming ? 1 : 0 },
        ] {
            #expect(try Self.outcome(daemon) == expected)
        }
    }

    @Test(
        "an answer that does not come is given up after a minute, and one that comes later not heard"
    )
    func late() throws {
        let daemon = Self.run(odds: nil)
        let job = try #require(daemon.rankings.first)
        #expect(daemon.info["ranking_lessons_skipped"].flatMap { Int($0) } ?? 0 > 30)
        for _ in 0..<31 { daemon.tick() }
        #expect(daemon.info["ranking_lessons_late"] == "1")
        daemon.tell { $0.ranked(job.id, .success(job.requests.map { _ in 0.5 })) }
        #expect(daemon.info["ranking_lessons"] == "0")
    }

    @Test("it is asked no more often than its share of the time allows")
    func share() throws {
        let log = MixtureTests.log(500)
        let daemon = SoleDaemon { Self.configure(&$0, share: 0.1) }
        var asked: [Milliseconds] = []
        for place in log.indices {
            daemon.feed(log, upTo: place + 1, batch: 1)
            daemon.time += 20
            if let job = daemon.rankings.popLast() {
                asked.append(daemon.time)
                // It takes 60 ms, and rests for 540.
                daemon.time += 40
                daemon.tell { $0.ranked(job.id, .success(job.requests.map { _ in 0.5 })) }
            }
        }
        #expect(asked.count > 10)
        #expect(zip(asked, asked.dropFirst()).allSatisfy { $1 - $0 >= 540 })
    }

    @Test("a restart finds what was learnt, and an older checkpoint is read without it")
    func restarts() throws {
        let daemon = Self.run { candidate, coming in candidate == coming ? 0.8 : 0.3 }
        daemon.tick()
        let before = try #require(daemon.info["mixture_trsr"])
        #expect(Self.field(daemon, "serves") == 1)
        daemon.restart()
        #expect(daemon.info["mixture_trsr"] == before)
    }

    @Test("with no share of its time to learn in, the odds alone make the order")
    func unlearnt() throws {
        let daemon = Self.run(share: 0) { _, _ in 0.5 }
        #expect(daemon.info["ranking_lessons"] == "0")
        let auto = try daemon.list("user-1")
        daemon.ranker = { job in .success(job.requests.indices.map { Double($0) / 100 }) }
        let ranked = try daemon.list("user-1", mode: .trsr)
        #expect(ranked.rung == "trsr" && ranked.items.first?.id == auto.items[7].id)
    }
}
