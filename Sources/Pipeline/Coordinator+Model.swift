// The language model beside the engine: installed when it is loaded, replaced when another is.

public import Interactions
import Ports
public import Recommender
public import TokenTrie

extension Coordinator {
    /// Keys and titles of the catalogue as it is, for encoding them elsewhere.
    public func catalogueTexts() -> [(key: ItemKey, title: String)] {
        engine.catalogue.all.map { (key: $0.id.key, title: $0.title) }
    }

    /// From the next list on, the model serves; the one before is gone with all that was made with it.
    public func install(
        _ model: ServedModel, items: [ItemKey], vectors: [Float], trie: CatalogueTrie?
    ) {
        engine.install(
            model, items: items, vectors: vectors, trie: trie,
            usersCachedMax: configuration.modelUsersCachedMax)
        versions.raiseAll()
        enter(.model(version: model.version))
        note(
            .notice, "a model serves",
            [("version", model.version), ("items", "\(items.count)")])
    }

    /// Has a trie with many changes merged beside serving.
    func tendTrie() {
        if let merge = engine.beginTrieMerge() { act(.mergeTrie(merge)) }
    }

    public func trieMerged(_ merge: TrieMerge) { engine.finish(merge) }

    public func removeModel() {
        guard engine.modelVersion != nil else { return }
        engine.removeModel()
        versions.raiseAll()
        enter(.model(version: nil))
        note(.notice, "no model serves any more")
    }

    var modelSection: [InfoSection] {
        guard configuration.hasModel || engine.modelVersion != nil else { return [] }
        return [
            InfoSection(
                title: "Model",
                lines: [InfoLine("model_version", engine.modelVersion ?? "loading")]
                    + engine.modelCounters.map { InfoLine($0.name, "\($0.value)") })
        ]
    }
}
