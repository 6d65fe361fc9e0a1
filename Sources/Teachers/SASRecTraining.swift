// How SASRec learns: every position of every history predicts the item after it, against the items of the step and
// some drawn uniformly. One thread, sums in a fixed order: the same material and seed give the same model.

import Tensors
import Transformer

/// Histories as rows of the model, in pieces of the length that is read, in an order that only their contents decide:
/// users have no names here, and come in any order.
struct SASRecSequences: Sendable {
    let items: ModelItems
    private(set) var pieces: [[Int32]] = []

    init(_ histories: Histories, historyMax: Int) {
        items = ModelItems(histories.items.keys)
        let rows = histories.items.keys.map { items.index.number(of: $0) ?? 0 }
        for index in 0..<histories.count {
            let history = Self.events(of: index, in: histories)
            // The newest piece is whole; its first item is the last of the piece before.
            var end = history.endIndex
            while end - history.startIndex > 1 {
                let start = max(history.startIndex, end - historyMax - 1)
                pieces.append(history[start..<end].map { rows[Int($0)] })
                end = start + 1
                if start == history.startIndex { break }
            }
        }
        pieces.sort { $0.lexicographicallyPrecedes($1) }
    }

    /// A history with the latest repeat of each item back in its place: people do buy again, and what is learnt from
    /// distinct items alone is that nobody does.
    private static func events(of index: Int, in histories: Histories) -> [KeyIndex.Number] {
        let range = histories.starts[index]..<histories.starts[index + 1]
        var before = [[KeyIndex.Number]](repeating: [], count: range.count)
        for (place, entry) in range.enumerated() where histories.repeatGaps[entry] > 0 {
            let gap = Int(histories.repeatGaps[entry])
            before[max(0, place - gap + 1)].append(histories.entries[entry])
        }
        return zip(before, histories.entries[range]).flatMap { $0 + [$1] }
    }
}

struct SASRecTraining {
    private let network: SASRecNetwork
    private let pieces: [[Int32]]
    private let parameters: SASRecParameters
    private let seed: UInt64
    private(set) var values: [Float]
    private(set) var vectors: [Float]
    private var m: [Float]
    private var v: [Float]
    private var vectorsM: [Float]
    private var vectorsV: [Float]
    /// Step up to which each vector is done.
    private var done: [Int]
    private var steps = AdamWSteps(AdamWSettings(beta1: 0.9, beta2: 0.98))
    private var trace = BlockTrace()
    private var scratch = BlockScratch()
    /// -log of the probability that an item is among the candidates of a step.
    private let logQ: [Float]
    private let stepsTotal: Int

    private static let warmUpSteps = 100
    private static let clip = 1.0
    /// Small, so that items which are rarely trained stay behind instead of being scored at random.
    private static let deviation: Float = 0.02

    init(
        _ network: SASRecNetwork, _ sequences: SASRecSequences, _ parameters: SASRecParameters,
        seed: UInt64
    ) {
        self.network = network
        self.parameters = parameters
        self.seed = seed
        pieces = sequences.pieces
        let count = sequences.items.count
        let width = network.width
        values = Self.drawn(network, seed: seed)
        vectors = [Float](repeating: 0, count: count * width)
        m = [Float](repeating: 0, count: values.count)
        v = m
        vectorsM = [Float](repeating: 0, count: vectors.count)
        vectorsV = vectorsM
        done = [Int](repeating: 0, count: count)
        let stepsPerEpoch = (pieces.count + parameters.batch - 1) / parameters.batch
        stepsTotal = stepsPerEpoch * parameters.epochCount
        logQ = Self.logQ(pieces, count: count, parameters)
        var table = vectors.mutableSpan
        fillNormal(
            &table, deviation: Self.deviation,
            random: CounterRandom(seed: seed, stream: 0x5A5))
    }

    private static func drawn(_ network: SASRecNetwork, seed: UInt64) -> [Float] {
        var values = [Float](repeating: 1, count: network.layout.count)
        var all = values.mutableSpan
        for (number, entry) in network.layout.entries.enumerated() where entry.shape.count == 2 {
            var part = all._mutatingExtracting(entry.range)
            fillNormal(
                &part, deviation: 1 / Float(3 * entry.shape[1]).squareRoot(),
                random: CounterRandom(seed: seed, stream: UInt64(number)))
        }
        return values
    }

