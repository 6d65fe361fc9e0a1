// Trains an item-aware model on histories: every position predicts the next item among those of the batch and some
// uniformly drawn ones (accuracy.md 3). The same seed gives the same model: shards are a number, not the machine's
// cores, and sums are made in their order.

public import Alignment
public import Tensors
import Transformer

public struct ItemTraining: Sendable {
    public var seed: UInt64 = 1
    public var epochsMax = 6
    public var batchSequences = 256
    public var negatives = 1_024
    public var learningRate: Float = 3e-3
    public var warmUpSteps = 100
    public var dropout: Float = 0.25
    public var identityDropout: Float = 0.2
    /// Of the answers' loss beside the items'; 0 trains no token head.
    public var answerWeight: Float = 0.4
    /// Share of the targets whose answers are taught in an epoch.
    public var answerShare: Float = 1
    public var clip = 1.0
    public var shards = 2
    public var optimiser = AdamWSettings(beta1: 0.9, beta2: 0.98)

    public init() {}
}

/// Owns a model in training.
public final class ItemTrainer {
    public let training: ItemTraining
    public private(set) var parameters: ItemModelParameters
    /// Tokens of every item.
    private let items: [[Int32]]
    private let sequences: [[Int32]]
    /// Tokens of what stands before each sequence; empty where nothing does.
    private let summaries: [[Int32]]
    /// Items before each sequence, for a model that reads them.
    private let older: [[Int32]]
    /// A word on each target of each sequence; none without a teacher.
    private let teachers: [[ItemTargets]]
    private let alignment: AlignmentSettings?
    private let answers: AnswerTable?
    private let shards: [TrainingShard]
    private var steps: AdamWSteps
    private var m: [Float]
    private var v: [Float]
    private var identityM: [Float]
    private var identityV: [Float]
    private var identityDone: [Int]
    private let stepsTotal: Int
    public private(set) var epoch = 0

    /// `sequences` are histories as numbers of items, oldest first; each has two items at least. `summaries` are the
    /// tokens of the summary as it was before each of them, none where there was none; `older` the items before each,
    /// oldest first, none for a model that does not read them. `teachers`: what a teacher says about
    /// sequences[i][1...], when there is one, and `alignment` how it enters the item head's labels.
    public init(
        _ parameters: ItemModelParameters, items: [[Int32]], sequences: [[Int32]],
        summaries: [[Int32]] = [], older: [[Int32]] = [], answers: AnswerTable? = nil,
        teachers: [[ItemTargets]] = [], alignment: AlignmentSettings? = nil,
        training: ItemTraining
    ) {
        precondition(summaries.isEmpty || summaries.count == sequences.count, "one a sequence")
        precondition(older.isEmpty || older.count == sequences.count, "a list a sequence")
        precondition(
            teachers.isEmpty && alignment == nil
                || zip(sequences, teachers).allSatisfy { $0.count == $1.count + 1 }
                    && teachers.count == sequences.count,
            "a word on every target, and how it enters")
        self.teachers = teachers
        self.alignment = alignment
        let answers = training.answerWeight > 0 ? answers : nil
        self.answers = answers
        self.training = training
        self.parameters = parameters
        self.items = items
        self.sequences = sequences
        let none = [[Int32]](repeating: [], count: sequences.count)
        self.summaries = summaries.isEmpty ? none : summaries
        let layout = parameters.layout
        self.older = older.isEmpty || layout.olderNorm == nil ? none : older
        shards = (0..<training.shards).map { _ in TrainingShard(layout, answers: answers) }
        steps = AdamWSteps(training.optimiser)
        m = [Float](repeating: 0, count: parameters.values.count)
        v = m
        let shape = layout.shape
        self.parameters.identity.grow(
            to: items.count,
            deviation: shape.vectors == .identity ? 1 / Float(shape.width).squareRoot() : 0.02,
            seed: training.seed)
        for sequence in sequences {
            for item in sequence { self.parameters.identity.counts[Int(item)] += 1 }
        }
        identityM = [Float](repeating: 0, count: items.count * layout.shape.width)
        identityV = identityM
        identityDone = [Int](repeating: 0, count: items.count)
        let batches =
            (sequences.count + training.batchSequences - 1) / training.batchSequences
        stepsTotal = batches * training.epochsMax
    }

