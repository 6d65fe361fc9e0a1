// Supervised fine-tuning of a ranker (section 3.8 of the method): prompts with their answers, the loss over the answer
// and over the whole text. What is trained is the model's adapter, or everything where it has none.
//
// The same seed gives the same ranker: a batch is cut into a fixed number of shards, and sums are made in their order.

import LanguageModel
public import Tensors
public import Transformer

/// A prompt and what the user did.
public struct RankingExample: Sendable, Equatable {
    /// Up to where the answer begins.
    public var prompt: [Int32]
    public var isChosen: Bool

    public init(prompt: [Int32], isChosen: Bool) {
        self.prompt = prompt
        self.isChosen = isChosen
    }
}

/// Values are the paper's code's where it has them.
public struct RankerTraining: Sendable {
    public var seed: UInt64 = 1
    public var epochsMax = 5
    public var batchExamples = 64
    public var learningRate: Float = 1e-4
    public var warmUpSteps = 50
    public var optimiser = AdamWSettings(beta1: 0.9, beta2: 0.95, decay: 5e-4)
    /// Of the mean over the prompts' tokens beside the mean over the answers. The paper's loss is one mean over both,
    /// in which an answer weighs as much as any token.
    public var textWeight: Float = 0
    public var clip = 1.0
    public var shards = 2

    public init() {}
}

/// Owns a ranker in training.
public final class RankerTrainer {
    public let training: RankerTraining
    public private(set) var ranker: PreferenceRanker
    private let examples: [RankingExample]
    private var values: [Float]
    private var m: [Float]
    private var v: [Float]
    private var steps: AdamWSteps
    private let stepsTotal: Int
    public private(set) var epoch = 0

    public init(
        _ ranker: PreferenceRanker, examples: [RankingExample], training: RankerTraining
    ) {
        precondition(training.batchExamples > 0 && training.shards > 0, "a batch and its shards")
        self.ranker = ranker
        self.training = training
        self.examples = examples
        values = ranker.model.decoder.adapter?.parameters ?? ranker.model.decoder.parameters
        m = [Float](repeating: 0, count: values.count)
        v = m
        steps = AdamWSteps(training.optimiser)
        let batches = (examples.count + training.batchExamples - 1) / training.batchExamples
        stepsTotal = max(1, batches * training.epochsMax)
    }

    /// Means of an epoch, in nats.
    public struct Loss: Sendable, Equatable {
        public var answer = 0.0
        /// Of a token of the prompts; 0 when it is not trained.
        public var text = 0.0
    }

    /// One pass over the examples in a fresh order.
    public func runEpoch(
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) async throws(DecoderError) -> Loss {
        var order = Array(examples.indices)
        let random = CounterRandom(seed: training.seed, stream: 0xA0 + UInt64(epoch) << 8)
        for place in order.indices.dropLast() {
            let other = place + Int(random.bits(place) % UInt64(order.count - place))
            order.swapAt(place, other)
        }
        epoch += 1
        var total = Loss()
        for start in stride(from: 0, to: order.count, by: training.batchExamples) {
            let end = min(order.count, start + training.batchExamples)
            let share = Double(end - start) / Double(order.count)
            let loss = try await step(order[start..<end].map { examples[$0] })
            total.answer += loss.answer * share
            total.text += loss.text * share
            progress(end, order.count)
        }
        return total
    }

    /// One step on a batch; returns its losses.
    func step(_ batch: [RankingExample]) async throws(DecoderError) -> Loss {
        steps.begin(
            learningRate: warmUpCosine(
                step: steps.count + 1, warmUp: min(training.warmUpSteps, stepsTotal / 4),
                total: max(stepsTotal, steps.count + 1), peak: training.learningRate))
        var lesson = try await gradients(of: batch)
        var squared = 0.0
        for value in lesson.gradients { squared += Double(value) * Double(value) }
        let factor = clipFactor(norm: squared.squareRoot(), limit: training.clip)
        if factor < 1 {
            for index in lesson.gradients.indices { lesson.gradients[index] *= factor }
        }
        update(lesson.gradients)
        return lesson.loss
    }

    private func update(_ gradients: [Float]) {
        var parameters = values.mutableSpan
        var first = m.mutableSpan
        var second = v.mutableSpan
        adamW(&parameters, gradients: gradients.span, m: &first, v: &second, steps: steps)
        if ranker.model.decoder.adapter == nil {
            ranker.model.decoder = Decoder(ranker.model.decoder.shape, parameters: values)
        } else {
            ranker.model.decoder.adapter?.parameters = values
        }
    }

