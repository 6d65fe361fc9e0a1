// The contract of docs/teachers.md with systems that compute scores elsewhere.

import Interactions
import TestKit
import Testing

@testable import Teachers

@Suite("External scores")
struct ExternalTeacherTests {
    /// As a foreign writer makes them: by hand, from the document.
    private static func record(kind: UInt8, version: UInt64, _ body: [UInt8]) -> [UInt8] {
        let words: [UInt8] = (0..<8).map { UInt8(truncatingIfNeeded: version >> ($0 * 8)) }
        return [0x58, 1, kind] + words + body
    }

    private static func floats(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
        }
    }

    private static func vector(_ version: UInt64, _ values: [Float]) -> [UInt8] {
        record(kind: 1, version: version, [UInt8(values.count), 0] + floats(values))
    }

    private static func list(_ version: UInt64, _ items: [(String, Float)]) -> [UInt8] {
        var body: [UInt8] = [UInt8(items.count % 256), UInt8(items.count / 256)]
        for (item, score) in items {
            body += [UInt8(item.utf8.count), 0]
            body += Array(item.utf8)
            body += floats([score])
        }
        return record(kind: 2, version: version, body)
    }

    private func statistics(_ items: [ItemID]) -> Statistics {
        var statistics = Statistics(halfLivesSeconds: [1_000])
        for item in items { _ = statistics.number(of: item.key) }
        return statistics
    }

    private func ids(_ count: Int) throws -> [ItemID] {
        try (0..<count).map { try #require(ItemID("i\($0)")) }
    }

    @Test("vectors: the score is the product; another version proposes nothing")
    func vectors() throws {
        let items = try ids(3)
        let statistics = statistics(items)
        var teacher = try ExternalTeacher(
            version: 5,
            vectors: [
                (items[0], Self.vector(5, [1, 0])), (items[1], Self.vector(5, [0.5, 2])),
                (try #require(ItemID("unknown")), Self.vector(5, [9, 9])),
            ])
        teacher.bind(to: statistics.items)
        let user = TeacherUser(external: Self.vector(5, [2, -1]))
        #expect(teacher.logits(of: user, from: statistics) == [2, -1, nil])
        for bytes in [Self.vector(6, [2, -1]), Self.vector(5, [2]), [], [0x58]] {
            let logits = teacher.logits(of: TeacherUser(external: bytes), from: statistics)
            #expect(logits == [nil, nil, nil])
        }
        var read = try ExternalTeacher().loaded(from: teacher.encoded())
        read.bind(to: statistics.items)
        #expect(read.logits(of: user, from: statistics) == [2, -1, nil])
        #expect(throws: SolveFailure.self) {
            try teacher.solved(from: TeacherMaterial(statistics: statistics, version: 1)) { _ in
                true
            }
        }
    }

    @Test("lists: scores as given, unknown items left out, the first of an item counts")
    func lists() throws {
        let items = try ids(3)
        let statistics = statistics(items)
        let teacher = ExternalTeacher(listVersion: 2)
        let user = TeacherUser(
            external: Self.list(2, [("i2", -0.5), ("unknown", 3), ("i0", 0), ("i2", 8)]))
        let logits = teacher.logits(of: user, from: statistics)
        #expect(logits[2] == -0.5 && logits[1] == nil)
        let zero = try #require(logits[0])
        #expect(abs(zero) < 1e-300, "a score of zero is a score")
        let other = TeacherUser(external: Self.list(3, [("i2", 1)]))
        #expect(teacher.logits(of: other, from: statistics) == [nil, nil, nil])
        #expect(ExternalTeacher().logits(of: user, from: statistics) == [nil, nil, nil])
    }

    @Test("what docs/examples/external_teacher.py writes is read")
    func example() throws {
        // vector_record(5, [1.0, 0.5]) and list_record(2, [("i2", -0.5), ("i0", 1.0)])
        let vector = "580101050000000000000002000000803f0000003f"
        let list = "5801020200000000000000020002006932000000bf020069300000803f"
        #expect(Self.vector(5, [1, 0.5]) == Self.bytes(vector))
        #expect(Self.list(2, [("i2", -0.5), ("i0", 1)]) == Self.bytes(list))
        #expect(try ExternalRecord(decoding: Self.bytes(vector)).content == .vector([1, 0.5]))
    }

    private static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal)
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)
        }
    }

    @Test("item records of another version, kind or dimension are refused by name")
    func refused() throws {
        let items = try ids(2)
        for (bytes, word) in [
            (Self.vector(4, [1, 2]), "version 4"), (Self.vector(5, [1]), "dimensions"),
            (Self.list(5, []), "list"), ([1, 2], "first byte"),
        ] {
            do {
                _ = try ExternalTeacher(
                    version: 5, vectors: [(items[0], Self.vector(5, [1, 2])), (items[1], bytes)])
                Issue.record("\(word) was accepted")
            } catch {
                #expect(error.reason.contains("i1") && error.reason.contains(word))
            }
        }
    }

    @Test("every damage and every cut of a record is refused or read, never a trap")
    func damage() throws {
        var random = SeededRandom(seed: 4)
        for bytes in [Self.vector(5, [1, 2, 3]), Self.list(5, [("i1", 1), ("i2", 2)])] {
            for end in bytes.indices {
                #expect(throws: MalformedBytes.self) {
                    try ExternalRecord(decoding: Array(bytes[..<end]))
                }
            }
            #expect(throws: MalformedBytes.self) { try ExternalRecord(decoding: bytes + [0]) }
            for _ in 0..<500 {
                var damaged = bytes
                damaged[random.below(damaged.count)] = UInt8(random.below(256))
                _ = try? ExternalRecord(decoding: damaged)
            }
        }
        for (limit, body) in [
            (Self.vector(5, [.nan]), "finite"), (Self.vector(0, [1]), "version 0"),
            (Self.record(kind: 1, version: 1, [0, 0]), "dimensions"),
            (Self.record(kind: 2, version: 1, [0xE9, 0x03]), "lists 1001"),
            (Self.list(1, [("", 1)]), "id"), (Self.record(kind: 3, version: 1, []), "kind 3"),
        ] {
            do {
                _ = try ExternalRecord(decoding: limit)
                Issue.record("\(body) was accepted")
            } catch {
                #expect(error.reason.contains(body), "\(error)")
            }
        }
    }
}
