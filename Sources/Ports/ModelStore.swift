// What collaborative models the store keeps, ours and another system's (docs/teachers.md).
//
// A solved model is no truth: it can be made again from what the store holds. It is kept so that a start need not wait
// for a solve, and so that one instance solves for all.

public import Interactions

/// A solved model, as bytes of its own kind.
public struct StoredModel: Sendable {
    public var name: String
    /// Above 0; of two models of one name the one with the higher version is newer.
    public var version: UInt64
    /// Opaque to the store; written and read in this order.
    public var chunks: [[UInt8]]
    /// The incarnation of the store that the model was solved from; a model of another one is refused.
    public var incarnation: String

    public init(name: String, version: UInt64, chunks: [[UInt8]], incarnation: String = "") {
        self.name = name
        self.version = version
        self.chunks = chunks
        self.incarnation = incarnation
    }
}

/// Scores that another system published.
public struct ExternalPublication: Sendable {
    public var version: UInt64
    /// Records of items; nil when users have lists of their own instead of vectors.
    public var items: [(item: ItemID, record: [UInt8])]?

    public init(version: UInt64, items: [(item: ItemID, record: [UInt8])]?) {
        self.version = version
        self.items = items
    }
}

public protocol ModelStore: Sendable {
    /// The stored model of this name; nil when there is none that is newer than `version`.
    func loadModel(
        _ name: String, after version: UInt64,
        completion: @escaping @Sendable (Result<StoredModel?, PortError>) -> Void)
    /// Stores a model and makes it current, unless a newer one is.
    func saveModel(
        _ model: StoredModel, completion: @escaping @Sendable (Result<Void, PortError>) -> Void)

    /// What another system published; nil when that is nothing newer than `version`. Refused when it does not follow
    /// the contract.
    func loadExternal(
        after version: UInt64,
        completion: @escaping @Sendable (Result<ExternalPublication?, PortError>) -> Void)
    /// The record of a user in a publication; nil when it has none.
    func loadExternalRecord(
        of user: UserID, version: UInt64,
        completion: @escaping @Sendable (Result<[UInt8]?, PortError>) -> Void)
}
