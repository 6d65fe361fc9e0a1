// A refresh's adapter written and read is the same adapter; what was made for another model is refused by name.

import Checkpoints
import Foundation
import Interactions
import ItemModel
import JSONDocuments
import TestKit
import Testing
import Tokenization
import Transformer

@testable import ModelFolders

@Suite("A refresh's adapter as a folder")
struct AdapterFolderTests {
    static func base(
        seed: UInt64 = 3, _ change: (inout ItemModelShape) -> Void = { _ in }
    ) throws -> ItemModelFolder {
        var training = BPETraining()
        training.vocabularyCount = 300
        let tokenizer = training.train(["red tin toy", "blue tin toy", "red toy train"])
        let tokens = try Tokenizer(reading: JSONNode(tokenizer, document: "tokenizer.json"))
        var shape = ItemModelShape(vocabulary: tokens.vocabularyCount)
        shape.width = 8
        shape.feedForward = 12
        shape.historyMax = 7
        change(&shape)
        var parameters = ItemModelParameters(ItemModelLayout(shape), seed: seed)
        parameters.identity.grow(to: 3, seed: 4)
        parameters.identity.counts = [0, 4, 1]
        return try ItemModelFolder(
            parameters: parameters, tokenizerDocument: tokenizer,
            items: ["a", "b", "c"].compactMap { ItemID($0) })
    }

    private static let items = ["a", "b", "c", "d", "e"].compactMap { ItemID($0) }

    /// Of items 1 and 4: one of the base's, and one of two that it does not know.
    static func folder(_ base: ItemModelFolder, hasHead: Bool = true) -> ItemAdapterFolder {
        var adapter = ItemAdapter(base.parameters.layout, rank: 2, alpha: 3, seed: 1)
        for index in adapter.pairs.parameters.indices {
            adapter.pairs.parameters[index] += 0.01 * Float(index % 7)
        }
        adapter.rows = IdentityRows(
            width: 8, items: [1, 4], vectors: (0..<16).map { Float($0) / 3 }, counts: [9, 2])
        if hasHead {
            adapter.head = HeadValues(gain: (0..<8).map { 1 + Float($0) / 9 }, scale: 1.25)
        }
        return ItemAdapterFolder(adapter, items: items, of: base)
    }

    @Test("Written and read is the same adapter, and the same model with it")
    func roundTrip() throws {
        for blocks in 1...2 {
            let base = try Self.base { $0.interBlocks = blocks }
            let directory = try TemporaryDirectory()
            let written = Self.folder(base, hasHead: blocks == 1)
            try written.write(to: directory.path)
            let read = try ItemAdapterFolder(path: directory.path, for: base)
            #expect(read.adapter.head == written.adapter.head)
            // Items nothing was learnt of are not written: the last is the base's next.
            #expect(read.items.map(\.text) == ["a", "b", "c", "e"])
            #expect(read.adapter.rows.items == [1, 3])
            #expect(read.adapter.rows.vectors == written.adapter.rows.vectors)
            #expect(read.adapter.rows.counts == [9, 2])
            let applied = try base.applying(read)
            let expected = try base.applying(written)
            #expect(applied.parameters.values == expected.parameters.values)
            #expect(applied.version != base.version)
            #expect(applied.textVersion == base.textVersion)
            #expect(applied.parameters.identity.counts == [0, 9, 1, 2])
            // PEFT sees a LoRA adapter of the inter blocks, the last norm where it was learnt, and our tensors beside.
            let peft = try Adapter(
                folder: directory.path, for: base.parameters.layout.shape.configuration,
                takesLastNorm: blocks == 1)
            #expect(peft.lastNormGain == written.adapter.head?.gain)
            #expect(peft.rank == 2 && peft.scale == 1.5)
            #expect(peft.pairs.count == 4 * blocks)
            #expect(peft.pairs.allSatisfy { !$0.module.contains("layers.0.") })
            #expect(peft.extras.count == (blocks == 1 ? 3 : 2))
        }
    }

