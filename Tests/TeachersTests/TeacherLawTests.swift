// Laws that every teacher keeps, the example of docs/teachers.md among them.

import Foundation
import Interactions
import TestKit
import Testing

@testable import Teachers

/// Small models: laws do not need more.
private func teachers() throws -> [any Teacher] {
    let all = TeacherRegistry.all + [JaccardTeacher.self]
    return try all.filter { $0.material != .external }.map { type in
        var teacher = type.init()
        if type.name == "als" {
            try teacher.set("factors", to: 5)
            try teacher.set("sweeps", to: 3)
        }
        if type.name == "sasrec" {
            try teacher.set("width", to: 8)
            try teacher.set("epochs", to: 2)
            try teacher.set("batch", to: 16)
        }
        return teacher
    }
}

extension Crowd {
    func material(reversed: Bool = false, statistics: Statistics? = nil) -> TeacherMaterial {
        var histories = Histories()
        let users = reversed ? states.keys.sorted().reversed() : states.keys.sorted()
        for user in users { histories.append(states[user] ?? UserState(), rules: rules) }
        return TeacherMaterial(
            statistics: statistics ?? self.statistics, histories: histories, version: 7)
    }

    /// One of the users, as teachers see them.
    func someone(_ index: Int = 0) throws -> TeacherUser {
        let user = try #require(states.keys.sorted().dropFirst(index).first)
        return TeacherUser(states[user] ?? UserState(), rules: rules)
    }
}

private func crowd(seed: Int = 1, events: Int = 600) throws -> Crowd {
    var random = SeededRandom(seed: UInt64(seed))
    var crowd = Crowd(historyMax: 20, reach: 20)
    try crowd.run(events, &random)
    return crowd
}

private func solve(_ teacher: any Teacher, _ material: TeacherMaterial) throws -> any Teacher {
    var solved: any Teacher = try teacher.solved(from: material) { _ in true }
    solved.bind(to: material.statistics.items)
    return solved
}

/// Scores by key, so that numberings compare.
private func scores(
    _ teacher: any Teacher, _ user: TeacherUser, _ statistics: Statistics
) -> [ItemKey: Double] {
    var found: [ItemKey: Double] = [:]
    for (number, score) in teacher.logits(of: user, from: statistics).enumerated() {
        if let score { found[statistics.items.keys[number]] = score }
    }
    return found
}

