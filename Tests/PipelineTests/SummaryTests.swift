// Summaries under the simulator's faults: the same state of the log as without them, and every event once.

import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Summaries
import Teachers
import TestKit
import Testing

@Suite("Summaries under faults")
struct SummarySimulationTests {
    /// Twelve blocks a user at most, so that no text of the scripted writer is too long.
    private func logs(_ random: inout SeededRandom) -> [[RecordBatch.Entry]] {
        Shop.logs(partitions: 1 + random.below(3), events: 300 + random.below(500), &random)
    }

    private func run(
        seed: UInt64, maker: SummaryConfiguration.Maker, repairBlocks: Int = 0
    ) throws -> (world: World, logs: [[RecordBatch.Entry]], SummaryConfiguration) {
        var random = SeededRandom(seed: seed)
        let logs = logs(&random)
        var configuration = Shop.configuration(random: &random)
        let size = 1 + random.below(5)
        var summary = SummaryConfiguration(
            maker,
            blocks: BlockRules(
                blockSize: size, openEventsMax: size + 900, repairBlocks: repairBlocks))
        summary.retryMilliseconds = 50
        summary.jobMillisecondsMax = 2_000
        summary.jobsInFlightMax = 1 + random.below(4)
        summary.jobsPerMinuteMax = 100_000
        summary.attemptsMax = 1 + random.below(6)
        configuration.summaries = summary
        configuration.decodeItem = { id, _ in Self.record(id) }
        let world = World(
            seed: seed, logs: logs, instances: 1 + random.below(3), configuration: configuration)
        // Two of the shop's 25 items have no record.
        world.catalogue = (0..<23).compactMap { ItemID("item-\($0)") }.map { (id: $0, json: [1]) }
        let problem = world.run(stormySteps: 2_000)
        #expect(problem == nil, "seed \(seed): \(world.summary)")
        let reference = ReferenceFold(logs: logs, configuration: configuration.engine)
        for partition in logs.indices {
            let members = Set(logs[partition].map(\.entry.user))
            var sum = StateDigest()
            for (user, blob) in reference.blobs(of: members) {
                sum = sum + Coordinator.digest(user, blob)
            }
            #expect(
                world.store.partitions[PartitionIndex(partition)]?.digest == sum, "seed \(seed)")
        }
        return (world: world, logs: logs, summary)
    }

    private static func event(_ id: ItemID, _ type: EventType.Index) -> TemplateSummariser.Event {
        let item = record(id)
        let traits = ItemTraits(
            title: item.title, brand: item.brand, categories: item.categories, price: item.price)
        return .init(traits: isKnown(id) ? traits : nil, weight: Shop.types[type].weight)
    }

    private static func isKnown(_ item: ItemID) -> Bool {
        !["item-23", "item-24"].contains(item.text)
    }

    private static func record(_ id: ItemID) -> ItemRecord {
        ItemRecord(
            id: id, title: "title of \(id)", brand: "brand \(id.key % 30)",
            categories: ["category \(id.key % 7)"], price: Double(id.key % 600))
    }

    /// The events that were applied to each user since it was last forgotten, in order.
    private func applied(_ logs: [[RecordBatch.Entry]]) -> [UserID: [Interaction]] {
        let rules = HistoryRules(types: Shop.types, historyMax: 50)
        var events: [UserID: [Interaction]] = [:]
        var states: [UserID: UserState] = [:]
        for record in logs.joined() {
            let user = record.entry.user
            guard case .interaction(let event) = record.entry else {
                events[user] = nil
                states[user] = nil
                continue
            }
            var ignored = StatisticsEditsWriter()
            if rules.append(event, to: &states[user, default: UserState()], edits: &ignored)
                == .applied
            {
                events[user, default: []].append(event)
            }
        }
        return events
    }

    @Test(
        "a writer that fails, stalls and repeats itself: each event in its summary once, in order",
        arguments: 1...40)
    func writer(seed: UInt64) throws {
        let (world, logs, summary) = try run(seed: seed, maker: .writer(ScriptedWriter()))
        let expected = applied(logs)
        var held = 0
        for (user, blob) in world.store.partitions.values.flatMap(\.users) {
            let state = try UserState(decoding: blob)
            let events = try #require(expected[user])
            let words = events.map {
                (Self.isKnown($0.item)
                    ? "title of \($0.item)" : "#\(String($0.item.key, radix: 16))")
                    + "/\(Shop.types[$0.type].name)"
            }
            let record = summary.blocks.recordOrNew(of: state, version: summary.maker.version)
            #expect(record.lostCount == 0)
            let text = String(decoding: record.body, as: UTF8.self)
            let count = events.count - state.openBlock.count
            #expect(text == words.prefix(count).joined(separator: " "), "seed \(seed), \(user)")
            held += count
        }
        // Three questions in ten fail: with few attempts, all of a merge's may.
        #expect(held > 0 || summary.attemptsMax <= 2, "seed \(seed), \(summary.attemptsMax)")
    }

    @Test(
        "repaired every few blocks: every event counted once, every item of the history told of",
        arguments: 1...20)
    func repaired(seed: UInt64) throws {
        let (world, logs, summary) = try run(
            seed: seed, maker: .writer(ScriptedWriter()), repairBlocks: 2)
        let expected = applied(logs)
        for (user, blob) in world.store.partitions.values.flatMap(\.users) {
            let state = try UserState(decoding: blob)
            let events = try #require(expected[user])
            let record = summary.blocks.recordOrNew(of: state, version: summary.maker.version)
            #expect(record.lostCount == 0)
            #expect(Int(record.eventCount) + state.openBlock.count == events.count)
            let text = String(decoding: record.body, as: UTF8.self)
            for event in events.prefix(events.count - state.openBlock.count) {
                let title =
                    Self.isKnown(event.item)
                    ? "title of \(event.item)" : "#\(String(event.item.key, radix: 16))"
                #expect(
                    text.contains(title) || state.openBlock.contains { $0.item == event.item.key },
                    "seed \(seed), \(user)")
            }
        }
    }

    @Test("the template's summaries are those of a plain fold, to the byte", arguments: 1...25)
    func template(seed: UInt64) throws {
        let template = TemplateSummariser()
        let (world, logs, summary) = try run(seed: seed, maker: .template(template))
        let expected = applied(logs)
        for (user, blob) in world.store.partitions.values.flatMap(\.users) {
            var state = try UserState(decoding: blob)
            let events = try #require(expected[user])
            let size = summary.blocks.blockSize
            #expect(
                state.openBlock.count == events.count % (size * TemplateSummariser.blocksAtOnce))
            let items = Dictionary(
                events.map { ($0.item.key, $0.item) }, uniquingKeysWith: { $1 })
            _ = template.closeBlocks(of: &state, rules: summary.blocks) { event in
                items[event.item].map { Self.event($0, event.type) }
                    ?? .init(traits: nil, weight: 0)
            }
            #expect(state.openBlock.count == events.count % size, "seed \(seed), \(user)")
            guard events.count >= size else { continue }
            let record = try #require(
                summary.blocks.record(of: state, version: template.version))
            var body: [UInt8] = []
            for block in 0..<(events.count / size) {
                body = template.body(
                    after: body, block: UInt64(block),
                    events[(block * size)..<((block + 1) * size)].map {
                        Self.event($0.item, $0.type)
                    })
            }
            #expect(record.body == body)
            #expect(record.blockCount == UInt64(events.count / size))
        }
    }
}

extension SummaryConfiguration.Maker {
    var version: UInt64 {
        switch self {
        case .template(let template): template.version
        case .writer(let writer): writer.version
        }
    }
}
