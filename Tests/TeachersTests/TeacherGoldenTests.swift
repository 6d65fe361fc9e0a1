// Teachers against numpy, scipy and implicit: Tests/Fixtures/teachers.json, written by generate_teachers.py beside it.

import Foundation
import Interactions
import TestKit
import Testing

@testable import Teachers

@Suite("Teachers equal numpy, scipy and implicit")
struct TeacherGoldenTests {
    private struct Golden: Decodable {
        struct Factors: Decodable {
            var factors: Int
            var sweeps: Int
            var alpha: Double
            var regularisation: Double
            var items: [Double]
            var folded: [Double]
            var scores: [Double]
        }
        var version: Int
        var items: [String]
        var histories: [[Int]]
        var asked: [[Int]]
        var gram: [Int64]
        var neighbours: [[Double]]
        var ease: [Double]
        var easeScores: [[Double]]
        var als: Factors
    }

    private let golden: Golden
    private let keys: [ItemKey]
    private var statistics = Statistics(halfLivesSeconds: [50_000])
    private var histories = Histories()

    init() throws {
        golden = try JSONDecoder().decode(Golden.self, from: Data(try fixture("teachers.json")))
        #expect(golden.version == 1)
        keys = try golden.items.map { try #require(ItemID($0)).key }
        let rules = HistoryRules(
            types: EventTypes([EventType(name: "view", weight: 1, seen: .never)]),
            cooccurrenceReach: 512)
        let user = try #require(UserID("u"))
        for history in golden.histories {
            var state = UserState()
            var edits = StatisticsEditsWriter()
            for item in history {
                let id = try #require(ItemID(golden.items[item]))
                _ = rules.append(
                    Interaction(user: user, item: id, type: 0, time: 1_000_000), to: &state,
                    edits: &edits)
            }
            try statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
            histories.append(state, rules: rules)
        }
    }

    private var material: TeacherMaterial {
        TeacherMaterial(statistics: statistics, histories: histories, version: 1)
    }

    private func compare(
        _ teacher: any Teacher, with expected: [[Double]], within bound: Double
    ) throws {
        for (asked, row) in zip(golden.asked, expected) {
            let logits = teacher.logits(
                of: TeacherUser(items: asked.map { keys[$0] }), from: statistics)
            for (key, score) in zip(keys, row) {
                let number = try #require(statistics.items.number(of: key))
                #expect(abs((logits[Int(number)] ?? 0) - score) <= bound)
            }
        }
    }

    @Test("counts are the Gram matrix")
    func gram() throws {
        let count = keys.count
        for (row, one) in keys.enumerated() {
            let item = try #require(statistics.items.number(of: one))
            #expect(statistics.counts[Int(item)] == golden.gram[row * count + row])
            for (column, other) in keys.enumerated() where column != row {
                let other = try #require(statistics.items.number(of: other))
                #expect(statistics.cooccurrences[item, other] == golden.gram[row * count + column])
            }
        }
    }

    @Test("item-kNN is numpy's, to 1e-7")
    func neighbours() throws {
        try compare(ItemNeighbours(), with: golden.neighbours, within: 1e-7)
    }

    @Test("EASE is numpy's in double precision, to 1e-5")
    func ease() throws {
        var model = try EASE(EASEParameters(lambda: 10)).solved(from: material) { _ in true }
        model.bind(to: statistics.items)
        for (row, source) in keys.enumerated() {
            for (column, target) in keys.enumerated() {
                let expected = golden.ease[row * keys.count + column]
                let weight = Double(model.weight(from: source, to: target))
                #expect(abs(weight - expected) <= 1e-5)
            }
        }
        try compare(model, with: golden.easeScores, within: 1e-5)
    }

    @Test("ALS is implicit's: factors, fold-in and scores to 1e-4")
    func als() throws {
        let golden = golden.als
        var model = try ImplicitALS(
            ALSParameters(
                factorCount: golden.factors, regularisation: golden.regularisation,
                alpha: golden.alpha, sweepCount: golden.sweeps)
        ).solved(from: material) { _ in true }
        model.bind(to: statistics.items)
        for (row, key) in keys.enumerated() {
            let factors = try #require(model.factors(of: key))
            for (place, value) in factors.enumerated() {
                #expect(abs(Double(value) - golden.items[row * golden.factors + place]) <= 1e-4)
            }
        }
        for (index, asked) in self.golden.asked.enumerated() {
            let vector = try #require(
                model.foldIn(TeacherUser(items: asked.map { keys[$0] })))
            for (place, value) in vector.enumerated() {
                let expected = golden.folded[index * golden.factors + place]
                #expect(abs(Double(value) - expected) <= 1e-4)
            }
        }
        let rows = stride(from: 0, to: golden.scores.count, by: keys.count).map {
            Array(golden.scores[$0..<($0 + keys.count)])
        }
        try compare(model, with: rows, within: 1e-4)
    }
}