@Suite("Teachers keep the laws")
struct TeacherLawTests {
    @Test("names are unique, and each is found by its own")
    func names() {
        let names = TeacherRegistry.all.map { $0.name }
        #expect(Set(names).count == names.count)
        for name in names { #expect(TeacherRegistry.teacher(named: name)?.name == name) }
        #expect(TeacherRegistry.teacher(named: "nobody") == nil)
    }

    @Test("one that has learnt nothing, or is bound to nothing, proposes nothing")
    func unsolved() throws {
        let crowd = try crowd()
        for teacher in try teachers() where !teacher.isLive {
            #expect(teacher.version == 0)
            var bound = teacher
            bound.bind(to: crowd.statistics.items)
            #expect(scores(bound, try crowd.someone(), crowd.statistics).isEmpty)
            let free = try teacher.solved(from: crowd.material()) { _ in true }
            #expect(scores(free, try crowd.someone(), crowd.statistics).isEmpty, "\(teacher.name)")
        }
    }

    @Test("solved, it proposes; stored and read again, the same")
    func stored() throws {
        let crowd = try crowd()
        for teacher in try teachers() {
            let solved = try solve(teacher, crowd.material())
            #expect(solved.version == (teacher.isLive ? 1 : 7))
            var read: any Teacher = try teacher.loaded(from: solved.encoded())
            read.bind(to: crowd.statistics.items)
            #expect(read.digest == solved.digest && read.version == solved.version)
            for index in 0..<5 {
                let user = try crowd.someone(index)
                let found = scores(solved, user, crowd.statistics)
                #expect(!found.isEmpty, "\(teacher.name)")
                #expect(found.values.allSatisfy { $0.isFinite })
                #expect(found == scores(read, user, crowd.statistics), "\(teacher.name)")
            }
        }
    }

    @Test("streamed statistics teach what refolded ones teach, whatever the numbers of items")
    func streamingEqualsBatch() throws {
        for seed in 0..<8 {
            let crowd = try crowd(seed: seed)
            let batch = try crowd.refolded()
            for teacher in try teachers() where teacher.name != "popularity" {
                let one = try solve(teacher, crowd.material())
                let other = try solve(teacher, crowd.material(reversed: true, statistics: batch))
                let user = try crowd.someone(seed % 5)
                let streamed = scores(one, user, crowd.statistics)
                let folded = scores(other, user, batch)
                #expect(Set(streamed.keys) == Set(folded.keys), "\(teacher.name)")
                // Exact but for sums over users in another order, which only ALS makes.
                let bound = teacher.name == "als" ? 2e-4 : 1e-12
                for (key, score) in streamed {
                    #expect(abs(score - (folded[key] ?? .nan)) <= bound, "\(teacher.name)")
                }
                if teacher.name == "ease" { #expect(one.digest == other.digest) }
            }
        }
    }

    @Test("where everything met everything, neighbourhoods of all are the dense solution")
    func neighbourhoods() throws {
        var random = SeededRandom(seed: 2)
        var crowd = Crowd(historyMax: 40, reach: 40)
        try crowd.run(400, &random)
        let user = try #require(UserID("everything"))
        var edits = StatisticsEditsWriter()
        for index in 0..<30 {
            let item = try #require(ItemID("i\(index)"))
            _ = crowd.rules.append(
                Interaction(user: user, item: item, type: 0, time: 1_700_000_000_000),
                to: &crowd.states[user, default: UserState()], edits: &edits)
        }
        try crowd.statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        let dense = try EASE(EASEParameters(lambda: 3)).solved(from: crowd.material()) { _ in true }
        let sparse = try EASE(EASEParameters(lambda: 3, denseBytesMax: 0))
            .solved(from: crowd.material()) { _ in true }
        let few = try EASE(EASEParameters(lambda: 3, denseBytesMax: 0, neighboursMax: 4))
            .solved(from: crowd.material()) { _ in true }
        for source in crowd.statistics.items.keys {
            for target in crowd.statistics.items.keys {
                let expected = dense.weight(from: source, to: target)
                #expect(abs(sparse.weight(from: source, to: target) - expected) <= 1e-5)
            }
        }
        for target in crowd.statistics.items.keys {
            let held = crowd.statistics.items.keys.filter { few.weight(from: $0, to: target) != 0 }
            #expect((1...4).contains(held.count))
        }
    }

    @Test("a reach too short for a Gram matrix fails by name, or is solved with a larger ridge")
    func shortReach() throws {
        var random = SeededRandom(seed: 2)
        var crowd = Crowd(historyMax: 30, reach: 1)
        try crowd.run(2_000, &random)
        do {
            _ = try EASE(EASEParameters(lambda: 1e-3)).solved(from: crowd.material()) { _ in true }
        } catch {
            #expect(error.description.contains("raise lambda"))
        }
        _ = try EASE(EASEParameters(lambda: 100)).solved(from: crowd.material()) { _ in true }
    }

    @Test("numbers that changed are found again by binding")
    func rebinding() throws {
        let crowd = try crowd()
        let batch = try crowd.refolded()
        for teacher in try teachers() where !teacher.isLive {
            var solved = try solve(teacher, crowd.material())
            let user = try crowd.someone()
            let before = scores(solved, user, crowd.statistics)
            solved.bind(to: batch.items)
            #expect(scores(solved, user, batch) == before)
        }
    }

    @Test("users without history, with one event, with unknown items, with a very long history")
    func users() throws {
        let crowd = try crowd()
        let known = crowd.statistics.items.keys
        let long = (0..<10_000).map { known[$0 % known.count] &+ UInt64($0 / known.count) }
        for teacher in try teachers() {
            let solved = try solve(teacher, crowd.material())
            let nobody = scores(solved, TeacherUser(), crowd.statistics)
            #expect(nobody.isEmpty || teacher.name == "popularity")
            let stranger = TeacherUser(items: [1, 2, 3])
            #expect(scores(solved, stranger, crowd.statistics) == nobody)
            let one = scores(solved, TeacherUser(items: [known[0]]), crowd.statistics)
            #expect(!one.isEmpty, "\(teacher.name)")
            #expect(one.values.allSatisfy { $0.isFinite })
            let much = scores(solved, TeacherUser(items: long), crowd.statistics)
            #expect(much.values.allSatisfy { $0.isFinite })
        }
    }

    @Test("items that came after the solve have no score, and are in the next one")
    func newItems() throws {
        var crowd = try crowd()
        let material = crowd.material()
        let item = try #require(ItemID("brand-new"))
        var edits = StatisticsEditsWriter()
        for user in crowd.states.keys.sorted().prefix(4) {
            _ = crowd.rules.append(
                Interaction(user: user, item: item, type: 0, time: 1_800_000_000_000),
                to: &crowd.states[user, default: UserState()], edits: &edits)
        }
        try crowd.statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        for teacher in try teachers() where !teacher.isLive {
            var old: any Teacher = try teacher.solved(from: material) { _ in true }
            old.bind(to: crowd.statistics.items)
            let user = TeacherUser(items: [crowd.statistics.items.keys[0]])
            let found = scores(old, user, crowd.statistics)
            #expect(!found.isEmpty && found[item.key] == nil)
            let new = try solve(teacher, crowd.material())
            #expect(scores(new, user, crowd.statistics)[item.key] != nil, "\(teacher.name)")
        }
    }

    @Test("a solve that is told to stop stops and leaves no model")
    func cancelling() throws {
        let crowd = try crowd()
        for teacher in try teachers() where !teacher.isLive {
            #expect(throws: SolveFailure.cancelled) {
                try teacher.solved(from: crowd.material()) { _ in false }
            }
            var heard: [Double] = []
            _ = try teacher.solved(from: crowd.material()) {
                heard.append($0)
                return true
            }
            #expect(!heard.isEmpty && heard == heard.sorted())
            #expect(heard.allSatisfy { (0...1).contains($0) })
        }
    }

    @Test("a catalogue of one item, and none at all")
    func smallest() throws {
        for events in [0, 1] {
            var crowd = Crowd(historyMax: 5, reach: 5)
            var edits = StatisticsEditsWriter()
            let user = try #require(UserID("u"))
            let item = try #require(ItemID("i"))
            for _ in 0..<events {
                _ = crowd.rules.append(
                    Interaction(user: user, item: item, type: 0, time: 1_700_000_000_000),
                    to: &crowd.states[user, default: UserState()], edits: &edits)
            }
            try crowd.statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
            for teacher in try teachers() {
                let solved = try solve(teacher, crowd.material())
                let found = scores(solved, TeacherUser(items: [item.key]), crowd.statistics)
                #expect(found.count <= 1)
                #expect(found.values.allSatisfy { $0.isFinite })
            }
        }
    }

    @Test("parameters are set by name, within their bounds, and shape what can be read")
    func parameters() throws {
        let crowd = try crowd()
        for teacher in try teachers() {
            var other = teacher
            #expect(throws: ParameterFault.self) { try other.set("nothing", to: 1) }
            func check<T: Teacher>(_ teacher: T) throws {
                for parameter in T.parameters {
                    var changed = teacher
                    #expect(throws: ParameterFault.self) {
                        try changed.set(parameter.name, to: parameter.bounds.upperBound * 2 + 1)
                    }
                    try changed.set(parameter.name, to: parameter.bounds.lowerBound)
                    #expect(parameter.read(changed) == parameter.bounds.lowerBound)
                    #expect(parameter.bounds.contains(parameter.read(teacher)))
                    let bytes = try solve(teacher, crowd.material()).encoded()
                    if parameter.shapesModel, parameter.read(changed) != parameter.read(teacher) {
                        #expect(throws: MalformedBytes.self) { try changed.loaded(from: bytes) }
                    } else {
                        _ = try changed.loaded(from: bytes)
                    }
                }
            }
            try check(teacher)
        }
    }

