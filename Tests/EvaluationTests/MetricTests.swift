import Evaluation
import Foundation
import Testing

@Suite("Metrics")
struct MetricTests {
    private let all: [UInt8] = Array(repeating: 1, count: 5)

    @Test("a rank counts who is better and who is equal")
    func ranks() {
        let rank = Rank(of: 2, scores: [3, 1, 2, 2, 5], candidates: all)
        #expect(rank == Rank(above: 2, tied: 1))
        #expect(rank.middle == 2.5)
    }

    @Test("items that are no candidates do not count, the target always does")
    func candidates() {
        let rank = Rank(of: 2, scores: [3, 1, 2, 2, 5], candidates: [1, 1, 0, 0, 0])
        #expect(rank == Rank(above: 1, tied: 0))
    }

    @Test("a model that scores everything alike looks like chance")
    func equalScores() {
        let count = 101
        let scores = Array(repeating: 0.0, count: count)
        let marks = [UInt8](repeating: 1, count: count)
        for target in [0, 50, 100] {
            let rank = Rank(of: target, scores: scores, candidates: marks)
            #expect(rank.middle == 50)
            #expect(Metric.hitRate.value(rank, cutoff: 10) == 0)
        }
    }

    @Test("a score that is not a number never helps the target")
    func notANumber() {
        let nan = Double.nan
        #expect(Rank(of: 0, scores: [nan, 1, 2, 0, 0], candidates: all).above == 4)
        #expect(Rank(of: 1, scores: [nan, 1, 0, 0, 0], candidates: all).above == 1)
    }

    @Test("permuting the items leaves the rank alone")
    func permutation() {
        var random = SeededRandom(seed: 11)
        let scores = (0..<60).map { _ in Double(random.below(12)) }
        let marks = scores.map { _ in UInt8(random.below(4) == 0 ? 0 : 1) }
        for target in scores.indices {
            let order = scores.indices.shuffled(using: &random)
            let moved = order.firstIndex(of: target) ?? 0
            let permuted = Rank(
                of: moved, scores: order.map { scores[$0] }, candidates: order.map { marks[$0] })
            #expect(permuted == Rank(of: target, scores: scores, candidates: marks))
        }
    }

    @Test("worked values of the three metrics")
    func values() {
        let first = Rank(above: 0, tied: 0)
        let third = Rank(above: 2, tied: 0)
        let edge = Rank(above: 9, tied: 1)
        for metric in Metric.allCases {
            #expect(metric.value(first, cutoff: 10) == 1)
            #expect(metric.value(nil, cutoff: 10) == 0)
            #expect(metric.value(Rank(above: 10, tied: 0), cutoff: 10) == 0)
        }
        #expect(abs(Metric.gain.value(third, cutoff: 10) - 0.5) < 1e-15)
        #expect(abs(Metric.reciprocalRank.value(third, cutoff: 10) - 1.0 / 3) < 1e-15)
        #expect(Metric.hitRate.value(edge, cutoff: 10) == 1)
        #expect(Metric.hitRate.value(Rank(above: 9, tied: 2), cutoff: 10) == 0)
        #expect(abs(Metric.gain.value(edge, cutoff: 10) - 1 / log2(11.5)) < 1e-14)
    }

    @Test("a standard error is the ordinary one when every user has one event")
    func ordinaryError() {
        let estimate = Estimate([0, 1, 1, 0, 1], users: [0, 1, 2, 3, 4])
        #expect(abs(estimate.mean - 0.6) < 1e-15)
        // Deviation .5477 over the square root of 5.
        #expect(abs(estimate.standardError - 0.244_948_974) < 1e-8)
    }

    @Test("events of one user that move together widen the error")
    func clusteredError() {
        let values = [1.0, 1, 1, 1, 0, 0, 0, 0]
        let apart = Estimate(values, users: [0, 1, 2, 3, 4, 5, 6, 7])
        let together = Estimate(values, users: [0, 0, 0, 0, 1, 1, 1, 1])
        #expect(together.mean == apart.mean)
        #expect(together.standardError > 2 * apart.standardError)
        #expect(Estimate([], users: []).standardError == 0)
    }

    @Test("a paired difference is exact, and certain when it is constant")
    func difference() {
        let hit = Rank(above: 0, tied: 0)
        let own = (0..<4).map { Outcome(user: $0, rank: hit) }
        let other = (0..<4).map { Outcome(user: $0, rank: nil) }
        let difference = own.difference(from: other, .hitRate, cutoff: 10)
        #expect(difference.mean == 1)
        #expect(difference.standardError == 0)
    }

    @Test("a moving average is the mean of its window")
    func movingAverage() {
        var average = MovingAverage(window: 4, step: 2)
        for value in 0..<9 { average.add(Double(value), time: Int64(value)) }
        #expect(average.points.map(\.events) == [4, 6, 8])
        #expect(average.points.map(\.mean) == [1.5, 3.5, 5.5])
        #expect(average.points.map(\.time) == [3, 5, 7])
    }

    @Test(
        "the SHA-256 of the standard's examples",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func sha256(text: String, digest: String) {
        #expect(SHA256.digest(Array(text.utf8)) == digest)
    }

    @Test("the SHA-256 of a million letters, whatever the pieces they come in")
    func sha256InPieces() {
        let digest = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        for piece in [1_000, 997, 64] {
            var hash = SHA256()
            var left = 1_000_000
            while left > 0 {
                hash.update(Array(repeating: UInt8(ascii: "a"), count: min(piece, left)))
                left -= min(piece, left)
            }
            #expect(hash.finish() == digest)
        }
    }

    @Test("numbers are printed with fixed decimals")
    func numbers() {
        #expect(fixed(1.005, 2) == "1.00" || fixed(1.005, 2) == "1.01")
        #expect(fixed(-0.001, 2) == "0.00")
        #expect(fixed(12.5, 1) == "12.5")
        #expect(fixed(.nan, 1) == "–")
        #expect(share(0.0892) == ".0892")
        #expect(share(-0.0892) == "-.0892")
        #expect(share(1) == "1.0000")
        #expect(grouped(1_234_567) == "1\u{a0}234\u{a0}567")
    }

    @Test("dates go to days and back")
    func dates() {
        #expect(daysSince1970(year: 1970, month: 1, day: 1) == 0)
        #expect(daysSince1970(year: 2013, month: 2, day: 28) == 15_764)
        for days in stride(from: -800_000, through: 800_000, by: 373) {
            let date = civilDate(daysSince1970: days)
            #expect(daysSince1970(year: date.year, month: date.month, day: date.day) == days)
        }
    }
}