    /// Mean losses of a target.
    public struct Loss: Sendable, Equatable {
        public var item = 0.0
        /// Of its whole answer: minus the log of the path's probability.
        public var answer = 0.0
    }

    /// One pass over the sequences in a fresh order.
    public func runEpoch(
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) async -> Loss {
        var order = Array(sequences.indices)
        let random = CounterRandom(seed: training.seed, stream: 0xE0 + UInt64(epoch) << 8)
        for place in order.indices.dropLast() {
            let other = place + Int(random.bits(place) % UInt64(order.count - place))
            order.swapAt(place, other)
        }
        epoch += 1
        var total = StepLoss()
        for start in stride(from: 0, to: order.count, by: training.batchSequences) {
            let end = min(order.count, start + training.batchSequences)
            total.add(await step(Array(order[start..<end])))
            progress(end, order.count)
        }
        catchUpIdentity()
        return Loss(
            item: total.item / Double(max(1, total.targets)),
            answer: total.answer / Double(max(1, total.answered)))
    }

    /// Sums over a step's targets.
    private struct StepLoss {
        var item = 0.0
        var answer = 0.0
        var targets = 0
        var answered = 0

        mutating func add(_ other: StepLoss) {
            item += other.item
            answer += other.answer
            targets += other.targets
            answered += other.answered
        }
    }

    // MARK: - Interruptions

    /// All that a training which goes on later needs, beside what it was made with.
    public struct Progress: Sendable, Equatable {
        public var epoch: Int
        public var step: Int
        public var values: [Float]
        public var identity: [Float]
        public var m: [Float]
        public var v: [Float]
        public var identityM: [Float]
        public var identityV: [Float]

        public init(
            epoch: Int, step: Int, values: [Float], identity: [Float], m: [Float], v: [Float],
            identityM: [Float], identityV: [Float]
        ) {
            self.epoch = epoch
            self.step = step
            self.values = values
            self.identity = identity
            self.m = m
            self.v = v
            self.identityM = identityM
            self.identityV = identityV
        }
    }

    /// Between epochs.
    public var progress: Progress {
        Progress(
            epoch: epoch, step: steps.count, values: parameters.values,
            identity: parameters.identity.vectors, m: m, v: v, identityM: identityM,
            identityV: identityV)
    }

    /// Goes on where a trainer made with the same arguments was; false when the numbers are not of these arguments.
    public func resume(_ progress: Progress) -> Bool {
        guard epoch == 0, 0...training.epochsMax ~= progress.epoch,
            progress.step == stepsPerEpoch * progress.epoch,
            progress.values.count == parameters.values.count,
            progress.m.count == m.count, progress.v.count == v.count,
            progress.identity.count == parameters.identity.vectors.count,
            progress.identityM.count == identityM.count,
            progress.identityV.count == identityV.count
        else { return false }
        parameters.values = progress.values
        parameters.identity.vectors = progress.identity
        (m, v) = (progress.m, progress.v)
        (identityM, identityV) = (progress.identityM, progress.identityV)
        for _ in 0..<progress.step { beginStep() }
        identityDone = [Int](repeating: progress.step, count: items.count)
        epoch = progress.epoch
        return true
    }

    private var stepsPerEpoch: Int { stepsTotal / max(1, training.epochsMax) }

    private func beginStep() {
        steps.begin(
            learningRate: warmUpCosine(
                step: steps.count + 1, warmUp: min(training.warmUpSteps, stepsTotal / 4),
                total: stepsTotal, peak: training.learningRate))
    }

    // MARK: - One step

