// The next token from logits, as transformers orders the steps: temperature, the k best, the fewest best that hold a
// share p of the probability. The draw is a function of seed and step, so a text is made again by its seed.

import Tensors

/// How the next token is chosen.
public struct Sampling: Sendable, Equatable {
    /// 0 takes the best token; equal ones go by the lower number.
    public var temperature: Float
    /// Only the so many best; 0 for all.
    public var topK: Int
    /// Only the best that together have this share; 1 for all. One token is always left.
    public var topP: Float
    public var seed: UInt64

    public init(temperature: Float, topK: Int = 0, topP: Float = 1, seed: UInt64 = 0) {
        precondition(
            temperature >= 0 && temperature.isFinite && topK >= 0 && topP > 0 && topP <= 1,
            "a temperature of at least 0, a share above 0")
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }

    public static let greedy = Sampling(temperature: 0)

    /// The token drawn at `step` from logits over the vocabulary; -infinity is a token that may not come.
    public func token(_ logits: Span<Float>, step: Int) throws(DecoderError) -> Int32 {
        var greatest = -Float.infinity
        for index in 0..<logits.count {
            guard !logits[index].isNaN else { throw .notFinite }
            greatest = max(greatest, logits[index])
        }
        guard greatest.isFinite else { throw .notFinite }
        let isGreedy = temperature == 0
        let kept = isGreedy ? 1 : topK == 0 ? logits.count : min(topK, logits.count)
        var best = (0..<Int32(kept)).map(\.self)
        if kept < logits.count || topP < 1 {  // else any order does
            var indices = best.mutableSpan
            Tensors.topK(logits, into: &indices)
        }
        if isGreedy { return best[0] }
        let scaled = best.map { logits[Int($0)] / temperature }
        var shares = [Float](repeating: 0, count: kept)
        var share = shares.mutableSpan
        softmax(scaled.span, into: &share, rows: 1, width: kept)
        var (nucleus, held) = (0, Float(0))
        while nucleus < kept, nucleus == 0 || held < topP {
            held += shares[nucleus]
            nucleus += 1
        }
        var left = CounterRandom(seed: seed).uniform(step) * held
        for place in 0..<nucleus {
            left -= shares[place]
            if left < 0 { return best[place] }
        }
        return best[nucleus - 1]
    }
}
