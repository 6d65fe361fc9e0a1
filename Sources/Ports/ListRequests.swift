// Requests beside `REC.GET` that are answered with lists, and the name under which a list is kept.

public import Filters
public import Interactions

/// Names a list while it is kept, written `<epoch>-<number>`: the epoch changes with every start of the daemon.
public struct ListID: Sendable, Hashable, CustomStringConvertible {
    public var epoch: UInt64
    public var number: UInt64

    public init(epoch: UInt64, number: UInt64) {
        self.epoch = epoch
        self.number = number
    }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let epoch = UInt64(parts[0]), let number = UInt64(parts[1])
        else { return nil }
        self.init(epoch: epoch, number: number)
    }

    public var description: String { "\(epoch)-\(number)" }
}

/// `REC.SIMILAR`: items that go with an item.
public struct SimilarRequest: Sendable, Hashable {
    public var item: ItemID
    /// Nil leaves it to the scenario, else `RecommendRequest.countDefault`.
    public var count: Int?
    public var filter: Filter?
    public var scenario: String?

    public init(item: ItemID, count: Int? = nil, filter: Filter? = nil, scenario: String? = nil) {
        self.item = item
        self.count = count
        self.filter = filter
        self.scenario = scenario
    }
}