    /// The distinct items of a step, and examples that name them by their places.
    private struct Batch {
        /// Candidates first, then those that are only read.
        var items: [Int32] = []
        var candidateCount: Int32 = 0
        /// Tokens of the items, then of the summaries: rows of the step's table.
        var texts: [[Int32]] = []
        /// Where each text's token states begin.
        var stateRows: [Int32] = []
        var stateCount: Int32 = 0
        var examples: [TrainingShard.Examples]
        var targetCount = 0
        var answeredCount = 0
        var places: [Int32: Int32] = [:]

        mutating func place(_ item: Int32, tokens: [[Int32]]) -> Int32 {
            if let known = places[item] { return known }
            let new = Int32(items.count)
            places[item] = new
            items.append(item)
            append(tokens[Int(item)])
            return new
        }

        mutating func append(_ text: [Int32]) {
            texts.append(text)
            stateRows.append(stateCount)
            stateCount += Int32(text.count)
        }
    }

    private func step(_ chosen: [Int]) async -> StepLoss {
        beginStep()
        let number = steps.count
        let batch = makeBatch(chosen, number)
        let gates = gates(of: batch.items, number)
        for (item, gate) in zip(batch.items, gates) where gate > 0 { catchUp(Int(item)) }
        let values = parameters.values
        let parts = split(batch.texts.count)
        var encoding = await encode(
            batch.texts, candidateCount: Int(batch.candidateCount), parts, values)
        if parameters.layout.shape.attention == .plain {
            encoding.own = [Float](repeating: 0, count: encoding.vectors.count)
            addIdentity(batch.items, gates, to: &encoding.own)
        }
        addIdentity(batch.items, gates, to: &encoding.vectors)
        let lessons = await learn(batch, encoding, values, number)
        var sum = lessons[0]
        for lesson in lessons.dropFirst() {
            accumulate(lesson.dVectors, into: &sum.dVectors)
            accumulate(lesson.dStates, into: &sum.dStates)
            accumulate(lesson.dOwn, into: &sum.dOwn)
            sum.itemLoss += lesson.itemLoss
            sum.answerLoss += lesson.answerLoss
        }
        var gradients = await finish(sum, batch, parts, values)
        var dIdentity = Array(
            sum.dVectors.prefix(batch.items.count * parameters.layout.shape.width))
        if !sum.dOwn.isEmpty { accumulate(sum.dOwn, into: &dIdentity) }
        update(batch.items, gates, &gradients, &dIdentity)
        let scale = training.answerWeight > 0 ? Double(training.answerWeight) : 1
        return StepLoss(
            item: sum.itemLoss * Double(batch.targetCount),
            answer: sum.answerLoss * Double(batch.answeredCount) / scale,
            targets: batch.targetCount, answered: batch.answeredCount)
    }

    private func makeBatch(_ chosen: [Int], _ number: Int) -> Batch {
        var batch = Batch(examples: Array(repeating: .init(), count: shards.count))
        let picks = CounterRandom(seed: training.seed, stream: UInt64(number) << 8 | 3)
        for (index, sequence) in chosen.enumerated() {
            let shard = index * shards.count / chosen.count
            let kept = Array(sequences[sequence].suffix(parameters.layout.shape.historyMax + 1))
            let hasFront = !summaries[sequence].isEmpty || !older[sequence].isEmpty
            if hasFront { batch.examples[shard].beginWithFront() }
            if alignment != nil {
                batch.examples[shard].teachers += teachers[sequence].suffix(kept.count - 1)
            }
            for (item, target) in zip(kept, kept.dropFirst()) {
                let row = Int32(batch.examples[shard].inputs.count)
                let input = batch.place(item, tokens: items)
                let place = batch.place(target, tokens: items)
                batch.examples[shard].append(input, target: place)
                let picked = picks.uniform(batch.targetCount) < training.answerShare
                batch.targetCount += 1
                guard picked, let choices = answers?.choices[Int(target)], !choices.isEmpty else {
                    continue
                }
                batch.answeredCount += 1
                for choice in choices {
                    batch.examples[shard].answers.append(
                        TrainingShard.Answer(
                            state: batch.stateRows[Int(place)] + choice.depth, row: row,
                            node: choice.node, place: choice.place))
                }
            }
            batch.examples[shard].lengths.append(kept.count - 1 + (hasFront ? 1 : 0))
            if parameters.layout.shape.attention == .plain {
                batch.examples[shard].texts.append(
                    kept.dropLast().map {
                        (item: batch.place($0, tokens: items), tokens: items[Int($0)])
                    })
            }
        }
        for shard in batch.examples.indices {
            batch.examples[shard].answers.sort { ($0.node, $0.row) < ($1.node, $1.row) }
        }
        let random = CounterRandom(seed: training.seed, stream: UInt64(number) << 8 | 1)
        let wanted = min(items.count, batch.items.count + training.negatives)
        var draw = 0
        while batch.items.count < wanted {
            _ = batch.place(Int32(random.bits(draw) % UInt64(items.count)), tokens: items)
            draw += 1
        }
        batch.candidateCount = Int32(batch.items.count)
        placeFronts(chosen, in: &batch)
        return batch
    }

