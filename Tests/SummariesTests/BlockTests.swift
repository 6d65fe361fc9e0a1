// Blocks: whatever comes late, twice or for somebody else, a summary holds each event once.

import Interactions
import Summaries
import TestKit
import Testing

@Suite("Blocks of events")
struct BlockTests {
    static let version: UInt64 = 77

    /// Applies one event as the fold does, as far as blocks are concerned.
    static func feed(_ item: UInt64, _ rules: BlockRules, _ state: inout UserState) {
        state.eventCount += 1
        _ = rules.note(
            HistoryEntry(item: item, seconds: UInt32(1_000 + state.eventCount), type: 1),
            in: &state)
    }

    /// A writer whose summary names every event it holds, in order.
    static func written(_ block: DueBlock, after previous: [UInt8]) -> [UInt8] {
        previous + block.events.map { UInt8(truncatingIfNeeded: $0.item) }
    }

    @Test(
        "with late, doubled and lost answers each event is held once, in order, or counted as lost",
        arguments: 0..<200)
    func chaos(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let size = 1 + random.below(6)
        let rules = BlockRules(blockSize: size, openEventsMax: size + random.below(30))
        var state = UserState()
        var answers: [(block: DueBlock, body: [UInt8])] = []
        var fed: [UInt8] = []
        var lost = 0
        for _ in 0..<400 {
            switch random.below(4) {
            case 0, 1:
                let item = UInt64(random.below(200))
                Self.feed(item, rules, &state)
                fed.append(UInt8(item))
                lost += rules.dropIfFull(&state, version: Self.version)
            case 2:
                let record = rules.recordOrNew(of: state, version: Self.version)
                guard let due = rules.dueBlock(of: state, number: record.blockCount) else {
                    continue
                }
                answers.append((block: due, body: Self.written(due, after: record.body)))
            default:
                // An old answer as likely as the newest; some never come, some come twice.
                guard !answers.isEmpty else { continue }
                let answer = answers[random.below(answers.count)]
                _ = rules.apply(
                    body: answer.body, block: answer.block.number,
                    fingerprint: answer.block.fingerprint, version: Self.version, to: &state)
            }
            let record = rules.recordOrNew(of: state, version: Self.version)
            #expect(record.eventCount + UInt64(state.openBlock.count) == UInt64(fed.count))
            #expect(record.lostCount == UInt64(lost))
            #expect(record.body.count + lost + state.openBlock.count == fed.count)
            #expect(state.openBlock.count <= rules.openEventsMax)
            #expect(state.openBlock.map { UInt8($0.item) } == fed.suffix(state.openBlock.count))
            if lost == 0 { #expect(record.body == Array(fed.prefix(record.body.count))) }
        }
    }

    @Test("an answer for the same block of an earlier life of the user changes nothing")
    func forgotten() throws {
        let rules = BlockRules(blockSize: 2, openEventsMax: 10)
        var state = UserState()
        for item in 0..<2 { Self.feed(UInt64(item), rules, &state) }
        let due = try #require(rules.dueBlock(of: state, number: 0))
        state = UserState()
        for item in 5..<7 { Self.feed(UInt64(item), rules, &state) }
        let outcome = rules.apply(
            body: [1], block: 0, fingerprint: due.fingerprint, version: Self.version, to: &state)
        #expect(outcome == .stale)
        #expect(state.summary.isEmpty)
    }

    @Test("another writer's summary is not continued, and what it held counts as lost")
    func otherVersion() throws {
        let rules = BlockRules(blockSize: 2, openEventsMax: 10)
        var state = UserState()
        for item in 0..<4 { Self.feed(UInt64(item), rules, &state) }
        for number in 0..<2 {
            let due = try #require(rules.dueBlock(of: state, number: UInt64(number)))
            let outcome = rules.apply(
                body: [9], block: due.number, fingerprint: due.fingerprint, version: 1, to: &state)
            #expect(outcome == .applied)
        }
        #expect(rules.record(of: state, version: 2) == nil)
        let record = rules.recordOrNew(of: state, version: 2)
        #expect(record.lostCount == 4)
        #expect(record.blockCount == 2)
        #expect(record.body.isEmpty)
    }

    @Test("the summary section is outside the digest, and reads back", arguments: 0..<50)
    func stored(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var state = UserState()
        state.eventCount = random.next()
        for _ in 0..<random.below(9) {
            state.history.append(HistoryEntry(item: random.next(), seconds: 7, type: 1))
        }
        let bare = state.encoded()
        #expect(UserState.digestedCount(of: bare) == bare.count)
        // Events that the history has, had with another time, or never had.
        for _ in 0...random.below(9) {
            let known = state.history.randomElement(using: &random)
            var entry = known ?? HistoryEntry(item: random.next(), seconds: 9, type: 2)
            if random.chance(0.3) { entry.seconds = UInt32(random.below(9)) }
            if random.chance(0.2) { entry.item = random.next() }
            state.openBlock.append(entry)
        }
        state.summary = SummaryRecord(version: random.next(), body: [1, 2, 3]).encoded()
        let bytes = state.encoded()
        #expect(try UserState(decoding: bytes) == state)
        #expect(UserState.digestedCount(of: bytes) == bare.count)
        #expect(Array(bytes.prefix(bare.count)) == bare)
        for end in 0..<bytes.count { _ = try? UserState(decoding: Array(bytes[..<end])) }
    }

    @Test(
        "open events that the history has take a byte each; as they were stored before, they are read"
    )
    func openEvents() throws {
        var state = UserState()
        for index in 0..<20 as Range<UInt32> {
            state.history.append(
                HistoryEntry(
                    item: UInt64(index) << 40 | 7, seconds: 1_700_000_000 + index, type: 1))
        }
        let bare = state.encoded()
        state.openBlock = Array(state.history.suffix(9))
        #expect(state.encoded().count == bare.count + 2 + 2 + 9)
        var old = ByteWriter()
        old.varint(2)
        for entry in state.history.suffix(2) {
            old.word64(entry.item)
            old.byte(entry.type)
            old.signed(entry == state.history.last ? 1 : Int64(entry.seconds))
        }
        old.append([5, 6])
        var bytes = bare + [64, UInt8(old.bytes.count)] + old.bytes
        state.openBlock = Array(state.history.suffix(2))
        state.summary = [5, 6]
        #expect(try UserState(decoding: bytes) == state)
        // A place beyond the history is refused.
        bytes = bare + [64, 3, 0x81, 0x40, 21]
        #expect(throws: MalformedBytes.self) { try UserState(decoding: bytes) }
        bytes[bytes.count - 1] = 20
        #expect(try UserState(decoding: bytes).openBlock == [state.history[0]])
    }
}
