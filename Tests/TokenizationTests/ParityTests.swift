// Half of a proof that needs Python: writes files for Tests/Parity/formats.py, which loads them in Hugging Face's
// libraries. Runs only when that script gives it a folder.

import Foundation
import JSONDocuments
import TestKit
import Testing
import Tokenization

private let folder = ProcessInfo.processInfo.environment["MILLRACE_PARITY"]

@Suite("files for a comparison in Python")
struct TokenizerParityTests {
    @Test(
        "what every tokenizer of the golden files makes of the texts there",
        .enabled(if: folder != nil, "set by Tests/Parity/formats.py"))
    func encode() throws {
        let texts = try Self.texts()
        for style in GoldenTests.styles {
            let made = try tokenizer(style)
            let encodings = texts.map { text in
                JSONValue.array(
                    made.encode(text, added: .recognised).map { .integer(Int64($0)) })
            }
            try Self.write("encodings-\(style).json", .array(encodings))
        }
    }

    private static func texts() throws -> [String] {
        let path = URL(filePath: try #require(folder)).appending(path: "texts.json")
        let data = Array(try Data(contentsOf: path))
        return try JSONNode(parsing: data, document: "texts.json").elements().map { try $0.text() }
    }

    private static func write(_ name: String, _ document: JSONValue) throws {
        let path = URL(filePath: try #require(folder)).appending(path: name)
        try Data(document.serialised()).write(to: path)
    }

    @Test(
        "a tokenizer trained on the texts there, and what it makes of them",
        .enabled(if: folder != nil, "set by Tests/Parity/formats.py"))
    func write() throws {
        let texts = try Self.texts()
        let clock = ContinuousClock()
        var document = JSONValue.null
        let training = clock.measure { document = BPETraining().train(texts) }
        try Self.write("tokenizer.json", document)
        let made = try Tokenizer(parsing: document.serialised(), document: "tokenizer.json")
        var encodings: [JSONValue] = []
        let encoding = clock.measure {
            encodings = texts.map { text in
                .array(made.encodeFramed(text, added: .recognised).map { .integer(Int64($0)) })
            }
        }
        let result = JSONValue.members([
            "encodings": .array(encodings), "training": .string("\(training)"),
            "encoding": .string("\(encoding)"),
        ])
        try Self.write("encodings.json", result)
    }
}
