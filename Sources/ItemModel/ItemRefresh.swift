// A refresh: an adapter learnt from the newest events on a frozen base (decision 18). Vectors of texts are given and
// stay; what changes are the pairs of the inter blocks and the identity vectors of items that the windows name. Other
// items take part as candidates or as older items only. One thread: a refresh runs beside a daemon that serves.

public import Alignment
public import Tensors
import Transformer

public struct RefreshTraining: Sendable, Equatable {
    public var seed: UInt64 = 1
    public var epochs = 4
    public var batchWindows = 64
    public var negatives = 1_024
    public var learningRate: Float = 3e-3
    public var warmUpSteps = 20
    public var dropout: Float = 0.25
    public var identityDropout: Float = 0.2
    public var clip = 1.0
    public var rank = 8
    /// alpha / rank multiplies B A.
    public var loraAlpha: Float = 16
    /// Share of each step's distance to the adapter before that is taken back, per unit of learning rate.
    public var anchor: Float = 0
    /// Weight of the divergence of the pairs from those of the adapter before (PESO); no pull on the first refresh.
    public var divergence = 0.0
    /// Whether the heads' own values are learnt too.
    public var learnsHead = false
    /// Windows of the past in a step for each new one.
    public var replayShare = 0.25
    public var optimiser = AdamWSettings(beta1: 0.9, beta2: 0.98)

    public init() {}
}

/// Owns one refresh from its begin to its adapter.
public final class ItemRefresh {
    public let training: RefreshTraining
    /// How the teacher enters; nil without one.
    public let alignment: AlignmentSettings?
    /// The base, with the heads' values as they are now.
    private var base: ItemModelParameters
    private let textVectors: [Float]
    private let summaryVectors: [Float]
    private let fresh: [RefreshWindow]
    private let replay: [RefreshWindow]
    public private(set) var adapter: ItemAdapter
    /// What the anchor pulls towards: the adapter before, or the base.
    private let start: ItemAdapter
    /// Whether there was an adapter before.
    private let goesOn: Bool
    /// Of each item: its place in the adapter's rows; -1 for items that only are candidates.
    private var places: [Int32]
    /// Of each item, the base's identity vectors grown to all items.
    private let identity: IdentityTable
    private var pass: HistoryPass
    private var older: OlderPass
    private var steps: AdamWSteps
    private var m: [Float]
    private var v: [Float]
    private var rowM: [Float]
    private var rowV: [Float]
    /// Of the gain and the scale.
    private var headM: [Float]
    private var headV: [Float]
    /// The step up to which each of the adapter's rows was brought.
    private var rowDone: [Int]
    /// Teacher's share in the labels so far, over targets: what evidence left of alpha.
    private var alphaSum = 0.0
    private var targetSum = 0

    /// - Parameters:
    ///   - base: the frozen model.
    ///   - textVectors: items × width, of all items that may be candidates; numbers of the base's items come first.
    ///   - summaryVectors: summaries × width, of the windows' summaries.
    ///   - fresh: new windows. Each of their items counts for the gate.
    ///   - replay: windows of the past, which the base's counts include.
    ///   - previous: the adapter that serves, of the same rank; nil for the first refresh.
    public init(
        _ base: ItemModelParameters, textVectors: [Float], summaryVectors: [Float] = [],
        fresh: [RefreshWindow], replay: [RefreshWindow], previous: ItemAdapter? = nil,
        training: RefreshTraining,
        alignment: AlignmentSettings? = nil
    ) {
        let width = base.layout.shape.width
        let itemCount = textVectors.count / width
        precondition(textVectors.count == itemCount * width, "a vector for every item")
        precondition(itemCount >= base.identity.count, "vectors of the base's items")
        let head = previous?.head ?? (training.learnsHead ? base.head : nil)
        self.base = base
        if let head { self.base.set(head) }
        self.textVectors = textVectors
        self.summaryVectors = summaryVectors
        self.fresh = fresh
        self.replay = replay
        self.training = training
        self.alignment = alignment
        var identity = base.identity
        identity.grow(to: itemCount, seed: training.seed)
        if let previous { identity.set(previous.rows) }
        var named: Set<Int32> = Set(previous?.rows.items ?? [])
        for window in fresh + replay { named.formUnion(window.items) }
        for window in fresh {
            for item in window.items[window.newFrom...] { identity.counts[Int(item)] += 1 }
        }
        let items = named.sorted()
        var vectors: [Float] = []
        places = [Int32](repeating: -1, count: itemCount)
        for (row, item) in items.enumerated() {
            places[Int(item)] = Int32(row)
            vectors += identity.vectors[Int(item) * width..<(Int(item) + 1) * width]
        }
        self.identity = identity
        let pairs =
            previous?.pairs
            ?? ItemAdapter(
                base.layout, rank: training.rank, alpha: training.loraAlpha, seed: training.seed
            ).pairs
        adapter = ItemAdapter(
            pairs: pairs,
            rows: IdentityRows(
                width: width, items: items, vectors: vectors,
                counts: items.map { identity.counts[Int($0)] }), head: head)
        precondition(adapter.fits(base.layout), "an adapter of the base's layout")
        start = adapter
        goesOn = previous != nil
        pass = HistoryPass(base.layout)
        older = OlderPass(base.layout)
        let zeros = [Float](repeating: 0, count: pairs.parameters.count)
        let rowZeros = [Float](repeating: 0, count: vectors.count)
        steps = AdamWSteps(training.optimiser)
        m = zeros
        v = zeros
        rowM = rowZeros
        rowV = rowZeros
        headM = [Float](repeating: 0, count: width + 1)
        headV = headM
        rowDone = Array(repeating: 0, count: items.count)
    }

