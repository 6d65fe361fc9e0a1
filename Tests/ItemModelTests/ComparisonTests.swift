// The variants that are only compared with must be right too: a comparison with a broken one says nothing.

import Glibc
import TestKit
import Testing

@testable import ItemModel

@Suite("Variants for comparison")
struct ComparisonTests {
    private static let plain = SmallModel(seed: 5) { $0.attention = .plain }
    private static let identity = SmallModel(seed: 6) { $0.vectors = .identity }

    private func states(_ model: SmallModel, _ histories: [[Int32]]) -> [Float] {
        var scorer = ItemScorer(model.parameters)
        switch model.shape.attention {
        case .plain: return scorer.states(of: histories, tokens: model.items)
        case .split: return scorer.states(of: histories, table: model.vectors)
        }
    }

    @Test(
        "their losses are minus what the scorer makes of the same candidates",
        arguments: [plain, identity])
    func losses(_ model: SmallModel) async throws {
        var training = ItemTraining()
        training.learningRate = 0
        training.dropout = 0
        training.identityDropout = 0
        training.negatives = 100
        training.batchSequences = 100
        let trainer = ItemTrainer(
            model.parameters, items: model.items, sequences: model.histories, training: training)
        let loss = await trainer.runEpoch()
        var trained = model
        trained.parameters = trainer.parameters
        let scorer = ItemScorer(trained.parameters)
        var (sum, targets) = (0.0, 0)
        for history in model.histories {
            for end in history.indices.dropFirst() {
                let logits = scorer.logits(
                    states: states(trained, [Array(history[..<end])]), table: trained.vectors)
                sum -=
                    Double(logits[Int(history[end])])
                    - log(logits.reduce(0.0) { $0 + exp(Double($1)) })
                targets += 1
            }
        }
        #expect(abs(loss.item - sum / Double(targets)) < 1e-5)
    }

    @Test("plain attention: the gradient is the slope of the loss, along it and along identity")
    func slope() async throws {
        let model = Self.plain
        let own = model.gatedIdentity.flatMap { $0.map(Float.init) }
        let at = try await lesson(model, model.parameters.values, own)
        for (name, direction, slope) in [
            ("parameters", at.gradients, 1), ("identity", at.dIdentity, 2),
        ] {
            let length = direction.reduce(0.0) { $0 + Double($1) * Double($1) }
            let step = Float(0.01 / length.squareRoot())
            func loss(_ sign: Float) async throws -> Double {
                let moved = direction.map { sign * step * $0 }
                return slope == 1
                    ? try await lesson(
                        model, zip(model.parameters.values, moved).map { $0 + $1 }, own
                    ).loss
                    : try await lesson(
                        model, model.parameters.values, zip(own, moved).map { $0 + $1 }
                    ).loss
            }
            let difference = (try await loss(1) - loss(-1)) / (2 * Double(step))
            #expect(abs(difference - length) < 0.01 * length, "\(name)")
        }
    }

    private func lesson(
        _ model: SmallModel, _ values: [Float], _ own: [Float]
    ) async throws -> (loss: Double, gradients: [Float], dIdentity: [Float]) {
        let shard = TrainingShard(model.layout, answers: nil)
        var encoding = await shard.encode(TokenRuns(model.items), parameters: values)
        encoding.own = own
        encoding.vectors = zip(encoding.vectors, own).map { $0 + $1 }
        var examples = TrainingShard.Examples()
        for history in model.histories {
            for (item, target) in zip(history, history.dropFirst()) {
                examples.append(item, target: target)
            }
            examples.lengths.append(history.count - 1)
            examples.texts.append(
                history.dropLast().map { (item: $0, tokens: model.items[Int($0)]) })
        }
        let lesson = await shard.learn(
            examples, from: encoding, parameters: values,
            settings: TrainingShard.Settings(
                itemWeight: 1, answerWeight: 0, dropout: 0, seed: 1))
        let gradients = await shard.finish(lesson.dVectors, [], parameters: values)
        return (
            lesson.itemLoss, gradients, zip(lesson.dVectors, lesson.dOwn).map { $0 + $1 }
        )
    }

    @Test("plain attention sees every token before, and none after")
    func causality() {
        let model = Self.plain
        let whole = states(model, [[0, 1, 4], [2, 1, 4], [0, 1]])
        let rows = (0..<3).map { model.row($0, of: whole) }
        #expect(rows[0] != rows[1])
        #expect(close(rows[2], states(model, [[0, 1]])))
    }

    @Test("identity only: a text changes nothing, and an item never seen is nothing")
    func withoutText() {
        var model = Self.identity
        let before = model.vectors
        model.items[1] = [1, 12, 2]
        #expect(model.vectors == before)
        #expect(model.row(0, of: before) == [Float](repeating: 0, count: model.width))
        #expect(model.row(1, of: before) == model.row(1, of: model.parameters.identity.vectors))
        #expect(!model.shape.isServable)
    }

    @Test("text only: identity vectors change nothing")
    func withoutIdentity() {
        var model = SmallModel { $0.vectors = .text }
        let before = model.vectors
        for index in model.parameters.identity.vectors.indices {
            model.parameters.identity.vectors[index] += 1
        }
        #expect(model.vectors == before)
        #expect(model.shape.isServable)
    }
}
