// Users' summaries during an evaluation: what a daemon would have stored before each event.

import Interactions
import Recommender
import Summaries
import Teachers
import Testing

@testable import Evaluation

@Suite("Summaries of an evaluation")
struct SummaryEvaluationTests {
    private static let types = EventTypes([EventType(name: "view", weight: 1, seen: .always)])
    private static let user = UserID("ann")

    private func evaluator(_ summariser: TemplateSummariser?, blocksAtOnce: Int) throws -> Evaluator
    {
        var configuration = EvaluatorConfiguration(
            engine: EngineConfiguration(history: HistoryRules(types: Self.types)))
        configuration.summariser = summariser
        configuration.summaryBlocksAtOnce = blocksAtOnce
        let evaluator = Evaluator(configuration)
        for item in 0..<30 {
            evaluator.set(
                ItemRecord(
                    id: try #require(ItemID("i\(item)")), title: "Word\(item)",
                    categories: ["c\(item % 3)"]))
        }
        return evaluator
    }

    @Test("an event is in the text when its blocks are whole, and never before", arguments: [1, 4])
    func folded(_ blocksAtOnce: Int) throws {
        let template = TemplateSummariser()
        let evaluator = try evaluator(template, blocksAtOnce: blocksAtOnce)
        let user = try #require(Self.user)
        var body: [UInt8] = []
        for count in 0..<23 {
            evaluator.learn(
                Interaction(
                    user: user, item: try #require(ItemID("i\(count)")), type: 0,
                    time: 1_700_000_000_000 + Milliseconds(count)))
            if (count + 1).isMultiple(of: 5 * blocksAtOnce) {
                for block in (count + 1) / 5 - blocksAtOnce..<(count + 1) / 5 {
                    let events = (block * 5..<block * 5 + 5).map { item in
                        TemplateSummariser.Event(
                            traits: ItemTraits(
                                title: "Word\(item)", brand: nil, categories: ["c\(item % 3)"],
                                price: nil), weight: 1)
                    }
                    body = template.body(after: body, block: UInt64(block), events)
                }
            }
            let state = try #require(evaluator.states[user])
            let known = TeacherUser(state, rules: evaluator.configuration.engine.history)
            #expect(
                template.text(ofStored: known.summary)
                    == (body.isEmpty ? "" : template.text(of: body)), "after \(count + 1)")
        }
        #expect(!body.isEmpty)
    }

    @Test("none is kept where nobody reads it")
    func none() throws {
        let evaluator = try evaluator(nil, blocksAtOnce: 1)
        let user = try #require(Self.user)
        for count in 0..<20 {
            evaluator.learn(
                Interaction(
                    user: user, item: try #require(ItemID("i\(count)")), type: 0,
                    time: Milliseconds(count)))
        }
        #expect(evaluator.states[user]?.summary == [])
        #expect(evaluator.states[user]?.openBlock == [])
    }
}