    /// Mean losses of an epoch's targets.
    public struct Loss: Sendable, Equatable {
        /// -log p(target).
        public var plain = 0.0
        /// What was minimised: with the teacher's part.
        public var aligned = 0.0
        public var targets = 0
    }

    public var epoch: Int { steps.count / max(1, stepsPerEpoch) }
    /// The mean share of the teacher in the labels so far.
    public var effectiveAlpha: Double { alphaSum / Double(max(1, targetSum)) }

    private var stepsPerEpoch: Int {
        (fresh.count + training.batchWindows - 1) / training.batchWindows
    }

    /// One pass over the new windows, each step with some of the past beside them. `progress` is told windows done and
    /// answers whether to go on; nil is returned when it does not.
    public func runEpoch(
        progress: (_ done: Int, _ total: Int) -> Bool = { _, _ in true }
    ) throws(AlignmentError) -> Loss? {
        let number = epoch
        let order = shuffled(fresh.count, stream: 0xE0 + UInt64(number) << 8)
        let old = shuffled(replay.count, stream: 0xE1 + UInt64(number) << 8)
        var total = Loss()
        var taken = 0
        for begin in stride(from: 0, to: order.count, by: training.batchWindows) {
            let end = min(order.count, begin + training.batchWindows)
            var batch = order[begin..<end].map { fresh[$0] }
            let wanted = Int(Double(end) * training.replayShare)
            while taken < wanted, !old.isEmpty {
                batch.append(replay[old[taken % old.count]])
                taken += 1
            }
            let loss = try step(batch)
            total.plain += loss.plain
            total.aligned += loss.aligned
            total.targets += loss.targets
            guard progress(end, order.count) else { return nil }
        }
        for row in adapter.rows.items.indices { catchUp(row, through: steps.count) }
        let count = Double(max(1, total.targets))
        return Loss(
            plain: total.plain / count, aligned: total.aligned / count, targets: total.targets)
    }

    private func shuffled(_ count: Int, stream: UInt64) -> [Int] {
        var order = Array(0..<count)
        let random = CounterRandom(seed: training.seed, stream: stream)
        for place in order.indices.dropLast() {
            order.swapAt(place, place + Int(random.bits(place) % UInt64(count - place)))
        }
        return order
    }

    // MARK: - One step

    /// The candidates of a step, and its windows in their places.
    struct Batch {
        /// Candidates first, then those that are only read.
        var items: [Int32] = []
        var candidateCount = 0
        /// A row; -1 for one in front of a window, which `summaries` and `older` are added to.
        var inputs: [Int32] = []
        /// The windows' summaries, one for each row in front; -1 for none.
        var summaries: [Int32] = []
        var fronts: [Int32] = []
        var older = OlderRows()
        var targets: [Int32] = []
        var weights: [Float] = []
        var lengths: [Int] = []
        /// One a row; none for rows that are context.
        var teachers: [ItemTargets] = []
        var places: [Int32: Int32] = [:]
        var candidatePlaces: [Int32: Int32] = [:]

