// What holds a refreshed adapter near the one before by the shape of its matrices (PESO, arXiv 2510.25093): for each
// module, A and B as one row of numbers, the divergence KL(softmax(before) || softmax(now)). Its gradient is
// softmax(now) - softmax(before): 0 where the refresh begins, and it leaves alone what moves all numbers alike.

import TokenTrie
import Transformer

/// The divergence of one module's numbers from those before, and its gradient. In Double: a softmax over a thousand
/// nearly equal numbers differs in the digits that floats do not have.
func softmaxDivergence(_ now: [Double], from before: [Double]) -> (loss: Double, gradient: [Double])
{
    precondition(now.count == before.count, "the same module")
    let (p, q) = (logSoftmax(before), logSoftmax(now))
    var loss = 0.0
    var gradient: [Double] = []
    gradient.reserveCapacity(now.count)
    for (old, new) in zip(p, q) {
        let share = exponential(old)
        loss += share * (old - new)
        gradient.append(exponential(new) - share)
    }
    return (loss, gradient)
}

private func logSoftmax(_ x: [Double]) -> [Double] {
    let greatest = x.max() ?? 0
    let shift = greatest + logarithm(x.reduce(0) { $0 + exponential($1 - greatest) })
    return x.map { $0 - shift }
}

/// Adds `weight` × the gradients of all modules' divergences, and returns `weight` × their sum.
@discardableResult
func addDivergence(
    of now: DecoderAdapter, from before: DecoderAdapter, weight: Double, to gradients: inout [Float]
) -> Double {
    var loss = 0.0
    for module in now.modules {
        func numbers(_ adapter: DecoderAdapter) -> [Double] {
            module.flatMap { adapter.parameters[$0] }.map(Double.init)
        }
        let found = softmaxDivergence(numbers(now), from: numbers(before))
        loss += weight * found.loss
        for (place, slope) in zip(module.joined(), found.gradient) {
            gradients[place] += Float(weight * slope)
        }
    }
    return loss
}

extension DecoderAdapter {
    /// Places of each module's A and B.
    fileprivate var modules: [[Range<Int>]] {
        layout.blocks.compactMap { $0 }.flatMap { block in
            Projection.allCases.compactMap { block[$0] }.map { [$0.a, $0.b] }
        }
    }
}
