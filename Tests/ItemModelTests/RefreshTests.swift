// A refresh: its step against the twin in Double, what it may change, what it repeats, and what it never looks at.

import Alignment
import ReferenceModel
import TestKit
import Testing
import Transformer

@testable import ItemModel

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Refreshing an item-aware model")
struct RefreshTests {
    private static func training(
        _ change: (inout RefreshTraining) -> Void = { _ in }
    ) -> RefreshTraining {
        var training = RefreshTraining()
        training.epochs = 4
        training.batchWindows = 2
        training.negatives = 3
        training.learningRate = 0.02
        training.warmUpSteps = 2
        training.rank = 2
        training.loraAlpha = 3
        change(&training)
        return training
    }

    /// All items are candidates, and nothing is dropped.
    private static let still = training {
        $0.dropout = 0
        $0.identityDropout = 0
        $0.negatives = 100
    }

    static let losses: [AlignmentSettings?] = [
        nil,
        try? AlignmentSettings(
            loss: .softCrossEntropy, isMasked: false, alpha: 0.6, temperature: 1,
            evidenceHalf: 2),
        try? AlignmentSettings(
            loss: .logOfExpectation, isMasked: false, alpha: 0.3, temperature: 2.5),
    ]

    private static let opinions: [[(item: Int32, count: Float)]] = [
        [(1, 2), (3, 1)], [], [(0, 1), (2, 4), (6, 1)], [(5, 1)], [(3, 7)],
    ]

    /// Windows of the small model's histories, with context before, and opinions in turn.
    private func windows(_ model: SmallModel) throws -> [RefreshWindow] {
        var turn = 0
        return try model.histories.enumerated().map { index, history in
            let newFrom = index == 0 ? 2 : 0
            let teacher = try (max(1, newFrom)..<history.count).map { _ in
                turn += 1
                return try ItemTargets(counts: Self.opinions[turn % Self.opinions.count])
            }
            return RefreshWindow(items: history, newFrom: newFrom, teacher: teacher)
        }
    }

    private func textVectors(_ model: SmallModel) -> [Float] {
        var scorer = ItemScorer(model.parameters)
        return scorer.textVectors(of: model.items)
    }

    private func refresh(
        _ model: SmallModel, _ windows: [RefreshWindow], previous: ItemAdapter? = nil,
        _ training: RefreshTraining, _ alignment: AlignmentSettings? = nil,
        replay: [RefreshWindow] = [], summaries: [[Int32]] = []
    ) -> ItemRefresh {
        var scorer = ItemScorer(model.parameters)
        return ItemRefresh(
            model.parameters, textVectors: textVectors(model),
            summaryVectors: scorer.textVectors(of: summaries), fresh: windows, replay: replay,
            previous: previous, training: training, alignment: alignment)
    }

    @Test("A step's loss and gradients are the twin's", arguments: losses.indices)
    func gradients(_ index: Int) throws {
        let model = SmallModel { $0.historyMax = 5 }
        try expectTwin(model, try windows(model), Self.losses[index])
    }

    /// A front of each kind: summary, older items, both, nothing.
    @Test("And with what was before the windows", arguments: losses.indices)
    func frontGradients(_ index: Int) throws {
        let model = SmallModel(seed: 9) {
            $0.historyMax = 5
            $0.older = .mean
        }
        var windows = try windows(model)
        windows[0].summary = 1
        windows[1].older = [5, 3]
        (windows[2].summary, windows[2].older) = (0, [6, 1, 2])
        try expectTwin(model, windows, Self.losses[index], summaries: Self.summaries)
    }

    private static let summaries: [[Int32]] = [[1, 14, 15, 16, 9, 2], [1, 17, 2]]

