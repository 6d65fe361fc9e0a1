import Interactions
import TestKit
import Testing

@testable import Combiner

@Suite("what a ranker's odds are worth")
struct RankerStageTests {
    private typealias List = (scores: [Double], odds: [Double], target: Int)

    /// Lists whose scores tell something of what comes, and odds that tell `worth` more and are noise for the rest.
    private static func lists(_ count: Int, worth: Double, seed: UInt64, size: Int = 20) -> [List] {
        var random = SeededRandom(seed: seed)
        func noise() -> Double { Double.random(in: -1..<1, using: &random) }
        return (0..<count).map { _ in
            let scores = (0..<size).map { _ in 2 * noise() }
            let hidden = (0..<size).map { _ in 2 * noise() }
            let utilities = scores.indices.map { index in
                let gumbel = -naturalLog(-naturalLog(Double.random(in: 1e-9..<1, using: &random)))
                return scores[index] + hidden[index] + gumbel
            }
            let target = utilities.indices.max { utilities[$0] < utilities[$1] } ?? 0
            return (scores, hidden.map { worth * $0 + (1 - worth) * 2 * noise() }, target)
        }
    }

    private static func taught(_ lists: [List], version: UInt64 = 7) -> RankerStage {
        var stage = RankerStage()
        for list in lists {
            stage.learn(
                scores: list.scores, odds: list.odds, target: list.target, version: version)
        }
        return stage
    }

    private static func gain(_ lists: [List], _ scores: (List) -> [Double]) -> Double {
        var meter = Meter()
        for list in lists {
            let all = scores(list)
            meter.add(Double(all.count { $0 > all[list.target] }))
        }
        return meter.gainSum / Double(lists.count)
    }

    @Test("nothing learnt, the list stands as it stood")
    func nothing() {
        let stage = RankerStage()
        #expect(!stage.serves(0))
        for list in Self.lists(5, worth: 1, seed: 1) {
            let found = stage.scores(list.scores, odds: list.odds)
            #expect(order(found) == order(list.scores))
        }
        #expect(stage.scores([], odds: []).isEmpty)
    }

    @Test("odds that tell something get their weight, and lists gain by it", arguments: 1...2)
    func telling(seed: UInt64) {
        let stage = Self.taught(Self.lists(300, worth: 1, seed: seed))
        #expect(stage.serves(7) && !stage.serves(8))
        #expect(abs(stage.scoreWeight - 1) < 0.3)
        // The hidden part has a deviation of 2/sqrt(3), and a unit of it is worth 1.
        #expect(abs(stage.oddsWeight - 1.155) < 0.35)
        let test = Self.lists(300, worth: 1, seed: seed + 100)
        let with = Self.gain(test) { stage.scores($0.scores, odds: $0.odds) }
        #expect(with > Self.gain(test) { $0.scores } + 0.05)
        #expect(with > Self.gain(test) { $0.odds } + 0.05)
    }

    @Test(
        "odds that tell nothing get next to no weight, and lists lose nothing by them",
        arguments: 1...3)
    func random(seed: UInt64) {
        let stage = Self.taught(Self.lists(500, worth: 0, seed: seed))
        #expect(abs(stage.oddsWeight) < 0.15 && abs(stage.scoreWeight - 1) < 0.3)
        let test = Self.lists(400, worth: 0, seed: seed + 100)
        let without = Self.gain(test) { $0.scores }
        // Even where chance lets it serve.
        #expect(Self.gain(test) { stage.scores($0.scores, odds: $0.odds) } > without - 0.02)
        #expect(Self.gain(test) { $0.odds } < without - 0.1)
    }

    @Test("odds that tell the contrary are turned round; equal ones have no weight")
    func contrary() {
        let against = Self.lists(200, worth: 1, seed: 3).map {
            (scores: $0.scores, odds: $0.odds.map { -$0 }, target: $0.target)
        }
        #expect(Self.taught(against).oddsWeight < -0.5)
        let equal = Self.lists(60, worth: 1, seed: 3).map {
            (scores: $0.scores, odds: $0.odds.map { _ in 3.0 }, target: $0.target)
        }
        let stage = Self.taught(equal)
        #expect(stage.oddsWeight == 0 && !stage.serves(7))
    }

    @Test("what unit odds are told in, and from where they are counted, changes nothing")
    func units() {
        let lists = Self.lists(100, worth: 0.7, seed: 9)
        let plain = Self.taught(lists)
        let other = Self.taught(
            lists.map { ($0.scores.map { $0 + 5 }, $0.odds.map { 30 * $0 - 4 }, $0.target) })
        for list in lists.prefix(10) {
            let left = plain.scores(list.scores, odds: list.odds)
            let right = other.scores(list.scores, odds: list.odds.map { 30 * $0 })
            for (a, b) in zip(left, right) { #expect(abs(a - b) < 1e-3) }
        }
    }

    @Test("another ranker is learnt anew, and the oldest lists make room")
    func bounds() {
        var stage = Self.taught(Self.lists(RankerStage.listsMax + 60, worth: 1, seed: 5))
        let bytes = stage.encoded().count
        for list in Self.lists(60, worth: 1, seed: 6) {
            stage.learn(scores: list.scores, odds: list.odds, target: list.target, version: 7)
        }
        #expect(stage.encoded().count < bytes + 500)
        let long = [Double](repeating: 0, count: RankerStage.itemsMax + 1)
        stage.learn(scores: long, odds: long, target: 0, version: 7)
        #expect(stage.plain.listCount == UInt64(RankerStage.listsMax + 120))
        stage.learn(scores: [1, 2], odds: [3, 4], target: 0, version: 8)
        #expect(stage.version == 8 && stage.oddsWeight == 0 && stage.plain.listCount == 1)
    }

    @Test("a stored stage goes on as if nothing had been, and no damaged byte traps")
    func coding() throws {
        var stage = Self.taught(Self.lists(90, worth: 0.5, seed: 2))
        let bytes = stage.encoded()
        var restored = try RankerStage(decoding: bytes)
        #expect(restored.encoded() == bytes)
        for list in Self.lists(40, worth: 0.5, seed: 4) {
            let left = stage.learn(
                scores: list.scores, odds: list.odds, target: list.target, version: 7)
            let right = restored.learn(
                scores: list.scores, odds: list.odds, target: list.target, version: 7)
            #expect(left == right)
        }
        #expect(restored.encoded() == stage.encoded())
        for place in stride(from: 0, to: bytes.count, by: 37) {
            #expect(throws: MalformedBytes.self) {
                try RankerStage(decoding: Array(bytes[..<place]))
            }
            var damaged = bytes
            damaged[place] ^= 0xFF
            _ = try? RankerStage(decoding: damaged)
        }
    }

    private func order(_ scores: [Double]) -> [Int] {
        scores.indices.sorted { scores[$0] > scores[$1] }
    }
}
