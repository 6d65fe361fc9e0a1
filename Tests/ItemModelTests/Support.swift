// A small model of random weights, its catalogue and histories, and its twin in Double.

import Alignment
import ReferenceModel
import Tensors
import TestKit
import TokenTrie
import Transformer

@testable import ItemModel

#if canImport(Glibc)
    import Glibc
#endif

struct SmallModel {
    var parameters: ItemModelParameters
    var items: [[Int32]] = Self.texts
    var listed: [UInt8] = Self.listing
    var histories: [[Int32]] = [[0, 1, 2, 3], [4, 6, 0], [3, 5], [2, 2, 1]]

    /// Before each history; empty for none.
    var summaries: [[Int32]] = []
    /// Items before each history.
    var older: [[Int32]] = []

    static let vocabulary = 20
    static let beginToken: Int32 = 1
    static let endToken: Int32 = 2
    /// Shared prefixes, one text that begins another, one not in the trie, and two that are equal (3 and 6).
    static let texts: [[Int32]] = [
        [1, 5, 6, 2], [1, 5, 7, 2], [1, 5, 6, 8, 2], [1, 9, 2], [1, 9, 10, 11, 2], [1, 12, 13, 2],
        [1, 9, 2],
    ]
    static let listing: [UInt8] = [1, 1, 1, 1, 1, 0, 1]

    static func shape(_ change: (inout ItemModelShape) -> Void = { _ in }) -> ItemModelShape {
        var shape = ItemModelShape(vocabulary: vocabulary)
        shape.width = 8
        shape.heads = 2
        shape.feedForward = 12
        shape.historyMax = 5
        change(&shape)
        return shape
    }

    /// Every parameter moved away from where training begins, so that none is 1 or 0.
    init(seed: UInt64 = 1, _ change: (inout ItemModelShape) -> Void = { _ in }) {
        let layout = ItemModelLayout(Self.shape(change))
        parameters = ItemModelParameters(layout, seed: seed)
        var random = SeededRandom(seed: seed &+ 100)
        for index in parameters.values.indices {
            parameters.values[index] += Float.random(in: -0.2..<0.2, using: &random)
        }
        parameters.identity.grow(to: Self.texts.count, seed: seed)
        for index in parameters.identity.vectors.indices {
            parameters.identity.vectors[index] = Float.random(in: -0.5..<0.5, using: &random)
        }
        parameters.identity.counts = [0, 1, 2, 3, 50, 7, 1]
    }

    var layout: ItemModelLayout { parameters.layout }
    var shape: ItemModelShape { parameters.layout.shape }
    var width: Int { shape.width }

    var table: AnswerTable {
        get throws {
            try AnswerTable(
                items: items, listed: listed, vocabulary: Self.vocabulary,
                endToken: Self.endToken)
        }
    }

    /// Vectors of all items, identity included.
    var vectors: [Float] {
        var scorer = ItemScorer(parameters)
        return scorer.vectors(
            of: items.enumerated().map { (number: Int32($0.offset), tokens: $0.element) })
    }

    /// States after every item of the histories, row after row.
    func states(_ histories: [[Int32]], table: [Float]) -> [Float] {
        var pass = HistoryPass(layout)
        var inputs = [Float](repeating: 0, count: histories.joined().count * width)
        gather(table, Array(histories.joined()), into: &inputs, width: width)
        return pass.run(
            inputs,
            rows: HistoryRows(lengths: histories.map(\.count), seesItself: shape.seesItself),
            parameters: parameters.values)
    }

    func historyState(
        _ items: [Int32], summary: [Float] = [], older: [Int32] = [], table: [Float]
    ) -> HistoryState {
        var state = HistoryState(
            layout, summary: summary, older: OlderSum(older) { row(Int($0), of: table) })
        var traces = Array(repeating: BlockTrace(), count: layout.inter.count)
        for item in items {
            state.append(
                item, vector: { row(Int($0), of: table) }, parameters: parameters,
                frequencies: frequencies, traces: &traces)
        }
        return state
    }

    func row(_ index: Int, of table: [Float]) -> [Float] {
        Array(table[index * width..<(index + 1) * width])
    }

    var frequencies: [Float] {
        rotaryInverseFrequencies(base: shape.rotaryBase, headWidth: shape.block.headWidth)
    }

    // MARK: - One step of training

    struct Step {
        var vectors: [Float]
        var states: [Float]
        var itemLoss: Double
        var answerLoss: Double
        /// Of `itemLoss + answerLoss`.
        var gradients: [Float]
        /// Of the vectors as they enter the histories; of an identity vector after its gate.
        var dVectors: [Float]
    }