    private func expectTwin(
        _ model: SmallModel, _ windows: [RefreshWindow], _ alignment: AlignmentSettings?,
        summaries: [[Int32]] = []
    ) throws {
        var previous = AdapterTests.adapter(model)
        previous.rows = IdentityRows(
            width: model.width, items: [0, 4], vectors: Array(previous.rows.vectors.prefix(16)),
            counts: [2, 60])
        let refresh = refresh(
            model, windows, previous: previous, Self.still, alignment, summaries: summaries)
        let batch = refresh.batch(windows, 1)
        let gates = batch.items.map {
            model.shape.gate(count: Int(refresh.adapter.rows.counts[Int($0)]))
        }
        let ours = try refresh.gradients(batch, gates, 1)
        let numbers = refresh.adapter.pairs.parameters.map(Double.init)
        let text = textVectors(model)
        // By item, as all of them are rows of the adapter.
        let vectors = model.items.indices.map { item in
            let own = model.row(item, of: refresh.adapter.rows.vectors)
            let gate = gates[batch.items.firstIndex(of: Int32(item)) ?? 0]
            return zip(model.row(item, of: text), own).map { Double($0 + gate * $1) }
        }
        #expect(refresh.adapter.rows.items.count == model.items.count)
        func twin(_ numbers: [Double], _ vectors: [[Double]]) -> Double {
            self.twin(
                model, refresh.adapter.pairs.layout, numbers, vectors, windows, alignment,
                summaries: summaries)
        }
        let count = Double(ours.loss.targets)
        #expect(abs(twin(numbers, vectors) - ours.loss.aligned / count) < 1e-4)
        var random = SeededRandom(seed: 3)
        for _ in 0..<5 {
            let direction = numbers.map { _ in Double.random(in: -1..<1, using: &random) }
            let moved = vectors.map { $0.map { _ in Double.random(in: -1..<1, using: &random) } }
            let step = 1e-5
            func at(_ distance: Double) -> Double {
                twin(
                    zip(numbers, direction).map { $0 + distance * $1 },
                    zip(vectors, moved).map { zip($0, $1).map { $0 + distance * $1 } })
            }
            let slope = (at(step) - at(-step)) / (2 * step)
            var expected = weighed(ours.pairs.map(Double.init), by: direction)
            for (place, item) in batch.items.enumerated() {
                expected += weighed(
                    model.row(place, of: ours.table).map(Double.init), by: moved[Int(item)])
            }
            #expect(abs(slope - expected) < 1e-4 + 1e-4 * abs(slope))
        }
    }

    @Test("The gradient of the heads' values is the twin's slope", arguments: losses.indices)
    func headGradients(_ index: Int) throws {
        let model = SmallModel { $0.historyMax = 5 }
        let windows = try windows(model)
        var training = Self.still
        training.learnsHead = true
        let refresh = refresh(model, windows, training, Self.losses[index])
        let batch = refresh.batch(windows, 1)
        let gates = batch.items.map {
            model.shape.gate(count: Int(refresh.adapter.rows.counts[Int($0)]))
        }
        let ours = try refresh.gradients(batch, gates, 1)
        let text = textVectors(model)
        let vectors = model.items.indices.map { item in
            let own = model.row(item, of: refresh.adapter.rows.vectors)
            let gate = gates[batch.items.firstIndex(of: Int32(item)) ?? 0]
            return zip(model.row(item, of: text), own).map { Double($0 + gate * $1) }
        }
        let head = model.parameters.head
        let values = (head.gain + [head.scale]).map(Double.init)
        #expect(ours.head.count == values.count)
        var random = SeededRandom(seed: 8)
        for _ in 0..<5 {
            let direction = values.map { _ in Double.random(in: -1..<1, using: &random) }
            func at(_ distance: Double) -> Double {
                twin(
                    model, refresh.adapter.pairs.layout,
                    refresh.adapter.pairs.parameters.map(Double.init), vectors, windows,
                    Self.losses[index], head: zip(values, direction).map { $0 + distance * $1 })
            }
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5
            let found = weighed(ours.head.map(Double.init), by: direction)
            #expect(abs(slope - found) < 1e-4 + 1e-4 * abs(slope), "\(slope) \(found)")
        }
    }