    /// An item is a candidate when one of the step's pieces has it, or when it is drawn.
    private static func logQ(
        _ pieces: [[Int32]], count: Int, _ parameters: SASRecParameters
    ) -> [Float] {
        var holders = [Int](repeating: 0, count: count)
        for piece in pieces {
            for item in Set(piece) { holders[Int(item)] += 1 }
        }
        let drawn = min(1, Double(parameters.negativeCount) / Double(max(1, count)))
        return holders.map { holders in
            let share = Double(holders) / Double(max(1, pieces.count))
            let missed = Libm.pow(1 - share, Double(min(parameters.batch, pieces.count)))
            return Float(Libm.log(max(1e-9, 1 - missed * (1 - drawn))))
        }
    }

    /// All epochs; false when `progress` said to end.
    mutating func run(progress: (Double) -> Bool) -> Bool {
        for epoch in 0..<parameters.epochCount {
            var order = Array(pieces.indices)
            let random = CounterRandom(seed: seed, stream: 0xE0 + UInt64(epoch) << 8)
            for place in order.indices.dropLast() {
                let other = place + Int(random.bits(place) % UInt64(order.count - place))
                order.swapAt(place, other)
            }
            for start in stride(from: 0, to: order.count, by: parameters.batch) {
                let part = order[start..<min(order.count, start + parameters.batch)]
                step(part.map { pieces[$0] })
                guard progress(Double(steps.count) / Double(stepsTotal)) else { return false }
            }
        }
        for item in done.indices { catchUp(item, through: steps.count) }
        return true
    }

    /// The distinct items of a step, and its rows as their places.
    private struct Batch {
        var items: [Int32] = []
        var inputs: [Int32] = []
        var targets: [Int32] = []
        var positions: [Int32] = []
        var visible: [VisibleKeys] = []
        private var places: [Int32: Int32] = [:]

        mutating func place(_ item: Int32) -> Int32 {
            if let known = places[item] { return known }
            let new = Int32(items.count)
            places[item] = new
            items.append(item)
            return new
        }

        mutating func append(_ piece: [Int32]) {
            let start = inputs.count
            for (item, target) in zip(piece, piece.dropFirst()) {
                let row = inputs.count
                inputs.append(place(item))
                targets.append(place(target))
                positions.append(Int32(row - start))
                visible.append(VisibleKeys(start..<row + 1))
            }
        }
    }

    private mutating func step(_ pieces: [[Int32]]) {
        steps.begin(
            learningRate: warmUpCosine(
                step: steps.count + 1, warmUp: min(Self.warmUpSteps, stepsTotal / 4),
                total: stepsTotal, peak: Float(parameters.learningRate)))
        var batch = Batch()
        for piece in pieces { batch.append(piece) }
        let random = CounterRandom(seed: seed, stream: UInt64(steps.count) << 8 | 1)
        let wanted = min(done.count, batch.items.count + parameters.negativeCount)
        var draw = 0
        while batch.items.count < wanted {
            _ = batch.place(Int32(random.bits(draw) % UInt64(done.count)))
            draw += 1
        }
        for item in batch.items { catchUp(Int(item), through: steps.count - 1) }
        var table = [Float](repeating: 0, count: batch.items.count * network.width)
        var out = table.mutableSpan
        gatherRows(vectors.span, batch.items.span, into: &out, width: network.width)
        var (gradients, dTable) = learn(batch, table)
        let norm = (squaredNorm(gradients.span) + squaredNorm(dTable.span)).squareRoot()
        let factor = clipFactor(norm: norm, limit: Self.clip)
        if factor != 1 {
            var span = gradients.mutableSpan
            scale(&span, by: factor)
            var tableSpan = dTable.mutableSpan
            scale(&tableSpan, by: factor)
        }
        update(batch.items, gradients, dTable)
    }

    /// Gradients of the step's loss: of the parameters, and of the vectors of its items.
    private mutating func learn(
        _ batch: Batch, _ table: [Float]
    ) -> (parameters: [Float], table: [Float]) {
        // Copies that cost nothing: spans of one value's parts cannot be open together.
        let (network, values) = (network, values)
        let (rows, width) = (batch.inputs.count, network.width)
        var pass = BlockPass(
            positions: batch.positions, inverseFrequencies: network.frequencies,
            visible: batch.visible)
        pass.dropout = Float(parameters.dropout)
        pass.seed = seed &+ UInt64(steps.count) << 20
        var x = [Float](repeating: 0, count: rows * width)
        var inputs = x.mutableSpan
        gatherRows(table.span, batch.inputs.span, into: &inputs, width: width)
        forward(&x, block: network.block, parameters: values.span, pass: pass, trace: &trace)
        var reciprocals: [Float] = []
        let states = network.normed(x, values, reciprocals: &reciprocals)
        var dTable = [Float](repeating: 0, count: table.count)
        let dStates = softmax(batch, states, table, dTable: &dTable)
        var gradients = [Float](repeating: 0, count: values.count)
        var dx = [Float](repeating: 0, count: x.count)
        backwardNorm(dStates, x, reciprocals, dx: &dx, &gradients)
        let trace = trace
        backward(
            &dx, block: network.block, parameters: values.span, pass: pass, trace: trace,
            gradients: &gradients, scratch: &scratch)
        var rowsOut = dTable.mutableSpan
        scatterAddRows(dx.span, batch.inputs.span, into: &rowsOut, width: width)
        return (gradients, dTable)
    }

