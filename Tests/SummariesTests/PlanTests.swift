// Summaries in parts: what is asked, what is held afterwards, and when the plain step does.

import Interactions
import Summaries
import TestKit
import Testing

@Suite("Plans of a writer's work")
struct PlanTests {
    static let version: UInt64 = 77

    private static func feed(_ item: UInt64, _ rules: BlockRules, _ state: inout UserState) {
        state.eventCount += 1
        let entry = HistoryEntry(
            item: item, seconds: UInt32(1_000 + state.eventCount), type: 1)
        state.history.removeAll { $0.item == item }
        state.history.append(entry)
        _ = rules.note(entry, in: &state)
    }

    /// A writer whose texts name every event they hold, two bytes each.
    private static func text(_ plan: SummaryPlan, after previous: [UInt8]) -> [UInt8] {
        let parts = plan.isHierarchical ? plan.parts : [plan.due.events]
        return (plan.keepsPrevious ? previous : [])
            + parts.joined().flatMap { [UInt8($0.item >> 8), UInt8($0.item & 255)] }
    }

    private static func plan(
        _ state: UserState, _ rules: BlockRules, mayMerge: Bool = true
    ) -> SummaryPlan? {
        rules.plan(
            of: state, rules.recordOrNew(of: state, version: version), mayMerge: mayMerge)
    }

    private static func apply(
        _ plan: SummaryPlan, _ body: [UInt8], _ rules: BlockRules, _ state: inout UserState
    ) -> BlockOutcome {
        rules.apply(
            body: body, block: plan.due.number, count: plan.due.count,
            fingerprint: plan.due.fingerprint, regained: plan.regained, version: version,
            to: &state)
    }

    @Test(
        "whatever is planned, fails, comes late or twice: each event is held once, in order, or lost",
        arguments: 0..<80)
    func chaos(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let size = 1 + random.below(6)
        let rules = BlockRules(
            blockSize: size, openEventsMax: size + random.below(60),
            repairBlocks: random.below(9))
        var state = UserState()
        var answers: [(plan: SummaryPlan, body: [UInt8])] = []
        var fed = 0
        for _ in 0..<400 {
            switch random.below(6) {
            case 0, 1, 2, 3:
                Self.feed(UInt64(fed), rules, &state)
                fed += 1
                _ = rules.dropIfFull(&state, version: Self.version)
            case 4:
                let record = rules.recordOrNew(of: state, version: Self.version)
                guard let plan = Self.plan(state, rules, mayMerge: random.chance(0.8)) else {
                    continue
                }
                #expect(plan.parts.count <= SummaryPlan.partsMax)
                answers.append((plan: plan, body: Self.text(plan, after: record.body)))
            default:
                guard !answers.isEmpty else { continue }
                let answer = answers[random.below(answers.count)]
                _ = Self.apply(answer.plan, answer.body, rules, &state)
            }
            let record = rules.recordOrNew(of: state, version: Self.version)
            #expect(record.eventCount + UInt64(state.openBlock.count) == UInt64(fed))
            #expect(
                record.body.count / 2 + Int(record.lostCount) + state.openBlock.count == fed)
            let held = stride(from: 0, to: record.body.count, by: 2).map {
                Int(record.body[$0]) << 8 | Int(record.body[$0 + 1])
            }
            #expect(held == Array(Set(held)).sorted(), "once, in order")
        }
    }

    @Test(
        "one block that waits is the plain step; four are parts of a merge after the summary so far"
    )
    func waiting() throws {
        let rules = BlockRules(blockSize: 2, openEventsMax: 50)
        var state = UserState()
        for item in 0..<2 as Range<UInt64> { Self.feed(item, rules, &state) }
        let first = try #require(Self.plan(state, rules))
        #expect(!first.isHierarchical && first.due.count == 1)
        #expect(Self.apply(first, [0, 0, 0, 1], rules, &state) == .applied)
        for item in 2..<9 as Range<UInt64> { Self.feed(item, rules, &state) }
        #expect(try #require(Self.plan(state, rules)).isHierarchical == false)
        Self.feed(9, rules, &state)
        let many = try #require(Self.plan(state, rules))
        #expect(many.parts.map { $0.map(\.item) } == [[2, 3], [4, 5], [6, 7], [8, 9]])
        #expect(many.keepsPrevious && many.due.count == 4 && many.regained == 0)
        #expect(try #require(Self.plan(state, rules, mayMerge: false)).isHierarchical == false)
        #expect(Self.apply(many, [7], rules, &state) == .applied)
        #expect(state.openBlock.isEmpty)
        #expect(rules.record(of: state, version: Self.version)?.blockCount == 5)
    }

    @Test(
        "a history without a summary is read in parts, a long one in longer parts, and is not lost")
    func imported() throws {
        let rules = BlockRules(blockSize: 5, openEventsMax: 20)
        for count in [30, 500] {
            var state = UserState()
            for item in 0..<UInt64(count) {
                Self.feed(item, rules, &state)
                _ = rules.dropIfFull(&state, version: Self.version)
            }
            let before = rules.recordOrNew(of: state, version: Self.version)
            #expect(before.lostCount > 0)
            let plan = try #require(Self.plan(state, rules))
            #expect(plan.parts.count <= SummaryPlan.partsMax && !plan.keepsPrevious)
            #expect(plan.parts.joined().map(\.item) == Array(0..<UInt64(count)))
            #expect(plan.parts.dropLast().allSatisfy { $0.count.isMultiple(of: 5) })
            #expect(Self.apply(plan, [1], rules, &state) == .applied)
            #expect(rules.record(of: state, version: Self.version)?.lostCount == 0)
        }
    }

    @Test(
        "a summary is repaired every so many blocks; what the history has lost stays in the old text"
    )
    func repair() throws {
        let rules = BlockRules(blockSize: 2, openEventsMax: 50, repairBlocks: 3)
        var state = UserState()
        var repairs: [Int] = []
        for item in 0..<40 as Range<UInt64> {
            Self.feed(item, rules, &state)
            guard rules.isDue(state) else { continue }
            let plan = try #require(Self.plan(state, rules))
            if plan.isHierarchical {
                repairs.append(Int(item) / 2)
                #expect(!plan.keepsPrevious && plan.parts.joined().count == Int(item) + 1)
            }
            #expect(Self.apply(plan, [1], rules, &state) == .applied)
        }
        #expect(repairs == [3, 6, 9, 12, 15, 18])
        // An item again: the events are more than the history has.
        for item in [0, 1, 100, 101, 102] as [UInt64] { Self.feed(item, rules, &state) }
        while let plan = Self.plan(state, rules) {
            if plan.isHierarchical { #expect(plan.keepsPrevious && plan.regained == 0) }
            #expect(Self.apply(plan, [1], rules, &state) == .applied)
        }
    }
}