    @Test(
        "Heads are learnt when told to, go on from the adapter before, and are the model's when applied"
    )
    func heads() throws {
        let model = SmallModel()
        let windows = [RefreshWindow(items: [0, 4, 0, 4, 0])]
        func learnt(_ learns: Bool, from previous: ItemAdapter? = nil) throws -> ItemAdapter {
            let refresh = refresh(
                model, windows, previous: previous, Self.training { $0.learnsHead = learns })
            for _ in 0..<4 { _ = try refresh.runEpoch() }
            return refresh.adapter
        }
        #expect(try learnt(false).head == nil)
        let first = try learnt(true)
        let head = try #require(first.head)
        #expect(head != model.parameters.head)
        #expect(model.parameters.applying(first).head == head)
        // The heads of the adapter before stay when they are not learnt.
        #expect(try learnt(false, from: first).head == head)
        #expect(try learnt(true, from: first).head != head)
        // The base's values in an adapter are the base, bit for bit.
        var plain = try learnt(false)
        let without = model.parameters.applying(plain)
        plain.head = model.parameters.head
        #expect(model.parameters.applying(plain) == without)
    }

    /// The mean loss over targets, by definition; `head` is the last norm's gain and the scale.
    private func twin(
        _ model: SmallModel, _ pairs: LowRankLayout, _ numbers: [Double], _ vectors: [[Double]],
        _ windows: [RefreshWindow], _ alignment: AlignmentSettings?, head: [Double]? = nil,
        summaries: [[Int32]] = []
    ) -> Double {
        var twin = model.reference
        if let head { twin.parameters.values["model.norm.weight"] = Array(head.dropLast()) }
        let scale = head?.last ?? Double(model.parameters.scale)
        twin.merge(pairs, numbers, model.layout)
        let tau = alignment?.temperature ?? 1
        var (sum, count) = (0.0, 0.0)
        for window in windows {
            let before = twin.front(
                summary: window.summary < 0 ? [] : summaries[Int(window.summary)].map(Int.init),
                older: window.older.map { vectors[Int($0)] })
            let states = twin.historyStates(
                before + window.items.dropLast().map { vectors[Int($0)] }
            ).dropFirst(before.count).map { $0 }
            for place in window.learnFrom..<window.items.count {
                let logits = vectors.map {
                    weighed($0, by: states[place - 1]) * scale / tau
                }
                let logSum = log(logits.reduce(0) { $0 + exp($1) })
                var label = [Double](repeating: 0, count: logits.count)
                let teacher = window.teacher[place - window.learnFrom]
                let alpha =
                    teacher.items.isEmpty
                    ? 0 : alignment?.alpha(evidence: Double(teacher.evidence)) ?? 0
                label[Int(window.items[place])] = 1 - alpha
                for (item, share) in zip(teacher.items, teacher.shares) {
                    label[Int(item)] += alpha * Double(share)
                }
                if alignment?.loss == .logOfExpectation {
                    sum -= log(zip(label, logits).reduce(0) { $0 + $1.0 * exp($1.1 - logSum) })
                } else {
                    sum -= zip(label, logits).reduce(0) { $0 + $1.0 * ($1.1 - logSum) }
                }
                count += 1
            }
        }
        return sum / count
    }

    @Test("Alpha of 0 and teachers without an opinion are the plain refresh, bit for bit")
    func plain() throws {
        let model = SmallModel()
        let windows = try windows(model)
        let silent = windows.map {
            RefreshWindow(
                items: $0.items, newFrom: $0.newFrom, teacher: $0.teacher.map { _ in .none })
        }
        func learnt(_ windows: [RefreshWindow], _ alpha: Double?) throws -> ItemAdapter {
            let alignment = try alpha.map {
                try AlignmentSettings(
                    loss: .softCrossEntropy, isMasked: false, alpha: $0, temperature: 1)
            }
            let refresh = refresh(model, windows, Self.training(), alignment)
            for _ in 0..<2 { _ = try refresh.runEpoch() }
            return refresh.adapter
        }
        let plain = try learnt(windows, nil)
        #expect(try learnt(windows, 0) == plain)
        #expect(try learnt(silent, 0.7) == plain)
        #expect(try learnt(windows, 0.7) != plain)
    }

