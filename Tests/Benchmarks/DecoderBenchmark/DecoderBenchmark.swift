// Times a model folder on one thread, for Tests/Benchmarks/decoder.py, which times the same weights in PyTorch:
// DecoderBenchmark FOLDER TOKENS ROUNDS. Prints a JSON object, times in milliseconds.

import LanguageModel
import Tensors
import Transformer

@main
struct DecoderBenchmark {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let count = Int(arguments[2]), let rounds = Int(arguments[3]),
            count > 0, rounds > 0
        else {
            print("usage: \(arguments[0]) FOLDER TOKENS ROUNDS")
            return
        }
        setLinearAlgebraThreads(1)
        var decoder = try LanguageModel(folder: arguments[1]).decoder
        let tokens = (0..<count).map { Int32(($0 * 37 + 11) % decoder.shape.vocabularyCount) }
        let (prefill, step, best) = try serving(decoder, tokens, rounds: rounds)
        let training = try training(&decoder, tokens, rounds: rounds)
        print(
            "{\"prefill\": \(prefill), \"step\": \(step), \"best\": \(best),",
            "\"training\": \(training.spent), \"loss\": \(training.loss)}")
    }

    /// A prompt, then its tokens again one by one.
    private static func serving(
        _ decoder: Decoder, _ tokens: [Int32], rounds: Int
    ) throws -> (prefill: Double, step: Double, best: Int32) {
        var (prefills, steps): ([Double], [Double]) = ([], [])
        var scratch = DecoderScratch()
        var best: Int32 = 0
        for _ in 0..<rounds {
            var state = DecoderState(decoder.shape)
            var logits: [Float] = []
            prefills.append(
                try milliseconds {
                    logits = try decoder.forward(
                        DecoderInput(tokens), state: &state, scratch: &scratch)
                })
            steps.append(
                try milliseconds {
                    for token in tokens {
                        logits = try decoder.forward(
                            DecoderInput([token]), state: &state, scratch: &scratch)
                    }
                } / Double(tokens.count))
            best = try Sampling.greedy.token(logits.span, step: 0)
        }
        return (median(prefills), median(steps), best)
    }

    /// Steps of an adapter of rank 8 on queries, keys, values and outputs of all layers: eight sequences of the
    /// tokens, every token but the first a target. A starts as small numbers by place, B as zeros.
    private static func training(
        _ decoder: inout Decoder, _ tokens: [Int32], rounds: Int
    ) throws -> (spent: Double, loss: Double) {
        let shape = decoder.shape
        let layout = LowRankLayout(
            rank: 8, scale: 2, layers: 0..<shape.layerCount, layerCount: shape.layerCount,
            shape: shape.block)
        var parameters = [Float](repeating: 0, count: layout.layout.count)
        for entry in layout.layout.entries where entry.name.hasSuffix("lora_A.weight") {
            for (index, place) in entry.range.enumerated() {
                parameters[place] = Float(index % 13 - 6) / 100
            }
        }
        var m = [Float](repeating: 0, count: parameters.count)
        var v = m
        var steps = AdamWSteps(AdamWSettings())
        var trace = DecoderTrace()
        let inputs = Array(repeating: DecoderInput(tokens), count: 8)
        let rows = (0..<8 * tokens.count).filter { $0 % tokens.count != tokens.count - 1 }
        let classes = rows.map { tokens[$0 % tokens.count + 1] }
        let weights = [Float](repeating: 1 / Float(rows.count), count: rows.count)
        var logSums = [Float](repeating: 0, count: rows.count)
        var times: [Double] = []
        var loss = 0.0
        for _ in 0..<max(rounds / 4, 1) {
            times.append(
                try milliseconds {
                    decoder.adapter = DecoderAdapter(layout, parameters: parameters)
                    let logits = try decoder.trainingForward(inputs, rows: rows, trace: &trace)
                    var sums = logSums.mutableSpan
                    loss = crossEntropy(
                        logits.span, classes: classes.span, weights: weights.span,
                        logSums: &sums, rows: rows.count, width: shape.vocabularyCount)
                    var dLogits = [Float](repeating: 0, count: logits.count)
                    var slopes = dLogits.mutableSpan
                    crossEntropyBackward(
                        logits.span, classes: classes.span, weights: weights.span,
                        logSums: logSums.span, dLogits: &slopes, rows: rows.count,
                        width: shape.vocabularyCount)
                    var gradients = [Float](repeating: 0, count: parameters.count)
                    decoder.trainingBackward(dLogits, trace: &trace, gradients: &gradients)
                    var now = parameters.mutableSpan
                    var first = m.mutableSpan
                    var second = v.mutableSpan
                    steps.begin(learningRate: 1e-3)
                    adamW(&now, gradients: gradients.span, m: &first, v: &second, steps: steps)
                })
        }
        return (median(times), loss)
    }

    private static func milliseconds(_ body: () throws -> Void) rethrows -> Double {
        try ContinuousClock().measure(body) / .milliseconds(1)
    }

    private static func median(_ numbers: [Double]) -> Double {
        numbers.sorted()[numbers.count / 2]
    }
}
