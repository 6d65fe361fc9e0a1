// What sees what, by changing one thing and looking where anything changes.

import TestKit
import Testing
import Transformer

@testable import ItemModel

@Suite("What an item, a history and a state depend on")
struct MaskTests {
    private let text = SmallModel { $0.intraBlocks = 2 }

    @Test("An item's text vector depends on its own tokens only, to the bit")
    func textAlone() {
        var encoder = ItemEncoder(text.layout)
        let values = text.parameters.values
        let width = text.width
        let together = encoder.encode(TokenRuns(text.items), parameters: values)
        let backwards = encoder.encode(TokenRuns(text.items.reversed()), parameters: values)
        for (item, tokens) in text.items.enumerated() {
            let alone = encoder.encode(TokenRuns([tokens]), parameters: values)
            let here = text.row(item, of: together)
            #expect(close(here, alone))
            #expect(close(here, text.row(text.items.count - 1 - item, of: backwards)))
            #expect(alone.count == width)
            // Another item of the pass with other tokens of the same number changes nothing at all.
            var others = text.items
            for other in others.indices where other != item {
                for place in others[other].indices { others[other][place] = Int32(3 + place) }
            }
            let changed = encoder.encode(TokenRuns(others), parameters: values)
            #expect(text.row(item, of: changed) == here)
        }
    }

    @Test("Histories of one pass do not see each other")
    func historiesApart() {
        let model = SmallModel { $0.interBlocks = 2 }
        let table = model.vectors
        let first = model.states([[0, 1, 2], [3, 4], [5, 6, 0, 1]], table: table)
        let second = model.states([[4, 6, 5], [3, 4], [2, 2, 3, 3]], table: table)
        for row in 3..<5 { #expect(model.row(row, of: first) == model.row(row, of: second)) }
        let alone = model.states([[3, 4]], table: table)
        #expect(close(alone, Array(first[3 * model.width..<5 * model.width])))
        #expect(model.row(0, of: first) != model.row(0, of: second))
    }

    @Test("A changed item changes the states from its place on, and none before")
    func causality() {
        for seesItself in [true, false] {
            let model = SmallModel {
                $0.interBlocks = 2
                $0.seesItself = seesItself
            }
            let table = model.vectors
            let history: [Int32] = [0, 1, 2, 3, 4]
            let before = model.states([history], table: table)
            for changed in history.indices {
                var other = history
                other[changed] = 5
                let after = model.states([other], table: table)
                for row in history.indices {
                    #expect(
                        (model.row(row, of: before) == model.row(row, of: after))
                            == (row < changed))
                }
            }
        }
    }

    /// With value weights that pass nothing on, only attention to other rows is silent; so the first row, which in a
    /// strict layer sees nothing, must not depend on the weights of values, and else must.
    @Test("A strict layer does not attend to the item itself")
    func strictness() {
        for seesItself in [true, false] {
            let model = SmallModel { $0.seesItself = seesItself }
            let table = model.vectors
            var changed = model
            for index in model.layout.inter[0].value { changed.parameters.values[index] *= -2 }
            let before = model.states([[0, 1, 2]], table: table)
            let after = changed.states([[0, 1, 2]], table: table)
            #expect((model.row(0, of: before) == model.row(0, of: after)) == !seesItself)
            #expect(model.row(1, of: before) != model.row(1, of: after))
            // The last row's own key: in a strict layer its weights reach the row by no way.
            var keys = model
            for index in model.layout.inter[0].key { keys.parameters.values[index] *= -2 }
            let single = model.states([[4]], table: table)
            #expect(keys.states([[4]], table: table) == single)
        }
    }

    @Test("An answer sees the history up to its place and no other answer")
    func answersApart() {
        let model = SmallModel { $0.interBlocks = 2 }
        let table = model.vectors
        let history = model.row(0, of: table) + model.row(1, of: table) + model.row(2, of: table)
        func run(_ answers: [(row: Int, vector: [Float])]) -> [Float] {
            var rows = HistoryRows(lengths: [3], seesItself: true)
            for answer in answers { rows.addAnswer(after: answer.row) }
            var pass = HistoryPass(model.layout)
            return pass.run(
                history + answers.flatMap(\.vector), rows: rows,
                parameters: model.parameters.values)
        }
        let one = model.row(3, of: table)
        let two = model.row(4, of: table)
        let both = run([(1, one), (2, two)])
        let swapped = run([(1, one), (2, one)])
        #expect(model.row(3, of: both) == model.row(3, of: swapped))
        #expect(model.row(4, of: both) != model.row(4, of: swapped))
        #expect(Array(both[..<(3 * model.width)]) == Array(swapped[..<(3 * model.width)]))
        #expect(close(Array(run([])), Array(both[..<(3 * model.width)])))
        // After row 1 the answer does not know row 2.
        let shorter = {
            var rows = HistoryRows(lengths: [2], seesItself: true)
            rows.addAnswer(after: 1)
            var pass = HistoryPass(model.layout)
            return pass.run(
                Array(history[..<(2 * model.width)]) + one, rows: rows,
                parameters: model.parameters.values)
        }()
        #expect(close(model.row(2, of: shorter), model.row(3, of: both)))
    }

    @Test("The gate is 0 for an item never seen, one half at its setting, and 1 in the end")
    func gate() {
        let model = SmallModel()
        let shape = model.shape
        #expect(shape.gate(count: 0) == 0)
        #expect(shape.gate(count: Int(shape.gateHalf)) == 0.5)
        #expect(shape.gate(count: .max) == 1)
        var pure = model
        pure.parameters.identity = IdentityTable(width: model.width)
        #expect(model.row(0, of: model.vectors) == model.row(0, of: pure.vectors))
        for item in 1..<7 {
            #expect(model.row(item, of: model.vectors) != model.row(item, of: pure.vectors))
        }
        // Equal texts, of which one has more memory of its own.
        #expect(close(pure.row(3, of: pure.vectors), pure.row(6, of: pure.vectors)))
    }
}
