// A refresh's adapter as a PEFT folder: adapter_config.json and adapter_model.safetensors with the low-rank pairs, and
// the last norm where it was learnt, as PEFT names them, the changed identity vectors as tensors of ours beside them,
// and the items those belong to. It says which base it was made for, and is refused by any other.

import Checkpoints
public import Interactions
public import ItemModel
public import JSONDocuments
import LanguageModel
import Transformer

public struct ItemAdapterFolder: Sendable {
    public let adapter: ItemAdapter
    /// The base's items, and after them those that only the adapter knows: its rows' numbers are places here.
    public let items: [ItemID]
    /// Version of the model it was made for.
    public let baseVersion: String

    private let block: BlockShape

    /// An adapter of `base`, whose items come first in `items`. Of the others those stay that it has rows of: what is
    /// written reads back as the same, with the same version.
    public init(_ adapter: ItemAdapter, items: [ItemID], of base: ItemModelFolder) {
        precondition(adapter.fits(base.parameters.layout), "an adapter of the base's layout")
        precondition(
            items.starts(with: base.items) && adapter.rows.items.allSatisfy { $0 < items.count },
            "the base's items first, and an item for every row")
        var kept = base.items
        let numbers = adapter.rows.items.map { number in
            guard number >= base.items.count else { return number }
            kept.append(items[Int(number)])
            return Int32(kept.count - 1)
        }
        self.adapter = ItemAdapter(
            pairs: adapter.pairs,
            rows: IdentityRows(
                width: adapter.rows.width, items: numbers, vectors: adapter.rows.vectors,
                counts: adapter.rows.counts), head: adapter.head)
        self.items = kept
        baseVersion = base.version
        block = base.parameters.layout.shape.block
    }

    /// Writes it to a folder that exists; adapter_config.json comes last, so that a folder half written is no adapter.
    public func write(to path: String) throws(DocumentError) {
        let rows = adapter.rows
        let names = rows.items.map { JSONValue.string(items[Int($0)].text) }
        try replaceFile(
            "\(path)/\(ItemModelFolder.itemsFile)",
            with: JSONValue.array(names).serialised(.compact))
        var peft = adapter.pairs.adapter(block: block)
        peft.extras = [
            NamedTensor(
                IdentityTable.vectorsName, shape: [rows.items.count, rows.width],
                values: rows.vectors),
            NamedTensor(
                IdentityTable.countsName, shape: [rows.items.count],
                values: rows.counts.map(Float.init)),
        ]
        if let head = adapter.head {
            peft.lastNormGain = head.gain
            peft.extras.append(NamedTensor(Self.scaleName, shape: [1], values: [head.scale]))
        }
        peft.millrace = .members([
            "kind": .string("item-aware"), "base_version": .string(baseVersion),
        ])
        try peft.write(folder: path)
    }
}

// MARK: - Reading

extension ItemAdapterFolder {
    private static let kind = "item-aware"
    private static let scaleName = "millrace.item_scale"

    /// Reads the adapter in `path`, refusing what was made for another model than `base` or does not fit it.
    public init(path: String, for base: ItemModelFolder) throws(DocumentError) {
        let layout = base.parameters.layout
        let peft = try Adapter(
            folder: path, for: layout.shape.configuration, takesLastNorm: true)
        let config = "\(path)/adapter_config.json"
        let own = JSONNode(peft.millrace ?? .object([]), document: config)
        let kind = try own.member("kind")
        guard try kind.text() == Self.kind else {
            throw kind.refused("the only kind there is is \"\(Self.kind)\"")
        }
        let version = try own.member("base_version")
        guard try version.text() == base.version else {
            throw version.refused(
                "made for version \(try version.text()), but the model is \(base.version): refresh the model "
                    + "that serves, or give the adapter its own")
        }
        let pairs = try DecoderAdapter(
            peft, block: layout.shape.block,
            layerCount: layout.shape.intraBlocks + layout.shape.interBlocks)
        guard pairs.parameters.allSatisfy(\.isFinite) else {
            throw DocumentError(path, at: "lora_A, lora_B", "numbers that are not finite")
        }
        let (items, rows) = try Self.rows(peft, path, base)
        let adapter = ItemAdapter(
            pairs: pairs, rows: rows, head: try Self.head(peft, path, base.parameters.head))
        guard adapter.fits(layout) else {
            throw DocumentError(
                path, at: "target_modules",
                "pairs in an intra block: they would change the vectors of texts, which stay")
        }
        self.init(adapter, items: items, of: base)
    }

