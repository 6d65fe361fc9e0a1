// A model written and read is the same model; what is not one is refused by name.

import Foundation
import Interactions
import ItemModel
import JSONDocuments
import TestKit
import Testing
import Tokenization
import Transformer

@testable import ModelFolders

@Suite("An item-aware model as a folder")
struct FolderTests {
    private static let tokenizer: JSONValue = {
        var training = BPETraining()
        training.vocabularyCount = 300
        return training.train(["red tin toy", "blue tin toy", "red toy train", "blue train set"])
    }()

    private static let items = ["a", "b", "c"].compactMap { ItemID($0) }

    private func parameters(
        _ change: (inout ItemModelShape) -> Void = { _ in }
    ) throws -> ItemModelParameters {
        let tokens = try Tokenizer(
            reading: JSONNode(Self.tokenizer, document: "tokenizer.json"))
        var shape = ItemModelShape(vocabulary: tokens.vocabularyCount)
        shape.width = 8
        shape.feedForward = 12
        shape.historyMax = 7
        shape.contentTokensMax = 4
        shape.gateHalf = 2.5
        change(&shape)
        var parameters = ItemModelParameters(ItemModelLayout(shape), seed: 3)
        parameters.identity.grow(to: Self.items.count, seed: 4)
        parameters.identity.counts = [0, 4, 1]
        return parameters
    }

    private func folder(
        _ parameters: ItemModelParameters, tokenizer: JSONValue = Self.tokenizer,
        items: [ItemID] = Self.items
    ) throws -> ItemModelFolder {
        try ItemModelFolder(parameters: parameters, tokenizerDocument: tokenizer, items: items)
    }

    @Test("Written and read is the same model")
    func roundTrip() throws {
        for seesItself in [true, false] {
            let directory = try TemporaryDirectory()
            let written = try folder(
                parameters {
                    $0.seesItself = seesItself
                    $0.interBlocks = 2
                    $0.intraBlocks = seesItself ? 1 : 0
                })
            try written.write(to: directory.path)
            let read = try ItemModelFolder(path: directory.path)
            #expect(read.parameters == written.parameters)
            #expect(read.items == written.items)
            #expect(read.version == written.version)
            #expect(read.textVersion == written.textVersion)
            let text = "Red tin train, with a longer name"
            #expect(read.tokens(of: text) == written.tokens(of: text))
            #expect(read.tokens(of: text).count == 6)
        }
    }

    @Test("Any weight, identity vector, count, order of items or tokenizer is another version")
    func versions() throws {
        let parameters = try parameters()
        let original = try folder(parameters)
        #expect(try folder(parameters).version == original.version)
        var seen: Set<String> = [original.version]
        func expectNew(_ other: ItemModelFolder, _ comment: Comment) {
            #expect(seen.insert(other.version).inserted, comment)
        }
        for entry in parameters.layout.parameters.entries {
            var other = parameters
            other.values[entry.range.upperBound - 1] += 1
            expectNew(try folder(other), "\(entry.name)")
        }
        for row in 0..<3 {
            var other = parameters
            other.identity.vectors[row * 8 + row] += 1
            expectNew(try folder(other), "identity of \(row)")
            other = parameters
            other.identity.counts[row] += 1
            expectNew(try folder(other), "count of \(row)")
        }
        expectNew(try folder(parameters, items: Self.items.reversed()), "order")
        expectNew(
            try folder(parameters, items: [Self.items[0], Self.items[2], Self.items[1]]), "order")
        expectNew(try folder(parameters, tokenizer: other(Self.tokenizer)), "tokenizer")
        let changed = try self.parameters { $0.gateHalf = 3 }
        expectNew(try folder(changed), "gate")
        expectNew(try folder(self.parameters { $0.seesItself = false }), "mask")
        expectNew(try folder(self.parameters { $0.historyMax = 9 }), "window")
    }

    /// The same vocabulary, read another way.
    private func other(_ tokenizer: JSONValue) throws -> JSONValue {
        var training = BPETraining()
        training.vocabularyCount = 300
        training.isLowercase = false
        let document = training.train([
            "red tin toy", "blue tin toy", "red toy train", "blue train set",
        ])
        #expect(document != tokenizer)
        return document
    }

