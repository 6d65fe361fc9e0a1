// A refresh's adapter in Python: transformers runs the base, PEFT the pairs, and the logits are ours.

import Checkpoints
import Foundation
import ItemModel
import LanguageModel
import TestKit
import Testing
import Transformer

@testable import ModelFolders

/// The Python of `MILLRACE_TEST_PYTHON`; nil when it has no PEFT, or there is none.
private let pythonWithPEFT: String? = {
    guard let python = ProcessInfo.processInfo.environment["MILLRACE_TEST_PYTHON"] else {
        return nil
    }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [python, "-c", "import peft, torch, transformers"]
    process.standardError = FileHandle.nullDevice
    try? process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? python : nil
}()

@Suite("A refresh's adapter in PEFT")
struct PEFTTests {
    private static let script = """
        import json, sys, torch
        from transformers import AutoModelForCausalLM
        from peft import PeftModel
        base, adapter, prompt = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        with torch.no_grad():
            plain = model(torch.tensor([prompt])).logits[0]
            model = PeftModel.from_pretrained(model, adapter)
            adapted = model(torch.tensor([prompt])).logits[0]
        print(json.dumps([plain.flatten().tolist(), adapted.flatten().tolist()]))
        """

    @Test(
        "the logits of base and adapter are within 1e-4 of ours",
        .enabled(if: pythonWithPEFT != nil, "MILLRACE_TEST_PYTHON names no Python with peft"))
    func logits() async throws {
        let python = try #require(pythonWithPEFT)
        let base = try AdapterFolderTests.base { $0.interBlocks = 2 }
        let written = AdapterFolderTests.folder(base)
        let folder = try TemporaryDirectory()
        let (model, adapter) = (folder.file("model"), folder.file("adapter"))
        for path in [model, adapter] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false)
        }
        try base.write(to: model)
        try written.write(to: adapter)
        let prompt = (0..<12).map { Int32(($0 * 17 + 3) % 40) }
        let said = try await ChildProcess.run(
            python, ["-c", Self.script, model, adapter, "\(prompt)"],
            environment: ["HF_HUB_OFFLINE": "1"], within: .seconds(120))
        let theirs = try JSONDecoder().decode(
            [[Float]].self,
            from: Data(said.split(separator: "\n").last.map(String.init)?.utf8 ?? "".utf8))
        try compare(Self.logits(Self.decoder(model), prompt), theirs[0])
        let read = try ItemAdapterFolder(path: adapter, for: base).adapter
        var ours = try Self.decoder(model, gain: try #require(read.head).gain)
        ours.decoder.adapter = read.pairs
        try compare(Self.logits(ours, prompt), theirs[1])
        #expect(theirs[0] != theirs[1])
    }

    /// The base as Python takes it: a plain decoder, with another last norm where there is one.
    private static func decoder(_ path: String, gain: [Float]? = nil) throws -> LanguageModel {
        let folder = try ModelFolder(path: path, isExtra: { $0.hasPrefix("millrace.") })
        let masks = ItemMasks.ordinary(layerCount: folder.configuration.layerCount)
        let layout = DecoderLayout(DecoderShape(folder.configuration, masks: masks))
        var parameters = [Float](repeating: 0, count: layout.layout.count)
        for entry in layout.layout.entries {
            var all = parameters.mutableSpan
            var part = all._mutatingExtracting(entry.range)
            try folder.read(entry.name, into: &part)
            guard entry.name == "model.norm.weight", let gain else { continue }
            for (place, value) in gain.enumerated() { part[place] = value }
        }
        return LanguageModel(folder.configuration, masks: masks, parameters: parameters)
    }

    private static func logits(_ model: LanguageModel, _ prompt: [Int32]) throws -> [Float] {
        var states = [DecoderState(model.decoder.shape)]
        var scratch = DecoderScratch()
        let hidden = try model.decoder.forward(
            [DecoderInput(prompt)], states: &states, scratch: &scratch)
        return model.decoder.logits(hidden, rows: Array(prompt.indices))
    }

    private func compare(_ ours: [Float], _ theirs: [Float]) throws {
        try #require(ours.count == theirs.count)
        let worst = zip(ours, theirs).map { abs($0 - $1) }.max() ?? 0
        #expect(worst < 1e-4, "\(worst)")
    }
}