    @Test("It learns, repeats itself, and changes what it names alone")
    func learns() throws {
        let model = SmallModel()
        let windows = [RefreshWindow(items: [0, 4, 0, 4, 0]), RefreshWindow(items: [4, 0, 4])]
        let training = Self.training {
            $0.epochs = 60
            $0.dropout = 0.1
            $0.identityDropout = 0.1
        }
        func run(_ seed: UInt64) throws -> (losses: [Double], adapter: ItemAdapter) {
            var training = training
            training.seed = seed
            let refresh = refresh(model, windows, training)
            var losses: [Double] = []
            for _ in 0..<training.epochs {
                losses.append(try #require(try refresh.runEpoch()).plain)
            }
            return (losses, refresh.adapter)
        }
        let one = try run(1)
        #expect(one.losses.suffix(5).reduce(0, +) / 5 < 0.6 * one.losses[0], "\(one.losses)")
        #expect(try run(1) == one)
        #expect(try run(2).adapter != one.adapter)
        #expect(one.adapter.rows.items == [0, 4])
        // What the gate counts grows by the events learnt from.
        #expect(one.adapter.rows.counts == [4, 54])
        let applied = model.parameters.applying(one.adapter)
        for item in [1, 2, 3, 5, 6] {
            #expect(
                model.row(item, of: applied.identity.vectors)
                    == model.row(item, of: model.parameters.identity.vectors))
        }
        for entry in model.layout.parameters.entries
        where applied.values[entry.range]
            != model.parameters.values[entry.range]
        {
            #expect(entry.name.contains("layers.1.self_attn"), "\(entry.name)")
        }
    }

    @Test("Items the base does not know are learnt from their text and join the table")
    func newItems() throws {
        var model = SmallModel()
        let all = textVectors(model)
        model.parameters.identity.vectors.removeLast(2 * model.width)
        model.parameters.identity.counts.removeLast(2)
        let refresh = ItemRefresh(
            model.parameters, textVectors: all, fresh: [RefreshWindow(items: [0, 6, 0, 6])],
            replay: [], training: Self.training())
        while try refresh.runEpoch() != nil, refresh.epoch < 3 {}
        #expect(refresh.adapter.rows.items == [0, 6])
        let applied = model.parameters.applying(refresh.adapter)
        #expect(applied.identity.counts == [2, 1, 2, 3, 50, 0, 2])
    }

    @Test("The anchor holds it near the adapter before")
    func anchor() throws {
        let model = SmallModel()
        let previous = AdapterTests.adapter(model)
        let windows = [RefreshWindow(items: [0, 4, 0, 4, 0])]
        func distance(_ anchor: Float) throws -> Float {
            var inside = previous
            inside.rows = IdentityRows(
                width: model.width, items: [0, 4],
                vectors: Array(previous.rows.vectors.prefix(16)), counts: [2, 60])
            let refresh = refresh(
                model, windows, previous: inside, Self.training { $0.anchor = anchor })
            for _ in 0..<4 { _ = try refresh.runEpoch() }
            return zip(refresh.adapter.pairs.parameters, previous.pairs.parameters)
                .reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        }
        let (free, held) = (try distance(0), try distance(25))
        #expect(free > 0 && held < 0.5 * free)
    }

    @Test(
        "The divergence's gradient is its slope; it is 0 where it began and where all numbers move alike"
    )
    func divergence() {
        var random = SeededRandom(seed: 6)
        for count in [1, 2, 7, 40] {
            let before = (0..<count).map { _ in Double.random(in: -2..<2, using: &random) }
            let now = before.map { $0 + Double.random(in: -1..<1, using: &random) }
            let found = softmaxDivergence(now, from: before)
            #expect(found.loss >= 0)
            let direction = now.map { _ in Double.random(in: -1..<1, using: &random) }
            func at(_ distance: Double) -> Double {
                softmaxDivergence(
                    zip(now, direction).map { $0 + distance * $1 }, from: before
                ).loss
            }
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5
            let ours = weighed(found.gradient, by: direction)
            #expect(abs(slope - ours) < 1e-9 + 1e-6 * abs(slope), "\(count): \(slope) \(ours)")
            for still in [before, before.map { $0 + 3 }] {
                let none = softmaxDivergence(still, from: before)
                #expect(abs(none.loss) < 1e-12)
                #expect(none.gradient.allSatisfy { abs($0) < 1e-12 })
            }
        }
    }

