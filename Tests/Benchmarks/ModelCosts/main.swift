// P7: what a request to the item-aware model costs, part by part, on a random model of the default shape. One thread;
// prints a JSON object, middle times of many runs in microseconds:
//
//     MILLRACE_BENCHMARKS=1 swift run -c release ModelCosts

import ItemModel
import Tensors
import TokenTrie

setLinearAlgebraThreads(1)

let vocabulary = 4_000
let itemCount = 10_000
let random = CounterRandom(seed: 7)
let shape = ItemModelShape(vocabulary: vocabulary)
var parameters = ItemModelParameters(ItemModelLayout(shape), seed: 1)
parameters.identity.grow(to: itemCount, seed: 1)
for item in 0..<itemCount { parameters.identity.counts[item] = 5 }

/// Titles: a beginning, ten tokens drawn with a bias to low numbers, so that prefixes are shared, and the end.
let items: [[Int32]] = (0..<itemCount).map { item in
    let words = (0..<10).map { place -> Int32 in
        let share = random.uniform(item * 10 + place)
        return 3 + Int32(share * share * Float(vocabulary - 4))
    }
    return [1] + words + [2]
}

var figures: [String: Double] = [:]

/// Keeps the middle time of a run, in microseconds.
@MainActor
func measure(_ name: String, _ count: Int, _ body: (Int) -> Void) {
    let clock = ContinuousClock()
    let times = (0..<count).map { index in clock.measure { body(index) } / .microseconds(1) }
    figures[name] = times.sorted()[count / 2]
}

var scorer = ItemScorer(parameters)
let all = items.enumerated().map { (number: Int32($0.offset), tokens: $0.element) }
var table: [Float] = []
measure("vectors", 3) { _ in table = scorer.vectors(of: all) }
measure("vector", 200) { _ = scorer.vectors(of: [all[$0]]) }

let width = shape.width
let rows = table
let vector: (Int32) -> [Float] = { Array(rows[Int($0) * width..<(Int($0) + 1) * width]) }

for length in [10, 100, 1_000, 10_000] {
    var states = HistoryStateCache(parameters, capacity: 16)
    var history = (0..<length).map { Int32(random.bits($0) % UInt64(itemCount)) }
    _ = states.state(of: 1, history: history, vector: vector)
    measure("append \(length)", 300) { step in
        history.append(Int32(random.bits(50_000 + step) % UInt64(itemCount)))
        _ = states.state(of: 1, history: history, vector: vector)
    }
}

// The same by a model that reads the items before the window: at 512 stored items every event moves the oldest out.
var reading = shape
reading.older = .mean
let mindful = ItemModelParameters(ItemModelLayout(reading), seed: 1)
for length in [100, 511] {
    var states = HistoryStateCache(mindful, capacity: 16)
    var history = Array((0..<Int32(length)))
    _ = states.state(of: 1, history: history, vector: vector)
    measure("append \(length), older", 300) { step in
        history.append(Int32(length + step))
        _ = states.state(of: 1, history: history, vector: vector)
    }
    measure("append \(length), older, oldest leaves", 300) { step in
        history.removeFirst()
        history.append(Int32(length + 300 + step))
        _ = states.state(of: 1, history: history, vector: vector)
    }
}

let window = (0..<shape.historyMax).map { Int32(random.bits(90_000 + $0) % UInt64(itemCount)) }
var states = HistoryStateCache(parameters, capacity: 16)
measure("anew", 200) { _ = states.state(of: UInt64($0), history: window, vector: vector) }
figures["window"] = Double(window.count)
guard let state = states.state(of: 1, history: window, vector: vector) else { fatalError() }

for count in [1_000, 10_000, 100_000] {
    let some = (0..<count).flatMap { vector(Int32($0 % itemCount)) }
    measure("scores \(count)", 100) { _ in _ = scorer.logits(states: state.query, table: some) }
}

let answers = try AnswerTable(
    items: items, listed: Array(repeating: 1, count: itemCount), vocabulary: vocabulary,
    endToken: 2)
var head = TokenHead(parameters, trie: answers.trie, beginToken: 1)
let candidates = (0..<50).map { Int32($0 * 17) }
_ = try head.logLikelihoods(of: candidates, after: state)
measure("likelihoods of 50", 100) { _ in _ = try? head.logLikelihoods(of: candidates, after: state)
}
_ = try head.beam(width: 20, after: state)
measure("beam of 20", 50) { _ in _ = try? head.beam(width: 20, after: state) }

let fields = figures.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }
print("{" + fields.joined(separator: ", ") + "}")
