import Evaluation
import TestKit
import Testing

@Suite("the test whether a candidate is not worse")
struct NotWorseTests {
    /// Differences around `mean`, as heavy-tailed as log-likelihoods are.
    private func difference(_ mean: Double, _ random: inout TestKit.SeededRandom) -> Double {
        let large = random.chance(0.05)
        return mean + Double.random(in: -1...1, using: &random) * (large ? 1.5 : 0.5)
    }

    private func outcome(_ mean: Double, events: Int, seed: UInt64) -> NotWorseTest {
        var random = TestKit.SeededRandom(seed: seed)
        var test = NotWorseTest()
        for _ in 0..<events { test.add(difference(mean, &random)) }
        return test
    }

    @Test("A better candidate passes, the sooner the better it is")
    func better() throws {
        let little = try #require(outcome(0.05, events: 5_000, seed: 1).passedAt)
        let much = try #require(outcome(0.4, events: 5_000, seed: 1).passedAt)
        #expect(much < little && much < 100)
    }

    @Test(
        "One that is worse by the margin passes no more often than the error, though looked at all the time"
    )
    func worse() {
        let passed = (0..<400).count { outcome(-0.01, events: 1_500, seed: UInt64($0)).hasPassed }
        #expect(passed <= 30)
        #expect((0..<100).allSatisfy { !outcome(-0.3, events: 1_500, seed: $0).hasPassed })
    }

    @Test("The same model is not worse, given enough events; few say nothing")
    func equal() {
        var test = NotWorseTest()
        test.add(0)
        #expect(!test.hasPassed)
        for _ in 0..<20_000 { test.add(0) }
        #expect(test.hasPassed)
    }

    @Test("No event decides alone, and what is not finite counts as the worst")
    func cut() {
        var test = NotWorseTest()
        test.add(1e300)
        #expect(!test.hasPassed)
        for _ in 0..<50 { test.add(.nan) }
        #expect(!test.hasPassed && test.logCapital <= 0.2)
        var infinite = NotWorseTest()
        for _ in 0..<50 { infinite.add(.infinity) }
        #expect(!infinite.hasPassed)
    }

    @Test("Passing stays passed, and says when")
    func stays() throws {
        var test = NotWorseTest()
        for _ in 0..<200 { test.add(1) }
        let at = try #require(test.passedAt)
        for _ in 0..<200 { test.add(-1) }
        #expect(test.passedAt == at && test.count == 400)
    }
}