    private func backwardNorm(
        _ dStates: [Float], _ x: [Float], _ reciprocals: [Float], dx: inout [Float],
        _ gradients: inout [Float]
    ) {
        var below = dx.mutableSpan
        let values = values
        var all = gradients.mutableSpan
        var dGain = all._mutatingExtracting(network.finalNorm)
        rmsNormBackward(
            dStates.span, x: x.span, gain: values.span.extracting(network.finalNorm),
            reciprocals: reciprocals.span, dx: &below, dGain: &dGain, rows: reciprocals.count,
            width: network.width)
    }

    /// The gradient of the states; adds that of the candidates.
    private func softmax(
        _ batch: Batch, _ states: [Float], _ table: [Float], dTable: inout [Float]
    ) -> [Float] {
        let rows = batch.targets.count
        let shape = SampledSoftmaxShape(
            rows: rows, candidates: batch.items.count, width: network.width)
        let weights = [Float](repeating: 1 / Float(rows), count: rows)
        let corrections = batch.items.map { logQ[Int($0)] }
        var logits = [Float](repeating: 0, count: rows * batch.items.count)
        var dLogits = logits
        var logSums = [Float](repeating: 0, count: rows)
        var dStates = [Float](repeating: 0, count: states.count)
        var logitsOut = logits.mutableSpan
        var sumsOut = logSums.mutableSpan
        _ = sampledSoftmax(
            states: states.span, candidates: table.span, logQ: corrections.span,
            classes: batch.targets.span, weights: weights.span, logits: &logitsOut,
            logSums: &sumsOut, shape: shape)
        var dLogitsOut = dLogits.mutableSpan
        var dStatesOut = dStates.mutableSpan
        var dTableOut = dTable.mutableSpan
        _ = sampledSoftmaxBackward(
            states: states.span, candidates: table.span, logQ: corrections.span,
            classes: batch.targets.span, weights: weights.span, logits: logits.span,
            logSums: logSums.span, dLogits: &dLogitsOut, dStates: &dStatesOut,
            dCandidates: &dTableOut, shape: shape)
        return dStates
    }

    private mutating func update(_ items: [Int32], _ gradients: [Float], _ dTable: [Float]) {
        let width = network.width
        let steps = steps
        onPart(0..<values.count, &values, &m, &v) { all, m, v in
            adamW(&all, gradients: gradients.span, m: &m, v: &v, steps: steps)
        }
        for (row, item) in items.enumerated() {
            let place = Int(item) * width..<(Int(item) + 1) * width
            onPart(place, &vectors, &vectorsM, &vectorsV) { line, m, v in
                adamW(
                    &line, gradients: dTable.span.extracting(row * width..<(row + 1) * width),
                    m: &m, v: &v, steps: steps)
            }
            done[Int(item)] = steps.count
        }
    }

    private mutating func catchUp(_ item: Int, through: Int) {
        guard done[item] < through else { return }
        let (before, steps) = (done[item], steps)
        let place = item * network.width..<(item + 1) * network.width
        onPart(place, &vectors, &vectorsM, &vectorsV) { line, m, v in
            adamWCatchUp(&line, m: &m, v: &v, done: before, through: through, steps: steps)
        }
        done[item] = through
    }
}

private func onPart(
    _ place: Range<Int>, _ table: inout [Float], _ m: inout [Float], _ v: inout [Float],
    _ body: (
        inout MutableSpan<Float>, inout MutableSpan<Float>, inout MutableSpan<Float>
    ) -> Void
) {
    var rows = table.mutableSpan
    var line = rows._mutatingExtracting(place)
    var firsts = m.mutableSpan
    var first = firsts._mutatingExtracting(place)
    var seconds = v.mutableSpan
    var second = seconds._mutatingExtracting(place)
    body(&line, &first, &second)
}
