// What each teacher costs at a catalogue size, a JSON object a line: processor seconds of a solve, microseconds of one
// user's scores, bytes.
//
//     MILLRACE_BENCHMARKS=1 swift run -c release TeacherCosts 10000 item-knn ease als ease:dense-mib=0
//
// Histories are drawn: items by a power law with neighbourhoods, ten users an item up to 100 000 users, 20 items each.
// One BLAS thread, so that figures add up to CPU time. peers/teachers.py measures scipy and implicit on the same
// histories, which are written when a file is named: `--histories FILE`.

import Foundation
import Interactions
import Teachers
import Tensors

@main
enum TeacherCosts {
    static let historyCount = 20
    static let usersMax = 100_000

    static func main() throws {
        setLinearAlgebraThreads(1)
        var arguments = Array(CommandLine.arguments.dropFirst())
        var file: String?
        if let at = arguments.firstIndex(of: "--histories"), at + 1 < arguments.count {
            file = arguments[at + 1]
            arguments.removeSubrange(at...(at + 1))
        }
        guard let count = arguments.first.flatMap({ Int($0) }), count > 0 else {
            print("give a number of items, then names of teachers")
            return
        }
        let clock = ContinuousClock()
        var world = World(items: count)
        let counting = processorSeconds { world.count() }
        let events = world.users.count * historyCount
        let statistics = world.statistics
        print(
            "{\"items\": \(count), \"users\": \(world.users.count), \"counting\": \(counting),",
            "\"count_us\": \(counting * 1e6 / Double(events)),",
            "\"pairs\": \(statistics.cooccurrences.pairCount)}")
        if let file { try world.write(to: file) }
        for argument in arguments.dropFirst() {
            try measure(argument, world, clock)
        }
    }

    /// Others may be using the machine: the time of this process alone.
    static func processorSeconds(_ body: () throws -> Void) rethrows -> Double {
        let start = clock()
        try body()
        return Double(clock() - start) / Double(CLOCKS_PER_SEC)
    }

    static func measure(_ argument: String, _ world: World, _ clock: ContinuousClock) throws {
        let parts = argument.split(separator: ":")
        guard var teacher = TeacherRegistry.teacher(named: String(parts[0])) else {
            print("no teacher \(argument)")
            return
        }
        for setting in parts.dropFirst() {
            let pair = setting.split(separator: "=")
            try teacher.set(String(pair[0]), to: Double(pair[1]) ?? 0)
        }
        let material = TeacherMaterial(
            statistics: world.statistics, histories: world.histories, version: 1)
        var solved = teacher
        let solve = try processorSeconds {
            solved = try teacher.solved(from: material) { _ in true }
        }
        let bind = clock.measure { solved.bind(to: world.statistics.items) }
        var scores = SparseScores()
        var times: [Double] = []
        for user in world.users.prefix(2_000) {
            let user = TeacherUser(user, rules: world.rules)
            let time = clock.measure {
                scores.begin(world.statistics.items.count)
                solved.score(user, from: world.statistics, into: &scores)
            }
            times.append(time / .microseconds(1))
        }
        times.sort()
        print(
            "{\"teacher\": \"\(argument)\", \"solve\": \(solve),",
            "\"bind_ms\": \(bind / .milliseconds(1)),",
            "\"p50_us\": \(times[times.count / 2]), \"p99_us\": \(times[times.count * 99 / 100]),",
            "\"stored\": \(solved.encoded().count)}")
    }
}

struct World {
    let rules = HistoryRules(
        types: EventTypes([EventType(name: "view", weight: 1, seen: .never)]),
        cooccurrenceReach: 512)
    var users: [UserState] = []
    var statistics = Statistics(halfLivesSeconds: [61_200])
    var histories = Histories()

    init(items: Int) {
        var random = Generator(state: 7)
        let keys = (0..<items).map { ItemID("i\($0)")?.key ?? 0 }
        for _ in 0..<min(items * 10, TeacherCosts.usersMax) {
            var state = UserState()
            var seen: Set<Int> = []
            let home = random.below(items)
            while state.history.count < min(TeacherCosts.historyCount, items) {
                // Half near home, half by a power law.
                let popular = Int(Double(items) * pow(random.unit(), 3))
                let item = random.below(2) == 0 ? (home + random.below(60)) % items : popular
                guard item < items, seen.insert(item).inserted else { continue }
                state.history.append(
                    HistoryEntry(item: keys[item], seconds: 1_700_000_000, type: 0))
            }
            users.append(state)
        }
    }

    mutating func count() {
        for state in users {
            var edits = StatisticsEditsWriter()
            rules.addAll(state, edits: &edits)
            try? statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
            histories.append(state, rules: rules)
        }
    }

    /// A line a user: item numbers.
    func write(to path: String) throws {
        var text = ""
        for state in users {
            let numbers = state.history.compactMap { statistics.items.number(of: $0.item) }
            text += numbers.map(String.init).joined(separator: " ") + "\n"
        }
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }
}

struct Generator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func unit() -> Double { Double(next()) / Double(1 << 31) }
}
