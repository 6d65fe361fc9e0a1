// A model trained anew during an evaluation, from scratch, as a refresh from nothing would.

import ItemModel
import ModelFolders
import Synchronization
import TokenTrie
import Tokenization

struct Retraining: Sendable {
    private let layout: ItemModelLayout
    private let endToken: Int32
    private let epochs: Int

    init(_ folder: ItemModelFolder, epochs: Int) {
        layout = folder.parameters.layout
        endToken = folder.tokenizer.id(of: BPETraining().end) ?? 0
        self.epochs = epochs
    }

    @Sendable func train(
        _ items: [[Int32]], _ histories: [[Int32]], _ version: UInt64
    ) throws -> ItemModelParameters {
        let historyMax = layout.shape.historyMax
        var pieces: [[Int32]] = []
        for history in histories {
            for start in stride(from: 0, to: history.count - 1, by: historyMax) {
                pieces.append(Array(history[start..<min(history.count, start + historyMax + 1)]))
            }
        }
        var training = ItemTraining()
        training.epochsMax = epochs
        training.batchSequences = 64
        training.answerWeight = 0
        let (sequences, settings) = (pieces, training)
        let layout = layout
        let epochs = epochs
        let result = Box()
        try waited(for: {
            let trainer = ItemTrainer(
                ItemModelParameters(layout, seed: settings.seed), items: items,
                sequences: sequences, training: settings)
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
