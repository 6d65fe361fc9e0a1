import Checkpoints
import Foundation
import JSONDocuments
import TestKit
import Testing

/// A safetensors file of a header and data.
func safetensors(_ header: String, dataCount: Int) -> [UInt8] {
    let length = UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8)
        + [UInt8](repeating: 0, count: dataCount)
}

@Suite("safetensors files")
struct SafetensorsTests {
    @Test("the three float types read exactly, others are known and not read")
    func types() throws {
        let file = try SafetensorsFile(bytes: fixture("types.safetensors"), named: "types")
        let golden = try JSONNode(parsing: fixture("types.json"), document: "types.json")
        for (name, node) in try golden.members() {
            let expected = try node.elements().map { Float(try $0.real(in: -1e9...1e9)) }
            let floats = try file.floats(try #require(file[name]))
            #expect(floats.map(\.bitPattern) == expected.map(\.bitPattern), "\(name)")
        }
        #expect(file["scalar"]?.shape == [])
        #expect(try file.floats(try #require(file["scalar"])) == [2.5])
        #expect(try file.floats(try #require(file["empty"])) == [])
        #expect(file["matrix"]?.shape == [2, 5])
        #expect(file.metadata == ["format": "pt"])
        let count = try #require(file["count"])
        #expect(throws: DocumentError.self) { try file.floats(count) }
    }

    @Test("what is written reads back", arguments: [TensorType.f32, .f16, .bf16])
    func roundTrip(type: TensorType) throws {
        let folder = try TemporaryDirectory()
        var random = SeededRandom(seed: 1)
        let tensors = [
            NamedTensor(
                "b", shape: [3, 5],
                values: (0..<15).map { _ in Float.random(in: -2...2, using: &random) }),
            NamedTensor("a", shape: [], values: [0.5]),
            NamedTensor("c", shape: [0, 2], values: []),
            // Longer than one piece of conversion.
            NamedTensor("long", shape: [600_000], values: (0..<600_000).map { Float($0 % 256) }),
        ]
        try writeSafetensors(tensors, type: type, to: folder.file("m.safetensors"))
        let file = try SafetensorsFile(path: folder.file("m.safetensors"))
        #expect(file.entries.map(\.name) == ["a", "b", "c", "long"])
        for tensor in tensors {
            let entry = try #require(file[tensor.name])
            #expect(entry.shape == tensor.shape && entry.type == type)
            let step: Float = type == .f32 ? 0 : type == .f16 ? 0x1p-11 : 0x1p-8
            let read = try file.floats(entry)
            let isClose = zip(read, tensor.values).allSatisfy { abs($0 - $1) <= abs($1) * step }
            #expect(read.count == tensor.values.count && isClose)
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["m.safetensors"])
    }

    @Test("numbers are rounded to the nearest, ties to even; infinities and NaN stay")
    func rounding() throws {
        let folder = try TemporaryDirectory()
        let values: [Float] = [
            1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1.8p-8, -.infinity, .infinity, .nan, 3.4e38,
        ]
        try writeSafetensors(
            [NamedTensor("x", shape: [7], values: values)], type: .bf16, to: folder.file("x"))
        let file = try SafetensorsFile(path: folder.file("x"))
        let read = try file.floats(try #require(file["x"]))
        let expected: [Float] = [1, 1 + 0x1p-6, 1 + 0x1p-7, -.infinity, .infinity]
        #expect(Array(read[..<5]) == expected)
        #expect(read[5].isNaN && read[6] == .infinity)
    }

    private static func tensor(
        _ name: String, _ type: String, _ shape: String, _ offsets: String
    ) -> String {
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}"
    }

    static let hostile: [(header: String, dataCount: Int, word: String)] = [
        (
            "{\(tensor("a", "F32", "[2]", "[0,8]")),\(tensor("b", "F32", "[2]", "[4,12]"))}",
            12, "overlaps"
        ),
        (
            "{\(tensor("a", "F32", "[2]", "[0,8]")),\(tensor("b", "F32", "[2]", "[0,8]"))}",
            8, "overlaps"
        ),
        (
            "{\(tensor("a", "F32", "[1]", "[0,4]")),\(tensor("b", "F32", "[1]", "[8,12]"))}",
            12, "unused"
        ),
        ("{\(tensor("a", "F32", "[1]", "[4,8]"))}", 8, "unused"),
        ("{\(tensor("a", "F32", "[1]", "[0,4]"))}", 8, "in no tensor"),
        ("{\(tensor("a", "F32", "[2]", "[0,8]"))}", 4, "not within"),
        ("{\(tensor("a", "F32", "[1]", "[8,4]"))}", 8, "not within"),
        ("{\(tensor("a", "F32", "[3]", "[0,8]"))}", 8, "takes 12"),
        (
            "{\(tensor("a", "F32", "[4611686018427387904,8]", "[0,0]"))}", 0,
            "64 bits"
        ),
        ("{\(tensor("a", "F32", "[-1]", "[0,0]"))}", 0, "an integer from 0"),
        ("{\(tensor("a", "F32", "[1.0]", "[0,4]"))}", 4, "an integer from 0"),
        (
            "{\(tensor("a", "F32", "[18446744073709551615]", "[0,4]"))}", 4,
            "an integer"
        ),
        (
            "{\(tensor("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"))}", 4,
            "at most 8"
        ),
        ("{\(tensor("a", "F31", "[1]", "[0,4]"))}", 4, "no type"),
        (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, "a.dtype"),
        ("{\(tensor("a", "F32", "[1]", "[0,4,8]"))}", 8, "at most 2"),
        (
            "{\(tensor("a", "F32", "[1]", "[0,4]")),\(tensor("a", "F32", "[1]", "[4,8]"))}",
            8, "twice"
        ),
        (#"{"__metadata__":{"format":1}}"#, 0, "a string"),
        (#"[]"#, 0, "an object"),
        (#"{"#, 0, "not JSON"),
    ]

    @Test("hostile headers are refused by name", arguments: hostile.indices)
    func refused(index: Int) {
        let (header, dataCount, word) = Self.hostile[index]
        let bytes = safetensors(header, dataCount: dataCount)
        let error = #expect(throws: DocumentError.self) {
            try SafetensorsFile(bytes: bytes, named: "x.safetensors")
        }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("x.safetensors: ") && text.contains(word), "\(text)")
    }

    @Test("a header longer than its limit, or than the file, is refused before it is read")
    func headerLength() {
        let lengths: [UInt64] = [
            .max, 1 << 63, UInt64(SafetensorsFile.headerBytesMax) + 1, 1000, 3,
        ]
        for length in lengths {
            let bytes =
                (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + [0x7B, 0x7D]
            #expect(throws: DocumentError.self) { try SafetensorsFile(bytes: bytes, named: "x") }
        }
    }

    @Test("too many tensors are refused")
    func manyTensors() {
        let members = (0...SafetensorsFile.tensorsMax).map {
            "\"\($0)\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"
        }
        let bytes = safetensors("{\(members.joined(separator: ","))}", dataCount: 0)
        let error = #expect(throws: DocumentError.self) {
            try SafetensorsFile(bytes: bytes, named: "x")
        }
        #expect(error?.reason.contains("at most") == true)
    }

    @Test("every truncation is refused")
    func truncations() throws {
        let whole = try fixture("types.safetensors")
        for count in 0..<whole.count {
            #expect(throws: DocumentError.self) {
                try SafetensorsFile(bytes: Array(whole[..<count]), named: "x")
            }
        }
    }

    @Test("random bytes are refused or read, and never trap")
    func randomBytes() throws {
        let whole = try fixture("types.safetensors")
        var random = SeededRandom(seed: 5)
        for _ in 0..<3000 {
            var bytes = whole
            for _ in 0...random.below(3) {
                let range = random.chance(0.8) ? min(560, bytes.count) : bytes.count
                bytes[random.below(range)] =
                    random.chance(0.5) ? UInt8(48 + random.below(10)) : UInt8(random.below(256))
            }
            guard let file = try? SafetensorsFile(bytes: bytes, named: "x") else { continue }
            for entry in file.entries { _ = try? file.floats(entry) }
        }
    }

    @Test("a file that shrinks after it was opened is an error with a name")
    func shrinking() throws {
        let folder = try TemporaryDirectory()
        let path = folder.file("x.safetensors")
        try writeSafetensors(
            [NamedTensor("x", shape: [100], values: [Float](repeating: 1, count: 100))], to: path)
        let file = try SafetensorsFile(path: path)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.truncate(atOffset: 120)
        let error = #expect(throws: DocumentError.self) {
            try file.floats(try #require(file["x"]))
        }
        #expect(error?.description.contains("it ends after 120 bytes") == true)
    }

    @Test("files that cannot be opened, or are no files, are refused")
    func files() throws {
        let folder = try TemporaryDirectory()
        for path in [folder.file("none"), folder.path, "/dev/null"] {
            #expect(throws: DocumentError.self) { try SafetensorsFile(path: path) }
        }
        #expect(throws: DocumentError.self) {
            try writeSafetensors([], to: folder.file("none/x.safetensors"))
        }
    }
}