    @Test("damaged models are refused or read, never a trap", arguments: 0..<10)
    func damage(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let crowd = try crowd(events: 80)
        for teacher in try teachers() where !teacher.isLive {
            let bytes = try solve(teacher, crowd.material()).encoded()
            for _ in 0..<40 {
                var damaged = bytes
                damaged[random.below(damaged.count)] = UInt8(random.below(256))
                if random.chance(0.3) { damaged.removeLast(random.below(damaged.count)) }
                guard var read = try? teacher.loaded(from: damaged) as any Teacher else { continue }
                read.bind(to: crowd.statistics.items)
                _ = scores(read, try crowd.someone(), crowd.statistics)
            }
        }
    }

    @Test("200 000 items: live scores, and EASE by neighbourhoods")
    func largeCatalogue() throws {
        let count = 200_000
        var statistics = Statistics(halfLivesSeconds: [50_000])
        for chunk in stride(from: 0, to: count, by: 2) {
            var edits = StatisticsEditsWriter()
            let keys = (chunk..<(chunk + 2)).map { ItemKey($0) &* 0x9E37_79B9_7F4A_7C15 }
            for key in keys {
                edits.append(
                    .entry(
                        subtract: false, item: key, seconds: 1_700_000_000, weight: 1,
                        repeatGap: 0))
            }
            edits.append(.together(subtract: false, item: keys[1], others: [keys[0]]))
            edits.append(.pairs(subtract: false, items: keys, leftMax: 0, rightMin: 1))
            try statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        }
        let user = TeacherUser(items: [0])
        let partner: ItemKey = 0x9E37_79B9_7F4A_7C15
        for teacher in try teachers() where !["als", "sasrec"].contains(teacher.name) {
            let solved = try solve(
                teacher, TeacherMaterial(statistics: statistics, version: 1))
            let found = scores(solved, user, statistics)
            #expect(found.count == (teacher.name == "popularity" ? count : 1), "\(teacher.name)")
            #expect((found[partner] ?? 0) > 0, "\(teacher.name)")
        }
    }

