// The template: exact, bounded, readable.

import Interactions
import Summaries
import TestKit
import Testing

@Suite("The template summariser")
struct TemplateTests {
    let template = TemplateSummariser()

    /// A small shop: no kind of trait gets over its limit.
    static func drawn(_ random: inout SeededRandom, names: Int = 4) -> TemplateSummariser.Event {
        guard !random.chance(0.1) else { return .init(traits: nil, weight: 1) }
        let traits = ItemTraits(
            title: "word\(random.below(names))a thing\(random.below(names))b",
            brand: random.chance(0.8) ? "Brand \(random.below(names))" : nil,
            categories: ["Category \(random.below(names))"], price: Double(1 + random.below(49)))
        return .init(traits: traits, weight: [1, 1, 3, 5, -2][random.below(5)])
    }

    private func recurrent(
        _ blocks: [[TemplateSummariser.Event]], from first: Int = 0
    ) -> [UInt8] {
        var body: [UInt8] = []
        for (index, block) in blocks.enumerated() {
            body = template.body(after: body, block: UInt64(first + index), block)
        }
        return body
    }

    @Test(
        "block after block, or parts merged in any cut and order: the same bytes", arguments: 0..<60
    )
    func exact(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let blocks = (0..<(1 + random.below(90))).map { _ in
            (0..<5).map { _ in Self.drawn(&random) }
        }
        let whole = recurrent(blocks)
        var parts: [[UInt8]] = []
        var start = 0
        while start < blocks.count {
            let end = min(blocks.count, start + 1 + random.below(12))
            parts.append(recurrent(Array(blocks[start..<end]), from: start))
            start = end
        }
        parts.shuffle(using: &random)
        #expect(template.merged(parts) == whole)
        #expect(template.merged([whole]) == whole)
    }

    @Test("the state of a user grows with neither events nor tastes", arguments: 0..<10)
    func bounded(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let blocks = (0..<300).map { _ in (0..<5).map { _ in Self.drawn(&random, names: 5_000) } }
        let body = recurrent(blocks)
        // Names of 40 bytes as they are, all sums at their largest.
        #expect(body.count <= 16 + 36 * (2 + 40 + 3 + 16 * 6))
        #expect(body == recurrent(blocks))
        #expect(template.text(of: body).utf8.count <= summaryTextBytesMax)
    }

    /// Departments, makers and words as shops have them; more of each kind than are kept.
    private static let shop = (
        categories: [
            "Office Products", "Pens & Pencils", "Paper", "Desk Accessories", "Printers", "Games",
            "Home & Kitchen", "Toys", "Electronics", "Garden", "Books", "Sports",
        ],
        brands: [
            "Avery", "Sharpie", "Post-it", "Canon", "Brother", "Fellowes", "Scotch", "Pilot",
            "BIC", "Epson", "HP", "Moleskine",
        ],
        words: [
            "black", "binder", "label", "white", "paper", "gel", "marker", "wireless", "folder",
            "planner", "notebook", "stapler", "coloured", "sheets", "cartridge", "envelopes",
            "premium", "erasable", "calculator", "organizer", "whiteboard", "retractable", "tape",
        ]
    )