        mutating func place(_ item: Int32) -> Int32 {
            if let known = places[item] { return known }
            let new = Int32(items.count)
            places[item] = new
            items.append(item)
            return new
        }

        /// A row of what was before a window: nothing is predicted from it.
        mutating func beginWithFront(summary: Int32) {
            fronts.append(Int32(inputs.count))
            summaries.append(summary)
            inputs.append(-1)
            targets.append(0)
            weights.append(0)
            teachers.append(.none)
        }

        /// Older items stand behind all candidates; `windows` are those of the batch.
        mutating func place(older windows: [RefreshWindow]) {
            let some = windows.filter { $0.summary >= 0 || !$0.older.isEmpty }
            for (window, front) in zip(some, fronts) {
                older.append(window.older.map { place($0) }, front: Int(front))
            }
        }
    }

    /// Gradients of a step, before clipping.
    struct Gradients {
        var loss = Loss()
        var pairs: [Float]
        /// Of the candidates' vectors, after the gate.
        var table: [Float]
        /// Of the last norm's gain, and of the scale.
        var head: [Float] = []
    }

    private func step(_ windows: [RefreshWindow]) throws(AlignmentError) -> Loss {
        let total = stepsPerEpoch * training.epochs
        steps.begin(
            learningRate: warmUpCosine(
                step: steps.count + 1, warmUp: min(training.warmUpSteps, total / 4),
                total: max(total, steps.count + 1), peak: training.learningRate))
        let number = steps.count
        let batch = batch(windows, number)
        let gates = gates(of: batch.items, number)
        for (item, gate) in zip(batch.items, gates) where gate > 0 {
            let row = Int(places[Int(item)])
            if row >= 0 { catchUp(row, through: number - 1) }
        }
        var gradients = try gradients(batch, gates, number)
        if training.divergence > 0, goesOn {
            addDivergence(
                of: adapter.pairs, from: start.pairs, weight: training.divergence,
                to: &gradients.pairs)
        }
        update(batch.items, gates, &gradients)
        return gradients.loss
    }

    func batch(_ windows: [RefreshWindow], _ number: Int) -> Batch {
        var batch = Batch()
        let shape = base.layout.shape
        var targetCount = 0
        for window in windows {
            let kept = Array(window.items.suffix(shape.historyMax + 1))
            let dropped = window.items.count - kept.count
            let hasFront = window.summary >= 0 || !window.older.isEmpty
            if hasFront { batch.beginWithFront(summary: window.summary) }
            for place in 1..<kept.count {
                let (input, target) = (batch.place(kept[place - 1]), batch.place(kept[place]))
                batch.inputs.append(input)
                batch.targets.append(target)
                let learnt = place + dropped - window.learnFrom
                batch.weights.append(learnt >= 0 ? 1 : 0)
                targetCount += learnt >= 0 ? 1 : 0
                batch.teachers.append(
                    learnt >= 0 && !window.teacher.isEmpty ? window.teacher[learnt] : .none)
            }
            batch.lengths.append(kept.count - 1 + (hasFront ? 1 : 0))
        }
        for row in batch.weights.indices { batch.weights[row] /= Float(max(1, targetCount)) }
        let random = CounterRandom(seed: training.seed, stream: UInt64(number) << 8 | 1)
        let itemCount = identity.count
        let wanted = min(itemCount, batch.items.count + training.negatives)
        var draw = 0
        while batch.items.count < wanted {
            _ = batch.place(Int32(random.bits(draw) % UInt64(itemCount)))
            draw += 1
        }
        batch.candidateCount = batch.items.count
        batch.candidatePlaces = batch.places
        batch.place(older: windows)
        return batch
    }

    /// What each item's identity vector is multiplied by in this step; 0 when it is dropped.
    private func gates(of items: [Int32], _ number: Int) -> [Float] {
        let random = CounterRandom(seed: training.seed, stream: UInt64(number) << 8 | 2)
        let shape = base.layout.shape
        return items.map { item in
            random.uniform(Int(item)) < training.identityDropout
                ? 0 : shape.gate(count: Int(identity.counts[Int(item)]))
        }
    }

