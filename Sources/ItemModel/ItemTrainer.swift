// Trains an item-aware model on histories: every position predicts the next item among those of the batch and some
// uniformly drawn ones (accuracy.md 3). The same seed gives the same model: shards are a number, not the machine's
// cores, and sums are made in their order.

public import Tensors
import Transformer

public struct ItemTraining: Sendable {
    public var seed: UInt64 = 1
    public var epochsMax = 8
    public var batchSequences = 256
    public var negatives = 1_024
    public var learningRate: Float = 3e-3
    public var warmUpSteps = 100
    public var dropout: Float = 0.25
    public var identityDropout: Float = 0.2
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
    private let shards: [TrainingShard]
    private var steps: AdamWSteps
    private var m: [Float]
    private var v: [Float]
    private var identityM: [Float]
    private var identityV: [Float]
    private var identityDone: [Int]
    private let stepsTotal: Int
    private var epoch = 0

    /// `sequences` are histories as numbers of items, oldest first; each has two items at least.
    public init(
        _ parameters: ItemModelParameters, items: [[Int32]], sequences: [[Int32]],
        training: ItemTraining
    ) {
        self.training = training
        self.parameters = parameters
        self.items = items
        self.sequences = sequences
        let layout = parameters.layout
        shards = (0..<training.shards).map { _ in TrainingShard(layout) }
        steps = AdamWSteps(training.optimiser)
        m = [Float](repeating: 0, count: parameters.values.count)
        v = m
        self.parameters.identity.grow(to: items.count, seed: training.seed)
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

    /// One pass over the sequences in a fresh order; the mean loss of a target.
    public func runEpoch(progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) async
        -> Double
    {
        var order = Array(sequences.indices)
        let random = CounterRandom(seed: training.seed, stream: 0xE0 + UInt64(epoch) << 8)
        for place in order.indices.dropLast() {
            let other = place + Int(random.bits(place) % UInt64(order.count - place))
            order.swapAt(place, other)
        }
        epoch += 1
        var loss = 0.0
        var targets = 0
        for start in stride(from: 0, to: order.count, by: training.batchSequences) {
            let end = min(order.count, start + training.batchSequences)
            let outcome = await step(order[start..<end].map { sequences[$0] })
            loss += outcome.loss
            targets += outcome.targets
            progress(end, order.count)
        }
        catchUpIdentity()
        return loss / Double(max(1, targets))
    }

    // MARK: - One step

    /// The distinct items of a step, and examples that name them by their places.
    struct Batch {
        var items: [Int32] = []
        var examples: [TrainingShard.Examples]
        var targetCount = 0
    }

    private func step(_ sequences: [[Int32]]) async -> (loss: Double, targets: Int) {
        steps.begin(
            learningRate: warmUpCosine(
                step: steps.count + 1, warmUp: min(training.warmUpSteps, stepsTotal / 4),
                total: stepsTotal, peak: training.learningRate))
        let number = steps.count
        let batch = makeBatch(sequences, number)
        let gates = gates(of: batch.items, number)
        for (item, gate) in zip(batch.items, gates) where gate > 0 { catchUp(Int(item)) }
        let values = parameters.values
        let parts = split(batch.items.count)
        var table = await encode(batch.items, parts, values)
        addIdentity(batch.items, gates, to: &table)
        let lessons = await learn(batch, table, values, number)
        var dTable = lessons[0].dVectors
        for lesson in lessons.dropFirst() { accumulate(lesson.dVectors, into: &dTable) }
        var gradients = await finish(dTable, parts, values)
        update(batch.items, gates, &gradients, dTable)
        return (
            lessons.reduce(0) { $0 + $1.loss } * Double(batch.targetCount), batch.targetCount
        )
    }

    private func makeBatch(_ sequences: [[Int32]], _ number: Int) -> Batch {
        var batch = Batch(examples: Array(repeating: .init(), count: shards.count))
        var places: [Int32: Int32] = [:]
        func place(_ item: Int32) -> Int32 {
            if let known = places[item] { return known }
            let new = Int32(batch.items.count)
            places[item] = new
            batch.items.append(item)
            return new
        }
        for (index, sequence) in sequences.enumerated() {
            let shard = index * shards.count / sequences.count
            let kept = sequence.suffix(parameters.layout.shape.historyMax + 1)
            for item in kept.dropLast() { batch.examples[shard].inputs.append(place(item)) }
            for item in kept.dropFirst() { batch.examples[shard].targets.append(place(item)) }
            batch.examples[shard].lengths.append(kept.count - 1)
            batch.targetCount += kept.count - 1
        }
        let random = CounterRandom(seed: training.seed, stream: UInt64(number) << 8 | 1)
        let wanted = min(items.count, batch.items.count + training.negatives)
        var draw = 0
        while batch.items.count < wanted {
            _ = place(Int32(random.bits(draw) % UInt64(items.count)))
            draw += 1
        }
        return batch
    }

    /// What each item's identity vector is multiplied by in this step; 0 when it is dropped.
    private func gates(of items: [Int32], _ number: Int) -> [Float] {
        let random = CounterRandom(seed: training.seed, stream: UInt64(number) << 8 | 2)
        let shape = parameters.layout.shape
        return items.map { item in
            random.uniform(Int(item)) < training.identityDropout
                ? 0 : shape.gate(count: Int(parameters.identity.counts[Int(item)]))
        }
    }

    private func split(_ count: Int) -> [Range<Int>] {
        shards.indices.map {
            $0 * count / shards.count..<($0 + 1) * count / shards.count
        }
    }

    private func encode(_ wanted: [Int32], _ parts: [Range<Int>], _ values: [Float]) async
        -> [Float]
    {
        let runs = parts.map { part in TokenRuns(wanted[part].map { items[Int($0)] }) }
        return await withTaskGroup { group in
            for (index, shard) in shards.enumerated() {
                let run = runs[index]
                group.addTask { (index, await shard.encode(run, parameters: values)) }
            }
            var results = [[Float]](repeating: [], count: shards.count)
            for await (index, vectors) in group { results[index] = vectors }
            return Array(results.joined())
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
        _ batch: Batch, _ table: [Float], _ values: [Float], _ number: Int
    ) async -> [TrainingShard.Lesson] {
        let training = training
        let weight = 1 / Float(max(1, batch.targetCount))
        return await withTaskGroup { group in
            for (index, shard) in shards.enumerated() {
                let examples = batch.examples[index]
                let seed = training.seed &+ UInt64(number &* shards.count &+ index) << 20
                group.addTask {
                    let lesson = await shard.learn(
                        examples, table: table, parameters: values, weight: weight,
                        dropout: training.dropout, seed: seed)
                    return (index, lesson)
                }
            }
            var lessons: [Int: TrainingShard.Lesson] = [:]
            for await (index, lesson) in group { lessons[index] = lesson }
            return shards.indices.compactMap { lessons[$0] }
        }
    }

    private func finish(_ dTable: [Float], _ parts: [Range<Int>], _ values: [Float]) async
        -> [Float]
    {
        let width = parameters.layout.shape.width
        return await withTaskGroup { group in
            for (index, shard) in shards.enumerated() {
                let part = Array(
                    dTable[parts[index].lowerBound * width..<parts[index].upperBound * width])
                group.addTask { (index, await shard.finish(part, parameters: values)) }
            }
            var results = [[Float]](repeating: [], count: shards.count)
            for await (index, gradients) in group { results[index] = gradients }
            var sum = results[0]
            for other in results.dropFirst() { accumulate(other, into: &sum) }
            return sum
        }
    }

    // MARK: - The optimiser

    /// One step of AdamW for the parameters and for the identity vectors that took part.
    private func update(
        _ items: [Int32], _ gates: [Float], _ gradients: inout [Float], _ dTable: [Float]
    ) {
        let width = parameters.layout.shape.width
        var dIdentity = dTable
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
