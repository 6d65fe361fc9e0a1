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
        "a tokenizer trained on the texts there, and what it makes of them",
        .enabled(if: folder != nil, "set by Tests/Parity/formats.py"))
    func write() throws {
        let path = URL(filePath: try #require(folder))
        let data = Array(try Data(contentsOf: path.appending(path: "texts.json")))
        let texts = try JSONNode(parsing: data, document: "texts.json").elements()
            .map { try $0.text() }
        let clock = ContinuousClock()
        var document = JSONValue.null
        let training = clock.measure { document = BPETraining().train(texts) }
        let bytes = document.serialised(.indented)
        try Data(bytes).write(to: path.appending(path: "tokenizer.json"))
        let made = try Tokenizer(parsing: bytes, document: "tokenizer.json")
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
        try Data(result.serialised()).write(to: path.appending(path: "encodings.json"))
    }
}