    /// Older items and summaries are read and not chosen for it: they stand behind all candidates.
    private func placeFronts(_ chosen: [Int], in batch: inout Batch) {
        let rows = chosen.map { older[$0].map { batch.place($0, tokens: items) } }
        for (index, sequence) in chosen.enumerated() {
            let summary = summaries[sequence]
            guard !summary.isEmpty || !rows[index].isEmpty else { continue }
            let place: Int32 = summary.isEmpty ? -1 : Int32(batch.texts.count)
            if !summary.isEmpty { batch.append(summary) }
            batch.examples[index * shards.count / chosen.count].placeFront(
                summary: place, older: rows[index])
        }
    }

    /// What each item's identity vector is multiplied by in this step; 0 when it is dropped.
    private func gates(of items: [Int32], _ number: Int) -> [Float] {
        let random = CounterRandom(seed: training.seed, stream: UInt64(number) << 8 | 2)
        let shape = parameters.layout.shape
        let dropout = shape.vectors == .gated ? training.identityDropout : 0
        return items.map { item in
            random.uniform(Int(item)) < dropout
                ? 0 : shape.gate(count: Int(parameters.identity.counts[Int(item)]))
        }
    }

    private func split(_ count: Int) -> [Range<Int>] {
        shards.indices.map {
            $0 * count / shards.count..<($0 + 1) * count / shards.count
        }
    }

    private func encode(
        _ texts: [[Int32]], candidateCount: Int, _ parts: [Range<Int>], _ values: [Float]
    ) async -> TrainingShard.Encoding {
        let runs = parts.map { part in TokenRuns(texts[part]) }
        let encodings = await onShards { index, shard in
            await shard.encode(runs[index], parameters: values)
        }
        return TrainingShard.Encoding(
            vectors: Array(encodings.map(\.vectors).joined()),
            states: Array(encodings.map(\.states).joined()), candidateCount: candidateCount)
    }

