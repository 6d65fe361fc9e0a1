// Times a model folder on one thread, for Tests/Benchmarks/models.py, which has peers/decoder.py time the same weights
// in PyTorch:
//
//     DecoderBenchmark serve|train FOLDER ROUNDS
//
// Prints a JSON object: times in milliseconds, medians; `before` is the resident set before the first training step.

import Foundation
import LanguageModel
import Tensors
import Transformer

@main
struct DecoderBenchmark {
    /// The sizes of peers/decoder.py.
    static let promptCount = 64
    static let candidateCount = 50
    static let candidateTokens = 8
    static let batch = 8

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let rounds = Int(arguments[3]), rounds > 0 else {
            print("usage: \(arguments[0]) serve|train FOLDER ROUNDS")
            return
        }
        setLinearAlgebraThreads(1)
        var decoder = try LanguageModel(folder: arguments[2]).decoder
        let tokens = sequence(0, count: promptCount, decoder)
        if arguments[1] == "train" {
            try train(&decoder, tokens, rounds: rounds)
        } else {
            try serve(decoder, tokens, rounds: rounds)
        }
    }

    private static func sequence(_ seed: Int, count: Int, _ decoder: Decoder) -> [Int32] {
        (0..<count).map { Int32(($0 * 37 + seed * 101 + 11) % decoder.shape.vocabularyCount) }
    }

    /// A prompt; its tokens again one by one; and candidates after it, each its own continuation, in one batch.
    private static func serve(_ decoder: Decoder, _ tokens: [Int32], rounds: Int) throws {
        var (prefills, steps, batches): ([Double], [Double], [Double]) = ([], [], [])
        var scratch = DecoderScratch()
        var best: Int32 = 0
        let candidates = (1...candidateCount).map { sequence($0, count: candidateTokens, decoder) }
        var scores: [Double] = []
        for _ in 0..<rounds {
            var state = DecoderState(decoder.shape)
            var logits: [Float] = []
            prefills.append(
                try milliseconds {
                    logits = try decoder.forward(
                        DecoderInput(tokens), state: &state, scratch: &scratch)
                })
            batches.append(
                try milliseconds {
                    scores = try likelihoods(
                        of: candidates, after: state, first: logits, decoder, &scratch)
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
        print(
            "{\"prefill\": \(median(prefills)), \"step\": \(median(steps)), \"best\": \(best),",
            "\"candidates\": \(median(batches)), \"scores\": \(scores)}")
    }

    /// Log-likelihoods of continuations, given the state and the logits at the prompt's end.
    private static func likelihoods(
        of candidates: [[Int32]], after state: DecoderState, first: [Float], _ decoder: Decoder,
        _ scratch: inout DecoderScratch
    ) throws -> [Double] {
        var states = Array(repeating: state, count: candidates.count)
        let inputs = candidates.map { DecoderInput(Array($0.dropLast())) }
        let hidden = try decoder.forward(inputs, states: &states, scratch: &scratch)
        let rows = candidateTokens - 1
        let logits = decoder.logits(hidden, rows: Array(0..<candidates.count * rows))
        let width = decoder.shape.vocabularyCount
        var logSums = [Float](repeating: 0, count: rows)
        let weights = [Float](repeating: 1, count: rows)
        let firstSum = logSumExp(first.span)
        return candidates.enumerated().map { index, candidate in
            var sums = logSums.mutableSpan
            let rest = crossEntropy(
                logits.span.extracting(index * rows * width..<(index + 1) * rows * width),
                classes: candidate.span.extracting(1...), weights: weights.span,
                logSums: &sums, rows: rows, width: width)
            return Double(first[Int(candidate[0])] - firstSum) - rest
        }
    }

    /// Steps of an adapter of rank 8 on queries, keys, values and outputs of all layers: eight sequences of the
    /// tokens, every token but the first a target. A starts as small numbers by place, B as zeros.
    private static func train(_ decoder: inout Decoder, _ tokens: [Int32], rounds: Int) throws {
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
        let inputs = Array(repeating: DecoderInput(tokens), count: batch)
        let rows = (0..<batch * tokens.count).filter { $0 % tokens.count != tokens.count - 1 }
        let classes = rows.map { tokens[$0 % tokens.count + 1] }
        let weights = [Float](repeating: 1 / Float(rows.count), count: rows.count)
        var logSums = [Float](repeating: 0, count: rows.count)
        var times: [Double] = []
        var loss = 0.0
        let before = residentBytes()
        for _ in 0..<rounds {
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
        print(
            "{\"training\": \(median(times)), \"loss\": \(loss), \"before\": \(before),",
            "\"tokens\": \(batch * tokens.count)}")
    }

    private static func residentBytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = status.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    private static func milliseconds(_ body: () throws -> Void) rethrows -> Double {
        try ContinuousClock().measure(body) / .milliseconds(1)
    }

    private static func median(_ numbers: [Double]) -> Double {
        numbers.sorted()[numbers.count / 2]
    }
}
