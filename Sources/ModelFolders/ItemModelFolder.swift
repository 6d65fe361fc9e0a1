// An item-aware model as a Hugging Face folder: config.json of a Llama with a section of ours, model.safetensors with
// the Llama's tensors and ours beside them (their names begin with "millrace."), tokenizer.json, and the items whose
// identity vectors the model has.

import Checkpoints
public import Interactions
public import ItemModel
public import JSONDocuments
public import Tokenization
import Transformer

public struct ItemModelFolder: Sendable {
    public let parameters: ItemModelParameters
    public let tokenizer: Tokenizer
    /// `tokenizer.json` as it is written.
    public let tokenizerDocument: JSONValue
    /// Items in the order of the identity table.
    public let items: [ItemID]
    /// Names everything that can change a score: weights, identity vectors, tokenizer.
    public let version: String
    /// Names what can change an item's text vector: the part of the weights that refreshes leave alone, the
    /// tokenizer, and how much text is read.
    public let textVersion: UInt64

    /// Items a folder may name.
    public static let itemsMax = 10_000_000

    static let itemsFile = "millrace_items.json"

    public init(
        parameters: ItemModelParameters, tokenizerDocument: JSONValue, items: [ItemID]
    ) throws(DocumentError) {
        precondition(items.count == parameters.identity.count, "an item for each identity vector")
        self.parameters = parameters
        self.tokenizerDocument = tokenizerDocument
        self.items = items
        tokenizer = try Tokenizer(
            reading: JSONNode(tokenizerDocument, document: "tokenizer.json"))
        guard tokenizer.vocabularyCount == parameters.layout.shape.vocabulary else {
            throw DocumentError(
                "tokenizer.json", at: "model",
                "has \(tokenizer.vocabularyCount) tokens, but the model was made for "
                    + "\(parameters.layout.shape.vocabulary)")
        }
        textVersion = Self.textVersion(parameters, tokenizerDocument)
        version = Self.version(parameters, items, textVersion)
    }

    /// The tokens of an item's text.
    public func tokens(of text: String) -> [Int32] {
        tokenizer.encodeFramed(text, contentMax: parameters.layout.shape.contentTokensMax)
    }

    /// The tokens of a user's summary, for a model that reads them; none for an empty text.
    public func summaryTokens(of text: String) -> [Int32] {
        guard let reading = parameters.layout.shape.summaries, !text.isEmpty else { return [] }
        return tokenizer.encodeFramed(text, contentMax: reading.tokensMax)
    }

    /// The tokens that frame every text.
    public var beginToken: Int32 { tokens(of: "").first ?? 0 }
    public var endToken: Int32 { tokens(of: "").last ?? 0 }

    // MARK: - Files

    public init(path: String) throws(DocumentError) {
        let folder = try ModelFolder(path: path, isExtra: { $0.hasPrefix("millrace.") })
        let shape = try ItemModelShape(reading: folder)
        let layout = ItemModelLayout(shape)
        var values = [Float](repeating: 0, count: layout.parameters.count)
        for entry in layout.parameters.entries {
            try Self.expect(entry.name, entry.shape, in: folder)
            var all = values.mutableSpan
            var part = all._mutatingExtracting(entry.range)
            try folder.read(entry.name, into: &part)
        }
        let list = try readDocument("\(path)/\(Self.itemsFile)")
        var items: [ItemID] = []
        for node in try list.elements() {
            guard let item = ItemID(try node.text()) else { throw node.refused("not an item id") }
            guard items.count < Self.itemsMax else {
                throw node.refused("more than \(Self.itemsMax) items")
            }
            items.append(item)
        }
        let identity = try IdentityTable(reading: folder, width: shape.width, count: items.count)
        let parameters = ItemModelParameters(layout, values: values, identity: identity)
        try self.init(
            parameters: parameters,
            tokenizerDocument: try readDocument("\(path)/tokenizer.json").value, items: items)
    }