    @Test("Each module's divergence reaches its own numbers, times the weight")
    func divergenceOfModules() {
        let model = SmallModel()
        let before = AdapterTests.adapter(model).pairs
        var now = before
        for index in now.parameters.indices where index % 3 == 0 { now.parameters[index] += 0.5 }
        func gradient(_ weight: Double) -> (loss: Double, values: [Float]) {
            var values = [Float](repeating: 0, count: now.parameters.count)
            let loss = addDivergence(of: now, from: before, weight: weight, to: &values)
            return (loss, values)
        }
        let (one, three) = (gradient(1), gradient(3))
        #expect(one.loss > 0 && abs(three.loss - 3 * one.loss) < 1e-12)
        #expect(zip(one.values, three.values).allSatisfy { abs(3 * $0 - $1) < 1e-6 })
        // Along a module's own numbers the slopes sum to zero: what moves all of them alike costs nothing.
        for block in before.layout.blocks.compactMap({ $0 }) {
            for place in Projection.allCases.compactMap({ block[$0] }) {
                let own = one.values[place.a] + one.values[place.b]
                #expect(own.contains { $0 != 0 } && abs(own.reduce(0, +)) < 1e-5)
            }
        }
    }

    @Test(
        "A divergence of weight 0 is none, bit for bit, and so is any without an adapter before; a heavy one holds"
    )
    func divergenceHolds() throws {
        let model = SmallModel()
        var previous = AdapterTests.adapter(model)
        previous.rows = IdentityRows(
            width: model.width, items: [0, 4], vectors: Array(previous.rows.vectors.prefix(16)),
            counts: [2, 60])
        func learnt(_ weight: Double, from previous: ItemAdapter?) throws -> ItemAdapter {
            let refresh = refresh(
                model, [RefreshWindow(items: [0, 4, 0, 4, 0])], previous: previous,
                Self.training { $0.divergence = weight })
            for _ in 0..<4 { _ = try refresh.runEpoch() }
            return refresh.adapter
        }
        #expect(try learnt(0, from: nil) == learnt(50, from: nil))
        var plain = Self.training()
        plain.divergence = 0
        let without = refresh(
            model, [RefreshWindow(items: [0, 4, 0, 4, 0])], previous: previous, plain)
        for _ in 0..<4 { _ = try without.runEpoch() }
        #expect(try learnt(0, from: previous) == without.adapter)
        func divergence(_ weight: Double) throws -> Double {
            var unused = [Float](repeating: 0, count: previous.pairs.parameters.count)
            return addDivergence(
                of: try learnt(weight, from: previous).pairs, from: previous.pairs, weight: 1,
                to: &unused)
        }
        let (free, held) = (try divergence(0), try divergence(1_000))
        #expect(free > 0 && held < free)
    }

    @Test("The past is replayed beside the new, and its items are rows")
    func replay() throws {
        let model = SmallModel()
        let refresh = refresh(
            model, [RefreshWindow(items: [0, 4]), RefreshWindow(items: [4, 0])],
            Self.training { $0.replayShare = 1 }, replay: [RefreshWindow(items: [1, 3])])
        #expect(refresh.adapter.rows.items == [0, 1, 3, 4])
        let loss = try #require(try refresh.runEpoch())
        #expect(loss.targets == 4)
        // Replayed events were counted when they were new.
        #expect(refresh.adapter.rows.counts == [2, 1, 3, 52])
    }

