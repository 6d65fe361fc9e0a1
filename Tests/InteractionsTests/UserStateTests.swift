import Interactions
import TestKit
import Testing

@Suite("A user's stored state")
struct UserStateTests {
    static func drawn(_ random: inout SeededRandom) -> UserState {
        var state = UserState()
        for _ in 0..<random.below(40) {
            state.history.append(
                HistoryEntry(
                    item: random.next(), seconds: UInt32.random(in: 0...(.max), using: &random),
                    type: UInt8(random.below(64)), repeatGap: UInt8(random.below(11))))
        }
        for _ in 0..<random.below(16) { state.eventKeys.append(random.next()) }
        state.eventCount = random.next()
        return state
    }

    @Test("reads back what it wrote", arguments: 0..<200)
    func roundTrip(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let state = Self.drawn(&random)
        #expect(try UserState(decoding: state.encoded()) == state)
    }

    @Test("is stored as if written byte by byte", arguments: 0..<50)
    func bytes(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var state = Self.drawn(&random)
        // The longest steps in time there are.
        for seconds: UInt32 in [0, .max, 0] {
            state.history.append(
                HistoryEntry(item: random.next(), seconds: seconds, type: 63, repeatGap: 255))
        }
        var history = ByteWriter()
        history.varint(UInt64(state.history.count))
        var previous: Int64 = 0
        for entry in state.history {
            history.word64(entry.item)
            history.byte(entry.type | (entry.repeatGap > 0 ? 0x80 : 0))
            if entry.repeatGap > 0 { history.byte(entry.repeatGap) }
            history.signed(Int64(entry.seconds) - previous)
            previous = Int64(entry.seconds)
        }
        var out = ByteWriter()
        for byte: UInt8 in [0x4D, 1, 1] { out.byte(byte) }
        out.varint(UInt64(history.bytes.count))
        out.append(history.bytes)
        if !state.eventKeys.isEmpty {
            out.byte(2)
            out.varint(UInt64(8 * state.eventKeys.count))
            for key in state.eventKeys { out.word64(key) }
        }
        var count = ByteWriter()
        count.varint(state.eventCount)
        out.byte(3)
        out.varint(UInt64(count.bytes.count))
        out.append(count.bytes)
        #expect(state.encoded() == out.bytes)
    }

    @Test("keeps sections of other versions, byte for byte")
    func otherSections() throws {
        var random = SeededRandom(seed: 1)
        var state = Self.drawn(&random)
        state.otherSections = [200, 3, 1, 2, 3, 201, 0]
        let bytes = state.encoded()
        #expect(try UserState(decoding: bytes) == state)
        #expect(try UserState(decoding: bytes).encoded() == bytes)
    }

    @Test("cut short, damaged or random bytes are refused or read, never a trap", arguments: 0..<60)
    func damage(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let bytes = Self.drawn(&random).encoded()
        for end in 0..<bytes.count { _ = try? UserState(decoding: Array(bytes[..<end])) }
        for _ in 0..<200 {
            var damaged = bytes
            damaged[random.below(damaged.count)] = UInt8(random.below(256))
            _ = try? UserState(decoding: damaged)
            let noise = (0..<random.below(60)).map { _ in UInt8(random.below(256)) }
            _ = try? UserState(decoding: [0x4D, 1] + noise)
        }
    }

    @Test("costs few bytes: 9 to 14 an item")
    func size() {
        var state = UserState()
        for index in 0..<20 {
            state.history.append(
                HistoryEntry(
                    item: UInt64(index) &* 0x9E37_79B9_7F4A_7C15,
                    seconds: 1_700_000_000 + UInt32(index) * 3_600, type: 1))
        }
        #expect(state.encoded().count <= 20 + 20 * 13)
    }
}

@Test(
    "XXH64 gives the values of its specification",
    arguments: [
        ("", 0xEF46_DB37_51D8_E999), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999),
        ("abcdefghijklmnopqrstuvwxyz0123456789", 0x64F2_3ECF_1609_B766),
    ] as [(String, UInt64)])
func xxhash(text: String, expected: UInt64) { #expect(xxh64(text) == expected) }

@Test("identifiers are equal exactly when their bytes are")
func identifiers() throws {
    let composed = try #require(UserID("caf\u{E9}"))
    let decomposed = try #require(UserID("cafe\u{301}"))
    #expect(composed != decomposed)
    #expect(UserID("") == nil)
    #expect(UserID(String(repeating: "x", count: 257)) == nil)
    #expect(UserID(String(repeating: "x", count: 256)) != nil)
}
