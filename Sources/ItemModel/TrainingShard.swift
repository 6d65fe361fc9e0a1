// One half of a training step's work, on a core of its own. An actor owns the memory; what crosses are values.

import Alignment
import Tensors
import TokenTrie
import Transformer

actor TrainingShard {
    /// An answer's choice: the state of the target's text so far, tried on the history before the target.
    struct Answer: Sendable {
        /// Row in the step's table of token states.
        var state: Int32
        /// Row of the history's last item.
        var row: Int32
        /// Number of the branching prefix, and which of its tokens is right.
        var node: Int32
        var place: Int32
    }

    /// Histories with the target after each item, as places in the step's table of item vectors.
    struct Examples: Sendable {
        /// Rows of the histories: where something was before, one of it, which is its summary's text or -1 and the
        /// mean of `older`; then the items'.
        private(set) var inputs: [Int32] = []
        private(set) var targets: [Int32] = []
        /// The row that each target follows: every row but those in front.
        private(set) var targetRows: [Int32] = []
        private(set) var older = OlderRows()
        private var fronts: [Int] = []
        private var frontsPlaced = 0
        var lengths: [Int] = []
        /// By node.
        var answers: [Answer] = []
        /// The inputs' tokens, where attention is plain.
        var texts = TokenHistories()
        /// A teacher's word on each target, by items; none without a teacher.
        var teachers: [ItemTargets] = []

        mutating func append(_ input: Int32, target: Int32) {
            targetRows.append(Int32(inputs.count))
            inputs.append(input)
            targets.append(target)
        }

        /// The row of what was before, whose places in the table are not known before all candidates have theirs.
        mutating func beginWithFront() {
            fronts.append(inputs.count)
            inputs.append(-1)
        }

        /// Gives the next of the rows in front its places: the summary's text's, -1 without, and the older items'.
        mutating func placeFront(summary: Int32, older items: [Int32]) {
            inputs[fronts[frontsPlaced]] = summary
            older.append(items, front: fronts[frontsPlaced])
            frontsPlaced += 1
        }
    }

    /// What texts become: vectors of items, and states of all their tokens.
    struct Encoding: Sendable {
        var vectors: [Float]
        var states: [Float]
        /// Rows that can be chosen; what follows is only read: older items and summaries.
        var candidateCount: Int
        /// The gated identity vectors alone, where attention is plain.
        var own: [Float] = []
    }

    /// What a step is taught with.
    struct Settings: Sendable {
        /// Of each target's item loss, and of each target's answer.
        var itemWeight: Float
        var answerWeight: Float
        var dropout: Float
        var seed: UInt64
        /// How teachers enter, and where items stand in the table of vectors.
        var alignment: AlignmentSettings?
        var places: [Int32: Int32] = [:]
    }

    struct Lesson: Sendable {
        /// Sums over targets of -log p, times the weights.
        var itemLoss = 0.0
        var answerLoss = 0.0
        /// Of the tables of item vectors and of token states.
        var dVectors: [Float] = []
        var dStates: [Float] = []
        /// Of the gated identity vectors, besides what reaches them through the vectors.
        var dOwn: [Float] = []
    }

    private let layout: ItemModelLayout
    private let table: AnswerTable?
    private var encoder: ItemEncoder
    private var history: HistoryPass
    private var older: OlderPass
    private var gradients: [Float]

    init(_ layout: ItemModelLayout, answers table: AnswerTable?) {
        self.layout = layout
        self.table = table
        encoder = ItemEncoder(layout)
        history = HistoryPass(layout)
        older = OlderPass(layout)
        gradients = []
    }

    func encode(_ runs: TokenRuns, parameters: [Float]) -> Encoding {
        gradients = [Float](repeating: 0, count: layout.parameters.count)
        let vectors = encoder.encode(runs, parameters: parameters)
        return Encoding(
            vectors: vectors, states: table == nil ? [] : encoder.states,
            candidateCount: runs.count)
    }

    /// Both heads' losses: all positions against all vectors of the table, and the answers' choices.
    func learn(
        _ examples: Examples, from encoding: Encoding, parameters: [Float], settings: Settings
    ) -> Lesson {
        let width = layout.shape.width
        var lesson = Lesson()
        lesson.dVectors = [Float](repeating: 0, count: encoding.vectors.count)
        lesson.dStates = [Float](repeating: 0, count: encoding.states.count)
        let items = examples.inputs.count
        guard items > 0 else { return lesson }
        if layout.shape.attention == .plain {
            learnPlain(examples, encoding, parameters, settings, &lesson)
            return lesson
        }
        var rows = HistoryRows(
            lengths: examples.lengths, seesItself: layout.shape.seesItself)
        for answer in examples.answers { rows.addAnswer(after: Int(answer.row)) }
        var inputs = [Float](repeating: 0, count: items * width)
        gather(encoding.vectors, examples.inputs, into: &inputs, width: width)
        older.run(
            examples.older, of: encoding.vectors, parameters: parameters, inputs: &inputs)
        var answerInputs = [Float](repeating: 0, count: examples.answers.count * width)
        let answerRows = examples.answers.map(\.state)
        gather(encoding.states, answerRows, into: &answerInputs, width: width)
        let states = history.run(
            inputs + answerInputs, rows: rows, parameters: parameters, dropout: settings.dropout,
            seed: settings.seed)
        var dStates = [Float](repeating: 0, count: items * width)
        lesson.itemLoss = itemHead(
            Array(states[..<(items * width)]), encoding, examples, parameters, settings,
            dStates: &dStates, dTable: &lesson.dVectors)
        var dAnswers = [Float](repeating: 0, count: answerInputs.count)
        lesson.answerLoss = answerHead(
            states[(items * width)...], examples.answers, parameters,
            weight: settings.answerWeight, dStates: &dAnswers)
        let dInputs = history.backward(
            dStates + dAnswers, parameters: parameters, gradients: &gradients)
        scatterAdd(
            Array(dInputs[..<(items * width)]), examples.inputs, into: &lesson.dVectors,
            width: width)
        older.backward(
            dInputs, parameters: parameters, dTable: &lesson.dVectors, gradients: &gradients)
        scatterAdd(
            Array(dInputs[(items * width)...]), answerRows, into: &lesson.dStates, width: width)
        return lesson
    }

    /// The item head's loss alone, of histories that are read token by token.
    private func learnPlain(
        _ examples: Examples, _ encoding: Encoding, _ parameters: [Float], _ settings: Settings,
        _ lesson: inout Lesson
    ) {
        let states = examples.texts.run(
            &history, own: encoding.own, parameters: parameters, dropout: settings.dropout,
            seed: settings.seed)
        var dStates = [Float](repeating: 0, count: states.count)
        lesson.itemLoss = itemHead(
            states, encoding, examples, parameters, settings, dStates: &dStates,
            dTable: &lesson.dVectors)
        lesson.dOwn = [Float](repeating: 0, count: encoding.own.count)
        examples.texts.backward(
            &history, dStates, parameters: parameters, gradients: &gradients, dOwn: &lesson.dOwn)
    }

    /// Adds to the gradients of the states and of the table of vectors, which are zero.
    private func itemHead(
        _ states: [Float], _ encoding: Encoding, _ examples: Examples, _ parameters: [Float],
        _ settings: Settings, dStates: inout [Float], dTable: inout [Float]
    ) -> Double {
        let taught = settings.alignment.map { (examples.teachers, settings.places, $0) }
        let width = layout.shape.width
        let hasFronts = examples.targetRows.count < examples.inputs.count
        var chosen = states
        var dChosen = dStates
        if hasFronts {
            chosen = [Float](repeating: 0, count: examples.targetRows.count * width)
            gather(states, examples.targetRows, into: &chosen, width: width)
            dChosen = [Float](repeating: 0, count: chosen.count)
        }
        var dCandidates = [Float](repeating: 0, count: encoding.candidateCount * width)
        let (loss, slope) = sampled(
            chosen, Array(encoding.vectors.prefix(dCandidates.count)), examples.targets,
            scale: parameters[layout.scale.lowerBound], weight: settings.itemWeight,
            taught: taught, dStates: &dChosen, dCandidates: &dCandidates)
        dTable.replaceSubrange(..<dCandidates.count, with: dCandidates)
        if hasFronts {
            scatterAdd(dChosen, examples.targetRows, into: &dStates, width: width)
        } else {
            dStates = dChosen
        }
        gradients[layout.scale.lowerBound] += Float(slope)
        return loss
    }

    /// Softmax over the children of each answer's prefix, before which other tokens are not even looked at (MSL,
    /// methods 2.7). Answers of one prefix are one product.
    private func answerHead(
        _ states: ArraySlice<Float>, _ answers: [Answer], _ parameters: [Float], weight: Float,
        dStates: inout [Float]
    ) -> Double {
        guard let table, !answers.isEmpty else { return 0 }
        let width = layout.shape.width
        var loss = 0.0
        var start = 0
        while start < answers.count {
            let node = answers[start].node
            let end = answers[start...].firstIndex { $0.node != node } ?? answers.count
            let tokens = Array(table.legal.tokens[table.legal.row(Int(node))])
            var vectors = [Float](repeating: 0, count: tokens.count * width)
            gather(parameters, layout.embedding, tokens, into: &vectors, width: width)
            let first = states.startIndex + start * width
            var dRows = [Float](repeating: 0, count: (end - start) * width)
            var dVectors = [Float](repeating: 0, count: vectors.count)
            loss +=
                sampled(
                    Array(states[first..<first + dRows.count]), vectors,
                    answers[start..<end].map(\.place), scale: 1, weight: weight, dStates: &dRows,
                    dCandidates: &dVectors
                ).loss
            for (index, value) in dRows.enumerated() { dStates[start * width + index] = value }
            scatterAdd(dVectors, tokens, &gradients, layout.embedding, width: width)
            start = end
        }
        return loss
    }

    private func sampled(
        _ states: [Float], _ candidates: [Float], _ classes: [Int32], scale: Float, weight: Float,
        taught: (words: [ItemTargets], places: [Int32: Int32], settings: AlignmentSettings)? = nil,
        dStates: inout [Float], dCandidates: inout [Float]
    ) -> (loss: Double, slope: Double) {
        let rows = classes.count
        let columns = candidates.count / layout.shape.width
        let temperature = taught.map { Float($0.settings.temperature) } ?? 1
        let shape = SampledSoftmaxShape(
            rows: rows, candidates: columns, width: layout.shape.width, scale: scale / temperature)
        var logits = [Float](repeating: 0, count: rows * columns)
        var dLogits = logits
        var logSums = [Float](repeating: 0, count: rows)
        let weights = [Float](repeating: weight, count: rows)
        var logitsOut = logits.mutableSpan
        var sumsOut = logSums.mutableSpan
        let loss = sampledSoftmax(
            states: states.span, candidates: candidates.span, classes: classes.span,
            weights: weights.span, logits: &logitsOut, logSums: &sumsOut, shape: shape)
        var dLogitsOut = dLogits.mutableSpan
        var dStatesOut = dStates.mutableSpan
        var dCandidatesOut = dCandidates.mutableSpan
        let slope = sampledSoftmaxBackward(
            states: states.span, candidates: candidates.span, classes: classes.span,
            weights: weights.span, logits: logits.span, logSums: logSums.span,
            dLogits: &dLogitsOut, dStates: &dStatesOut, dCandidates: &dCandidatesOut, shape: shape)
        guard let taught else { return (loss, slope) }
        // A model that has diverged shows it by its plain loss; teachers say nothing to it.
        let labels = try? TaughtLabels(
            taught.words, places: taught.places, classes: classes, weights: weights,
            logits: logits, states: states, candidates: candidates, shape: shape, taught.settings,
            dStates: &dStates, dCandidates: &dCandidates)
        return (
            loss + (labels?.weightedLoss ?? 0),
            slope / Double(temperature) + (labels?.dScale ?? 0)
        )
    }

    /// The way back through the texts this shard encoded; returns all its gradients of the step.
    func finish(_ dVectors: [Float], _ dStates: [Float], parameters: [Float]) -> [Float] {
        encoder.backward(
            dVectors, dStates: dStates.isEmpty ? nil : dStates, parameters: parameters,
            gradients: &gradients)
        return gradients
    }
}
