// Half of a proof that needs Python: writes models and adapters with their logits for Tests/Parity/formats.py. Runs
// only when that script gives it a folder.

import Checkpoints
import Foundation
import JSONDocuments
import LanguageModel
import TestKit
import Testing
import Transformer

private let folder = ProcessInfo.processInfo.environment["MILLRACE_PARITY"]

@Suite("models for a comparison in Python")
struct ModelParityTests {
    static let prompt = (0..<24).map { Int32(($0 * 17 + 3) % 40) }

    @Test(
        "logits of models of ours, plain and adapted",
        .enabled(if: folder != nil, "set by Tests/Parity/formats.py"),
        arguments: ModelConfiguration.Family.allCases)
    func write(family: ModelConfiguration.Family) throws {
        let path = "\(try #require(folder))/decoder-\(family.rawValue)"
        try FileManager.default.createDirectory(
            atPath: "\(path)/adapter", withIntermediateDirectories: true)
        var model = randomModel(family)
        try model.write(folder: path)
        var document = [
            JSONMember("prompt", .array(Self.prompt.map { .integer(Int64($0)) })),
            JSONMember("logits", try logits(model)),
        ]
        let layout = LowRankLayout(
            rank: 3, scale: 2, projections: [.query, .value, .output, .up], layers: 1..<3,
            layerCount: 3, shape: model.decoder.shape.block)
        var random = SeededRandom(seed: 8)
        let adapter = DecoderAdapter(
            layout,
            parameters: (0..<layout.layout.count).map { _ in
                Float.random(in: -0.5...0.5, using: &random)
            })
        model.decoder.adapter = adapter
        try adapter.adapter(shape: model.decoder.shape).write(folder: "\(path)/adapter")
        document.append(JSONMember("adapted", try logits(model)))
        try replaceFile("\(path)/logits.json", with: JSONValue.object(document).serialised())
    }

    private func logits(_ model: LanguageModel) throws -> JSONValue {
        var states = [DecoderState(model.decoder.shape)]
        var scratch = DecoderScratch()
        let hidden = try model.decoder.forward(
            [DecoderInput(Self.prompt)], states: &states, scratch: &scratch)
        let logits = model.decoder.logits(hidden, rows: Array(Self.prompt.indices))
        return .array(logits.map { .real(Double($0)) })
    }
}