    /// Runs `work` on all shards at once; results in their order.
    private func onShards<Result: Sendable>(
        _ work: @escaping @Sendable (Int, TrainingShard) async -> Result
    ) async -> [Result] {
        await withTaskGroup { group in
            for (index, shard) in shards.enumerated() {
                group.addTask { (index, await work(index, shard)) }
            }
            var results: [(Int, Result)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func addIdentity(_ items: [Int32], _ gates: [Float], to table: inout [Float]) {
        let width = parameters.layout.shape.width
        for (row, item) in items.enumerated() where gates[row] > 0 {
            let start = Int(item) * width
            for column in 0..<width {
                table[row * width + column] +=
                    gates[row] * parameters.identity.vectors[start + column]
            }
        }
    }

    private func learn(
        _ batch: Batch, _ encoding: TrainingShard.Encoding, _ values: [Float], _ number: Int
    ) async -> [TrainingShard.Lesson] {
        let examples = batch.examples
        let training = training
        let settings = TrainingShard.Settings(
            itemWeight: 1 / Float(max(1, batch.targetCount)),
            answerWeight: training.answerWeight / Float(max(1, batch.answeredCount)),
            dropout: training.dropout, seed: training.seed, alignment: alignment,
            places: alignment == nil
                ? [:] : batch.places.filter { $0.value < batch.candidateCount })
        return await onShards { index, shard in
            var settings = settings
            settings.seed &+= UInt64(number &* examples.count &+ index) << 20
            return await shard.learn(
                examples[index], from: encoding, parameters: values, settings: settings)
        }
    }

    private func finish(
        _ lesson: TrainingShard.Lesson, _ batch: Batch, _ parts: [Range<Int>], _ values: [Float]
    ) async -> [Float] {
        let width = parameters.layout.shape.width
        func piece(_ all: [Float], _ from: Int, _ to: Int) -> [Float] {
            all.isEmpty ? [] : Array(all[from * width..<to * width])
        }
        let pieces = parts.map { part in
            let states = [part.lowerBound, part.upperBound].map {
                Int($0 < batch.texts.count ? batch.stateRows[$0] : batch.stateCount)
            }
            return (
                piece(lesson.dVectors, part.lowerBound, part.upperBound),
                piece(lesson.dStates, states[0], states[1])
            )
        }
        let gradients = await onShards { index, shard in
            await shard.finish(pieces[index].0, pieces[index].1, parameters: values)
        }
        var sum = gradients[0]
        for other in gradients.dropFirst() { accumulate(other, into: &sum) }
        return sum
    }

    // MARK: - The optimiser

    /// One step of AdamW for the parameters and for the identity vectors that took part.
    private func update(
        _ items: [Int32], _ gates: [Float], _ gradients: inout [Float],
        _ dIdentity: inout [Float]
    ) {
        let width = parameters.layout.shape.width
        for row in items.indices {
            for column in 0..<width { dIdentity[row * width + column] *= gates[row] }
        }
        let norm = (squaredNorm(gradients.span) + squaredNorm(dIdentity.span)).squareRoot()
        let factor = clipFactor(norm: norm, limit: training.clip)
        if factor != 1 {
            var span = gradients.mutableSpan
            scale(&span, by: factor)
            var identitySpan = dIdentity.mutableSpan
            scale(&identitySpan, by: factor)
        }
        var values = parameters.values.mutableSpan
        var mSpan = m.mutableSpan
        var vSpan = v.mutableSpan
        adamW(&values, gradients: gradients.span, m: &mSpan, v: &vSpan, steps: steps)
        for (row, item) in items.enumerated() where gates[row] > 0 {
            let place = Int(item) * width..<(Int(item) + 1) * width
            var vectors = parameters.identity.vectors.mutableSpan
            var line = vectors._mutatingExtracting(place)
            var ms = identityM.mutableSpan
            var mLine = ms._mutatingExtracting(place)
            var vs = identityV.mutableSpan
            var vLine = vs._mutatingExtracting(place)
            adamW(
                &line, gradients: dIdentity.span.extracting(row * width..<(row + 1) * width),
                m: &mLine, v: &vLine, steps: steps)
            identityDone[Int(item)] = steps.count
        }
    }

    /// Brings an item's vector up to the step before this one.
    private func catchUp(_ item: Int, through step: Int? = nil) {
        let width = parameters.layout.shape.width
        let place = item * width..<(item + 1) * width
        let through = step ?? steps.count - 1
        guard identityDone[item] < through else { return }
        var vectors = parameters.identity.vectors.mutableSpan
        var line = vectors._mutatingExtracting(place)
        var ms = identityM.mutableSpan
        var mLine = ms._mutatingExtracting(place)
        var vs = identityV.mutableSpan
        var vLine = vs._mutatingExtracting(place)
        adamWCatchUp(
            &line, m: &mLine, v: &vLine, done: identityDone[item], through: through, steps: steps)
        identityDone[item] = through
    }

    private func catchUpIdentity() {
        for item in items.indices { catchUp(item, through: steps.count) }
    }
}

private func accumulate(_ x: [Float], into y: inout [Float]) {
    var sum = y.mutableSpan
    add(x.span, to: &sum)
}