    /// Candidates' vectors: text, and gate · identity as the adapter has it.
    private func table(_ items: [Int32], _ gates: [Float]) -> [Float] {
        let width = base.layout.shape.width
        var table = [Float](repeating: 0, count: items.count * width)
        gather(textVectors, items, into: &table, width: width)
        for (row, item) in items.enumerated() where gates[row] > 0 {
            let place = Int(places[Int(item)])
            let start = (place < 0 ? Int(item) : place) * width
            let vectors = place < 0 ? identity.vectors : adapter.rows.vectors
            for column in 0..<width {
                table[row * width + column] += gates[row] * vectors[start + column]
            }
        }
        return table
    }

    func gradients(
        _ batch: Batch, _ gates: [Float], _ number: Int
    ) throws(AlignmentError) -> Gradients {
        let width = base.layout.shape.width
        let table = table(batch.items, gates)
        var result = Gradients(
            pairs: [Float](repeating: 0, count: adapter.pairs.parameters.count),
            table: [Float](repeating: 0, count: table.count))
        var inputs = [Float](repeating: 0, count: batch.inputs.count * width)
        gather(table, batch.inputs, into: &inputs, width: width)
        addSummaries(of: batch, to: &inputs)
        older.run(batch.older, of: table, parameters: base.values, inputs: &inputs)
        let states = pass.run(
            inputs,
            rows: HistoryRows(lengths: batch.lengths, seesItself: base.layout.shape.seesItself),
            parameters: base.values, dropout: training.dropout,
            seed: training.seed &+ UInt64(number) << 20, adapter: adapter.pairs)
        var dStates = [Float](repeating: 0, count: states.count)
        let dScale = try itemHead(batch, states, table, dStates: &dStates, &result)
        if training.learnsHead { result.head = pass.gainGradient(dStates) + [Float(dScale)] }
        let dInputs = pass.backward(
            dStates, parameters: base.values, adapter: adapter.pairs, gradients: &result.pairs)
        scatterAdd(dInputs, batch.inputs, into: &result.table, width: width)
        older.backward(dInputs, frozen: base.values, dTable: &result.table)
        return result
    }

    private func addSummaries(of batch: Batch, to inputs: inout [Float]) {
        guard !summaryVectors.isEmpty, !batch.fronts.isEmpty else { return }
        let width = base.layout.shape.width
        var vectors = [Float](repeating: 0, count: batch.fronts.count * width)
        gather(summaryVectors, batch.summaries, into: &vectors, width: width)
        scatterAdd(vectors, batch.fronts, into: &inputs, width: width)
    }

    /// Softmax over the candidates: the plain loss by its kernel, then what the teacher changes of it. Returns the
    /// gradient of the scale.
    private func itemHead(
        _ batch: Batch, _ states: [Float], _ table: [Float], dStates: inout [Float],
        _ result: inout Gradients
    ) throws(AlignmentError) -> Double {
        let width = base.layout.shape.width
        let columns = batch.candidateCount
        let candidates = Array(table.prefix(columns * width))
        var dCandidates = [Float](repeating: 0, count: candidates.count)
        let temperature = alignment.map { Float($0.temperature) } ?? 1
        let shape = SampledSoftmaxShape(
            rows: batch.targets.count, candidates: columns, width: width,
            scale: base.scale / temperature)
        var logits = [Float](repeating: 0, count: shape.rows * columns)
        var logSums = [Float](repeating: 0, count: shape.rows)
        var logitsOut = logits.mutableSpan
        var sumsOut = logSums.mutableSpan
        let loss = sampledSoftmax(
            states: states.span, candidates: candidates.span, classes: batch.targets.span,
            weights: batch.weights.span, logits: &logitsOut, logSums: &sumsOut, shape: shape)
        var dLogits = [Float](repeating: 0, count: logits.count)
        var dLogitsOut = dLogits.mutableSpan
        var dStatesOut = dStates.mutableSpan
        var dCandidatesOut = dCandidates.mutableSpan
        let slope = sampledSoftmaxBackward(
            states: states.span, candidates: candidates.span, classes: batch.targets.span,
            weights: batch.weights.span, logits: logits.span, logSums: logSums.span,
            dLogits: &dLogitsOut, dStates: &dStatesOut, dCandidates: &dCandidatesOut, shape: shape)
        let targets = batch.weights.count { $0 > 0 }
        result.loss = Loss(
            plain: loss * Double(targets), aligned: loss * Double(targets), targets: targets)
        defer { result.table.replaceSubrange(..<dCandidates.count, with: dCandidates) }
        guard let alignment else { return slope }
        targetSum += targets
        let taught = try TaughtLabels(
            batch.teachers, places: batch.candidatePlaces, classes: batch.targets,
            weights: batch.weights, logits: logits, states: states, candidates: candidates,
            shape: shape, alignment, dStates: &dStates, dCandidates: &dCandidates)
        alphaSum += taught.alpha
        result.loss.aligned += taught.loss
        return slope / alignment.temperature + taught.dScale
    }
}