    // MARK: - Gradients

    struct Lesson: Sendable {
        var gradients: [Float]
        var loss = Loss()
    }

    /// Of the mean loss over the batch.
    func gradients(of batch: [RankingExample]) async throws(DecoderError) -> Lesson {
        let weights = Weights(
            answer: 1 / Float(batch.count),
            text: training.textWeight
                / Float(max(1, batch.reduce(0) { $0 + $1.prompt.count - 1 })))
        let ranker = ranker
        let parameterCount = values.count
        let shards = training.shards
        let lessons: [Result<Lesson, DecoderError>] = await withTaskGroup { group in
            for shard in 0..<shards {
                let part = Array(
                    batch[batch.count * shard / shards..<batch.count * (shard + 1) / shards])
                group.addTask {
                    let lesson = ranker.learn(
                        part, weights: weights, parameterCount: parameterCount)
                    return (shard, lesson)
                }
            }
            var results: [(Int, Result<Lesson, DecoderError>)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
        var sum = try lessons[0].get()
        for result in lessons.dropFirst() {
            let lesson = try result.get()
            for index in sum.gradients.indices { sum.gradients[index] += lesson.gradients[index] }
            sum.loss.answer += lesson.loss.answer
            sum.loss.text += lesson.loss.text
        }
        return sum
    }
}

/// What one answer and one token of a prompt weigh.
private struct Weights: Sendable {
    var answer: Float
    var text: Float
}

extension PreferenceRanker {
    /// Tokens of one training pass.
    private static let trainingRowsMax = 2_048

    fileprivate func learn(
        _ examples: [RankingExample], weights: Weights, parameterCount: Int
    ) -> Result<RankerTrainer.Lesson, DecoderError> {
        var lesson = RankerTrainer.Lesson(
            gradients: [Float](repeating: 0, count: parameterCount))
        var trace = DecoderTrace()
        var start = 0
        while start < examples.count {
            var end = start + 1
            var rows = examples[start].prompt.count
            while end < examples.count, rows + examples[end].prompt.count <= Self.trainingRowsMax {
                rows += examples[end].prompt.count
                end += 1
            }
            do throws(DecoderError) {
                try learn(examples[start..<end], weights, &trace, &lesson)
            } catch {
                return .failure(error)
            }
            start = end
        }
        return .success(lesson)
    }

    /// One pass: every example's last row predicts its answer, the others, when texts count, the token after them.
    private func learn(
        _ examples: ArraySlice<RankingExample>, _ weights: Weights, _ trace: inout DecoderTrace,
        _ lesson: inout RankerTrainer.Lesson
    ) throws(DecoderError) {
        var rows: [Int] = []
        var classes: [Int32] = []
        var rowWeights: [Float] = []
        var isAnswer: [Bool] = []
        var start = 0
        for example in examples {
            let count = example.prompt.count
            if weights.text > 0 {
                for place in 0..<count - 1 {
                    rows.append(start + place)
                    classes.append(example.prompt[place + 1])
                    rowWeights.append(weights.text)
                    isAnswer.append(false)
                }
            }
            rows.append(start + count - 1)
            classes.append(example.isChosen ? yes : no)
            rowWeights.append(weights.answer)
            isAnswer.append(true)
            start += count
        }
        let logits = try model.decoder.trainingForward(
            examples.map { DecoderInput($0.prompt) }, rows: rows, trace: &trace)
        let width = model.decoder.shape.vocabularyCount
        var logSums = [Float](repeating: 0, count: rows.count)
        var kept = logSums.mutableSpan
        _ = crossEntropy(
            logits.span, classes: classes.span, weights: rowWeights.span, logSums: &kept,
            rows: rows.count, width: width)
        var slope = [Float](repeating: 0, count: logits.count)
        var out = slope.mutableSpan
        crossEntropyBackward(
            logits.span, classes: classes.span, weights: rowWeights.span, logSums: logSums.span,
            dLogits: &out, rows: rows.count, width: width)
        for index in rows.indices {
            let loss = Double(logSums[index] - logits[index * width + Int(classes[index])])
            let weighed = loss * Double(rowWeights[index])
            if isAnswer[index] {
                lesson.loss.answer += weighed
            } else {
                lesson.loss.text += weighed
            }
        }
        model.decoder.trainingBackward(slope, trace: &trace, gradients: &lesson.gradients)
    }
}
