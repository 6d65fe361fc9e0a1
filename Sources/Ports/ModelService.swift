// The versions of the served model, for clients that may look at them and for those who may decide (`MODEL.*`).

/// `MODEL.LIST`: what could serve, what does, and why.
public struct ModelListing: Sendable, Hashable {
    public struct Version: Sendable, Hashable {
        public var version: String
        public var serves: Bool
        public var isPinned: Bool

        public init(version: String, serves: Bool, isPinned: Bool) {
            self.version = version
            self.serves = serves
            self.isPinned = isPinned
        }
    }

    /// One line of the ledger.
    public struct Decision: Sendable, Hashable {
        /// RFC 3339.
        public var time: String
        /// `published`, `refused`, `rolled back`, ...
        public var decision: String
        public var version: String
        public var reason: String

        public init(time: String, decision: String, version: String, reason: String) {
            self.time = time
            self.decision = decision
            self.version = version
            self.reason = reason
        }
    }

    /// The model without an adapter first.
    public var versions: [Version]
    /// Newest first.
    public var decisions: [Decision]

    public init(versions: [Version], decisions: [Decision]) {
        self.versions = versions
        self.decisions = decisions
    }
}

/// Decides which version serves. Calls return at once; replies come exactly once, on a thread of the service.
public protocol ModelService: Sendable {
    typealias Reply<Value> = @Sendable (Result<Value, PortError>) -> Void

    func models(reply: @escaping Reply<ModelListing>)
    /// Begins a refresh and replies when it is under way; its progress and its end are in `modelInfo`.
    func refreshModel(reply: @escaping Reply<Void>)
    /// Serves the version, or else what served before the current one; replies with what serves then.
    func rollBackModel(to version: String?, reply: @escaping Reply<String>)
    /// Serves the version and refuses refreshes until it is let go.
    func pinModel(_ version: String, reply: @escaping Reply<String>)
    func unpinModel(reply: @escaping Reply<Void>)
    /// Sections of `INFO`; callable on any thread.
    var modelInfo: [InfoSection] { get }
}

/// The right to refresh, held by one instance at a time.
public protocol LeaseStore: Sendable {
    /// Takes the lease for so long, unless another holds it: nil. The token is greater than every one handed out
    /// before.
    func takeLease(
        owner: String, milliseconds: Int64,
        completion: @escaping @Sendable (Result<Int64?, PortError>) -> Void)
    /// Keeps the lease for so long from now; false when the token is not the newest: another took over.
    func renewLease(
        token: Int64, milliseconds: Int64,
        completion: @escaping @Sendable (Result<Bool, PortError>) -> Void)
    /// Gives it back, if the token is the newest.
    func releaseLease(token: Int64)
}