// MARK: - The optimiser

extension ItemRefresh {
    private func update(
        _ items: [Int32], _ gates: [Float], _ gradients: inout Gradients
    ) {
        let width = base.layout.shape.width
        for (row, item) in items.enumerated() {
            // Rows that are not the adapter's stay as they are, and take no part in the clipping.
            let factor = places[Int(item)] < 0 ? 0 : gates[row]
            for column in 0..<width { gradients.table[row * width + column] *= factor }
        }
        let norm =
            (squaredNorm(gradients.pairs.span) + squaredNorm(gradients.table.span)
            + squaredNorm(gradients.head.span)).squareRoot()
        let factor = clipFactor(norm: norm, limit: training.clip)
        if factor != 1 {
            var pairs = gradients.pairs.mutableSpan
            scale(&pairs, by: factor)
            var table = gradients.table.mutableSpan
            scale(&table, by: factor)
            var head = gradients.head.mutableSpan
            scale(&head, by: factor)
        }
        updateHead(gradients.head)
        var values = adapter.pairs.parameters.mutableSpan
        var mSpan = m.mutableSpan
        var vSpan = v.mutableSpan
        adamW(&values, gradients: gradients.pairs.span, m: &mSpan, v: &vSpan, steps: steps)
        pull(&values, towards: start.pairs.parameters[...])
        for (row, item) in items.enumerated() where gates[row] > 0 && places[Int(item)] >= 0 {
            let own = Int(places[Int(item)])
            let place = own * width..<(own + 1) * width
            var vectors = adapter.rows.vectors.mutableSpan
            var line = vectors._mutatingExtracting(place)
            var rowMs = rowM.mutableSpan
            var mLine = rowMs._mutatingExtracting(place)
            var rowVs = rowV.mutableSpan
            var vLine = rowVs._mutatingExtracting(place)
            adamW(
                &line, gradients: gradients.table.span.extracting(row * width..<(row + 1) * width),
                m: &mLine, v: &vLine, steps: steps)
            pull(&line, towards: start.rows.vectors[place])
            rowDone[own] = steps.count
        }
    }

    private func updateHead(_ gradients: [Float]) {
        guard !gradients.isEmpty, let start = start.head else { return }
        var numbers = base.head.gain + [base.head.scale]
        var values = numbers.mutableSpan
        var mSpan = headM.mutableSpan
        var vSpan = headV.mutableSpan
        adamW(&values, gradients: gradients.span, m: &mSpan, v: &vSpan, steps: steps)
        pull(&values, towards: (start.gain + [start.scale])[...])
        let head = HeadValues(gain: Array(numbers.dropLast()), scale: numbers[numbers.count - 1])
        base.set(head)
        adapter.head = head
    }

    /// Takes back a share of the distance to where the refresh began.
    private func pull(_ values: inout MutableSpan<Float>, towards start: ArraySlice<Float>) {
        let share = training.anchor * training.learningRate
        guard share > 0 else { return }
        for (index, value) in start.enumerated() {
            values[index] -= share * (values[index] - value)
        }
    }

    /// Brings a row of the adapter up to a step.
    private func catchUp(_ row: Int, through step: Int) {
        guard rowDone[row] < step else { return }
        let width = base.layout.shape.width
        let place = row * width..<(row + 1) * width
        var vectors = adapter.rows.vectors.mutableSpan
        var line = vectors._mutatingExtracting(place)
        var rowMs = rowM.mutableSpan
        var mLine = rowMs._mutatingExtracting(place)
        var rowVs = rowV.mutableSpan
        var vLine = rowVs._mutatingExtracting(place)
        adamWCatchUp(
            &line, m: &mLine, v: &vLine, done: rowDone[row], through: step,
            steps: steps)
        rowDone[row] = step
    }
}
