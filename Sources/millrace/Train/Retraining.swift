// A model trained anew during an evaluation, from scratch, as a refresh from nothing would.

import Interactions
import ItemModel
import ModelFolders
import Summaries
import Synchronization

struct Retraining: Sendable {
    private let folder: ItemModelFolder
    private let epochs: Int
    private let traits: [ItemKey: ItemTraits]
    private let blocksAtOnce: Int

    /// Summaries are folded of the stored histories, where the model reads them: `blocksAtOnce` as in `SummaryTrail`.
    init(_ folder: ItemModelFolder, epochs: Int, catalogue: [ItemRecord], blocksAtOnce: Int) {
        self.folder = folder
        self.epochs = epochs
        self.blocksAtOnce = blocksAtOnce
        traits =
            folder.parameters.layout.shape.readsTrail
            ? Dictionary(catalogue.map { ($0.id.key, ItemTraits($0)) }) { _, last in last } : [:]
    }

    private struct Pieces {
        var sequences: [[Int32]] = []
        var summaries: [[Int32]] = []
        var older: [[Int32]] = []
    }

    /// Windows, each with what was before it.
    private func pieces(_ histories: [[Int32]], _ keys: [ItemKey]) -> Pieces {
        let historyMax = folder.parameters.layout.shape.historyMax
        var pieces = Pieces()
        for history in histories {
            var summary = SummaryTrail(blocksAtOnce: blocksAtOnce)
            for start in stride(from: 0, to: history.count - 1, by: historyMax) {
                let end = min(history.count, start + historyMax + 1)
                pieces.sequences.append(Array(history[start..<end]))
                pieces.summaries.append(folder.summaryTokens(of: summary.text))
                pieces.older.append(Array(history[..<start]))
                guard !traits.isEmpty else { continue }
                for item in history[start..<min(end, start + historyMax)] {
                    summary.note(traits[keys[Int(item)]], weight: 1)
                }
            }
        }
        return pieces
    }

    @Sendable func train(
        _ items: [(key: ItemKey, tokens: [Int32])], _ histories: [[Int32]], _ version: UInt64
    ) throws -> ItemModelParameters {
        var training = ItemTraining()
        training.epochsMax = epochs
        training.batchSequences = 64
        training.answerWeight = 0
        let (pieces, settings) = (pieces(histories, items.map(\.key)), training)
        let tokens = items.map(\.tokens)
        let layout = folder.parameters.layout
        let epochs = epochs
        let result = Box()
        try waited(for: {
            let trainer = ItemTrainer(
                ItemModelParameters(layout, seed: settings.seed), items: tokens,
                sequences: pieces.sequences, summaries: pieces.summaries, older: pieces.older,
                training: settings)
            for _ in 0..<epochs { _ = await trainer.runEpoch() }
            result.value.withLock { $0 = trainer.parameters }
        })
        guard let parameters = result.value.withLock({ $0 }) else {
            throw CommandFailure("the training ended without a model")
        }
        return parameters
    }
}

/// What crosses from the task that trains.
private final class Box: Sendable {
    let value = Mutex<ItemModelParameters?>(nil)
}
