// An adapter beside the model against the model it is merged into, and its gradients against differences of the twin.

import ReferenceModel
import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("An adapter of the item-aware model")
struct AdapterTests {
    static let models = [
        SmallModel { _ in },
        SmallModel(seed: 2) {
            $0.seesItself = false
            $0.interBlocks = 2
        },
        SmallModel(seed: 3) { $0.intraBlocks = 2 },
    ]

    /// All of its numbers away from where a refresh begins.
    static func adapter(_ model: SmallModel, seed: UInt64 = 7) -> ItemAdapter {
        var adapter = ItemAdapter(model.layout, rank: 2, alpha: 3, seed: seed)
        var random = SeededRandom(seed: seed)
        for index in adapter.pairs.parameters.indices {
            adapter.pairs.parameters[index] += Float.random(in: -0.3..<0.3, using: &random)
        }
        adapter.rows = IdentityRows(
            width: model.width, items: [0, 4, 8],
            vectors: (0..<3 * model.width).map { _ in Float.random(in: -1..<1, using: &random) },
            counts: [2, 60, 5])
        return adapter
    }

    private func states(
        _ model: SmallModel, _ table: [Float], _ adapter: DecoderAdapter?
    ) -> [Float] {
        var pass = HistoryPass(model.layout)
        return pass.run(
            inputs(model, table), rows: rows(model), parameters: model.parameters.values,
            adapter: adapter)
    }

    private func inputs(_ model: SmallModel, _ table: [Float]) -> [Float] {
        model.histories.joined().flatMap { model.row(Int($0), of: table) }
    }

    private func rows(_ model: SmallModel) -> HistoryRows {
        HistoryRows(lengths: model.histories.map(\.count), seesItself: model.shape.seesItself)
    }

    @Test("One that nothing was learnt in changes no bit", arguments: models.indices)
    func unlearnt(_ index: Int) {
        let model = Self.models[index]
        let adapter = ItemAdapter(model.layout, rank: 3, alpha: 6, seed: 1)
        #expect(adapter.pairs.parameters.contains { $0 != 0 })
        let plain = states(model, model.vectors, nil)
        #expect(states(model, model.vectors, adapter.pairs) == plain)
        #expect(model.parameters.applying(adapter) == model.parameters)
    }

