// A training step against PyTorch: Tests/Fixtures/item-model.json, written by generate_item_model.py beside it.

import Foundation
import ReferenceModel
import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("A training step equals PyTorch's")
struct GoldenTests {
    private struct Golden: Decodable {
        struct Shape: Decodable {
            var vocabulary: Int
            var width: Int
            var heads: Int
            var feedForward: Int
            var intraBlocks: Int
            var interBlocks: Int
            var gateHalf: Float
        }
        var version: Int
        var shape: Shape
        var answerWeight: Double
        var items: [[Int32]]
        var listed: [UInt8]
        var counts: [Int32]
        var histories: [[Int32]]
        var weights: [String: [Float]]
        var vectors: [Double]
        var states: [Double]
        var itemLoss: Double
        var answerLoss: Double
        var gradients: [String: [Double]]
    }

    private func model(_ golden: Golden) throws -> SmallModel {
        #expect(golden.shape.vocabulary == SmallModel.vocabulary)
        var model = SmallModel {
            $0.width = golden.shape.width
            $0.heads = golden.shape.heads
            $0.feedForward = golden.shape.feedForward
            $0.intraBlocks = golden.shape.intraBlocks
            $0.interBlocks = golden.shape.interBlocks
            $0.gateHalf = golden.shape.gateHalf
        }
        for entry in model.layout.parameters.entries {
            let values = try #require(golden.weights[entry.name], "\(entry.name)")
            #expect(values.count == entry.range.count)
            model.parameters.values.replaceSubrange(entry.range, with: values)
        }
        model.parameters.identity.vectors = try #require(golden.weights["identity"])
        model.parameters.identity.counts = golden.counts
        model.items = golden.items
        model.listed = golden.listed
        model.histories = golden.histories
        return model
    }

    @Test("Vectors, states, losses and gradients")
    func step() async throws {
        let golden = try JSONDecoder().decode(
            Golden.self, from: Data(try fixture("item-model.json")))
        #expect(golden.version == 1)
        let model = try model(golden)
        let step = try await model.step(
            itemWeight: 1 / Float(model.targetCount),
            answerWeight: Float(golden.answerWeight) / Float(model.answeredCount))
        #expect(normalisedError(step.vectors.map(Double.init), golden.vectors) < 1e-11)
        #expect(normalisedError(step.states.map(Double.init), golden.states) < 1e-11)
        #expect(abs(step.itemLoss - golden.itemLoss) < 1e-5 * golden.itemLoss)
        #expect(
            abs(step.answerLoss - golden.answerWeight * golden.answerLoss)
                < 1e-5 * golden.answerLoss)
        #expect(golden.gradients.count > 20)
        for (name, gradient) in golden.gradients where name != "identity" {
            let entry = try #require(model.layout.parameters.entry(name))
            let ours = step.gradients[entry.range].map(Double.init)
            #expect(normalisedError(ours, gradient) < 1e-10, "\(name)")
        }
        let identity = model.items.indices.flatMap { item in
            let gate = model.shape.gate(count: Int(model.parameters.identity.counts[item]))
            return model.row(item, of: step.dVectors).map { Double(gate * $0) }
        }
        #expect(normalisedError(identity, try #require(golden.gradients["identity"])) < 1e-10)
    }
}
