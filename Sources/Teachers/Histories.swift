// Every user's history in one block of memory: what factor models are trained on.

public import Interactions

/// Histories by user, positive items only, oldest first. Users have no names here: models do not need them.
public struct Histories: Sendable {
    /// Items by number; the numbers are local to this value.
    public private(set) var items = KeyIndex()
    /// History h is `entries[starts[h] ..< starts[h + 1]]`.
    public private(set) var starts: [Int] = [0]
    public private(set) var entries: [KeyIndex.Number] = []
    /// Weight of the event type of each entry.
    public private(set) var weights: [Float] = []
    /// How many distinct items back each item stood when it was last repeated; 0 is never.
    public private(set) var repeatGaps: [UInt8] = []

    public init() {}

    public var count: Int { starts.count - 1 }

    /// Adds a user; one without positive items leaves no trace.
    public mutating func append(_ state: UserState, rules: HistoryRules) {
        for entry in state.history where rules.isPositive(entry) {
            entries.append(items.insert(entry.item))
            weights.append(Float(rules.weight(entry)))
            repeatGaps.append(entry.repeatGap)
        }
        if entries.count > starts[count] { starts.append(entries.count) }
    }
}