    @Test("a user for whom everything is full takes less than 512 bytes, open events included")
    func fullUser() throws {
        var largest = 0
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var events: [TemplateSummariser.Event] = []
            var state = UserState()
            for index in 0..<(80 * 5 + 19) {
                func pick(_ names: [String]) -> String {
                    // A taste that drifts: some are frequent now.
                    let middle = Double(index) / 420 * Double(names.count)
                    let place = Int(middle) + random.below(names.count / 2) * random.below(2)
                    return names[place % names.count]
                }
                let title = (0..<4).map { _ in pick(Self.shop.words) }.joined(separator: " ")
                events.append(
                    .init(
                        traits: ItemTraits(
                            title: title, brand: pick(Self.shop.brands),
                            categories: [pick(Self.shop.categories), pick(Self.shop.categories)],
                            price: [3, 7, 15, 40, 80][random.below(5)]),
                        weight: [1, 1, 1, 3, 5][random.below(5)]))
                let entry = HistoryEntry(
                    item: UInt64(index), seconds: 1_700_000_000 + UInt32(index) * 4_000, type: 1)
                state.history.append(entry)
                state.eventCount += 1
                let rules = BlockRules(blockSize: 5)
                _ = rules.note(entry, in: &state)
                guard state.openBlock.count == 20 else { continue }
                _ = template.closeBlocks(of: &state, rules: rules) { events[Int($0.item)] }
            }
            #expect(state.openBlock.count == 19)
            var bare = state
            bare.openBlock = []
            bare.summary = []
            let bytes = state.encoded()
            #expect(try UserState(decoding: bytes) == state)
            largest = max(largest, bytes.count - bare.encoded().count)
        }
        #expect(largest < 512, "\(largest) bytes")
        #expect(largest > 300, "\(largest) bytes: is everything full?")
    }

    @Test("damaged bytes are read as nothing or as something, never a trap", arguments: 0..<20)
    func damage(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let body = recurrent((0..<9).map { _ in (0..<5).map { _ in Self.drawn(&random) } })
        for end in 0..<body.count { _ = template.text(of: Array(body[..<end])) }
        for _ in 0..<300 {
            var damaged = body
            damaged[random.below(damaged.count)] = UInt8(random.below(256))
            let next = template.body(after: damaged, block: 9, [Self.drawn(&random)])
            _ = template.text(of: next)
            _ = template.merged([next, body])
        }
    }

    @Test("says what is liked, what is new, what fades and what was turned away from")
    func text() {
        func event(_ category: String, _ title: String, _ weight: Int = 1)
            -> TemplateSummariser.Event
        {
            .init(
                traits: ItemTraits(
                    title: title, brand: weight > 0 ? "Acme" : nil, categories: [category],
                    price: 15), weight: weight)
        }
        var blocks = Array(repeating: [event("Horror", "Dracula rises")], count: 40)
        blocks += Array(repeating: [event("Space", "Alien planet")], count: 8)
        blocks.append([event("Romance", "Love", -3)])
        let text = template.text(of: recurrent(blocks), anchors: ["Alien\nplanet"])
        #expect(
            text == "Mostly Space and Horror. Brands: Acme. Prices: 10 to 20. "
                + "Titles often say “alien”, “planet”, “dracula” and “rises”. Rising: Space. "
                + "Fading: Horror. Turned away from Romance. Typical: Alien planet.")
        #expect(template.text(of: []) == "")
    }

    @Test(
        "blocks close as they fill, whatever the batches, and a summary begun late starts from the history"
    )
    func closing() {
        var random = SeededRandom(seed: 9)
        let rules = BlockRules(blockSize: 5, openEventsMax: 50)
        let events = (0..<64).map { _ in Self.drawn(&random) }
        func event(_ entry: HistoryEntry) -> TemplateSummariser.Event { events[Int(entry.item)] }
        func fold(closing every: Int) -> UserState {
            var state = UserState()
            for index in events.indices {
                state.history.append(HistoryEntry(item: UInt64(index), seconds: 5, type: 0))
                state.eventCount += 1
                _ = rules.note(state.history[index], in: &state)
                if index % every == 0 || index == events.count - 1 {
                    _ = template.closeBlocks(of: &state, rules: rules, event: event)
                }
            }
            return state
        }
        let state = fold(closing: 1)
        #expect(state.openBlock.count == 4)
        #expect(fold(closing: 7) == state)
        #expect(fold(closing: 40) == state)
        let record = rules.record(of: state, version: template.version)
        #expect(record?.blockCount == 12)
        #expect(
            record?.body
                == recurrent((0..<12).map { block in (0..<5).map { events[block * 5 + $0] } }))

        var late = state
        late.summary = []
        late.openBlock = Array(state.history.suffix(5))
        #expect(template.closeBlocks(of: &late, rules: rules, event: event) == 1)
        let rebuilt = rules.record(of: late, version: template.version)
        #expect(rebuilt?.eventCount == 64)
        #expect(rebuilt?.lostCount == 0)
    }
}