    @Test("200 000 items: factors and sequences", arguments: ["als", "sasrec"])
    func largeFactors(name: String) throws {
        let (users, items) = (4_000, 50)
        let rules = Crowd(historyMax: items, reach: 0).rules
        var histories = Histories()
        var statistics = Statistics(halfLivesSeconds: [50_000])
        var edits = StatisticsEditsWriter()
        for user in 0..<users {
            var state = UserState()
            for place in 0..<items {
                let key = ItemKey(user * items + place) &* 0x9E37_79B9_7F4A_7C15
                state.history.append(
                    HistoryEntry(item: key, seconds: 1_700_000_000, type: 0))
                edits.append(
                    .entry(
                        subtract: false, item: key, seconds: 1_700_000_000, weight: 1,
                        repeatGap: 0))
            }
            histories.append(state, rules: rules)
        }
        try statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        #expect(statistics.items.count == users * items)
        var teacher = try #require(TeacherRegistry.teacher(named: name))
        let few: KeyValuePairs<String, [String: Double]> = [
            "als": ["factors": 2, "sweeps": 1],
            "sasrec": ["width": 8, "epochs": 1, "batch": 8, "negatives": 8],
        ]
        for (parameter, value) in few.first(where: { $0.key == name })?.value ?? [:] {
            try teacher.set(parameter, to: value)
        }
        let solved = try solve(
            teacher, TeacherMaterial(statistics: statistics, histories: histories, version: 1))
        let found = scores(solved, TeacherUser(items: [statistics.items.keys[0]]), statistics)
        #expect(found.count == users * items)
        #expect(found.values.allSatisfy { $0.isFinite })
    }

    @Test("a user of 10 000 events: the window slides, the counts stay those of the window")
    func longHistory() throws {
        var random = SeededRandom(seed: 9)
        let rules = HistoryRules(
            types: EventTypes([EventType(name: "view", weight: 1, seen: .never)]),
            historyMax: 40, cooccurrenceReach: 40)
        let user = try #require(UserID("u"))
        var state = UserState()
        var statistics = Statistics(halfLivesSeconds: [50_000])
        for step in 0..<10_000 {
            var edits = StatisticsEditsWriter()
            let item = try #require(ItemID("i\(random.below(300))"))
            _ = rules.append(
                Interaction(user: user, item: item, type: 0, time: Milliseconds(step) * 60_000),
                to: &state, edits: &edits)
            try statistics.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        }
        var edits = StatisticsEditsWriter()
        rules.addAll(state, edits: &edits)
        var fresh = Statistics(halfLivesSeconds: [50_000])
        try fresh.apply(edits.finish(nextOffset: nil, fingerprint: 0))
        #expect(statistics.digest == fresh.digest)
    }

    @Test("docs/teachers.md quotes the example that is compiled here")
    func quotation() throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
        let example = try String(
            contentsOf: tests.appending(path: "JaccardTeacher.swift"), encoding: .utf8)
        let document = try String(
            contentsOf: tests.appending(path: "../../docs/teachers.md"), encoding: .utf8)
        #expect(document.contains("```swift\n" + example + "```"))
    }
}