    /// The step the trainer takes, without dropout and with all items as candidates, in their order.
    /// With `teachers`, a word on every target, they enter the item head's labels.
    func step(
        itemWeight: Float, answerWeight: Float, teachers: [ItemTargets] = [],
        alignment: AlignmentSettings? = nil
    ) async throws -> Step {
        let answers = try table
        let shard = TrainingShard(layout, answers: answers)
        let texts = items + summaries.filter { !$0.isEmpty }
        var encoding = await shard.encode(TokenRuns(texts), parameters: parameters.values)
        encoding.candidateCount = items.count
        parameters.addIdentity(items.indices.map(Int32.init), to: &encoding.vectors)
        var stateRows: [Int32] = [0]
        for tokens in items {
            stateRows.append(stateRows[stateRows.count - 1] + Int32(tokens.count))
        }
        var examples = TrainingShard.Examples()
        for (number, history) in histories.enumerated() {
            let summary = summaries.isEmpty ? [] : summaries[number]
            let before = older.isEmpty ? [] : older[number]
            let hasFront = !summary.isEmpty || !before.isEmpty
            if hasFront { examples.beginWithFront() }
            for (item, target) in zip(history, history.dropFirst()) {
                for choice in answers.choices[Int(target)] {
                    examples.answers.append(
                        TrainingShard.Answer(
                            state: stateRows[Int(target)] + choice.depth,
                            row: Int32(examples.inputs.count), node: choice.node,
                            place: choice.place))
                }
                examples.append(item, target: target)
            }
            examples.lengths.append(history.count - 1 + (hasFront ? 1 : 0))
        }
        var next = Int32(items.count)
        for number in histories.indices {
            let hasText = !summaries.isEmpty && !summaries[number].isEmpty
            let before = older.isEmpty ? [] : older[number]
            guard hasText || !before.isEmpty else { continue }
            examples.placeFront(summary: hasText ? next : -1, older: before)
            next += hasText ? 1 : 0
        }
        examples.answers.sort { ($0.node, $0.row) < ($1.node, $1.row) }
        examples.teachers = teachers
        let places = items.indices.map { (Int32($0), Int32($0)) }
        let lesson = await shard.learn(
            examples, from: encoding, parameters: parameters.values,
            settings: TrainingShard.Settings(
                itemWeight: itemWeight, answerWeight: answerWeight, dropout: 0, seed: 1,
                alignment: alignment, places: Dictionary(uniqueKeysWithValues: places)))
        let gradients = await shard.finish(
            lesson.dVectors, lesson.dStates, parameters: parameters.values)
        return Step(
            vectors: encoding.vectors,
            states: states(histories.map { Array($0.dropLast()) }, table: encoding.vectors),
            itemLoss: lesson.itemLoss, answerLoss: lesson.answerLoss, gradients: gradients,
            dVectors: lesson.dVectors)
    }

    var targetCount: Int { histories.reduce(0) { $0 + $1.count - 1 } }
    var answeredCount: Int {
        histories.reduce(0) { $0 + $1.dropFirst().count { listed[Int($0)] == 1 } }
    }

    // MARK: - The twin

    var reference: Reference.ItemModel {
        var values: [String: [Double]] = [:]
        for entry in layout.parameters.entries {
            values[entry.name] = parameters.values[entry.range].map(Double.init)
        }
        return Reference.ItemModel(
            Reference.Parameters(values),
            Reference.BlockSizes(
                width: width, heads: shape.heads, keyHeads: shape.heads,
                headWidth: shape.block.headWidth, epsilon: Double(shape.epsilon)),
            inverseFrequencies: frequencies, intraBlocks: shape.intraBlocks,
            interBlocks: shape.interBlocks, seesItself: shape.seesItself)
    }

    /// What is added to each text vector.
    var gatedIdentity: [[Double]] {
        items.indices.map { item in
            let count = Double(parameters.identity.counts[item])
            let gate = count / (count + Double(shape.gateHalf))
            return row(item, of: parameters.identity.vectors).map { gate * Double($0) }
        }
    }

    func referenceLosses(
        _ model: Reference.ItemModel, identity: [[Double]]
    ) -> (item: Double, answer: Double) {
        model.losses(
            items: items.map { $0.map(Int.init) }, listed: listed.map { $0 == 1 },
            identity: identity, histories: histories.map { $0.map(Int.init) },
            summaries: summaries.map { $0.map(Int.init) }, older: older.map { $0.map(Int.init) })
    }
}

extension SmallModel {
    /// The item head's mean loss with soft labels, by definition; a word on every target.
    func referenceTaughtLoss(
        _ twin: Reference.ItemModel, identity: [[Double]], _ words: [ItemTargets],
        _ settings: AlignmentSettings
    ) -> Double {
        let vectors = zip(items, identity).map { tokens, own in
            zip(twin.textVector(tokens.map(Int.init)), own).map { $0 + $1 }
        }
        let scale = twin.parameters["millrace.item_scale"][0] / settings.temperature
        var (sum, turn) = (0.0, 0)
        for history in histories {
            let states = twin.historyStates(history.dropLast().map { vectors[Int($0)] })
            for (row, target) in history.dropFirst().enumerated() {
                let logits = vectors.map { scale * weighed(states[row], by: $0) }
                let logSum = log(logits.reduce(0) { $0 + exp($1) })
                let word = words[turn]
                let alpha =
                    word.items.isEmpty ? 0 : settings.alpha(evidence: Double(word.evidence))
                var label = logits.map { _ in 0.0 }
                label[Int(target)] = 1 - alpha
                for (item, share) in zip(word.items, word.shares) {
                    label[Int(item)] += alpha * Double(share)
                }
                var inner = 0.0
                for (share, logit) in zip(label, logits) {
                    let likelihood = logit - logSum
                    inner +=
                        share * (settings.loss == .logOfExpectation ? exp(likelihood) : likelihood)
                }
                sum -= settings.loss == .logOfExpectation ? log(inner) : inner
                turn += 1
            }
        }
        return sum / Double(turn)
    }
}

/// Of two passes in floats that add the same numbers in another order.
let sameMathematicsErrorMax = 1e-11

func close(_ a: [Float], _ b: [Float]) -> Bool {
    normalisedError(a.map(Double.init), b.map(Double.init)) < sameMathematicsErrorMax
}