    @Test("What does not read texts does not change the version of the texts")
    func textVersions() throws {
        let parameters = try parameters()
        let original = try folder(parameters)
        for entry in parameters.layout.parameters.entries {
            var other = parameters
            other.values[entry.range.lowerBound] += 1
            let concerns =
                entry.name.hasPrefix("model.layers.0.") || entry.name.hasPrefix("model.embed")
                || entry.name == "millrace.item_norm.weight"
            #expect(
                (try folder(other).textVersion == original.textVersion) == !concerns,
                "\(entry.name)")
        }
        var other = parameters
        other.identity.vectors[3] += 1
        other.identity.counts[1] += 1
        #expect(try folder(other).textVersion == original.textVersion)
        #expect(
            try folder(parameters, items: Self.items.reversed()).textVersion
                == original.textVersion)
        #expect(
            try folder(parameters, tokenizer: self.other(Self.tokenizer)).textVersion
                != original.textVersion)
        #expect(
            try folder(self.parameters { $0.contentTokensMax = 5 }).textVersion
                != original.textVersion)
    }

    // MARK: - Refusals

    private func refusal(_ damage: (TemporaryDirectory) throws -> Void) throws -> String {
        let directory = try TemporaryDirectory()
        try folder(parameters()).write(to: directory.path)
        try damage(directory)
        do {
            _ = try ItemModelFolder(path: directory.path)
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

    @Test(
        "A missing file is named",
        arguments: [
            "config.json", "model.safetensors", "tokenizer.json", "millrace_items.json",
        ])
    func missing(_ file: String) throws {
        let text = try refusal { try FileManager.default.removeItem(atPath: $0.file(file)) }
        #expect(text.contains(file), "\(text)")
    }

    @Test("A cut file of weights is named")
    func cut() throws {
        let text = try refusal { directory in
            let path = directory.file("model.safetensors")
            let bytes = try Data(contentsOf: URL(filePath: path))
            try bytes.dropLast(10).write(to: URL(filePath: path))
        }
        #expect(text.contains("model.safetensors"), "\(text)")
    }

    @Test("Items that are not as many as their vectors are refused with both numbers")
    func itemCount() throws {
        for (list, count) in [("[\"a\",\"b\"]", 2), ("[\"a\",\"b\",\"c\",\"d\"]", 4), ("[]", 0)] {
            let text = try refusal {
                try edit($0, "millrace_items.json", "[\"a\",\"b\",\"c\"]", list)
            }
            #expect(text.contains("millrace.identity.weight"), "\(text)")
            #expect(text.contains("[3, 8]") && text.contains("[\(count), 8]"), "\(text)")
        }
    }

    @Test("A name that is no item is refused with its place")
    func wrongItem() throws {
        let text = try refusal {
            try edit($0, "millrace_items.json", "[\"a\",\"b\",\"c\"]", "[\"a\",\"\",\"c\"]")
        }
        #expect(text.contains("millrace_items.json") && text.contains("not an item id"), "\(text)")
    }

    @Test("A tokenizer of another size is refused with both numbers")
    func tokenizerSize() throws {
        var training = BPETraining()
        training.vocabularyCount = 261
        let small = training.train(["red tin toy", "blue tin toy"])
        let text = try refusal { directory in
            try Data(small.serialised(.compact))
                .write(to: URL(filePath: directory.file("tokenizer.json")))
        }
        #expect(text.contains("tokenizer.json") && text.contains("tokens"), "\(text)")
    }

    @Test(
        "A configuration of something else is refused by name",
        arguments: [
            ("\"item-aware\"", "\"other\"", "kind"),
            ("\"intra_blocks\": 1", "\"intra_blocks\": 2", "intra"),
            ("\"inter_blocks\": 1", "\"inter_blocks\": 0", "inter_blocks"),
            ("\"history_max\": 7", "\"history_max\": 0", "history_max"),
            ("\"gate_half\": 2.5", "\"gate_half\": 0", "gate_half"),
            ("\"content_tokens_max\": 4", "\"content_tokens_max\": 1000", "content_tokens_max"),
            ("\"hidden_size\": 8", "\"hidden_size\": 16", "model.embed_tokens.weight"),
            ("\"millrace\"", "\"another\"", "millrace"),
        ])
    func configuration(_ old: String, _ new: String, _ named: String) throws {
        let text = try refusal { try edit($0, "config.json", old, new) }
        #expect(text != "accepted" && text.contains(named), "\(text)")
    }
}
