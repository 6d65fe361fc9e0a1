// Ten refresh steps against PyTorch, transformers and PEFT: Tests/Fixtures/refresh.json, written by
// generate_refresh.py beside it.

import Alignment
import Foundation
import ReferenceModel
import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("A refresh equals PEFT's")
struct RefreshGoldenTests {
    private struct Golden: Decodable {
        struct Window: Decodable {
            var items: [Int32]
            var newFrom: Int
            /// Items and counts.
            var teacher: [[[Float]]]
        }
        var width: Int
        var heads: Int
        var feedForward: Int
        var gateHalf: Float
        var rank: Int
        var loraAlpha: Float
        var learningRate: Float
        var alpha: Double
        var evidenceHalf: Double
        var counts: [Int32]
        var windows: [Window]
        var weights: [String: [Float]]
        var texts: [Float]
        var identity: [Float]
        var pairs: [String: [Float]]
        var losses: [Double]
        var gradients: [String: [Double]]
        var learnt: [String: [Double]]
        var learntCounts: [Int32]
    }

    private func windows(_ golden: Golden) throws -> [RefreshWindow] {
        try golden.windows.map { window in
            RefreshWindow(
                items: window.items, newFrom: window.newFrom,
                teacher: try window.teacher.map { counts in
                    try ItemTargets(counts: counts.map { (item: Int32($0[0]), count: $0[1]) })
                })
        }
    }

    private func refresh(_ golden: Golden) throws -> ItemRefresh {
        var shape = ItemModelShape(vocabulary: 4)
        shape.width = golden.width
        shape.heads = golden.heads
        shape.feedForward = golden.feedForward
        shape.gateHalf = golden.gateHalf
        shape.intraBlocks = 0
        let layout = ItemModelLayout(shape)
        var base = ItemModelParameters(layout, seed: 1)
        for entry in layout.parameters.entries where golden.weights[entry.name] != nil {
            base.values.replaceSubrange(entry.range, with: golden.weights[entry.name] ?? [])
        }
        base.identity.grow(to: golden.counts.count, seed: 1)
        base.identity.vectors = golden.identity
        base.identity.counts = golden.counts
        var adapter = ItemAdapter(layout, rank: golden.rank, alpha: golden.loraAlpha, seed: 1)
        for entry in adapter.pairs.layout.layout.entries {
            adapter.pairs.parameters.replaceSubrange(
                entry.range, with: try #require(golden.pairs[entry.name]))
        }
        var training = RefreshTraining()
        training.epochs = golden.losses.count
        training.batchWindows = 10
        training.negatives = 100
        training.dropout = 0
        training.identityDropout = 0
        training.learningRate = golden.learningRate
        training.rank = golden.rank
        return ItemRefresh(
            base, textVectors: golden.texts, fresh: try windows(golden), replay: [],
            previous: adapter, training: training,
            alignment: try AlignmentSettings(
                loss: .softCrossEntropy, isMasked: false, alpha: golden.alpha, temperature: 1,
                evidenceHalf: golden.evidenceHalf))
    }

    @Test("Gradients of the first step, losses of ten, and what was learnt by them")
    func steps() throws {
        let golden = try JSONDecoder().decode(Golden.self, from: Data(try fixture("refresh.json")))
        let refresh = try refresh(golden)
        let entries = refresh.adapter.pairs.layout.layout.entries
        let width = golden.width
        let batch = refresh.batch(try windows(golden), 1)
        let named = refresh.adapter.rows.items
        let gates = batch.items.map { item in
            let row = named.firstIndex(of: item)
            let count = row.map { refresh.adapter.rows.counts[$0] } ?? golden.counts[Int(item)]
            return Float(count) / (Float(count) + golden.gateHalf)
        }
        let gradients = try refresh.gradients(batch, gates, 1)
        for entry in entries {
            let ours = gradients.pairs[entry.range].map(Double.init)
            let theirs = try #require(golden.gradients[entry.name])
            #expect(normalisedError(ours, theirs) < 1e-9, "\(entry.name)")
        }
        let rows = try named.flatMap { item in
            let place = try #require(batch.items.firstIndex(of: item))
            return gradients.table[place * width..<(place + 1) * width].map {
                Double(gates[place] * $0)
            }
        }
        #expect(normalisedError(rows, try #require(golden.gradients["rows"])) < 1e-9)
        for (step, expected) in golden.losses.enumerated() {
            let loss = try #require(try refresh.runEpoch())
            #expect(abs(loss.aligned - expected) < 1e-4 * expected, "step \(step + 1)")
        }
        #expect(try #require(golden.losses.last) < 0.8 * golden.losses[0])
        for entry in entries {
            let ours = refresh.adapter.pairs.parameters[entry.range].map(Double.init)
            let theirs = try #require(golden.learnt[entry.name])
            #expect(normalisedError(ours, theirs) < 1e-7, "\(entry.name)")
        }
        let vectors = refresh.adapter.rows.vectors.map(Double.init)
        #expect(normalisedError(vectors, try #require(golden.learnt["rows"])) < 1e-7)
        #expect(refresh.adapter.rows.counts == golden.learntCounts)
    }
}