    @Test("Beside the model and merged into it, it is the same function", arguments: models.indices)
    func merged(_ index: Int) {
        var model = Self.models[index]
        let adapter = Self.adapter(model)
        let applied = model.parameters.applying(adapter)
        // The intra stage is as it was, so vectors of texts are.
        var before = ItemScorer(model.parameters)
        var after = ItemScorer(applied)
        #expect(before.textVectors(of: model.items) == after.textVectors(of: model.items))
        #expect(applied.identity.count == 9)
        #expect(Array(applied.identity.counts) == [2, 1, 2, 3, 60, 7, 1, 0, 5])
        #expect(
            model.row(4, of: applied.identity.vectors) == model.row(1, of: adapter.rows.vectors))
        let table = after.vectors(
            of: model.items.enumerated().map { (number: Int32($0.offset), tokens: $0.element) })
        let beside = states(model, table, adapter.pairs)
        model.parameters = applied
        #expect(close(states(model, table, nil), beside))
        #expect(!close(states(Self.models[index], table, nil), beside))
        // And what serves, one event at a time.
        let end = model.histories[0].count - 1
        let served = model.historyState(model.histories[0], table: table)
        let scaled = model.row(end, of: beside).map { $0 * applied.scale }
        #expect(close(served.query, scaled))
    }

    @Test("Gradients of its matrices and of what enters", arguments: models.indices)
    func gradients(_ index: Int) {
        let model = Self.models[index]
        let adapter = Self.adapter(model)
        let table = model.vectors
        var pass = HistoryPass(model.layout)
        let states = pass.run(
            inputs(model, table), rows: rows(model), parameters: model.parameters.values,
            adapter: adapter.pairs)
        var random = SeededRandom(seed: 5)
        let above = states.map { _ in Float.random(in: -1..<1, using: &random) }
        var ours = [Float](repeating: 0, count: adapter.pairs.parameters.count)
        let dInputs = pass.backward(
            above, parameters: model.parameters.values, adapter: adapter.pairs, gradients: &ours)
        let numbers = adapter.pairs.parameters.map(Double.init)
        let entering = inputs(model, table).map(Double.init)
        for _ in 0..<6 {
            let direction = numbers.map { _ in Double.random(in: -1..<1, using: &random) }
            let moved = entering.map { _ in Double.random(in: -1..<1, using: &random) }
            let slope = slope { distance in
                twin(
                    model, adapter.pairs.layout,
                    zip(numbers, direction).map { $0 + distance * $1 },
                    entering: zip(entering, moved).map { $0 + distance * $1 }, above)
            }
            let expected =
                weighed(ours.map(Double.init), by: direction)
                + weighed(dInputs.map(Double.init), by: moved)
            #expect(abs(slope - expected) < 1e-4 + 1e-4 * abs(slope))
        }
        #expect(
            abs(
                twin(model, adapter.pairs.layout, numbers, entering: entering, above)
                    - weighed(states.map(Double.init), by: above.map(Double.init))) < 1e-4)
    }

    @Test("Pairs in an intra block, or of another size, do not fit")
    func fits() {
        let model = SmallModel()
        let other = SmallModel { $0.intraBlocks = 2 }
        #expect(Self.adapter(model).fits(model.layout))
        #expect(!Self.adapter(model).fits(other.layout))
        let everywhere = LowRankLayout(
            rank: 2, scale: 1, layers: 0..<2, layerCount: 2, shape: model.shape.block)
        let adapter = ItemAdapter(
            pairs: DecoderAdapter(everywhere), rows: IdentityRows(width: model.width))
        #expect(!adapter.fits(model.layout))
    }

    /// The states weighed by `above`, by the twin with the pairs merged in Double.
    private func twin(
        _ model: SmallModel, _ pairs: LowRankLayout, _ numbers: [Double], entering: [Double],
        _ above: [Float]
    ) -> Double {
        var twin = model.reference
        twin.merge(pairs, numbers, model.layout)
        var sum = 0.0
        var row = 0
        for history in model.histories {
            let vectors = history.indices.map { place in
                let start = (row + place) * model.width
                return Array(entering[start..<start + model.width])
            }
            let states = twin.historyStates(vectors).flatMap { $0 }
            let part = above[row * model.width..<(row + history.count) * model.width]
            sum += weighed(states, by: part.map(Double.init))
            row += history.count
        }
        return sum
    }

    private func slope(_ f: (Double) -> Double) -> Double {
        let step = 1e-5
        return (f(step) - f(-step)) / (2 * step)
    }
}

extension Reference.ItemModel {
    /// W + scale · B A in the place of W.
    mutating func merge(_ pairs: LowRankLayout, _ numbers: [Double], _ layout: ItemModelLayout) {
        for entry in layout.parameters.entries {
            let stem = "base_model.model." + entry.name.dropLast(".weight".count)
            guard let a = pairs.layout.entry("\(stem).lora_A.weight"),
                let b = pairs.layout.entry("\(stem).lora_B.weight"),
                var matrix = parameters.values[entry.name]
            else { continue }
            let inputs = entry.shape[1]
            for place in matrix.indices {
                let (row, column) = (place / inputs, place % inputs)
                for inner in 0..<pairs.rank {
                    matrix[place] +=
                        Double(pairs.scale)
                        * numbers[b.range.lowerBound + row * pairs.rank + inner]
                        * numbers[a.range.lowerBound + inner * inputs + column]
                }
            }
            parameters.values[entry.name] = matrix
        }
    }
}
