// The whole training step against its twin in Double, and its gradients against differences of the twin.

import Alignment
import ReferenceModel
import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("A training step is the mathematics of its twin")
struct GradientTests {
    /// Shapes whose steps differ in kind.
    static let models = [
        SmallModel { _ in },
        SmallModel(seed: 2) {
            $0.seesItself = false
            $0.interBlocks = 2
        },
        SmallModel(seed: 3) { $0.intraBlocks = 2 },
        SmallModel(seed: 4) { $0.intraBlocks = 0 },
        summarised, remembering(), remembering(summaries: summarised.summaries),
    ]
    /// Summaries before some histories: read, and never candidates.
    private static var summarised: SmallModel {
        var model = SmallModel(seed: 5)
        model.summaries = [[1, 14, 15, 16, 9, 2], [], [1, 17, 2], [1, 5, 18, 2]]
        return model
    }
    /// Items before some histories, twice the same one among them; with summaries and without.
    private static func remembering(summaries: [[Int32]] = []) -> SmallModel {
        var model = SmallModel(seed: 6) { $0.older = .mean }
        model.summaries = summaries
        model.older = [[5], [3, 1, 6, 2], [], [4, 0, 4]]
        return model
    }
    static let answerWeight = 0.4

    private func step(_ model: SmallModel) async throws -> SmallModel.Step {
        try await model.step(
            itemWeight: 1 / Float(model.targetCount),
            answerWeight: Float(Self.answerWeight) / Float(model.answeredCount))
    }

    @Test("Vectors, states and both losses", arguments: models.indices)
    func values(_ index: Int) async throws {
        let model = Self.models[index]
        let step = try await step(model)
        let twin = model.reference
        let identity = model.gatedIdentity
        let vectors = zip(model.items, identity).map { tokens, own in
            zip(twin.textVector(tokens.map(Int.init)), own).map { $0 + $1 }
        }
        let states = model.histories.flatMap { history in
            twin.historyStates(history.dropLast().map { vectors[Int($0)] }).flatMap { $0 }
        }
        let items = step.vectors.prefix(model.items.count * model.width)
        #expect(normalisedError(items.map(Double.init), vectors.flatMap { $0 }) < 1e-12)
        #expect(normalisedError(step.states.map(Double.init), states) < 1e-12)
        let losses = model.referenceLosses(twin, identity: identity)
        #expect(abs(step.itemLoss - losses.item) < 1e-5)
        #expect(abs(step.answerLoss - Self.answerWeight * losses.answer) < 1e-5)
    }

    /// Differences are taken along a random direction within each parameter, which sees all of its numbers, and at some
    /// numbers alone, which see where they are.
    @Test("Gradients of every parameter", arguments: models.indices)
    func gradients(_ index: Int) async throws {
        let model = Self.models[index]
        let step = try await step(model)
        let identity = model.gatedIdentity
        var random = SeededRandom(seed: UInt64(index))
        var (ours, differences): ([Double], [Double]) = ([], [])
        for entry in model.layout.parameters.entries {
            let gradient = step.gradients[entry.range].map(Double.init)
            var directions = [gradient.map { _ in Double.random(in: -1..<1, using: &random) }]
            for _ in 0..<min(2, gradient.count) {
                directions.append(gradient.map { _ in 0 })
                directions[directions.count - 1][random.below(gradient.count)] = 1
            }
            for direction in directions {
                ours.append(weighed(gradient, by: direction))
                differences.append(
                    slope { distance in
                        var twin = model.reference
                        let moved = zip(twin.parameters[entry.name], direction)
                        twin.parameters.values[entry.name] = moved.map { $0 + distance * $1 }
                        return total(model, twin, identity)
                    })
                #expect(
                    abs(ours[ours.count - 1] - differences[differences.count - 1])
                        < 1e-5 + 1e-4 * abs(differences[differences.count - 1]), "\(entry.name)")
            }
        }
        #expect(normalisedError(ours, differences) < 1e-10)
    }

    @Test("Gradients of identity vectors", arguments: [0, 5, 6])
    func identityGradients(_ index: Int) async throws {
        let model = Self.models[index]
        let step = try await step(model)
        let identity = model.gatedIdentity
        var random = SeededRandom(seed: 9)
        for item in model.items.indices {
            let direction = (0..<model.width).map { _ in Double.random(in: -1..<1, using: &random) }
            let ours = weighed(model.row(item, of: step.dVectors).map(Double.init), by: direction)
            let difference = slope { distance in
                var moved = identity
                moved[item] = zip(moved[item], direction).map { $0 + distance * $1 }
                return total(model, model.reference, moved)
            }
            #expect(abs(ours - difference) < 1e-6 + 1e-4 * abs(difference), "item \(item)")
        }
    }

    @Test("Soft labels: loss and gradients of every parameter", arguments: AlignmentLoss.allCases)
    func softLabels(_ loss: AlignmentLoss) async throws {
        let model = Self.models[0]
        let settings = try AlignmentSettings(
            loss: loss, isMasked: false, alpha: 0.4, temperature: 1.7, evidenceHalf: 2)
        let opinions: [[(item: Int32, count: Float)]] = [
            [(1, 2), (3, 1)], [], [(0, 1), (2, 4), (6, 1)], [(5, 1)],
        ]
        let words = try (0..<model.targetCount).map {
            try ItemTargets(counts: opinions[$0 % opinions.count])
        }
        let step = try await model.step(
            itemWeight: 1 / Float(model.targetCount), answerWeight: 0, teachers: words,
            alignment: settings)
        let identity = model.gatedIdentity
        func taught(_ twin: Reference.ItemModel) -> Double {
            model.referenceTaughtLoss(twin, identity: identity, words, settings)
        }
        #expect(abs(step.itemLoss - taught(model.reference)) < 1e-5)
        var random = SeededRandom(seed: 5)
        for entry in model.layout.parameters.entries {
            let gradient = step.gradients[entry.range].map(Double.init)
            let direction = gradient.map { _ in Double.random(in: -1..<1, using: &random) }
            let difference = slope { distance in
                var twin = model.reference
                let moved = zip(twin.parameters[entry.name], direction)
                twin.parameters.values[entry.name] = moved.map { $0 + distance * $1 }
                return taught(twin)
            }
            let ours = weighed(gradient, by: direction)
            #expect(abs(ours - difference) < 1e-5 + 1e-4 * abs(difference), "\(entry.name)")
        }
    }

    private func total(
        _ model: SmallModel, _ twin: Reference.ItemModel, _ identity: [[Double]]
    ) -> Double {
        let losses = model.referenceLosses(twin, identity: identity)
        return losses.item + Self.answerWeight * losses.answer
    }

    private func slope(_ f: (Double) -> Double) -> Double {
        let step = 1e-5
        return (f(step) - f(-step)) / (2 * step)
    }
}
