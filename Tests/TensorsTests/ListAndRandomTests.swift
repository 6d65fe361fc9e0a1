import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("top-k and random numbers")
struct ListAndRandomTests {
    static func top(_ scores: [Float], _ count: Int) -> [Int] {
        var indices = [Int32](repeating: -1, count: count)
        var span = indices.mutableSpan
        let written = topK(scores.span, into: &span)
        return indices.prefix(written).map(Int.init)
    }

    @Test("the k largest equal a sort's, with ties and NaN", arguments: [0, 1, 2, 15, 16, 17, 300])
    func largest(count: Int) {
        var random = SeededRandom(seed: 5)
        for kind in 0..<4 {
            let scores: [Float] = (0..<count).map { _ in
                switch kind {
                case 0: Float.random(in: -1..<1, using: &random)
                case 1: Float(random.below(4))
                case 2: random.chance(0.5) ? .nan : Float(random.below(3))
                default: [.nan, .infinity, -.infinity, 0, -0.0][random.below(5)]
                }
            }
            for k in [0, 1, 3, 20, count, count + 5] {
                #expect(Self.top(scores, k) == Reference.topK(scores.doubles, k))
            }
        }
    }

    @Test("shuffled scores give the shuffled list where no two are equal")
    func shuffled() {
        var random = SeededRandom(seed: 6)
        let scores = (0..<200).map { Float($0 * 7919 % 211) }
        let order = (0..<200).shuffled(using: &random)
        let list = Self.top(order.map { scores[$0] }, 30).map { order[$0] }
        #expect(list == Self.top(scores, 30))
    }

    @Test("a seed and a place give one number; streams and seeds differ")
    func places() {
        let one = CounterRandom(seed: 1, stream: 2)
        #expect(one.bits(7) == CounterRandom(seed: 1, stream: 2).bits(7))
        #expect(one.bits(7) != one.bits(8))
        #expect(one.bits(7) != CounterRandom(seed: 1, stream: 3).bits(7))
        #expect(one.bits(7) != CounterRandom(seed: 2, stream: 2).bits(7))
    }

    @Test("uniform and normal numbers have the moments they should")
    func moments() {
        let count = 20_000
        var (uniform, normal) = (
            [Float](repeating: 0, count: count), [Float](repeating: 0, count: count)
        )
        var uniformSpan = uniform.mutableSpan
        fillUniform(&uniformSpan, limit: 2, random: CounterRandom(seed: 3))
        var normalSpan = normal.mutableSpan
        fillNormal(&normalSpan, deviation: 0.5, random: CounterRandom(seed: 4))
        func moments(_ x: [Float]) -> (mean: Double, variance: Double) {
            let mean = x.reduce(0.0) { $0 + Double($1) } / Double(count)
            return (mean, squaredNorm(x.span) / Double(count) - mean * mean)
        }
        #expect(uniform.allSatisfy { $0 >= -2 && $0 < 2 })
        #expect(
            abs(moments(uniform).mean) < 0.04 && abs(moments(uniform).variance - 4 / 3.0) < 0.04)
        #expect(abs(moments(normal).mean) < 0.02 && abs(moments(normal).variance - 0.25) < 0.01)
    }

    @Test("what is dropped forward is dropped backward; rate 0 changes nothing")
    func dropping() {
        let before = floats(1001, seed: 1).map { $0 == 0 ? 1 : $0 }
        let random = CounterRandom(seed: 9, stream: 1)
        var x = before
        var span = x.mutableSpan
        dropout(&span, rate: 0.25, random: random)
        var dx = [Float](repeating: 0, count: before.count)
        var dxSpan = dx.mutableSpan
        dropoutBackward(before.span, dx: &dxSpan, rate: 0.25, random: random)
        #expect(dx == x)
        let dropped = x.count { $0 == 0 }
        #expect((200..<300).contains(dropped))
        #expect(zip(x, before).allSatisfy { $0 == 0 || abs($0 - $1 / 0.75) < 1e-6 })
        var same = before
        var sameSpan = same.mutableSpan
        dropout(&sameSpan, rate: 0, random: random)
        #expect(same == before)
    }
}