    /// Writes the model to a folder that exists; config.json comes last, so that a folder half written is no model.
    public func write(to path: String) throws(DocumentError) {
        let layout = parameters.layout
        var tensors = layout.parameters.entries.map {
            NamedTensor($0.name, shape: $0.shape, values: Array(parameters.values[$0.range]))
        }
        let identity = parameters.identity
        tensors.append(
            NamedTensor(
                IdentityTable.vectorsName, shape: [identity.count, identity.width],
                values: identity.vectors))
        tensors.append(
            NamedTensor(
                IdentityTable.countsName, shape: [identity.count],
                values: identity.counts.map(Float.init)))
        try replaceFile(
            "\(path)/tokenizer.json", with: tokenizerDocument.serialised(.compact))
        try replaceFile(
            "\(path)/tokenizer_config.json",
            with: Self.tokenizerConfiguration.serialised(.indented))
        try replaceFile(
            "\(path)/\(Self.itemsFile)",
            with: JSONValue.array(items.map { .string($0.text) }).serialised(.compact))
        try writeModel(layout.shape.configuration, tensors, to: path)
    }

    static func expect(
        _ name: String, _ shape: [Int], in folder: ModelFolder
    ) throws(DocumentError) {
        guard let entry = folder[name] else {
            throw DocumentError(folder.path, at: name, "this tensor is missing")
        }
        guard entry.shape == shape else {
            throw DocumentError(
                folder.path, at: name, "shape \(entry.shape), but config.json asks for \(shape)")
        }
    }

    private static let tokenizerConfiguration = JSONValue.members([
        "tokenizer_class": .string("PreTrainedTokenizerFast"), "bos_token": .string("<|bos|>"),
        "eos_token": .string("<|eoi|>"), "pad_token": .string("<|pad|>"),
    ])

    // MARK: - Versions

    private static func textVersion(
        _ parameters: ItemModelParameters, _ tokenizer: JSONValue
    ) -> UInt64 {
        var digest = xxh64(tokenizer.serialised(.compact), seed: 1)
        let layout = parameters.layout
        for entry in layout.parameters.entries where layout.concernsText(entry.range) {
            digest = xxh64(bytes(parameters.values[entry.range]), seed: digest)
        }
        return xxh64(Array(layout.shape.described.utf8), seed: digest)
    }

    private static func version(
        _ parameters: ItemModelParameters, _ items: [ItemID], _ textVersion: UInt64
    ) -> String {
        var digest = xxh64(bytes(parameters.values[...]), seed: textVersion)
        digest = xxh64(bytes(parameters.identity.vectors[...]), seed: digest)
        for (item, count) in zip(items, parameters.identity.counts) {
            digest =
                (digest ^ item.key) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(UInt32(bitPattern: count))
        }
        let text = String(digest, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    private static func bytes(_ floats: ArraySlice<Float>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * floats.count)
        for value in floats {
            let bits = value.bitPattern
            bytes.append(UInt8(truncatingIfNeeded: bits))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 16))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 24))
        }
        return bytes
    }
}

extension IdentityTable {
    static let vectorsName = "millrace.identity.weight"
    static let countsName = "millrace.identity.counts"

    fileprivate init(
        reading folder: ModelFolder, width: Int, count: Int
    ) throws(DocumentError) {
        self.init(width: width)
        try ItemModelFolder.expect(Self.vectorsName, [count, width], in: folder)
        try ItemModelFolder.expect(Self.countsName, [count], in: folder)
        vectors = [Float](repeating: 0, count: count * width)
        var span = vectors.mutableSpan
        try folder.read(Self.vectorsName, into: &span)
        var numbers = [Float](repeating: 0, count: count)
        var numbersSpan = numbers.mutableSpan
        try folder.read(Self.countsName, into: &numbersSpan)
        for number in numbers {
            counts.append(try Self.count(number, folder.path, Self.countsName))
        }
    }

    static func count(
        _ number: Float, _ document: String, _ name: String
    ) throws(DocumentError) -> Int32 {
        guard number >= 0, number <= 0x1p24, number == number.rounded() else {
            throw DocumentError(document, at: name, "\(number) is not a count of events")
        }
        return Int32(number)
    }
}
