// One shape for every collaborative model: what it learnt over all users (its item side, an immutable value with a
// version), and how it scores one user's history with that (decision D4).
//
// The user side is a stateless fold of the stored history, made when scores are asked for: so it is exact after any
// repeat, eviction or forgetting, and it can score a history of the past just as well (TCA4Rec needs that). The item
// side is either the live statistics or a model solved from a copy of them beside serving and then put in place of
// the one before. How to add one: docs/teachers.md.

public import Interactions

/// What a model must be given to be solved anew.
public enum TeacherMaterialKind: Sendable {
    /// Reads the live statistics: always current, never solved.
    case nothing
    /// A copy of the statistics.
    case statistics
    /// A copy of the statistics, and every user's history.
    case histories
    /// Comes from another system.
    case external
}

/// A collaborative model that scores items for a user.
public protocol Teacher: Sendable {
    /// Stable and unique: settings, stored models and `millrace eval --teacher` say it.
    static var name: String { get }
    static var material: TeacherMaterialKind { get }

    /// Whether it reads `Statistics.cooccurrences`, which are counted only when asked for.
    static var readsCooccurrence: Bool { get }
    /// Whether solving draws random numbers.
    static var isDrawn: Bool { get }
    /// What it can be tuned by; none unless said otherwise.
    static var parameters: [TeacherParameter<Self>] { get }

    /// Default parameters, nothing learnt.
    init()

    /// Of the item side: scores of equal versions are equal. 0: nothing was learnt yet, nothing is proposed. Live
    /// teachers say 1.
    var version: UInt64 { get }

    /// Adds the user's scores to `scores`, which has been begun for all items of `statistics`. Items it can say nothing
    /// about are left alone: they have no score and are not proposed. Higher is better; scores of one call compare
    /// with each other only.
    func score(_ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores)

    /// The same parameters with an item side learnt from the material. `progress` hears the share done, 0...1, at least
    /// every few seconds of work, and says whether to go on.
    func solved(
        from material: TeacherMaterial, progress: (Double) -> Bool
    ) throws(SolveFailure) -> Self

    /// Looks up the numbers that its items have in `items`; to be called whenever the model or the statistics were
    /// replaced. Until then it proposes nothing.
    mutating func bind(to items: KeyIndex)

    /// The item side as bytes, with the parameters it depends on. Equal models, equal bytes.
    func encoded() -> [UInt8]

    /// The same parameters with the item side that `encoded` wrote. Throws when it is damaged or was solved with other
    /// parameters.
    func loaded(from bytes: [UInt8]) throws(MalformedBytes) -> Self
}

extension Teacher {
    public static var readsCooccurrence: Bool { false }
    public static var isDrawn: Bool { false }
    public var name: String { Self.name }
    public var isLive: Bool { Self.material == .nothing }

    /// XXH64 of the item side, for comparing instances and versions.
    public var digest: UInt64 { xxh64(encoded()) }

    /// Score of every item by number; nil where the teacher has nothing to say.
    public func logits(of user: TeacherUser, from statistics: Statistics) -> [Double?] {
        var scores = SparseScores()
        scores.begin(statistics.items.count)
        score(user, from: statistics, into: &scores)
        var found = [Double?](repeating: nil, count: statistics.items.count)
        for item in scores.touched { found[Int(item)] = scores[item] }
        return found
    }
}

/// What teachers without an item side of their own share.
public protocol LiveTeacher: Teacher {}

extension LiveTeacher {
    public static var material: TeacherMaterialKind { .nothing }
    public var version: UInt64 { 1 }
    public func solved(
        from material: TeacherMaterial, progress: (Double) -> Bool
    ) throws(SolveFailure) -> Self { self }
    public mutating func bind(to items: KeyIndex) {}
    public func encoded() -> [UInt8] { [] }
    public func loaded(from bytes: [UInt8]) throws(MalformedBytes) -> Self {
        guard bytes.isEmpty else { throw MalformedBytes("\(Self.name) stores nothing") }
        return self
    }
}

/// What a teacher may know of the user it scores for.
public struct TeacherUser: Sendable {
    /// Items of positive events, newest first.
    public var items: [ItemKey]
    /// Weight of the event type of each, above 0.
    public var weights: [Float]
    /// What another system stored for the user, as read; empty without any.
    public var external: [UInt8]
    /// The summary as it is stored; empty without one.
    public var summary: [UInt8] = []

    /// A history in which every item weighs 1, newest first.
    public init(items: [ItemKey] = [], external: [UInt8] = []) {
        self.items = items
        weights = Array(repeating: 1, count: items.count)
        self.external = external
    }

    public init(_ state: UserState, rules: HistoryRules, external: [UInt8] = []) {
        items = []
        weights = []
        self.external = external
        summary = state.summary
        for entry in state.history.reversed() where rules.isPositive(entry) {
            items.append(entry.item)
            weights.append(Float(rules.weight(entry)))
        }
    }
}

/// What models are solved from: values, so that the work can be done on another lane or in another process.
public struct TeacherMaterial: Sendable {
    public var statistics: Statistics
    public var histories: Histories
    /// What the solved model will say its version is; above 0, and higher for newer material.
    public var version: UInt64
    /// Of everything drawn at random.
    public var seed: UInt64

    public init(
        statistics: Statistics, histories: Histories = Histories(), version: UInt64,
        seed: UInt64 = 1
    ) {
        precondition(version > 0, "version 0 is a model that has learnt nothing")
        self.statistics = statistics
        self.histories = histories
        self.version = version
        self.seed = seed
    }
}

/// Why there is no new model; the one before stays.
public enum SolveFailure: Error, Sendable, Equatable, CustomStringConvertible {
    case cancelled
    case unsolvable(String)

    public var description: String {
        switch self {
        case .cancelled: "cancelled: the model before stays in use"
        case .unsolvable(let reason): reason
        }
    }
}

/// All teachers there are, by name. A new one is a file and a line here.
public enum TeacherRegistry {
    public static let all: [any Teacher.Type] = [
        PopularityTeacher.self,
        SequentialRules.self,
        ItemNeighbours.self,
        EASE.self,
        ImplicitALS.self,
        SASRec.self,
        ExternalTeacher.self,
    ]

    /// A teacher with default parameters that has learnt nothing; nil for a name nobody has.
    public static func teacher(named name: String) -> (any Teacher)? {
        all.first { $0.name == name }.map { $0.init() }
    }
}
