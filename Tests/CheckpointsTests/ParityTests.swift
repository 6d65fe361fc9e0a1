// Half of a proof that needs Python: writes folders for Tests/Parity/formats.py, which loads them in Hugging Face's
// libraries. Runs only when that script gives it a folder.

import Checkpoints
import Foundation
import JSONDocuments
import TestKit
import Testing

private let folder = ProcessInfo.processInfo.environment["MILLRACE_PARITY"]

@Suite("files for a comparison in Python")
struct CheckpointParityTests {
    static let scalings: [ModelConfiguration.RotaryScaling] = [
        .llama3(
            factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositionsMax: 16),
        .linear(factor: 2), .none,
    ]

    @Test(
        "a model of each family, and an adapter for it",
        .enabled(if: folder != nil, "set by Tests/Parity/formats.py"))
    func write() throws {
        for (family, scaling) in zip(ModelConfiguration.Family.allCases, Self.scalings) {
            let path = "\(try #require(folder))/\(family.rawValue)"
            var configuration = ModelFolderTests.small(family)
            configuration.rotaryScaling = scaling
            configuration.rotaryBase = 20_000
            configuration.tiesEmbeddings = family == .qwen2
            configuration.headSize = family == .qwen3 ? 6 : 4
            configuration.keyValueHeadCount = 1
            configuration.endTokens = [1, 2]
            configuration.millrace = .members(["mask": .members(["layout": "L1"])])
            try make(path)
            try writeModel(configuration, ModelFolderTests.values(configuration), to: path)
            let module = "model.layers.1.self_attn.q_proj"
            let shape = try #require(configuration.matrixShape(ofModule: module))
            var adapter = Adapter(
                rank: 2, alpha: 8, targetModules: ["q_proj"],
                pairs: (0..<2).map { layer in
                    LowRankPair(
                        module: "model.layers.\(layer).self_attn.q_proj", inputCount: shape[1],
                        outputCount: shape[0],
                        down: (0..<2 * shape[1]).map { Float($0 + layer) / 32 },
                        up: (0..<2 * shape[0]).map { Float($0 - layer) / 32 })
                })
            adapter.extras = [
                NamedTensor(
                    "millrace.identity", shape: [1, 8], values: Array(repeating: 1, count: 8))
            ]
            try make("\(path)/adapter")
            try adapter.write(folder: "\(path)/adapter")
        }
    }

    private func make(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }
}
