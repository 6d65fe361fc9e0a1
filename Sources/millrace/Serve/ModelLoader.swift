// Loads the model of `model.folder` beside serving: the folder, the item cache, the catalogue's vectors; then the
// engine takes it over between two lists. On a reload the same, while the model before goes on serving.

import Checkpoints
import Foundation
import Interactions
import ItemModel
import JSONDocuments
import Lanes
import ModelFolders
import Pipeline
import Ports
import Recommender
import Settings
import Summaries
import Tensors

final class ModelLoader: Sendable {
    private let lane = Lane(name: "model")
    private let pipeline: Pipeline
    private let observer: any Observer
    /// Whose summaries a model can have been trained on; nil when another writer's are kept, or none.
    private let template: TemplateSummariser?

    /// Of the model without an adapter, and of what serves.
    struct Versions: Sendable, Equatable {
        var base: String
        var serving: String
    }

    /// Texts the item cache keeps at most.
    private static let textsKeptMax = 2_000_000

    init(pipeline: Pipeline, summariser: SummarySettings.Maker, observer: any Observer) {
        template = summariser == .template ? TemplateSummariser() : nil
        self.pipeline = pipeline
        self.observer = observer
    }

    /// Refuses what can be refused before anything starts: the folder is read and its memory added up.
    static func check(_ settings: ModelSettings) throws(StartFailure) {
        guard let path = settings.folder else { return }
        let folder: ItemModelFolder
        do throws(DocumentError) {
            folder = try read(path, settings).folder
        } catch {
            throw StartFailure(description: "model.folder: \(error)")
        }
        if let excess = memoryExcess(folder, items: folder.items.count, settings) {
            throw StartFailure(description: excess)
        }
    }

    /// The model, with the adapter that is current for it.
    private static func read(
        _ path: String, _ settings: ModelSettings
    ) throws(DocumentError) -> (folder: ItemModelFolder, base: String) {
        let base = try ItemModelFolder(path: path)
        guard let adapters = settings.adapters,
            let current = AdapterStore(folder: adapters, base: base).current
        else { return (base, base.version) }
        return (
            try base.applying(ItemAdapterFolder(path: current.path, for: base)), base.version
        )
    }

    /// What the model would need and may not, as a sum; nil when it fits.
    private static func memoryExcess(
        _ folder: ItemModelFolder, items: Int, _ settings: ModelSettings
    ) -> String? {
        let shape = folder.parameters.layout.shape
        let weights = folder.parameters.values.count * 4
        let identity = folder.parameters.identity.vectors.count * 4
        let vectors = items * (shape.width * 4 + 64)
        let user = HistoryState.bytes(of: shape)
        let users = settings.usersCachedMax * user
        let sum = weights + identity + vectors + users
        guard sum > settings.memoryBytesMax else { return nil }
        func mebibytes(_ bytes: Int) -> String { "\(bytes >> 20) MiB" }
        return
            "the model of \(folder.parameters.layout.shape.width) wide does not fit model.memory-max "
            + "(\(mebibytes(settings.memoryBytesMax))): weights \(mebibytes(weights)) + identity vectors "
            + "\(mebibytes(identity)) + \(items) item vectors \(mebibytes(vectors)) + "
            + "model.users-cached-max \(settings.usersCachedMax) x \(user) B = \(mebibytes(sum)); "
            + "raise the one or lower the other"
    }

    func stop() { lane.stop() }

    /// Loads and installs, soon; a failure leaves what serves, and is nil to `done`. Without a folder no model serves
    /// any more.
    func load(_ settings: ModelSettings, done: @escaping @Sendable (Versions?) -> Void) {
        guard let path = settings.folder else {
            pipeline.removeModel()
            return done(nil)
        }
        lane.run { [self] in
            do throws(DocumentError) {
                let (folder, base) = try Self.read(path, settings)
                encodeCatalogue(folder, settings) { isInstalled in
                    done(isInstalled ? Versions(base: base, serving: folder.version) : nil)
                }
            } catch {
                note(.error, "the model was not loaded: \(error)", [])
                done(nil)
            }
        }
    }

    private func encodeCatalogue(
        _ folder: ItemModelFolder, _ settings: ModelSettings,
        done: @escaping @Sendable (Bool) -> Void
    ) {
        pipeline.catalogueTexts { [self] texts in
            lane.run { [self] in
                if let excess = Self.memoryExcess(folder, items: texts.count, settings) {
                    note(.error, "the model was not loaded: \(excess)", [])
                    return done(false)
                }
                install(folder, texts, settings)
                pipeline.whenDone { done(true) }
            }
        }
    }

    private func install(
        _ folder: ItemModelFolder, _ texts: [(key: ItemKey, title: String)],
        _ settings: ModelSettings
    ) {
        let model = ServedModel(folder, summaryTokens: summaryTokens(folder))
        var cache = TextVectorCache(
            textVersion: folder.textVersion, width: model.width, capacity: Self.textsKeptMax)
        let file = settings.cacheFolder.map {
            "\($0)/item-vectors-\(String(folder.textVersion, radix: 16))"
        }
        if let file, fileExists(file) {
            let bytes = (try? Data(contentsOf: URL(filePath: file))).map { [UInt8]($0) } ?? []
            if !cache.load(bytes) {
                note(
                    .warning, "the item cache is damaged or of another model: not used",
                    [("file", file)])
            }
        }
        let loaded = cache.count
        var encoder = ItemScorer(folder.parameters)
        let tokens = texts.map { folder.tokens(of: $0.title) }
        let vectors = cache.vectors(of: tokens) { missing in
            encoder.textVectors(of: missing)
        }
        let items = texts.map(\.key)
        pipeline.install(
            model, items: items, vectors: model.vectors(of: items, texts: vectors),
            trie: model.trie(of: tokens))
        note(
            .info, "item vectors made",
            [
                ("version", folder.version), ("cached", "\(loaded)"), ("used", "\(cache.hitCount)"),
                ("computed", "\(cache.computedCount)"),
            ])
        store(cache, in: file)
    }

    /// How a stored summary is read; nil when the model reads none, or none that is kept here.
    private func summaryTokens(_ folder: ItemModelFolder) -> (@Sendable ([UInt8]) -> [Int32])? {
        guard let reading = folder.parameters.layout.shape.summaries else { return nil }
        guard let template, template.version == reading.summariserVersion else {
            note(
                .warning,
                "the model was trained with summaries that are not kept here: it is read without "
                    + "them (summaries.summariser: template)", [("version", folder.version)])
            return nil
        }
        return { folder.summaryTokens(of: template.text(ofStored: $0)) }
    }

    private func store(_ cache: TextVectorCache, in file: String?) {
        guard let file, cache.computedCount > 0 else { return }
        do throws(DocumentError) {
            try replaceFile(file, with: cache.encoded())
        } catch {
            note(.warning, "the item cache was not stored: \(error)", [])
        }
    }

    private func note(
        _ severity: Observation.Severity, _ text: String, _ fields: [(String, String)]
    ) { observer.observe(.note(severity, text, fields)) }
}
