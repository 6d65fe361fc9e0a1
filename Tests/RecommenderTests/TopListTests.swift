import TestKit
import Testing

@testable import Recommender

@Suite("The best of a stream")
struct TopListTests {
    @Test("are the first of all in order, ties by key, at any limit", arguments: 0..<20)
    func slowTwin(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        for limit in [1, 2, 7, 40, 300] {
            let all = (0..<200).map { number in
                Candidate(
                    number: Int32(number), key: random.next(), score: Double(random.below(20)))
            }
            var best = TopList(limit: limit)
            for (index, candidate) in all.enumerated() {
                let entering = all[..<index].filter { Candidate.precedes($0, candidate) }
                #expect(!(entering.count < limit) || best.admits(candidate.score))
                #expect((entering.count < limit) == best.admits(candidate.score, candidate.key))
                best.offer(candidate)
            }
            let expected = all.sorted(by: Candidate.precedes).prefix(limit)
            #expect(best.sorted().map(\.number) == expected.map(\.number))
        }
    }
}
