// Times a model folder's prefill and single steps on one thread, for Tests/Benchmarks/decoder.py, which times the same
// weights in PyTorch: DecoderBenchmark FOLDER TOKENS ROUNDS. Prints a JSON object, times in milliseconds.

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
        let decoder = try LanguageModel(folder: arguments[1]).decoder
        let tokens = (0..<count).map { Int32(($0 * 37 + 11) % decoder.shape.vocabularyCount) }
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
                } / Double(count))
            best = try Sampling.greedy.token(logits.span, step: 0)
        }
        print(
            "{\"prefill\": \(median(prefills)), \"step\": \(median(steps)), \"best\": \(best)}")
    }

    private static func milliseconds(_ body: () throws -> Void) rethrows -> Double {
        try ContinuousClock().measure(body) / .milliseconds(1)
    }

    private static func median(_ numbers: [Double]) -> Double {
        numbers.sorted()[numbers.count / 2]
    }
}
