// A model's folder as serving needs it.

import Interactions
import ItemModel
import ModelFolders
import Recommender

extension ServedModel {
    init(
        _ folder: ItemModelFolder, summaryTokens: (@Sendable (_ stored: [UInt8]) -> [Int32])? = nil
    ) {
        self.init(
            version: folder.version, parameters: folder.parameters,
            items: folder.items.map(\.key), beginToken: folder.beginToken,
            endToken: folder.endToken, tokens: { folder.tokens(of: $0) },
            summaryTokens: summaryTokens)
    }

    /// Vectors of items, one after the other, of what a text encoder gives for their texts.
    func vectors(of items: [ItemKey], texts: [Float]) -> [Float] {
        vectors(
            of: items.indices.map { row in
                (key: items[row], textVector: Array(texts[row * width..<(row + 1) * width]))
            })
    }
}