    private func refusal(
        on base: ItemModelFolder? = nil, _ damage: (TemporaryDirectory) throws -> Void = { _ in }
    ) throws -> String {
        let own = try Self.base()
        let directory = try TemporaryDirectory()
        try Self.folder(own).write(to: directory.path)
        try damage(directory)
        do {
            _ = try ItemAdapterFolder(path: directory.path, for: base ?? own)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    private func edit(
        _ directory: TemporaryDirectory, _ file: String, _ old: String, _ new: String
    ) throws {
        let path = directory.file(file)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains(old), "\(file) has no \(old)")
        try text.replacingOccurrences(of: old, with: new)
            .write(toFile: path, atomically: true, encoding: .utf8)
    }

    @Test("A last norm learnt in Python is the head's; any other module learnt in full is refused")
    func lastNorm() throws {
        let base = try Self.base()
        let directory = try TemporaryDirectory()
        try Self.folder(base, hasHead: false).write(to: directory.path)
        var peft = try Adapter(
            folder: directory.path, for: base.parameters.layout.shape.configuration)
        let gain = (0..<8).map { 2 - Float($0) / 7 }
        peft.lastNormGain = gain
        try peft.write(folder: directory.path)
        let read = try ItemAdapterFolder(path: directory.path, for: base)
        #expect(read.adapter.head == HeadValues(gain: gain, scale: base.parameters.head.scale))
        try edit(directory, "adapter_config.json", "\"model.norm\"", "\"lm_head\"")
        let error = #expect(throws: DocumentError.self) {
            try ItemAdapterFolder(path: directory.path, for: base)
        }
        #expect(
            error?.description.contains("modules_to_save") == true, "\(String(describing: error))")
    }

    @Test("Another base is refused with both versions")
    func otherBase() throws {
        #expect(try refusal() == "accepted")
        let other = try Self.base(seed: 5)
        let text = try refusal(on: other)
        let own = try Self.base().version
        #expect(text.contains("base_version") && text.contains(own), "\(text)")
        #expect(text.contains(other.version), "\(text)")
    }

    @Test("A base of another shape is refused by the matrix that does not fit")
    func otherShape() throws {
        let text = try refusal(on: try Self.base { $0.width = 12 })
        #expect(text.contains("lora_A"), "\(text)")
    }

    @Test(
        "A missing file is named",
        arguments: ["adapter_config.json", "adapter_model.safetensors", "millrace_items.json"])
    func missing(_ file: String) throws {
        let text = try refusal { try FileManager.default.removeItem(atPath: $0.file(file)) }
        #expect(text.contains(file), "\(text)")
    }

    @Test("Items that are not as many as their vectors, named twice or no items are refused")
    func items() throws {
        for (list, word) in [
            ("[\"b\"]", "millrace.identity.weight"), ("[\"b\",\"b\"]", "twice"),
            ("[\"b\",3]", "millrace_items.json"), ("[\"b\",\"\"]", "not an item id"),
        ] {
            let text = try refusal {
                try edit($0, "millrace_items.json", "[\"b\",\"e\"]", list)
            }
            #expect(text.contains(word), "\(text)")
        }
    }

    @Test("An adapter of ours without its section, or of another kind, is refused")
    func kinds() throws {
        var text = try refusal { try edit($0, "adapter_config.json", "item-aware", "other") }
        #expect(text.contains("kind"), "\(text)")
        text = try refusal { try edit($0, "adapter_config.json", "\"millrace\"", "\"else\"") }
        #expect(text.contains("kind"), "\(text)")
    }

    @Test("Pairs in an intra block and numbers that are not finite are refused")
    func pairs() throws {
        let base = try Self.base()
        let directory = try TemporaryDirectory()
        try Self.folder(base).write(to: directory.path)
        var peft = try Adapter(
            folder: directory.path, for: base.parameters.layout.shape.configuration,
            takesLastNorm: true)
        peft.pairs[0].up[0] = .infinity
        try peft.write(folder: directory.path)
        #expect(throws: DocumentError.self) {
            try ItemAdapterFolder(path: directory.path, for: base)
        }
        peft.pairs[0].up[0] = 0
        peft.pairs[0].module = "model.layers.0.self_attn.q_proj"
        try peft.write(folder: directory.path)
        do {
            _ = try ItemAdapterFolder(path: directory.path, for: base)
            Issue.record("accepted")
        } catch {
            #expect("\(error)".contains("intra"), "\(error)")
        }
    }
}