    @Test("It stops when told to")
    func cancelled() throws {
        let model = SmallModel()
        let refresh = refresh(
            model, Array(repeating: RefreshWindow(items: [0, 4]), count: 9), Self.training())
        var calls = 0
        let loss = try refresh.runEpoch { _, _ in
            calls += 1
            return calls < 2
        }
        #expect(loss == nil && calls == 2)
    }

    // MARK: - Examples

    private struct Event {
        var user: UInt64
        var item: Int32
    }

    private func events(_ count: Int, _ random: inout SeededRandom) -> [Event] {
        (0..<count).map { _ in
            Event(user: UInt64(random.below(6)), item: Int32(random.below(5)))
        }
    }

    @Test("Shuffling the future changes neither histories nor the teacher's words on the past")
    func future() {
        for seed in 0..<20 {
            var random = SeededRandom(seed: UInt64(seed))
            let (past, later) = (events(40, &random), events(40, &random))
            func windows(_ later: [Event]) -> (past: [RefreshWindow], new: [RefreshWindow]) {
                var examples = RefreshExamples(historyMax: 8, isTaught: true, olderMax: 20)
                for event in past { examples.learn(event.item, by: event.user) }
                let old = examples.take()
                for event in later { examples.learn(event.item, by: event.user) }
                return (old, examples.take())
            }
            #expect(windows(later).past == windows(later.shuffled(using: &random)).past)
            // Row by row the same: what comes after a row says nothing to it.
            var whole = RefreshExamples(historyMax: 8, isTaught: true)
            var part = RefreshExamples(historyMax: 8, isTaught: true)
            let rows = (0..<12).map { _ in events(5, &random).map(\.item) }
            for (user, row) in rows.enumerated() {
                whole.learn(row: row, by: UInt64(user % 4))
                if user < 6 { part.learn(row: row, by: UInt64(user % 4)) }
            }
            #expect(Array(whole.take().prefix(6)) == part.take())
        }
    }

    @Test("Before a window stands what was before it, each item once, the newest")
    func older() {
        var random = SeededRandom(seed: 7)
        var examples = RefreshExamples(historyMax: 3, isTaught: false, olderMax: 6)
        var history: [Int32] = []
        for (number, event) in events(80, &random).enumerated() {
            examples.learn(event.item, by: 1, summary: Int32(number))
            if history.last != event.item { history.append(event.item) }
            guard let window = examples.take().first else { continue }
            #expect(window.items == history.suffix(4))
            let before = Array(history.dropLast(4).suffix(6))
            #expect(
                window.older
                    == before.indices.filter { !before[($0 + 1)...].contains(before[$0]) }
                    .map { before[$0] })
            #expect(window.summary == number)
        }
        #expect(history.count > 40)
    }

    @Test("Every new event is a target once, after exactly what was before it")
    func targets() {
        var random = SeededRandom(seed: 4)
        for historyMax in [1, 3, 8] {
            let all = events(90, &random)
            var examples = RefreshExamples(historyMax: historyMax, isTaught: true)
            for event in all[..<30] { examples.learn(event.item, by: event.user) }
            _ = examples.take()
            for event in all[30...] { examples.learn(event.item, by: event.user) }
            let windows = examples.take()
            var expected: [[Int32]] = []
            var histories: [UInt64: [Int32]] = [:]
            for (index, event) in all.enumerated() where histories[event.user]?.last != event.item {
                let before = histories[event.user] ?? []
                if index >= 30, !before.isEmpty {
                    expected.append(Array(before.suffix(1)) + [event.item])
                }
                histories[event.user, default: []].append(event.item)
            }
            let found = windows.flatMap { window in
                (window.learnFrom..<window.items.count).map {
                    Array(window.items[$0 - 1...$0])
                }
            }
            #expect(
                found.sorted { $0.lexicographicallyPrecedes($1) }
                    == expected.sorted { $0.lexicographicallyPrecedes($1) })
            #expect(windows.allSatisfy { $0.items.count <= historyMax + 1 })
            #expect(windows.allSatisfy { $0.teacher.count == $0.targetCount })
        }
    }
}