    /// The heads' values, where the adapter has any; one made in Python has the last norm's at most.
    private static func head(
        _ peft: Adapter, _ path: String, _ base: HeadValues
    ) throws(DocumentError) -> HeadValues? {
        let hasScale = peft.extras.contains { $0.name == scaleName }
        guard hasScale || peft.lastNormGain != nil else { return nil }
        var head = base
        if let gain = peft.lastNormGain { head.gain = gain }
        if hasScale { head.scale = try tensor(scaleName, [1], peft, path)[0] }
        guard head.gain.allSatisfy(\.isFinite), head.scale.isFinite else {
            throw DocumentError(path, at: "the heads' values", "numbers that are not finite")
        }
        return head
    }

    /// The changed rows, in the order of their numbers.
    private static func rows(
        _ peft: Adapter, _ path: String, _ base: ItemModelFolder
    ) throws(DocumentError) -> ([ItemID], IdentityRows) {
        let width = base.parameters.layout.shape.width
        var numbers: [ItemID: Int32] = [:]
        for (number, item) in base.items.enumerated() { numbers[item] = Int32(number) }
        var items = base.items
        var own: [(number: Int32, row: Int)] = []
        var named: Set<Int32> = []
        for node in try readDocument("\(path)/\(ItemModelFolder.itemsFile)").elements() {
            guard let item = ItemID(try node.text()) else { throw node.refused("not an item id") }
            guard items.count < ItemModelFolder.itemsMax else {
                throw node.refused("more than \(ItemModelFolder.itemsMax) items")
            }
            let number = numbers[item] ?? Int32(items.count)
            if numbers[item] == nil {
                numbers[item] = number
                items.append(item)
            }
            guard named.insert(number).inserted else { throw node.refused("named twice") }
            own.append((number, own.count))
        }
        let vectors = try tensor(IdentityTable.vectorsName, [own.count, width], peft, path)
        let counts = try tensor(IdentityTable.countsName, [own.count], peft, path)
        guard vectors.allSatisfy(\.isFinite) else {
            throw DocumentError(path, at: IdentityTable.vectorsName, "numbers that are not finite")
        }
        own.sort { $0.number < $1.number }
        var rows: (vectors: [Float], counts: [Int32]) = ([], [])
        for (_, row) in own {
            rows.vectors += vectors[row * width..<(row + 1) * width]
            rows.counts.append(
                try IdentityTable.count(counts[row], path, IdentityTable.countsName))
        }
        return (
            items,
            IdentityRows(
                width: width, items: own.map(\.number), vectors: rows.vectors,
                counts: rows.counts)
        )
    }

    private static func tensor(
        _ name: String, _ shape: [Int], _ peft: Adapter, _ path: String
    ) throws(DocumentError) -> [Float] {
        guard let found = peft.extras.first(where: { $0.name == name }) else {
            throw DocumentError(path, at: name, "this tensor is missing")
        }
        guard found.shape == shape else {
            throw DocumentError(path, at: name, "shape \(found.shape), but \(shape) fits the base")
        }
        return found.values
    }
}

extension ItemModelFolder {
    /// The model with an adapter of it applied: a version of its own, and the same vectors of texts.
    public func applying(_ folder: ItemAdapterFolder) throws(DocumentError) -> ItemModelFolder {
        precondition(folder.baseVersion == version, "an adapter of this model")
        var parameters = parameters.applying(folder.adapter)
        parameters.identity.grow(to: folder.items.count, seed: 0)
        return try ItemModelFolder(
            parameters: parameters, tokenizerDocument: tokenizerDocument, items: folder.items)
    }
}
