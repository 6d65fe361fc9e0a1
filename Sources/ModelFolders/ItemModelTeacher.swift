// The item-aware model as a source that `millrace eval` judges beside the teachers, with the scorer that serves.

public import Interactions
public import ItemModel
public import Teachers

/// A model folder and a catalogue; scores every item of the catalogue for a history.
public struct ItemModelTeacher: Teacher {
    public static let name = "lm"
    public static let material = TeacherMaterialKind.histories

    /// Trains on histories as numbers of items, whose tokens are given; nil when training is not wanted.
    public typealias Retraining =
        @Sendable (
            _ items: [(key: ItemKey, tokens: [Int32])], _ histories: [[Int32]], _ version: UInt64
        ) throws -> ItemModelParameters

    public private(set) var version: UInt64 = 0
    private var parameters: ItemModelParameters?
    private var retraining: Retraining?
    /// Of a stored summary; nil where none is read.
    private var summaryTokens: (@Sendable (_ stored: [UInt8]) -> [Int32])?
    /// Keys of the model's items, in the order of its numbers.
    private var keys: [ItemKey] = []
    private var numbers: [ItemKey: Int32] = [:]
    private var tokens: [[Int32]] = []
    /// Vectors by number.
    private var table: [Float] = []
    /// The statistics' number of each of ours; -1 where they do not know the item.
    private var bound: [KeyIndex.Number] = []

    public init() {}

    /// Items of the folder keep their numbers; those of the catalogue that it does not know follow, as pure text.
    /// `summaryTokens` are those of a stored summary, for a model that reads them.
    public init(
        _ folder: ItemModelFolder, catalogue: [ItemRecord],
        summaryTokens: (@Sendable (_ stored: [UInt8]) -> [Int32])? = nil,
        retraining: Retraining? = nil
    ) {
        self.retraining = retraining
        self.summaryTokens = summaryTokens
        var texts: [ItemKey: String] = [:]
        for record in catalogue { texts[record.id.key] = record.title }
        for id in folder.items + catalogue.map(\.id) where numbers[id.key] == nil {
            numbers[id.key] = Int32(keys.count)
            keys.append(id.key)
            tokens.append(folder.tokens(of: texts[id.key] ?? id.text))
        }
        use(folder.parameters, version: 1)
    }

    private mutating func use(_ parameters: ItemModelParameters, version: UInt64) {
        self.parameters = parameters
        self.version = version
        var scorer = ItemScorer(parameters)
        table = scorer.vectors(
            of: tokens.enumerated().map { (number: Int32($0.offset), tokens: $0.element) })
    }

    public mutating func bind(to items: KeyIndex) {
        bound = keys.map { items.number(of: $0) ?? -1 }
    }

    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        guard let parameters, bound.count == keys.count else { return }
        let history = user.items.reversed().compactMap { numbers[$0] }
        guard !history.isEmpty else { return }
        var scorer = ItemScorer(parameters)
        let logits = scorer.logits(
            states: scorer.states(
                of: [history], summaries: [summaryTokens?(user.summary) ?? []], table: table),
            table: table)
        for (row, number) in bound.enumerated() where number >= 0 {
            scores.add(number, Double(logits[row]))
        }
    }

    public func solved(
        from material: TeacherMaterial, progress: (Double) -> Bool
    ) throws(SolveFailure) -> Self {
        guard let retraining else { return self }
        let all = material.histories
        var histories: [[Int32]] = []
        for index in 0..<all.count {
            let entries = all.entries[all.starts[index]..<all.starts[index + 1]]
            let history = entries.compactMap { numbers[all.items.keys[Int($0)]] }
            if history.count > 1 { histories.append(history) }
        }
        var next = self
        do {
            next.use(
                try retraining(
                    zip(keys, tokens).map { (key: $0, tokens: $1) }, histories, material.version),
                version: material.version)
        } catch {
            throw SolveFailure.unsolvable("the model could not be trained: \(error)")
        }
        return next
    }

    /// A model is stored as a folder, not as a blob.
    public func encoded() -> [UInt8] { [] }

    public func loaded(from bytes: [UInt8]) throws(MalformedBytes) -> Self {
        guard bytes.isEmpty else { throw MalformedBytes("the item-aware model is a folder") }
        return self
    }
}
